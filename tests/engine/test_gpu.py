"""What only a GPU can show; skipped without one."""

import pytest
import torch

from restorebox.engine import load_file
from tests.factories import write_pairs
from tests.processes import free_port, run, succeed, write_config

pytestmark = [
    pytest.mark.slow,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
]


@pytest.mark.parametrize(
    'options',
    [
        (),
        ('--amp',),
        ('--cfg-options', 'compile=True'),
        ('--cfg-options', 'model.generator.backbone.norm=batch', 'sync_bn=torch'),
    ],
    ids=['nccl', 'bf16', 'compile', 'sync_bn'],
)
def test_one_rank_trains_through_nccl(tmp_path, options):
    write_pairs(tmp_path / 'data', 'train', 4)
    write_pairs(tmp_path / 'data', 'test', 2)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8)
    result = run('dist_train.sh', config, 1, '--work-dir', 'w', *options, cwd=tmp_path, PORT=free_port(), timeout=500)
    succeed(result)
    compute = load_file(tmp_path / 'w' / 'iter_4.pth')['meta']['compute']
    assert compute['device'] == torch.cuda.get_device_name()
    assert compute['precision'] == ('bf16' if '--amp' in options else 'fp32')


def test_more_ranks_than_gpus_are_refused(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 4)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8)
    ranks = torch.cuda.device_count() + 1
    result = run('dist_train.sh', config, ranks, '--work-dir', 'w', cwd=tmp_path, PORT=free_port())
    assert result.returncode != 0
    assert 'ranks on this machine, but it has' in result.stderr

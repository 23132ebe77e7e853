"""A resumed run equals an uninterrupted one, bit for bit, in new processes."""

import shutil

import pytest
import torch

from restorebox.engine import load_file
from tests.conftest import REPO
from tests.factories import write_pairs
from tests.processes import one_line_error, run, run_ranks, succeed, write_config


def equal(a, b, path=''):
    """Paths at which two checkpoints' contents differ."""
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [path]
    if isinstance(a, dict):
        return [d for k in a.keys() | b.keys() for d in equal(a.get(k), b.get(k), f'{path}.{k}')]
    if isinstance(a, (list, tuple)):
        return [d for i, (x, y) in enumerate(zip(a, b, strict=True)) for d in equal(x, y, f'{path}.{i}')]
    return [] if a == b else [path]


@pytest.mark.slow
@pytest.mark.parametrize(('ranks', 'accumulate'), [(1, 1), (2, 1), (1, 2)])
def test_ten_and_ten_steps_equal_twenty(tmp_path, ranks, accumulate):
    write_pairs(tmp_path / 'data', 'train', 6)
    write_pairs(tmp_path / 'data', 'test', 3)
    samples = 20 * 2 * ranks
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=samples, workers=1, accumulate=accumulate)

    def train(work_dir, *options):
        for rank in run_ranks('train.py', config, '--work-dir', work_dir, *options, ranks=ranks, cwd=tmp_path):
            succeed(rank)

    train('straight')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'straight' / 'iter_10.pth', tmp_path / 'resumed')
    train('resumed', '--resume')
    straight, resumed = (load_file(tmp_path / d / 'iter_20.pth') for d in ('straight', 'resumed'))
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_states')
    assert {part: equal(straight[part], resumed[part]) for part in parts} == {part: [] for part in parts}
    start = load_file(tmp_path / 'straight' / 'iter_10.pth')
    assert equal(start['state_dict'], straight['state_dict']), 'nothing was learnt: the test would prove nothing'
    assert len(straight['random_states']) == ranks
    if ranks == 2:
        assert equal(*straight['random_states']), 'both ranks would drop the same units'


UNPAIRED = {
    'cclgan': (),
    'cyclegan': ('model.image_pool=3',),  # full, and exchanging, before the checkpoint
    'cut': (),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('method', 'ranks'), [('cclgan', 1), ('cclgan', 2), ('cyclegan', 1), ('cyclegan', 2), ('cut', 1)]
)
def test_unpaired_training_resumes_exactly(tmp_path, method, ranks):
    """The demo configs as they are, but narrower: both optimisers, sampled positions, image pools."""
    write_pairs(tmp_path / 'data', 'train', 6, size=(70, 66))
    write_pairs(tmp_path / 'data', 'test', 2)
    config = REPO / 'configs' / method / f'{method}_demo.py'
    samples = 12 * 2 * ranks
    narrow = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
    schedule = [f'train_cfg.max_samples={samples}', f'default_hooks.checkpoint.every_samples={samples // 2}']
    options = ['--cfg-options', *narrow, *schedule, *UNPAIRED[method]]

    def train(work_dir, *more):
        where = ('--data-root', tmp_path / 'data', '--work-dir', work_dir)
        for rank in run_ranks('train.py', config, *where, *more, *options, ranks=ranks, cwd=tmp_path):
            succeed(rank)

    train('straight')
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'straight' / 'iter_6.pth', tmp_path / 'resumed')
    train('resumed', '--resume')
    start, straight, resumed = (
        load_file(tmp_path / d) for d in ('straight/iter_6.pth', 'straight/iter_12.pth', 'resumed/iter_12.pth')
    )
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_states', 'training_states')
    assert {part: equal(straight[part], resumed[part]) for part in parts} == {part: [] for part in parts}
    moved = {path.split('.')[1] for path in equal(start['state_dict'], straight['state_dict'])}
    assert {'generator', 'discriminator'} <= moved
    assert len(straight['training_states']) == ranks
    assert equal(start['training_states'][0]['draws'], straight['training_states'][0]['draws']) or method == 'cyclegan'
    if method == 'cyclegan':
        pools = [state['pools']['clean'] for state in straight['training_states']]
        assert [len(pool) for pool in pools] == [3] * ranks
        assert ranks == 1 or equal(*pools), 'both ranks would remember the same pictures'


@pytest.mark.slow
def test_resuming_with_another_total_batch_is_refused(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 4)
    write_pairs(tmp_path / 'data', 'test', 2)
    config = write_config(tmp_path / 'toy.py', tmp_path / 'data', samples=8)
    succeed(run('train.py', config, '--work-dir', 'w', cwd=tmp_path))
    result = run(
        'train.py',
        config,
        '--work-dir',
        'w',
        '--resume',
        '--cfg-options',
        'train_dataloader.batch_size=1',
        cwd=tmp_path,
    )
    assert '2 samples a step over all ranks, this run has 1' in one_line_error(result)

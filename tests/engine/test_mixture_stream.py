"""The samples of a training on a mixture, in real processes: number of ranks and workers, and a resume."""

import shutil

import pytest

from tests.factories import write_pairs
from tests.processes import run_ranks, succeed, write_config

pytestmark = pytest.mark.slow

MIXTURE = """
custom_imports = dict(imports=['tests.engine.stream_hook'])
custom_hooks = [dict(type='WriteStreamHook')]
load, pack = dict(type='LoadPictures'), dict(type='Pack')
small = dict(
    type='PairedPictures', data_root=root + '/small',
    pipeline=[load, dict(type='RandomWindow', size=32), dict(type='Flip'), pack])
large = dict(
    type='PairedPictures', data_root=root + '/large', fraction=0.8,
    pipeline=[load, dict(type='RandomWindow', size=32), dict(type='Flip', direction='vertical'), pack])
repeated = dict(type='RepeatPictures', times=2, dataset=small)
train_dataloader['batch_size'] = {batch}
train_dataloader['dataset'] = dict(
    type='ConcatPictures', datasets=dict(small=repeated, large=large), {shares})
val_dataloader = test_dataloader = val_evaluator = test_evaluator = val_cfg = test_cfg = None
default_hooks['checkpoint'] = dict(every_samples=24)
"""
STEPS, TOTAL = 12, 4


def stream(folder, ranks, workers, shares, *options, work='w'):
    """Train and return the lines of all ranks in the order of their positions."""
    config = write_config(folder / f'c{ranks}{workers}.py', folder / 'data', samples=STEPS * TOTAL, workers=workers)
    config.write_text(config.read_text() + MIXTURE.format(batch=TOTAL // ranks, shares=shares))
    where = ('--work-dir', folder / work, '--no-data-check', *options)
    for rank in run_ranks('train.py', config, *where, ranks=ranks, cwd=folder):
        succeed(rank)
    lines = [line for path in (folder / work).glob('stream_*.txt') for line in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: int(line.split()[0]))


@pytest.mark.parametrize(
    'shares', ['', 'epochs=dict(large=1.5)', 'ratios=dict(small=1, large=2)', 'weights=dict(small=2, large=1)']
)
def test_the_stream_does_not_depend_on_ranks_workers_or_a_resume(tmp_path, shares):
    write_pairs(tmp_path / 'data' / 'small', 'train', 3, seed=1)
    write_pairs(tmp_path / 'data' / 'large', 'train', 10, seed=2)
    first = stream(tmp_path, 1, 0, shares, work='one')
    assert [int(line.split()[0]) for line in first] == list(range(STEPS * TOTAL))
    assert {line.split()[1] for line in first} == {'small', 'large'}
    assert len({line.split()[3] for line in first}) > STEPS * TOTAL // 2, 'the crops must differ'
    assert stream(tmp_path, 1, 2, shares, work='workers') == first
    assert stream(tmp_path, 2, 2, shares, work='ranks') == first
    (tmp_path / 'resumed').mkdir()
    shutil.copy(tmp_path / 'one' / 'iter_6.pth', tmp_path / 'resumed')
    assert stream(tmp_path, 1, 0, shares, '--resume', work='resumed') == first[6 * TOTAL :]

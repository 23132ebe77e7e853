"""Each protocol's config passes check-config, prepares its miniature, trains three steps and tests."""

import json

import pytest

from restorebox.datasets.sources import prepare
from restorebox.engine.config import load_config
from restorebox.engine.running import check_config
from tests.miniatures import make
from tests.processes import call, succeed

pytestmark = pytest.mark.slow

TASKS = ('reside_ots', 'rain100l', 'wed_bsd400')
# config, row, sources, test sets with their numbers of pictures in the miniature, parts of the settings
PROTOCOLS = {
    'three_tasks': ('three_tasks', None, TASKS, dict(haze=2, rain=3, sigma15=2, sigma25=2, sigma50=2)),
    'five_tasks': (
        'five_tasks',
        None,
        (*TASKS, 'gopro', 'lol'),
        dict(haze=2, rain=3, sigma25=2, blur=2, low_light=2),
    ),
    'cdd11': ('cdd11', None, ('cdd11',), 11 * 1),
    'all_weather': ('all_weather', None, ('all_weather',), dict(snow=2, rain=2, drops=2)),
    'noise': ('noise', None, ('wed_bsd400',), dict(sigma15=2, sigma25=2, sigma50=2)),
    'rain13k': ('single', 'rain13k', ('rain13k',), 5 * 2),
    'snow100k': ('single', 'snow100k', ('snow100k',), dict(s=2, m=2, l=2)),
    **{
        name: ('single', name, (name,), count)
        for name, count in dict(rain200l=2, rain200h=2, spa=5, gopro=2, lol=2).items()
    },
}
SMALL = (
    'model.generator.backbone.base_width=4',
    'model.generator.backbone.max_width=8',
    'pipeline.RandomWindow.size=32',
    'train_dataloader.batch_size=2',
    'train_cfg.max_samples=6',
    'default_hooks.checkpoint.every_samples=6',
    *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
)


@pytest.mark.parametrize('name', PROTOCOLS)
def test_a_protocol_is_prepared_trained_and_tested(name, tmp_path):
    config, row, sources, tested = PROTOCOLS[name]
    path = f'configs/all_in_one/{config}.py'
    check_config(path, row=row)
    for source in sources:
        described, _ = make(source, tmp_path / 'release' / source)
        prepare(described, tmp_path / 'release' / source, tmp_path / 'data' / source)
    root = tmp_path / 'data' / (sources[0] if len(sources) == 1 else '')
    where = [path, *(['--row', row] if row else []), '--data-root', root, '--work-dir', 'w']
    succeed(call('train', *where, '--no-data-check', '--cfg-options', *SMALL, cwd=tmp_path))
    where.insert(1, tmp_path / 'w' / 'iter_3.pth')
    succeed(call('test', *where, '--cfg-options', *SMALL, cwd=tmp_path))
    scores = json.loads((tmp_path / 'w' / 'scores.json').read_text())
    assert scores['problems'] == []
    counts = {name: each['count'] for name, each in scores.get('sets', {}).items()}
    if isinstance(tested, dict):
        assert counts == tested
        assert scores['mean']['psnr_rgb'] == pytest.approx(
            sum(each['mean']['psnr_rgb'] for each in scores['sets'].values()) / len(counts)
        )
    else:
        assert scores['count'] == tested


def test_the_epochs_are_those_of_the_public_code():
    """Counts of the sources times the passes give the numbers of crops that the comments and schedules state."""
    counts = dict(haze=72_135, rain=200, sigma15=5_144, sigma25=5_144, sigma50=5_144, blur=2_103, low_light=485)
    for name, total in (('three_tasks', 142_431), ('five_tasks', 162_646)):
        cfg = load_config(f'configs/all_in_one/{name}.py')
        passes = cfg.train_dataloader.dataset.epochs
        assert sum(counts[key] * times for key, times in passes.items()) == total
        assert cfg.train_cfg.max_samples % total == 0
        assert set(passes) == set(cfg.train_dataloader.dataset.datasets)

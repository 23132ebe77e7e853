"""prune, as a user types it."""

import json

import pytest

from restorebox import RestoreInferencer
from restorebox.cli.main import main
from tests.factories import write_pairs
from tests.processes import refused, run, succeed, write_config

pytestmark = pytest.mark.slow

pytest.importorskip('torch_pruning', reason='torch-pruning (requirements/prune.txt) is not installed')
NARROW = ('--cfg-options', 'model.generator.backbone.base_width=2', 'model.generator.backbone.max_width=6')


@pytest.fixture(scope='module')
def wide(tmp_path_factory):
    folder = tmp_path_factory.mktemp('prune')
    write_pairs(folder, 'train', 4)
    write_pairs(folder, 'test', 2)
    config = write_config(folder / 'toy.py', folder, samples=4)
    main(['train', str(config), '--work-dir', str(folder / 'wide')])
    return folder


@pytest.fixture
def home(wide, monkeypatch):
    monkeypatch.chdir(wide)
    return wide


def prune(*words):
    main(['prune', *words])


def test_cost_and_gain_are_reported(home, capsys):
    words = ('toy.py', 'wide/iter_2.pth', '--samples', '8', '--work-dir', 'narrow', *NARROW)
    result = succeed(run('prune.py', *words, cwd=home))
    report = json.loads((home / 'narrow' / 'pruned.json').read_text())
    assert report['weights'][0] > report['weights'][1]
    assert report['cost_db'] == report['psnr_y']['before'] - report['psnr_y']['trained']
    assert len({report['psnr_y'][name] for name in ('before', 'cut', 'trained')}) == 3
    assert report['gain'] > 0
    assert f'costs {report["cost_db"]:.2f} dB' in result.stdout
    checkpoint = home / 'narrow' / report['checkpoint']['path']
    assert RestoreInferencer(checkpoint, device='cpu')(home / 'test/lq/00.png').shape == (40, 48, 3)
    assert 'narrow is not empty' in refused(lambda: prune(*words), capsys)


def test_a_pruned_model_contains_its_config(home):
    more = (*NARROW, 'test_dataloader.dataset.split=train', 'model.statistics_window=16')
    prune('toy.py', 'wide/iter_2.pth', '--samples', '0', *more)
    report = json.loads((home / 'work_dirs/toy_pruned/pruned.json').read_text())
    assert set(report['psnr_y']) == {'before', 'cut'}
    assert report['cost_db'] == report['psnr_y']['before'] - report['psnr_y']['cut']
    assert report['pictures'] == 4  # what is not about the network holds for both
    before = json.loads((home / 'work_dirs/toy_pruned/before/scores.json').read_text())
    assert before['overrides'] == {'test_dataloader.dataset.split': 'train', 'model.statistics_window': 16}
    cut = home / 'work_dirs/toy_pruned' / report['checkpoint']['path']
    assert cut.name == 'cut.pth'
    assert RestoreInferencer(cut, device='cpu')(home / 'test/lq/00.png').shape == (40, 48, 3)


@pytest.mark.parametrize(
    ('words', 'expected'),
    [
        (['toy.py', 'wide/iter_2.pth', '--work-dir', 'other'], 'no width has changed'),
        (
            ['toy.py', 'wide/iter_2.pth', '--work-dir', 'other', NARROW[0], 'model.generator.backbone.base_width=6'],
            'it can only fall',
        ),
        (['toy.py', 'none.pth', '--work-dir', 'other', *NARROW], 'no such file'),
        (['toy.py'], 'a config needs a checkpoint'),
        (['wether'], "no model 'wether'"),
    ],
)
def test_mistakes_are_one_line(words, expected, home, capsys):
    assert expected in refused(lambda: prune(*words, '--samples', '8'), capsys)
    assert not (home / 'other').exists()

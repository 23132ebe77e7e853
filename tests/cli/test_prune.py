"""prune, as a user types it."""

import json

import pytest

from restorebox import RestoreInferencer
from tests.factories import write_pairs
from tests.processes import one_line_error, run, succeed, write_config

pytest.importorskip('torch_pruning', reason='torch-pruning (requirements/prune.txt) is not installed')
NARROW = ('--cfg-options', 'model.generator.backbone.base_width=2', 'model.generator.backbone.max_width=6')


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp('prune')
    write_pairs(folder, 'train', 4)
    write_pairs(folder, 'test', 2)
    write_config(folder / 'toy.py', folder, samples=4)
    succeed(run('train.py', 'toy.py', '--work-dir', 'wide', cwd=folder))
    return folder


@pytest.mark.slow
def test_cost_and_gain_are_reported(home):
    result = succeed(
        run('prune.py', 'toy.py', 'wide/iter_2.pth', '--samples', 8, '--work-dir', 'narrow', *NARROW, cwd=home)
    )
    report = json.loads((home / 'narrow' / 'pruned.json').read_text())
    assert report['weights'][0] > report['weights'][1]
    assert report['cost_db'] == report['psnr_y']['before'] - report['psnr_y']['trained']
    assert len({report['psnr_y'][name] for name in ('before', 'cut', 'trained')}) == 3
    assert report['gain'] > 0
    assert f'costs {report["cost_db"]:.2f} dB' in result.stdout
    checkpoint = home / 'narrow' / report['checkpoint']['path']
    assert RestoreInferencer(checkpoint, device='cpu')(home / 'test/lq/00.png').shape == (40, 48, 3)
    again = run('prune.py', 'toy.py', 'wide/iter_2.pth', '--samples', 8, '--work-dir', 'narrow', *NARROW, cwd=home)
    assert 'narrow is not empty' in one_line_error(again)


@pytest.mark.slow
def test_what_is_cut_knows_its_config_and_can_be_all_there_is(home):
    more = (*NARROW, 'test_dataloader.dataset.split=train', 'model.statistics_window=16')
    succeed(run('prune.py', 'toy.py', 'wide/iter_2.pth', '--samples', 0, *more, cwd=home))
    report = json.loads((home / 'work_dirs/toy_pruned/pruned.json').read_text())
    assert set(report['psnr_y']) == {'before', 'cut'}
    assert report['cost_db'] == report['psnr_y']['before'] - report['psnr_y']['cut']
    assert report['pictures'] == 4  # what is not about the network holds for both
    before = json.loads((home / 'work_dirs/toy_pruned/before/scores.json').read_text())
    assert before['overrides'] == {'test_dataloader.dataset.split': 'train', 'model.statistics_window': 16}
    cut = home / 'work_dirs/toy_pruned' / report['checkpoint']['path']
    assert cut.name == 'cut.pth'
    assert RestoreInferencer(cut, device='cpu')(home / 'test/lq/00.png').shape == (40, 48, 3)


def test_mistakes_are_one_line(home):
    words = ('prune.py', 'toy.py', 'wide/iter_2.pth', '--samples', 8, '--work-dir', 'other')
    assert 'no width has changed' in one_line_error(run(*words, cwd=home))
    assert 'it can only fall' in one_line_error(
        run(*words, '--cfg-options', 'model.generator.backbone.base_width=6', cwd=home)
    )
    assert 'no such file' in one_line_error(run('prune.py', 'toy.py', 'none.pth', *words[3:], *NARROW, cwd=home))
    again = run('prune.py', 'toy.py', '--samples', 8, cwd=home)
    assert 'a config needs a checkpoint' in one_line_error(again)
    assert "no model 'wether'" in one_line_error(run('prune.py', 'wether', '--samples', 8, cwd=home))
    assert not (home / 'other').exists()

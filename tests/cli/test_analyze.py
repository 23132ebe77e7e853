"""analyze-distortions and analyze-information measure, draw and store."""

import json

import pytest

from restorebox.claims.analyses.distortions import DISTORTIONS
from restorebox.cli.main import main
from tests.factories import write_pairs
from tests.processes import refused

pytestmark = pytest.mark.slow
NO_WORKERS = ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0']


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Pairs in data/, from where the verbs are called."""
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2, size=(64, 72))
    return tmp_path


def test_distortions(folder, capsys):
    config, where = 'configs/fdrnet/fdrnet_demo.py', ['--data-root', 'data', '--work-dir', 'w']
    size = ['model.generator.backbone.channels=8', 'test_dataloader.num_workers=0']
    steps = ['train_cfg.max_samples=2', 'default_hooks.checkpoint.every_samples=2', 'train_dataloader.batch_size=2']
    main(['train', config, *where, '--no-data-check', '--cfg-options', *size, *steps, *NO_WORKERS])
    command = ['analyze-distortions', config, 'w/iter_1.pth', '--side', '40', *where, '--cfg-options', *size]
    main(command)
    figures = json.loads((folder / 'w' / 'distortions.json').read_text())
    assert (figures['pictures'], figures['side'], len(figures['phases'])) == (2, 40, 2)
    for phase in figures['phases']:
        assert all(0 < value < 1 for value in phase['correlation'].values())
        assert all(-1 <= value <= 1 for value in phase['cosine'].values())
        assert {kind: len(levels) for kind, levels in phase['response'].items()} == dict.fromkeys(DISTORTIONS, 3)
        assert all(len(vector) == 8 for levels in phase['response'].values() for vector in levels)
    assert (folder / 'w' / 'distortions.png').stat().st_size > 5000
    assert capsys.readouterr().out.endswith('w/distortions.png\n')
    command[2] = 'w/nothing.pth'
    assert 'no such file' in refused(lambda: main(command), capsys)


def test_information(folder, capsys):
    sizes = [f'model.{role}.backbone.base_width=4' for role in ('generator', 'discriminator')]
    steps = ['train_cfg.max_samples=2', 'default_hooks.checkpoint.every_samples=1']
    config, where = 'configs/infoaccum/rain800_pix2pix.py', ['--data-root', 'data', '--work-dir', 'w']
    main(['train', config, *where, '--no-data-check', '--cfg-options', *sizes, *steps, *NO_WORKERS])
    options = [*where, '--cfg-options', *sizes, 'test_dataloader.num_workers=0']
    main(['analyze-information', config, 'w/iter_2.pth', *options])
    figures = json.loads((folder / 'w' / 'information.json').read_text())
    assert figures['carried']['pictures'] == 2
    assert figures['gan_mode'] == 'vanilla'
    assert figures['carried']['reconstruction_psnr_rgb'] > 5
    assert [row['step'] for row in figures['gradients']] == [1, 2]
    ratios = [one['of_undecided'] for row in figures['gradients'] for one in row['losses'].values()]
    assert len(ratios) == 4  # two checkpoints, cross entropy and its saturating form
    assert all(0 < ratio < 2 for ratio in ratios)
    assert (folder / 'w' / 'information.png').stat().st_size > 5000
    assert capsys.readouterr().out.endswith('w/information.png\n')
    main(['analyze-convergence', config, 'w/iter_2.pth', *options])
    mean = json.loads((folder / 'w' / 'convergence.json').read_text())['mean']
    assert mean['convergence'] == {'one': None, 'two': None, 'power': None}  # two steps are too few for a fit
    assert 'too few points' in capsys.readouterr().out
    options[options.index('w')] = 'w2'
    beside = ['analyze-information', config, 'w/iter_2.pth', '--pictures', '1', '--beside', 'w', *options]
    main(beside)
    assert (folder / 'w2' / 'information.png').stat().st_size > (folder / 'w' / 'information.png').stat().st_size
    (folder / 'w' / 'information.json').write_text('{"carried": {}}')
    assert 'information.json is not from this analyze-information' in refused(lambda: main(beside), capsys)
    beside[beside.index('w')] = 'data'
    assert '--beside data: information.json is not readable' in refused(lambda: main(beside), capsys)
    assert 'no such file' in refused(lambda: main(['analyze-information', config, 'w/nothing.pth', *options]), capsys)

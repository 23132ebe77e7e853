"""What FDR-Net makes of distortions: the figures on cases that are known, and the verb."""

import json

import pytest
import torch

from restorebox.cli.analyze_distortions import DISTORTIONS, correlation, cosines, phases_of
from restorebox.errors import ConfigError
from tests.factories import small_backbone, write_pairs
from tests.processes import one_line_error, run, succeed


def test_correlation_of_channels():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 6, 60, 60, generator=rng)
    assert correlation(noise) < 0.03
    assert correlation(noise[:, :1] * torch.tensor([1.0, -2, 3]).view(1, 3, 1, 1) + 5) == pytest.approx(1)
    half = torch.cat((noise[:, :1], noise[:, :1] + noise[:, 1:2]), 1)
    assert correlation(half) == pytest.approx(0.5**0.5, abs=0.03)
    constant = torch.cat((half, torch.ones(1, 2, 60, 60)), 1)
    assert correlation(constant) == pytest.approx(correlation(half))
    assert correlation(noise[:, :1]) != correlation(noise[:, :1])  # one channel has no partner


def test_cosines_within_and_across():
    a, b = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 1, 0])
    assert cosines({'noise': [a, 3 * a], 'blur': [b, 0.1 * b]}) == {'within': 1.0, 'across': 0.0}
    assert cosines({'noise': [a, b], 'blur': [a, b]}) == {'within': 0.0, 'across': 0.5}


def test_taps_before_and_after():
    assert phases_of(small_backbone('FDRNet')) == [('phase1_in', 'phase1_d2'), ('phase2_in', 'phase2_d2')]
    with pytest.raises(ConfigError, match='UNet has no taps'):
        phases_of(small_backbone('UNet'))


@pytest.mark.slow
def test_the_verb_measures_draws_and_stores(tmp_path):
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data', split, 2, size=(64, 72))
    config, where = 'configs/fdrnet/fdrnet_demo.py', ['--data-root', 'data', '--work-dir', 'w']
    size = ['model.generator.backbone.channels=8']
    steps = ['train_cfg.max_samples=2', 'default_hooks.checkpoint.every_samples=2', 'train_dataloader.num_workers=0']
    steps += ['train_dataloader.batch_size=2', 'val_dataloader.num_workers=0', 'test_dataloader.num_workers=0']
    succeed(run('train.py', config, *where, '--no-data-check', '--cfg-options', *size, *steps, cwd=tmp_path))
    command = ['analyze_distortions.py', config, 'w/iter_1.pth', '--side', '40', *where, '--cfg-options', *size]
    succeed(run(*command, cwd=tmp_path))
    figures = json.loads((tmp_path / 'w' / 'distortions.json').read_text())
    assert (figures['pictures'], figures['side'], len(figures['phases'])) == (2, 40, 2)
    for phase in figures['phases']:
        assert all(0 < value < 1 for value in phase['correlation'].values())
        assert all(-1 <= value <= 1 for value in phase['cosine'].values())
        assert {kind: len(levels) for kind, levels in phase['response'].items()} == dict.fromkeys(DISTORTIONS, 3)
        assert all(len(vector) == 8 for levels in phase['response'].values() for vector in levels)
    assert (tmp_path / 'w' / 'distortions.png').stat().st_size > 5000
    command[2] = 'w/nothing.pth'
    assert 'no such file' in one_line_error(run(*command, cwd=tmp_path))

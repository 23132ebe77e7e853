"""What FDR-Net makes of distortions: the figures on cases that are known."""

import pytest
import torch

from restorebox.claims.analyses.distortions import correlation, cosines, phases_of
from restorebox.errors import ConfigError
from tests.factories import small_backbone


def test_correlation_of_channels():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 6, 60, 60, generator=generator)
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

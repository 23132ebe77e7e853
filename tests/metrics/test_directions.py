"""Which scores are better if lower."""

from __future__ import annotations

import pytest

from restorebox.metrics.directions import lower_is_better


@pytest.mark.parametrize('name', ['niqe', 'input/niqe_y', 'set/brisque', 'fid', 'lpips_alex@256', 'mae_airlight'])
def test_lower_is_better(name):
    assert lower_is_better(name)


@pytest.mark.parametrize('name', ['psnr_y', 'input/ssim_rgb', 'set/psnr_y@256', 'niqes'])
def test_higher_is_better(name):
    assert not lower_is_better(name)

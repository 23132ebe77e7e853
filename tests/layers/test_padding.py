"""Reflection padding from one pixel up."""

import numpy as np
import pytest
import torch

from restorebox.layers import pad_to_multiple, reflect_index


@pytest.mark.parametrize('size', [1, 2, 3, 7])
@pytest.mark.parametrize(('before', 'after'), [(0, 0), (0, 31), (5, 9), (20, 20)])
def test_index_is_numpys_repeated_reflection(size, before, after):
    expected = np.pad(np.arange(size), (before, after), 'reflect') if size > 1 else np.zeros(before + 1 + after)
    assert reflect_index(size, before, after).tolist() == expected.tolist()


@pytest.mark.parametrize('shape', [(1, 1), (1, 32), (37, 53), (64, 64)])
def test_pads_to_the_multiple_and_keeps_the_picture(shape):
    x = torch.rand(2, 3, *shape)
    y = pad_to_multiple(x, 32)
    assert all(side % 32 == 0 for side in y.shape[-2:])
    assert torch.equal(y[..., : shape[0], : shape[1]], x)
    expected = np.pad(
        x.numpy(),
        ((0, 0), (0, 0), (0, -shape[0] % 32), (0, -shape[1] % 32)),
        'reflect' if min(shape) > 1 else 'symmetric',
    )
    if min(shape) > 1:
        assert np.array_equal(y.numpy(), expected)


def test_minimum():
    assert pad_to_multiple(torch.rand(1, 3, 5, 70), 16, minimum=64).shape == (1, 3, 64, 80)

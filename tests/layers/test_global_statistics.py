"""Statistics of a whole picture on a grid."""

import numpy as np
import pytest
import torch

from restorebox.layers.global_statistics import GRID, STATISTICS, SceneEncoder, scene_statistics


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('size', [(1, 1), (1, 40), (31, 5), (64, 96), (101, 77)])
def test_any_size_gives_the_same_shape(size):
    statistics = scene_statistics(picture(*size))
    assert statistics.shape == (1, STATISTICS, GRID, GRID)
    assert torch.isfinite(statistics).all()


def test_each_number_is_what_it_says():
    """Cells of 3x2 pixels, worked out one by one."""
    x = picture(3 * GRID, 2 * GRID)
    statistics = scene_statistics(x)[0].numpy()
    pixels = x[0].numpy()
    grey = pixels.mean(0)
    for i, j in ((0, 0), (5, 7), (31, 31)):
        cell = np.s_[3 * i : 3 * i + 3, 2 * j : 2 * j + 2]
        values = statistics[:, i, j]
        np.testing.assert_allclose(values[:3], [plane[cell].mean() for plane in pixels], atol=1e-6)
        np.testing.assert_allclose(values[3], grey[cell].std(), atol=1e-4)
        beside = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
        below = np.abs(np.diff(grey, axis=0, append=grey[-1:]))
        np.testing.assert_allclose(values[4], 10 * beside[cell].mean(), atol=1e-5)
        np.testing.assert_allclose(values[5], 10 * below[cell].mean(), atol=1e-5)
        np.testing.assert_allclose(values[6], min(plane[cell].min() for plane in pixels), atol=1e-6)


def test_whole_numbers_are_scaled():
    x = (picture(50, 60) * 255).round()
    torch.testing.assert_close(scene_statistics(x.byte()), scene_statistics(x / 255))


def test_a_batch_is_its_pictures():
    both = torch.cat((picture(40, 50, 1), picture(40, 50, 2)))
    torch.testing.assert_close(scene_statistics(both)[1:], scene_statistics(both[1:]))


def test_the_encoder_tells_scenes_apart():
    encoder = SceneEncoder(width=8, out=6)
    dark, light = (encoder(scene_statistics(picture(40, 40) * factor)) for factor in (0.2, 1.0))
    assert dark.shape == (1, 6, 1, 1)
    assert not torch.allclose(dark, light)


def test_an_unordered_encoder_ignores_the_arrangement_of_cells():
    statistics = scene_statistics(picture(64, 64) * torch.linspace(0.2, 1, 64))
    order = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    mixed = statistics.flatten(2)[..., order].view_as(statistics)
    for ordered in (False, True):
        encoder = SceneEncoder(width=8, out=6, ordered=ordered)
        assert torch.allclose(encoder(statistics), encoder(mixed), atol=1e-6) is not ordered

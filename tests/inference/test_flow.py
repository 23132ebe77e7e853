"""Flow, masks and warping error on shifted textures, where the true motion is known."""

import cv2
import numpy as np
import pytest

from restorebox.inference.flow import find_flow, flow_guide, motion_boundaries, visible, warp, warping_error
from tests.inference.moving import texture


def shifted(x, size=(64, 80)):
    """A window of a texture, moved by ``x`` pixels to the right over it."""
    matrix = np.float64([[1, 0, x], [0, 1, 0]])
    whole = cv2.warpAffine(texture(size[0], size[1] + 40), matrix, (size[1] + 40, size[0]), flags=cv2.INTER_CUBIC)
    return whole[:, 10 : 10 + size[1]]


@pytest.mark.parametrize('x', [0, 1.5, -3])
def test_flow_finds_a_shift(x):
    first, second = shifted(0), shifted(x)
    flow = find_flow(flow_guide(first), flow_guide(second))
    assert flow.shape == (64, 80, 2)
    inner = flow[8:-8, 8:-8]
    assert np.abs(inner[..., 0] - x).mean() < 0.2
    assert np.abs(inner[..., 1]).mean() < 0.2
    assert np.abs(warp(second, flow)[8:-8, 8:-8] - first[8:-8, 8:-8]).mean() < 0.03


@pytest.mark.parametrize('size', [(1, 1), (3, 70), (9, 7), (31, 33)])
def test_small_frames_have_a_flow(size):
    picture = flow_guide(texture(*size))
    flow = find_flow(picture, picture)
    assert flow.shape == (*size, 2)
    assert np.abs(flow).max() < 0.5


def test_what_leaves_the_frame_or_is_inconsistent_is_not_visible():
    flow = np.zeros((20, 30, 2), np.float32)
    flow[..., 0] = 4
    assert visible(flow, -flow)[:, :26].all()
    assert not visible(flow, -flow)[:, 26:].any()
    back = -flow
    back[:, 10:15] += 3
    seen = visible(flow, back)
    assert not seen[:, 6:11].any()
    assert seen[:, :6].all()


def test_motion_boundaries_are_at_the_edge_of_an_object():
    flow = np.zeros((20, 30, 2), np.float32)
    flow[:, 15:, 0] = 5
    found = motion_boundaries(flow)
    assert found[:, 14:16].all()
    assert not found[:, :13].any()
    assert not found[:, 17:].any()


def test_the_warping_error_is_the_squared_norm_over_the_mask():
    flow, mask = np.zeros((8, 8, 2), np.float32), np.zeros((8, 8), bool)
    a, b = np.zeros((8, 8, 3), np.float32), np.full((8, 8, 3), 0.1, np.float32)
    assert np.isnan(warping_error(a, b, flow, mask))
    mask[:4] = True
    b[4:] = 1
    assert warping_error(a, b, flow, mask) == pytest.approx(0.03)

"""Dense optical flow between video frames, occlusion masks, and the warping error as a measure of flicker.

Flow is computed by DIS (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016) as in OpenCV. A flow
``(H, W, 2)`` float32 has, for each pixel of one frame, the offset (x, y) in pixels to its position in the other.
"""

from __future__ import annotations

import cv2
import numpy as np

from restorebox.pixels import to_uint8

LEAST_SIDE = 32  # pixels; smaller frames are extended for DIS, whose patches are of 8 pixels at several scales
_CONSISTENT = (0.01, 0.5)  # relative and absolute (square pixels) tolerance of forward-backward consistency
_BOUNDARY = (0.01, 0.002)  # the same of the squared gradient at motion boundaries


def flow_guide(picture: np.ndarray) -> np.ndarray:
    """Return the picture in which flow is computed: luma, slightly blurred against remaining streaks and noise.

    Args:
        picture: ``(H, W, 3)`` RGB, float32 in [0, 1] or an integer dtype.

    Returns:
        ``(H, W)`` uint8.
    """
    grey: np.ndarray = cv2.cvtColor(to_uint8(picture), cv2.COLOR_RGB2GRAY)
    return cv2.GaussianBlur(grey, (0, 0), 1.0)


def find_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the flow from the pixels of ``first`` to ``second``, ``(H, W, 2)`` float32.

    Args:
        first: ``(H, W)`` uint8, see :func:`flow_guide`.
        second: of the same shape.
    """
    height, width = first.shape
    below, right = max(0, LEAST_SIDE - height), max(0, LEAST_SIDE - width)
    if below or right:
        first, second = (cv2.copyMakeBorder(each, 0, below, 0, right, cv2.BORDER_REPLICATE) for each in (first, second))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found: np.ndarray = search.calc(first, second, None)  # type: ignore[call-overload]
    return found[:height, :width]


def warp(picture: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
    """Return a picture sampled at the positions to which a flow points; outside it the border is repeated.

    Args:
        picture: ``(H, W)`` or ``(H, W, C)`` float32.
        flow: ``(H, W, 2)``.
        interpolation: of OpenCV; a cubic one loses less detail than a linear one if it is repeated.
    """
    rows, columns = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return cv2.remap(
        picture, columns + flow[..., 0], rows + flow[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE
    )


def visible(flow: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Return where a pixel is seen in the other frame too: forward-backward consistency.

    A pixel passes if ``|w + w'|^2 < 0.01 (|w|^2 + |w'|^2) + 0.5``, with w its flow and w' the backward flow at the
    position it points to (Sundaram, Brox and Keutzer, ECCV 2010), and if that position is inside the frame.

    Args:
        flow: ``(H, W, 2)``.
        back: flow of the other direction.

    Returns:
        ``(H, W)`` bool.
    """
    height, width = flow.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    there = warp(back, flow)
    relative, absolute = _CONSISTENT
    size = np.square(flow).sum(-1) + np.square(there).sum(-1)
    near = np.square(flow + there).sum(-1) < relative * size + absolute
    inside: np.ndarray = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & near


def motion_boundaries(flow: np.ndarray) -> np.ndarray:
    """Return where the squared gradient of a flow exceeds ``0.01 |w|^2 + 0.002`` (Sundaram et al.), ``(H, W)`` bool."""
    across, down = (cv2.Sobel(flow, cv2.CV_32F, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    relative, absolute = _BOUNDARY
    size: np.ndarray = np.square(flow).sum(-1)
    gradient: np.ndarray = (np.square(across) + np.square(down)).sum(-1)
    return gradient > relative * size + absolute


def warping_error(picture: np.ndarray, other: np.ndarray, flow: np.ndarray, mask: np.ndarray) -> float:
    """Return the warping error of a pair of frames, by Lai et al. ("Learning blind video temporal consistency", 2018).

    It is the mean of ``||V_t - warp(V_s)||^2`` over the pixels that are not occluded, where the norm is over the three
    channels in [0, 1]. The error of a clip is the mean over its pairs of neighbouring frames.

    Args:
        picture: V_t, ``(H, W, 3)`` float32 in [0, 1].
        other: V_s, the neighbouring frame.
        flow: from V_t to V_s.
        mask: ``(H, W)`` bool, where V_t is seen in V_s: :func:`visible` and not :func:`motion_boundaries`.

    Returns:
        The error; NaN if nothing is visible.
    """
    if not mask.any():
        return float('nan')
    return float(np.square(picture - warp(other, flow))[mask].sum(-1, dtype=np.float64).mean())

"""Temporal filter of restored video frames against flicker, for any model: motion-compensated recursive averaging.

With R the restored frame, P the previous output warped to it by optical flow, and a weight w per pixel, the output is

    O = R + w (P - R)

and w is the product of

- n / (n + 1), at most ``MOST``: n frames have been averaged at this pixel, so a newly visible one starts at 0;
- visibility: forward-backward consistency of the flow, see :func:`~restorebox.inference.flow.visible`;
- exp(-(d / tau)^2 / 2), the photometric test: d is the local mean of ``|P - R|``, and tau grows with the local mean of
  ``|R - I|``, the change that the model made to the input I. Where the model changed nothing, a difference between P
  and R is motion that the flow missed; where it removed a streak, R itself is uncertain;
- min(1, c / ACTIVE), with c the mean of ``|R - I|`` in a wider window: a region in which the model changes nothing
  stays as it is.

The restored pictures are blended, not the residuals R - I: a residual belongs to the streaks of its own frame, and a
blended one puts w times the streaks back into the output (docs/studies/video_flicker.py measures both). Flow is
computed between the previous output and R, which rain disturbs least. After a cut hardly any pixel passes both tests;
then the filter starts anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from restorebox.inference.flow import find_flow, flow_guide, motion_boundaries, visible, warp, warping_error
from restorebox.pixels import to_float, to_uint8, to_uint16

# Chosen on clips of other photographs than those that docs/studies/video_flicker.py reports.
MOST = 0.75  # maximum weight of the past; higher values average more and follow changes later
TOLERANCE = 0.02  # of the photometric test, in [0, 1], where the model changed nothing: noise of a camera
BY_CHANGE = 2.0  # increase of the tolerance per local change by the model
ACTIVE = 0.01  # mean change by the model, in [0, 1], from which on the filter has its full weight
SIGMA = 1.5  # pixels: standard deviation of the window of local means
WIDE_SIGMA = 8.0  # the same of the wider window
AGREEING = 0.35  # a smaller fraction of pixels that pass both tests is a cut
LONGEST = 20  # limit of n

Domain = Literal['picture', 'residual']


@dataclass
class Flicker:
    """Warping errors of a clip, summed over pairs of neighbouring frames without cuts.

    Attributes:
        before: sum for frames restored one by one.
        after: sum for the filtered frames.
        pairs: number of pairs.
        cuts: number of pairs at which the filter started anew.
    """

    before: float = 0.0
    after: float = 0.0
    pairs: int = 0
    cuts: int = 0

    def __str__(self) -> str:
        cuts = f', {self.cuts} cut(s)' if self.cuts else ''
        if not self.pairs:
            return f'flicker not measured: no two neighbouring frames to compare{cuts}'
        before, after = (1000 * each / self.pairs for each in (self.before, self.after))
        change = f' ({100 * (after / before - 1):+.0f} %)' if before else ''
        return (
            f'flicker (warping error, 1/1000): {before:.3f} before the temporal filter, {after:.3f} after{change}{cuts}'
        )


@dataclass
class _Past:
    """What is kept of the previous frame."""

    degraded: np.ndarray | None  # for the domain 'residual'
    restored: np.ndarray
    output: np.ndarray
    guide: np.ndarray
    averaged: np.ndarray  # number of frames averaged per pixel


class TemporalFilter:
    """Filter of the frames of one clip, which are passed in order; it keeps the previous frame only.

    Args:
        strength: strength S of the restoration. For S < 1 the weights are multiplied by S, so that S = 0 gives the
            input.
        domain: ``'picture'`` blends restored pictures, ``'residual'`` the changes R - I, for comparison.

    Attributes:
        flicker: warping errors before and after so far. Flow and mask are those of the filter, hence of the restored
            frames.
    """

    def __init__(self, strength: float = 1.0, domain: Domain = 'picture') -> None:
        self.flicker = Flicker()
        self._scale = min(strength, 1.0)
        self._residual = domain == 'residual'
        self._past: _Past | None = None

    def __call__(self, degraded: np.ndarray, restored: np.ndarray) -> np.ndarray:
        """Return the filtered frame.

        Args:
            degraded: input frame I, ``(H, W, 3)`` RGB, uint8, uint16 or float in [0, 1].
            restored: restored frame R, of the same shape and dtype.

        Returns:
            Of the same shape and dtype.
        """
        lq, frame = to_float(degraded), to_float(restored)
        output, averaged = frame, np.ones(frame.shape[:2], np.float32)
        past = self._past
        if past is not None and past.output.shape == frame.shape:
            guide = flow_guide(frame)
            flow, back = find_flow(guide, past.guide), find_flow(past.guide, guide)
            seen = visible(flow, back)
            warped = warp(past.output, flow, cv2.INTER_CUBIC).clip(0, 1)
            agreement = self._agreement(lq, frame, warped) * seen
            if float((agreement > 0.5).mean()) < AGREEING:
                self.flicker.cuts += 1
            else:
                age = warp(past.averaged, flow)
                weight = _smooth(agreement * np.minimum(age / (age + 1), MOST)) * np.float32(self._scale)
                active = _smooth(np.abs(frame - lq).mean(-1), WIDE_SIGMA) / np.float32(ACTIVE)
                weight *= np.minimum(active, 1)
                averaged = np.minimum(1 + age * agreement, LONGEST)
                change = warped - frame
                if past.degraded is not None:
                    change -= warp(past.degraded, flow, cv2.INTER_CUBIC) - lq
                output = np.clip(frame + weight[..., None] * change, 0, 1)
                self._measure(frame, output, past, flow, seen & ~motion_boundaries(flow))
        self._past = _Past(lq if self._residual else None, frame, output, flow_guide(output), averaged)
        if output is frame:
            return restored
        return _in_dtype(output, restored.dtype)

    def restart(self) -> None:
        """Take the next frame as the first of a clip."""
        self._past = None

    def _agreement(self, lq: np.ndarray, frame: np.ndarray, warped: np.ndarray) -> np.ndarray:
        """Return the photometric test, ``(H, W)`` float32 in [0, 1]."""
        tolerance = TOLERANCE + BY_CHANGE * _smooth(np.abs(frame - lq).mean(-1))
        agreement: np.ndarray = np.exp(-0.5 * np.square(_smooth(np.abs(warped - frame).mean(-1)) / tolerance))
        return agreement

    def _measure(self, frame: np.ndarray, output: np.ndarray, past: _Past, flow: np.ndarray, mask: np.ndarray) -> None:
        before = warping_error(frame, past.restored, flow, mask)
        after = warping_error(output, past.output, flow, mask)
        if not math.isnan(before):
            self.flicker.before += before
            self.flicker.after += after
            self.flicker.pairs += 1


def _smooth(x: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    return cv2.GaussianBlur(x, (0, 0), sigma)


def _in_dtype(picture: np.ndarray, kind: np.dtype) -> np.ndarray:
    if kind == np.uint8:
        return to_uint8(picture)
    return to_uint16(picture) if kind == np.uint16 else picture.astype(kind, copy=False)

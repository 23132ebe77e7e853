"""Structural similarity as a loss (Wang et al. 2004, "Image quality assessment: from error visibility ...", eq 13)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES
from restorebox.values import NotNegative

WINDOW = 11
SIGMA = 1.5
C1 = 0.01**2  # (K1 L)^2 with the value range L = 1
C2 = 0.03**2


@LOSSES.register_module()
class SSIMLoss(BaseLoss):
    """``1 - SSIM`` per channel, with a Gaussian window of 11x11 and sigma 1.5, without padding.

    Values differ from the metric ``ssim_rgb``, which rounds to 8 bit and computes in float64.
    """

    value_range = (0.0, 1.0)
    taps: Tensor

    def __init__(self, weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        x = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
        taps = torch.exp(-x.square() / (2 * SIGMA**2))
        self.register_buffer('taps', (taps / taps.sum()).float(), persistent=False)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``1 - mean SSIM`` of ``(N, C, H, W)`` in [0, 1].

        Raises:
            ValueError: a side is smaller than the window's 11 pixels.
        """
        if min(pred.shape[-2:]) < WINDOW:
            height, width = pred.shape[-2:]
            raise ValueError(f'SSIMLoss needs at least {WINDOW}x{WINDOW} pixels; these pictures are {height}x{width}')
        moments = torch.stack((pred, target, pred * pred, target * target, pred * target))
        mu_p, mu_t, pp, tt, pt = self._blur(moments)
        luminance = (2 * mu_p * mu_t + C1) / (mu_p**2 + mu_t**2 + C1)
        # contrast and structure combined, with C3 = C2 / 2 (eq 13)
        structure = (2 * (pt - mu_p * mu_t) + C2) / (pp - mu_p**2 + tt - mu_t**2 + C2)
        return 1 - (luminance * structure).mean()

    def _blur(self, x: Tensor) -> Tensor:
        """Apply the separable Gaussian to the last two axes, without padding."""
        lead, (height, width) = x.shape[:-2], x.shape[-2:]
        taps = self.taps.to(x.dtype)
        flat = x.reshape(-1, 1, height, width)
        flat = F.conv2d(F.conv2d(flat, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
        return flat.reshape(*lead, *flat.shape[-2:])

"""Gradient loss: difference of the image gradients of two pictures."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES


@LOSSES.register_module()
class GradientLoss(BaseLoss):
    """Mean absolute difference of gradient magnitudes along both axes.

    Li, Cheong and Tan (CVPR 2019), for transmission maps and pictures of at least 2x2 pixels.
    """

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``mean | |d pred| - |d target| |``, summed over forward differences d along height and width."""
        vertical, horizontal = (F.l1_loss(pred.diff(dim=axis).abs(), target.diff(dim=axis).abs()) for axis in (-2, -1))
        return vertical + horizontal

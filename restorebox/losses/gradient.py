"""Gradient loss: difference of the image gradients of two pictures."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES


@LOSSES.register_module()
class GradientLoss(BaseLoss):
    """Mean absolute difference of edge strengths, along both axes.

    Li, Cheong and Tan (CVPR 2019), on transmission maps and on pictures. Pictures are at least 2x2.
    """

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """``mean | |d pred| - |d target| |`` summed over forward differences d along height and width."""
        return sum(F.l1_loss(pred.diff(dim=axis).abs(), target.diff(dim=axis).abs()) for axis in (-2, -1))

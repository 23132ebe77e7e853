"""Pixel-wise losses."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES
from restorebox.values import NotNegative, Positive


@LOSSES.register_module()
class L1Loss(BaseLoss):
    """Mean absolute difference."""

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``mean |pred - target|``."""
        return F.l1_loss(pred, target)


@LOSSES.register_module()
class MSELoss(BaseLoss):
    """Mean squared difference."""

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``mean (pred - target)^2``."""
        return F.mse_loss(pred, target)


@LOSSES.register_module()
class CharbonnierLoss(BaseLoss):
    """Charbonnier loss, a smooth L1 (Charbonnier et al. 1994; in restoration since Lai et al. 2017, LapSRN).

    Args:
        weight: factor of the result.
        eps: smoothing near 0, in units of the value range. The loss of equal pictures is ``eps``, not 0.

    Raises:
        ConfigError: ``eps`` is not positive.
    """

    def __init__(self, weight: NotNegative = 1.0, eps: NotNegative = 1e-3) -> None:
        super().__init__(weight)
        if eps <= 0:
            raise ConfigError(f'CharbonnierLoss: eps is {eps}; it must be positive (at 0 the gradient is undefined)')
        self.eps = eps

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``mean sqrt((pred - target)^2 + eps^2)``."""
        return ((pred - target).square() + self.eps**2).sqrt().mean()


@LOSSES.register_module()
class PSNRLoss(BaseLoss):
    """Negative PSNR with a lower bound of the MSE, per picture.

    As in Chen et al., "HINet" (CVPR workshops 2021). The gradient of the MSE is divided by the MSE, so pictures with
    small errors get large gradients. Training from scratch on a mixture with undamaged pictures then converges to the
    identity; start with another loss.

    Args:
        weight: factor of the result.
        floor: added to the MSE, in squared units of the value range; limits the gain from very small errors.

    Raises:
        ConfigError: ``floor`` is not positive.
    """

    def __init__(self, weight: NotNegative = 1.0, floor: Positive = 1e-4) -> None:
        super().__init__(weight)
        if floor <= 0:
            raise ConfigError(f'PSNRLoss: floor is {floor}; it must be positive (at 0 the gradient is undefined)')
        self.floor = floor

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``mean over pictures of 10 log10((MSE + floor) / floor)``; 0 for equal pictures."""
        mse = (pred - target).square().flatten(1).mean(1)
        return 10 / math.log(10) * torch.log1p(mse / self.floor).mean()

"""Tensors -> scalar."""

from restorebox.losses.base import BaseLoss
from restorebox.losses.perceptual import LPIPSLoss, PerceptualLoss
from restorebox.losses.pixel import CharbonnierLoss, L1Loss, MSELoss
from restorebox.losses.ssim import SSIMLoss

__all__ = ['BaseLoss', 'CharbonnierLoss', 'L1Loss', 'LPIPSLoss', 'MSELoss', 'PerceptualLoss', 'SSIMLoss']

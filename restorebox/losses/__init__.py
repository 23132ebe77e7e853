"""Tensors -> scalar."""

from restorebox.losses.adversarial import AdversarialLoss
from restorebox.losses.base import BaseLoss, build_feature_losses, build_picture_losses
from restorebox.losses.contrastive import InterContrastiveLoss, IntraContrastiveLoss, PatchNCELoss
from restorebox.losses.gradient import GradientLoss
from restorebox.losses.perceptual import ContrastiveRegularisation, LPIPSLoss, PerceptualLoss
from restorebox.losses.pixel import CharbonnierLoss, L1Loss, MSELoss, PSNRLoss
from restorebox.losses.semantic import SemanticLoss
from restorebox.losses.ssim import SSIMLoss
from restorebox.losses.svdo import SVDOLoss

__all__ = [
    'AdversarialLoss',
    'BaseLoss',
    'CharbonnierLoss',
    'ContrastiveRegularisation',
    'GradientLoss',
    'InterContrastiveLoss',
    'IntraContrastiveLoss',
    'L1Loss',
    'LPIPSLoss',
    'MSELoss',
    'PSNRLoss',
    'PatchNCELoss',
    'PerceptualLoss',
    'SSIMLoss',
    'SVDOLoss',
    'SemanticLoss',
    'build_feature_losses',
    'build_picture_losses',
]

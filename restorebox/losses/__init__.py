"""Losses: tensors -> scalar."""

from restorebox.losses.base import BaseLoss, build_feature_losses, build_picture_losses

__all__ = ['BaseLoss', 'build_feature_losses', 'build_picture_losses']

"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.unet import UNet

__all__ = ['BaseBackbone', 'Needs', 'UNet']

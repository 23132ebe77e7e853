"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.patch_discriminator import PatchDiscriminator
from restorebox.backbones.resnet_generator import ResNetGenerator
from restorebox.backbones.unet import UNet

__all__ = ['BaseBackbone', 'Needs', 'PatchDiscriminator', 'ResNetGenerator', 'UNet']

"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.encoder_decoder import EncoderDecoder
from restorebox.backbones.patch_discriminator import PatchDiscriminator
from restorebox.backbones.resnet_generator import ResNetGenerator
from restorebox.backbones.unet import UNet

__all__ = ['BaseBackbone', 'EncoderDecoder', 'Needs', 'PatchDiscriminator', 'ResNetGenerator', 'UNet']

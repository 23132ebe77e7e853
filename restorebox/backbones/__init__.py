"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.dncnn import DnCNN
from restorebox.backbones.encoder_decoder import EncoderDecoder
from restorebox.backbones.fdr_unet import FDRUNet
from restorebox.backbones.fdrnet import FDRNet
from restorebox.backbones.owan import OWAN
from restorebox.backbones.patch_discriminator import PatchDiscriminator
from restorebox.backbones.resnet_generator import ResNetGenerator
from restorebox.backbones.unet import UNet

__all__ = [
    'OWAN',
    'BaseBackbone',
    'DnCNN',
    'EncoderDecoder',
    'FDRNet',
    'FDRUNet',
    'Needs',
    'PatchDiscriminator',
    'ResNetGenerator',
    'UNet',
]

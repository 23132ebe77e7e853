"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.ddpm_unet import DDPMUNet
from restorebox.backbones.encoder_decoder import EncoderDecoder
from restorebox.backbones.fdr_unet import FDRUNet
from restorebox.backbones.multi_scale_noise import MultiScaleNoise
from restorebox.backbones.ntb_generator import NTBGenerator
from restorebox.backbones.patch_discriminator import PatchDiscriminator
from restorebox.backbones.resnet_estimator import ResNetEstimator
from restorebox.backbones.resnet_generator import ResNetGenerator
from restorebox.backbones.unet import UNet
from restorebox.backbones.vgg_estimator import VGGEstimator

__all__ = [
    'BaseBackbone',
    'DDPMUNet',
    'EncoderDecoder',
    'FDRUNet',
    'MultiScaleNoise',
    'NTBGenerator',
    'Needs',
    'PatchDiscriminator',
    'ResNetEstimator',
    'ResNetGenerator',
    'UNet',
    'VGGEstimator',
]

"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.ddpm_unet import DDPMUNet
from restorebox.backbones.depth_guided_discriminator import DepthGuidedDiscriminator
from restorebox.backbones.dncnn import DnCNN
from restorebox.backbones.encoder_decoder import EncoderDecoder
from restorebox.backbones.fdr_unet import FDRUNet
from restorebox.backbones.fdrnet import FDRNet
from restorebox.backbones.mobile_unet import MobileUNet
from restorebox.backbones.multi_scale_noise import MultiScaleNoise
from restorebox.backbones.naf_net import NAFUNet
from restorebox.backbones.ntb_generator import NTBGenerator
from restorebox.backbones.owan import OWAN
from restorebox.backbones.patch_discriminator import PatchDiscriminator
from restorebox.backbones.physics_estimator import PhysicsEstimator
from restorebox.backbones.rain_net import RainNet
from restorebox.backbones.ref_unet import RefUNet
from restorebox.backbones.resnet_estimator import ResNetEstimator
from restorebox.backbones.resnet_generator import ResNetGenerator
from restorebox.backbones.trans_unet import TransUNet
from restorebox.backbones.unet import UNet
from restorebox.backbones.vgg_estimator import VGGEstimator
from restorebox.backbones.window_unet import WindowUNet

__all__ = [
    'OWAN',
    'BaseBackbone',
    'DDPMUNet',
    'DepthGuidedDiscriminator',
    'DnCNN',
    'EncoderDecoder',
    'FDRNet',
    'FDRUNet',
    'MobileUNet',
    'MultiScaleNoise',
    'NAFUNet',
    'NTBGenerator',
    'Needs',
    'PatchDiscriminator',
    'PhysicsEstimator',
    'RainNet',
    'RefUNet',
    'ResNetEstimator',
    'ResNetGenerator',
    'TransUNet',
    'UNet',
    'VGGEstimator',
    'WindowUNet',
]

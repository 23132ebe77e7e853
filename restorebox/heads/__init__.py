"""Features -> what is read out: a picture, a realness map, an embedding, physics."""

from restorebox.heads.base import BaseHead
from restorebox.heads.dense_realness import DenseRealnessHead
from restorebox.heads.noise import IdentityHead, NoiseHead
from restorebox.heads.physics import PhysicsHead
from restorebox.heads.picture import PictureHead
from restorebox.heads.projection import ProjectionHead
from restorebox.heads.realness import RealnessHead
from restorebox.heads.sub_pixel import SubPixelHead

__all__ = [
    'BaseHead',
    'DenseRealnessHead',
    'IdentityHead',
    'NoiseHead',
    'PhysicsHead',
    'PictureHead',
    'ProjectionHead',
    'RealnessHead',
    'SubPixelHead',
]

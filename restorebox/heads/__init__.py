"""Features -> what is read out: a picture, a realness map, an embedding, physics."""

from restorebox.heads.base import BaseHead
from restorebox.heads.noise import IdentityHead, NoiseHead
from restorebox.heads.picture import PictureHead
from restorebox.heads.projection import ProjectionHead
from restorebox.heads.realness import RealnessHead
from restorebox.heads.sub_pixel import SubPixelHead

__all__ = [
    'BaseHead',
    'IdentityHead',
    'NoiseHead',
    'PictureHead',
    'ProjectionHead',
    'RealnessHead',
    'SubPixelHead',
]

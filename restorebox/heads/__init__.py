"""Features -> what is read out: a picture, a realness map, an embedding, physics."""

from restorebox.heads.base import BaseHead
from restorebox.heads.picture import PictureHead

__all__ = ['BaseHead', 'PictureHead']

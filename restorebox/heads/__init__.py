"""Features -> what is read out: a picture, a realness map, an embedding, physics."""

from restorebox.heads.base import BaseHead

__all__ = ['BaseHead']

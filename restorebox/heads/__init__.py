"""Heads: features -> picture, realness map, embedding or physical layers."""

from restorebox.heads.base import BaseHead

__all__ = ['BaseHead']

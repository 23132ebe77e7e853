"""Backbones: picture -> features. One file per published network."""

from restorebox.backbones.base import BaseBackbone, Needs

__all__ = ['BaseBackbone', 'Needs']

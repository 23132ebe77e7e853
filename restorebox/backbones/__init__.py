"""Picture -> features. One file per published trunk."""

from restorebox.backbones.base import BaseBackbone, Needs

__all__ = ['BaseBackbone', 'Needs']

"""restorebox: train, test and run image-restoration models on MMEngine.

Importing this package is cheap: rooms are imported when a registry is first asked for something, see
:mod:`restorebox.registry`.
"""

from restorebox.version import __version__

__all__ = ['__version__']

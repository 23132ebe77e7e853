"""restorebox: train, test and run image-restoration models on MMEngine.

Importing this package is cheap: rooms are imported when a registry is first asked for something, see
:mod:`restorebox.registry`, and :mod:`restorebox.inference` when one of its names is.
"""

from restorebox.version import __version__

__all__ = ['RestoreInferencer', '__version__', 'restore']


def __getattr__(name: str) -> object:
    if name in ('RestoreInferencer', 'restore'):
        from restorebox import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'restorebox' has no attribute '{name}'")

"""restorebox: train, test and run image-restoration models on MMEngine.

Importing this package is cheap: subpackages are imported at the first lookup in a registry, see
:mod:`restorebox.registry`, and :mod:`restorebox.inference` at the first access to one of its names.
"""

from restorebox.version import __version__

TYPE_CHECKING = False  # type checkers read it as true; importing `typing` would take a third of the time
if TYPE_CHECKING:
    from restorebox.inference import RestoreInferencer, restore

__all__ = ['RestoreInferencer', '__version__', 'restore']


def __getattr__(name: str) -> object:
    if name in ('RestoreInferencer', 'restore'):
        from restorebox import inference

        return getattr(inference, name)
    raise AttributeError(f"module 'restorebox' has no attribute '{name}'")

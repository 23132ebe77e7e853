"""Runner, loops, optimiser wrappers and checkpoint files.

Their modules are imported at the first access to a name, since a command that only reads weights needs no Runner.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorebox.engine.checkpoint import load_file, save_file
    from restorebox.engine.loops import RestorationTestLoop, RestorationValLoop, SampleTrainLoop
    from restorebox.engine.optim import AutocastOptimWrapper, RoleOptimWrapperConstructor
    from restorebox.engine.runner import RestorationRunner

# name -> module
_MODULES = {
    'AutocastOptimWrapper': 'optim',
    'RestorationRunner': 'runner',
    'RestorationTestLoop': 'loops',
    'RestorationValLoop': 'loops',
    'RoleOptimWrapperConstructor': 'optim',
    'SampleTrainLoop': 'loops',
    'load_file': 'checkpoint',
    'save_file': 'checkpoint',
}
__all__ = [
    'AutocastOptimWrapper',
    'RestorationRunner',
    'RestorationTestLoop',
    'RestorationValLoop',
    'RoleOptimWrapperConstructor',
    'SampleTrainLoop',
    'load_file',
    'save_file',
]


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(import_module(f'restorebox.engine.{_MODULES[name]}'), name)
    raise AttributeError(f"module 'restorebox.engine' has no attribute '{name}'")

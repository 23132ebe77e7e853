"""Runner, loops, optimiser wrappers and checkpoint files."""

from restorebox.engine.checkpoint import load_file, save_file
from restorebox.engine.loops import RestorationTestLoop, RestorationValLoop, SampleTrainLoop
from restorebox.engine.optim import AutocastOptimWrapper, RoleOptimWrapperConstructor
from restorebox.engine.runner import RestorationRunner

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

"""Synthesis of training sets on disk: degraded pictures from a folder of clean ones, with a manifest."""

from restorebox.datasets.synthesis.make_set import MadeSet, make_set
from restorebox.datasets.synthesis.work import Job

__all__ = ['Job', 'MadeSet', 'make_set']

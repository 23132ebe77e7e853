"""Synthesis of training sets on disk: degraded pictures of a folder of clean ones, with a manifest."""

from restorebox.datasets.synthesis.make_set import SynthesisResult, make_set
from restorebox.datasets.synthesis.work import Job

__all__ = ['Job', 'SynthesisResult', 'make_set']

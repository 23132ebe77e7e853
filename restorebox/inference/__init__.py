"""Inference: restoration of pictures and videos of any size with any registered model."""

from restorebox.inference.inferencer import RestoreInferencer, restore
from restorebox.inference.models import find_model, known_models, load_model
from restorebox.inference.tiles import Tiler

__all__ = ['RestoreInferencer', 'Tiler', 'find_model', 'known_models', 'load_model', 'restore']

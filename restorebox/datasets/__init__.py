"""Data sets: reading of pictures, pairing, deterministic sampling, transforms, collation."""

from typing import TYPE_CHECKING

from restorebox.datasets.formats import PICTURE_SUFFIXES
from restorebox.datasets.keys import SampleKey
from restorebox.datasets.reading import list_pictures, read_picture

if TYPE_CHECKING:
    from restorebox.datasets.base import BasePictures

__all__ = ['PICTURE_SUFFIXES', 'BasePictures', 'SampleKey', 'list_pictures', 'read_picture']


def __getattr__(name: str) -> object:
    if name == 'BasePictures':  # imports MMEngine's data sets, which reading a picture does not need
        from restorebox.datasets.base import BasePictures

        return BasePictures
    raise AttributeError(f"module 'restorebox.datasets' has no attribute '{name}'")

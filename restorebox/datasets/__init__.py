"""Data sets: reading of pictures, pairing, deterministic sampling, transforms, collation."""

from restorebox.datasets.base import BasePictures
from restorebox.datasets.formats import PICTURE_SUFFIXES
from restorebox.datasets.keys import SampleKey
from restorebox.datasets.reading import list_pictures, read_picture

__all__ = ['PICTURE_SUFFIXES', 'BasePictures', 'SampleKey', 'list_pictures', 'read_picture']

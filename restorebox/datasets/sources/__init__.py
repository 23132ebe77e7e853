"""Descriptions of public data sets, used by ``restorebox prepare-data``.

Each module contains one family of data sets. A function that is registered in :data:`~restorebox.registry.SOURCES`
returns a :class:`~restorebox.datasets.sources.base.Source`; plugins add data sets in the same way.
"""

from restorebox.datasets.sources.base import Part, Scene, Selection, Source
from restorebox.datasets.sources.files import ComputedPicture, File
from restorebox.datasets.sources.prepare import prepare
from restorebox.datasets.subsets import draw, rank

__all__ = [
    'ComputedPicture',
    'File',
    'Part',
    'Scene',
    'Selection',
    'Source',
    'draw',
    'prepare',
    'rank',
]

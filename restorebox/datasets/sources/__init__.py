"""Public data sets: the information that ``restorebox prepare-data`` uses.

A file per family. A function that is registered in :data:`~restorebox.registry.SOURCES` returns a
:class:`~restorebox.datasets.sources.base.Source`; a plugin adds one in the same way.
"""

from restorebox.datasets.sources.base import Choice, Part, Scene, Source, draw, rank
from restorebox.datasets.sources.files import File, Made
from restorebox.datasets.sources.prepare import prepare

__all__ = [
    'Choice',
    'File',
    'Made',
    'Part',
    'Scene',
    'Source',
    'draw',
    'prepare',
    'rank',
]

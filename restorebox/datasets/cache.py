"""Disk cache of decoded pictures, read by memory mapping, so that a crop reads only its own pixels."""

from __future__ import annotations

import hashlib
import logging
import os
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from restorebox.datasets.reading import read_picture
from restorebox.errors import ConfigError
from restorebox.files import replacing

RECOUNT = 64  # number of written files after which the size of the folder, shared by workers, is measured again


class PictureCache:
    """Cache of decoded pictures as uncompressed arrays, shared by all workers and runs on a machine.

    The cache key is a file's path, size and modification time, so an edited picture is decoded again. Files are
    written atomically. When the budget is exhausted, further pictures are decoded at each access.

    Args:
        folder: cache folder; created at first use.
        gib: maximum size on disk in GiB; preferably not more than the free memory of the machine.

    Raises:
        ConfigError: ``gib`` is not positive.
    """

    def __init__(self, folder: str | Path, gib: float = 20.0) -> None:
        if gib <= 0:
            raise ConfigError(f'cache_gib is {gib}; it must be positive')
        self.folder = Path(folder)
        self.budget = int(gib * 2**30)
        self._used = 0
        self._written = 0
        self._full = False

    def read(self, path: str) -> np.ndarray:
        """Read a picture as :func:`read_picture` does; the array is read-only if it comes from the cache.

        Raises:
            PictureError: see :func:`read_picture`.
        """
        try:
            facts = os.stat(path)
        except OSError:
            return read_picture(path)  # raises with the reason
        key = f'{os.path.abspath(path)}\0{facts.st_size}\0{facts.st_mtime_ns}'.encode(errors='surrogateescape')
        cached = self.folder / f'{hashlib.sha256(key).hexdigest()[:32]}.npy'
        try:
            return np.load(cached, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError, EOFError):  # missing or damaged: decode and write it again
            picture = read_picture(path)
        if not self._full:
            self._store(picture, cached)
        return picture

    def _store(self, picture: np.ndarray, cached: Path) -> None:
        try:
            if self._written % RECOUNT == 0:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._used = sum(entry.stat().st_size for entry in os.scandir(self.folder))
            if self._used + picture.nbytes > self.budget:
                self._full = True
                print_log(f'picture cache {self.folder} is full; other pictures are decoded each time', 'current')
                return
            with replacing(cached) as temporary, open(temporary, 'wb') as file:
                np.save(file, picture, allow_pickle=False)
        except OSError as error:  # the run can go on without the cache
            self._full = True
            print_log(f'picture cache {self.folder}: {error}; pictures are decoded', 'current', logging.WARNING)
            return
        self._written += 1
        self._used += picture.nbytes

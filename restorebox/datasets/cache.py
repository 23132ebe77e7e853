"""Decoded pictures on disk, mapped into memory: a crop then reads its own pixels and decodes nothing."""

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

RECOUNT = 64  # files written between two looks at what the other workers have written


class PictureCache:
    """Keeps each picture as an uncompressed array, shared by all workers and runs on a machine.

    A file is known by its path, size and time of change, so an edited picture is decoded anew. Arrays are written under
    a temporary name and renamed. When the budget is used up further pictures are decoded each time.

    Args:
        folder: where to; made when it is first needed.
        gib: budget in GiB of disk; worth setting to what the machine's memory can hold, too.

    Raises:
        ConfigError: a budget that is not positive.
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
        """As :func:`read_picture`, but read-only where it comes from the cache.

        Raises:
            PictureError: see there.
        """
        try:
            facts = os.stat(path)
        except OSError:
            return read_picture(path)  # says what is wrong
        key = f'{os.path.abspath(path)}\0{facts.st_size}\0{facts.st_mtime_ns}'.encode(errors='surrogateescape')
        kept = self.folder / f'{hashlib.sha256(key).hexdigest()[:32]}.npy'
        try:
            return np.load(kept, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError, EOFError):  # not there, or damaged: decode and write it again
            picture = read_picture(path)
        if not self._full:
            self._keep(picture, kept)
        return picture

    def _keep(self, picture: np.ndarray, kept: Path) -> None:
        try:
            if self._written % RECOUNT == 0:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._used = sum(entry.stat().st_size for entry in os.scandir(self.folder))
            if self._used + picture.nbytes > self.budget:
                self._full = True
                print_log(f'picture cache {self.folder} is full; other pictures are decoded each time', 'current')
                return
            with replacing(kept) as beside, open(beside, 'wb') as file:
                np.save(file, picture, allow_pickle=False)
        except OSError as error:  # a cache that can't be written costs time, not the run
            self._full = True
            print_log(f'picture cache {self.folder}: {error}; pictures are decoded', 'current', logging.WARNING)
            return
        self._written += 1
        self._used += picture.nbytes

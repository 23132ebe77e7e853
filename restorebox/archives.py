"""Reading of zip archives from untrusted sources: names and sizes are checked, and nothing is unpacked to a disk."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Self

from restorebox.errors import DataError
from restorebox.files import open_regular

LARGEST = 2**30  # bytes of a member
EXPANDED, RATIO = 64 * 2**20, 100  # what has more bytes may have at most so many times its compressed size
LARGEST_ARCHIVE = 2**40  # bytes of one that is copied from storage, which may send without end
_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)


def inside(name: str) -> bool:
    """Return whether a name with ``/`` stays below its folder: relative, without empty parts, ``..`` or ``\\``."""
    if name == '.':
        return True
    parts = name.removesuffix('/').split('/')
    return all(parts) and not {'.', '..'} & set(parts) and re.match(r'[A-Za-z]:|.*[\\\0]', name, re.DOTALL) is None


class Archive:
    """A zip archive that is open for reading, by several threads.

    Args:
        path: the file.
        file: the open file of an archive that was copied; None to open ``path``.

    Raises:
        DataError: it is damaged or no archive; or a member's name would lie outside a folder that it is unpacked to.
    """

    def __init__(self, path: str | os.PathLike, file: IO[bytes] | None = None) -> None:
        self.path = Path(path) if file is None else path
        try:
            file = file or open(path, 'rb', opener=open_regular)  # noqa: SIM115  # as long as the archive
            self._zip = zipfile.ZipFile(file)
        except FileNotFoundError:
            raise DataError(f'{path}: no such file; nothing was restored') from None
        except _ERRORS as error:
            raise DataError(f"{path}: can't be read as a zip archive ({' '.join(str(error).split())})") from None
        self._members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.filename
            if not inside(name):
                raise DataError(f'{path}: the member {name} has an absolute name, an empty part or ..; it is refused')
            if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
                continue
            if name in self._members:
                raise DataError(f'{path}: two members have the name {name}; pack it again')
            self._members[name] = info

    @classmethod
    def copied(cls, source: IO[bytes], name: str) -> Self:
        """Copy an archive to a temporary file that has no name, and open it.

        Args:
            source: the archive.
            name: its name, for messages.

        Raises:
            DataError: as above; or it is too large.
        """
        file = tempfile.TemporaryFile()  # noqa: SIM115  # stays open as long as the archive
        while block := source.read(2**22):
            file.write(block)
            if file.tell() > LARGEST_ARCHIVE:
                raise DataError(f'{name}: the archive is larger than {LARGEST_ARCHIVE} bytes')
        return cls(name, file)

    def names(self, below: str = '.') -> list[str]:
        """Return the names of the files in a folder of the archive, or of a single file.

        Args:
            below: the folder or file; ``'.'`` for all.
        """
        if below == '.':
            return list(self._members)
        return [name for name in self._members if name == below or name.startswith(f'{below}/')]

    def size(self, name: str) -> int | None:
        """Return the number of bytes that the archive states for a member; None if there is no such member."""
        return None if (info := self._members.get(name)) is None else info.file_size

    def read(self, name: str, most: int | None = None) -> bytes:
        """Read a member, or its first bytes; at most as many as the archive states for it.

        Raises:
            OSError: there is no such member; it is damaged, encrypted, or too large.
        """
        where = f'{self.path}!/{name}'
        if (info := self._members.get(name)) is None:
            raise FileNotFoundError(0, 'no such file in the archive', where)
        if most is None and info.file_size > LARGEST:
            raise OSError(0, f'has {info.file_size} bytes; at most {LARGEST} are unpacked', where)
        if most is None and info.file_size > max(EXPANDED, RATIO * info.compress_size):
            raise OSError(0, f'expands to {info.file_size} bytes, more than {RATIO} times its compressed size', where)
        if info.flag_bits & 1:
            raise OSError(0, 'is encrypted', where)
        try:
            with self._zip.open(info) as file:
                return file.read(info.file_size if most is None else most)
        except _ERRORS as error:
            reason = ' '.join(str(error).split()) or type(error).__name__
            raise OSError(0, f'the member is damaged ({reason})', where) from None

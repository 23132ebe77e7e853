"""Files of a release: folders and archives as one list, integrity checks, links instead of copies."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from restorebox.datasets.reading import read_picture
from restorebox.datasets.walking import walk
from restorebox.errors import DataError, PictureError

TAR_SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz', '.gz')
ARCHIVES = ('.zip', *TAR_SUFFIXES)
BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, zlib.error, NotImplementedError, RuntimeError)
# the last bytes of a whole file; a few writers append more, so these are looked for in its tail
ENDS = {b'\x89PNG\r\n\x1a\n': b'IEND\xaeB`\x82', b'\xff\xd8\xff': b'\xff\xd9'}
TAIL = 4096


@dataclass(eq=False)
class File:
    """A file of the release, in a folder or in an archive.

    ``path`` begins with '/' and is relative to the folder that was given. A member's path goes on after the archive's
    name without suffix, so that a set is found alike whether it is unpacked or not. ``disk`` is where its bytes are:
    the file itself, or None as long as it is packed.
    """

    path: str
    disk: Path | None
    archive: Path | None = None
    member: str = ''

    @property
    def suffix(self) -> str:
        """The suffix in lower case, with the dot."""
        return os.path.splitext(self.path)[1].lower()

    @property
    def stem(self) -> str:
        """The name without folders and suffix."""
        return os.path.splitext(os.path.basename(self.path))[0]

    def save(self, to: Path) -> None:
        """Link or copy it to ``to``."""
        link(self.disk, to, symbolic=self.archive is None)

    def read(self) -> np.ndarray:
        """HWC RGB, see :func:`~restorebox.datasets.reading.read_picture`.

        Raises:
            DataError: it can't be read; names it as it is called in the release.
        """
        try:
            return read_picture(self.disk)
        except PictureError as error:
            raise DataError(f'{self.path.lstrip("/")}: {str(error).removeprefix(f"{self.disk}: ")}') from None

    def sources(self) -> tuple[File, ...]:
        """Files that have to be unpacked for this."""
        return (self,)


@dataclass(frozen=True)
class Made:
    """A picture that is computed from files of the release: a half, a crop, a block of an array.

    ``make()`` returns HWC RGB uint8; it is saved as PNG. ``of`` are the files that it reads. Two with the same ``key``
    are the same picture.
    """

    key: tuple
    make: Callable[[], np.ndarray]
    of: tuple[File, ...] = ()
    suffix: str = field(default='.png', init=False)

    def save(self, to: Path) -> None:
        """Compute and write it."""
        Image.fromarray(self.make()).save(to)

    def sources(self) -> tuple[File, ...]:
        """Files that have to be unpacked for this."""
        return self.of


def list_files(root: Path, leave_out: Iterable[Path] = ()) -> list[File]:
    """Everything below a folder, with what is inside of its archives (zip, tar and compressed tar).

    Args:
        root: where the release lies. Hidden files and folders are passed over.
        leave_out: folders below it that don't belong to the release.

    Raises:
        DataError: there is no such folder, one that can't be read, or an archive is damaged; names it.
    """
    if not root.is_dir():
        raise DataError(f'{root}: {"is a file, not a folder" if root.exists() else "no such folder"}')
    shut = {path.resolve() for path in leave_out}
    files, archives = [], []
    paths = walk(root, lambda folder: not folder.name.startswith('.') and folder.resolve() not in shut)
    for file in sorted(path for path in paths if not path.name.startswith('.')):
        name, path = file.name.lower(), '/' + file.relative_to(root).as_posix()
        if name.endswith(ARCHIVES) and (name.endswith('.zip') or _is_tar(file)):
            archives.append((file, path))
        else:
            files.append(File(path, file))
    known = {file.path for file in files}
    for archive, path in archives:
        stem = path[: -len(next(s for s in sorted(ARCHIVES, key=len, reverse=True) if path.lower().endswith(s)))]
        for member in _members(archive):
            inner = f'{stem}/{member.removeprefix("./")}'
            twice = {inner, f'{os.path.dirname(stem)}/{member.removeprefix("./")}'.replace('//', '/')}
            if not twice & known and not os.path.basename(member).startswith('.') and '__MACOSX' not in member:
                files.append(File(inner, None, archive, member))  # what is unpacked already counts once
    return files


def _is_tar(file: Path) -> bool:
    """Whether a '.gz' holds a tar (one official test set is called so); a damaged one counts as one, to be named."""
    if not file.name.lower().endswith('.gz') or file.name.lower().endswith('.tar.gz'):
        return True
    try:
        return tarfile.is_tarfile(file)
    except BROKEN:
        return True


def _members(archive: Path) -> list[str]:
    try:
        if archive.name.lower().endswith('.zip'):
            with zipfile.ZipFile(archive) as opened:
                return [info.filename for info in opened.infolist() if not info.is_dir()]
        with tarfile.open(archive) as opened:
            return [info.name for info in opened if info.isfile()]
    except BROKEN as error:
        raise _broken(archive, error) from None


def _broken(archive: Path, error: Exception) -> DataError:
    reason = ' '.join(str(error).split()) or type(error).__name__
    return DataError(f'{archive}: the archive is damaged or cut short ({reason}); download it again')


def unpack(files: Iterable[File], into: Path) -> None:
    """Write all packed files to disk, each archive in one pass, under numbers instead of their own names.

    Raises:
        DataError: an archive is damaged; names it.
    """
    packed: dict[Path, dict[str, File]] = {}
    for file in files:
        if file.archive is not None:
            packed.setdefault(file.archive, {})[file.member] = file
    for a, (archive, wanted) in enumerate(packed.items()):
        folder = into / str(a)
        folder.mkdir(parents=True)
        try:
            if archive.name.lower().endswith('.zip'):
                with zipfile.ZipFile(archive) as opened:
                    for i, (member, file) in enumerate(wanted.items()):
                        with opened.open(member) as stream:
                            file.disk = _write(stream, folder / f'{i}{file.suffix}')
            else:
                with tarfile.open(archive) as opened:
                    for i, info in enumerate(opened):  # in the archive's order: going back would unpack it again
                        if info.isfile() and info.name in wanted:
                            file = wanted[info.name]
                            file.disk = _write(opened.extractfile(info), folder / f'{i}{file.suffix}')
        except BROKEN as error:
            if isinstance(error, OSError) and error.errno is not None:  # the disk's fault, not the archive's
                raise
            raise _broken(archive, error) from None


def _write(stream: object, to: Path) -> Path:
    with open(to, 'wb') as out:
        shutil.copyfileobj(stream, out, 1 << 20)
    return to


def link(file: Path, to: Path, symbolic: bool = True) -> None:
    """Hard link, else symbolic link (unless the file won't stay where it is), else copy."""
    file = file.resolve()
    for way in (os.link, os.symlink) if symbolic else (os.link,):
        try:
            return way(file, to)
        except OSError:
            continue
    shutil.copyfile(file, to)
    return None


def check_picture(file: Path, name: str) -> tuple[int, int]:
    """See that a picture's file is whole, without decoding it where its kind says where it ends.

    Args:
        file: the picture.
        name: how messages call it.

    Returns:
        (width, height) in pixels as stored.

    Raises:
        DataError: it is empty, cut short or no picture.
    """
    try:
        with open(file, 'rb') as stream:
            head = stream.read(8)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            tail = stream.read()
        end = next((end for start, end in ENDS.items() if head.startswith(start)), None)
        if end is None or end not in tail:
            read_picture(file)
        with Image.open(file) as picture:
            return picture.size
    except (PictureError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        reason = ' '.join(str(error).split()).removeprefix(f'{file}: ')
        raise DataError(f"{name}: the picture can't be read: {reason}") from None

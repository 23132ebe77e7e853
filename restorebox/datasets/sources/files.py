"""Files of a release: listing of folders and archives, unpacking, integrity checks, and links instead of copies."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from restorebox.archives import EXPANDED, RATIO
from restorebox.datasets.reading import read_picture
from restorebox.datasets.walking import walk
from restorebox.errors import DataError, PictureError

TAR_SUFFIXES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tbz2', '.tar.xz', '.txz', '.gz')
ARCHIVES = ('.zip', *TAR_SUFFIXES)
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    EOFError,
    OSError,
    zlib.error,
    NotImplementedError,
    RuntimeError,
)
# first bytes of PNG and JPEG -> last bytes of a complete file; some programs append data, so the tail is searched
END_MARKERS = {b'\x89PNG\r\n\x1a\n': b'IEND\xaeB`\x82', b'\xff\xd8\xff': b'\xff\xd9'}
TAIL = 4096  # bytes


@dataclass(eq=False)
class File:
    """A file of the release, in a folder or in an archive.

    Args:
        path: path relative to the folder of the release, beginning with '/'. For a member of an archive it is the path
            of the archive without suffix, followed by the path of the member, as if the archive were unpacked.
        disk: path of the file on disk; None for a member of an archive that has not been unpacked.
        archive: the archive that contains the file.
        member: name of the member in the archive.
    """

    path: str
    disk: Path | None
    archive: Path | None = None
    member: str = ''

    @property
    def suffix(self) -> str:
        """Suffix in lower case, with the dot."""
        return os.path.splitext(self.path)[1].lower()

    @property
    def stem(self) -> str:
        """Name without folders and suffix."""
        return os.path.splitext(os.path.basename(self.path))[0]

    def on_disk(self) -> Path:
        """Return the path on disk of a file that is not packed or has been unpacked."""
        assert self.disk is not None, 'callers unpack the file first'
        return self.disk

    def save(self, to: Path) -> None:
        """Link or copy the file to ``to``."""
        link(self.on_disk(), to, symbolic=self.archive is None)

    def read(self) -> np.ndarray:
        """Read the picture as HWC RGB, see :func:`~restorebox.datasets.reading.read_picture`.

        Raises:
            DataError: unreadable; gives the path in the release.
        """
        try:
            return read_picture(self.on_disk())
        except PictureError as error:
            raise DataError(f'{self.path.lstrip("/")}: {str(error).removeprefix(f"{self.disk}: ")}') from None

    def inputs(self) -> tuple[File, ...]:
        """Return the files that must be unpacked before :meth:`save`."""
        return (self,)


@dataclass(frozen=True)
class ComputedPicture:
    """A picture computed from files of the release: a half, a crop, a block of an array. It is saved as PNG.

    Args:
        key: identifies the picture: equal keys mean the same picture.
        compute: function that returns HWC RGB uint8.
        files: files that ``compute`` reads.
    """

    key: tuple
    compute: Callable[[], np.ndarray]
    files: tuple[File, ...] = ()
    suffix: str = field(default='.png', init=False)

    def save(self, to: Path) -> None:
        """Compute the picture and write it to ``to``."""
        Image.fromarray(self.compute()).save(to)

    def inputs(self) -> tuple[File, ...]:
        """Return the files that must be unpacked before :meth:`save`."""
        return self.files


def list_files(root: Path, leave_out: Iterable[Path] = ()) -> list[File]:
    """List all files below a folder, including the members of archives (zip, tar and compressed tar).

    Args:
        root: folder of the release; hidden files and folders in it are skipped.
        leave_out: folders below it that do not belong to the release.

    Raises:
        DataError: a missing or unreadable folder, or a damaged archive; names it.
    """
    if not root.is_dir():
        raise DataError(f'{root}: {"is a file, not a folder" if root.exists() else "no such folder"}')
    skipped = {path.resolve() for path in leave_out}
    files, archives = [], []
    paths = walk(root, lambda folder: not folder.name.startswith('.') and folder.resolve() not in skipped)
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
            unpacked = {inner, f'{os.path.dirname(stem)}/{member.removeprefix("./")}'.replace('//', '/')}
            if not unpacked & known and not os.path.basename(member).startswith('.') and '__MACOSX' not in member:
                files.append(File(inner, None, archive, member))
    return files


def _is_tar(file: Path) -> bool:
    """Return whether an archive that is no zip is a tar; one official test set is a tar called '.gz'.

    True for a damaged '.gz', so that :func:`_members` reports it.
    """
    if not file.name.lower().endswith('.gz') or file.name.lower().endswith('.tar.gz'):
        return True
    try:
        return tarfile.is_tarfile(file)
    except ARCHIVE_ERRORS:
        return True


def _members(archive: Path) -> list[str]:
    try:
        if archive.name.lower().endswith('.zip'):
            with zipfile.ZipFile(archive) as opened:
                return [info.filename for info in opened.infolist() if not info.is_dir()]
        with tarfile.open(archive) as opened:
            return [info.name for info in opened if info.isfile()]
    except ARCHIVE_ERRORS as error:
        raise _archive_error(archive, error) from None


def _archive_error(archive: Path, error: Exception) -> DataError:
    reason = ' '.join(str(error).split()) or type(error).__name__
    return DataError(f'{archive}: the archive is damaged or cut short ({reason}); download it again')


def unpack(files: Iterable[File], into: Path) -> None:
    """Unpack all files that are in archives, each archive in one pass, and set :attr:`File.disk`.

    The unpacked files are numbered, because names in an archive may be unsafe paths.

    Raises:
        DataError: a damaged archive, or one that expands to far more than its size; names it.
    """
    packed: dict[Path, dict[str, File]] = {}
    for file in files:
        if file.archive is not None:
            packed.setdefault(file.archive, {})[file.member] = file
    for a, (archive, wanted) in enumerate(packed.items()):
        folder = into / str(a)
        folder.mkdir(parents=True)
        most = left = max(EXPANDED, RATIO * archive.stat().st_size)
        try:
            for i, (file, size, stream) in enumerate(_contents(archive, wanted)):
                left -= size
                if left < 0:
                    raise DataError(f'{archive}: its files expand to more than {most} bytes, {RATIO} times its size')
                file.disk = folder / f'{i}{file.suffix}'
                with open(file.disk, 'wb') as out:
                    shutil.copyfileobj(stream, out, 1 << 20)
        except ARCHIVE_ERRORS as error:
            if isinstance(error, OSError) and error.errno is not None:  # an error of the disk, not of the archive
                raise
            raise _archive_error(archive, error) from None


def _contents(archive: Path, wanted: dict[str, File]) -> Iterator[tuple[File, int, IO[bytes]]]:
    """Open the wanted members one after the other; with the number of bytes, at most as many can be read."""
    if archive.name.lower().endswith('.zip'):
        with zipfile.ZipFile(archive) as opened:
            for member, file in wanted.items():
                with opened.open(member) as stream:
                    yield file, opened.getinfo(member).file_size, stream
        return
    with tarfile.open(archive) as opened:
        for info in opened:  # in archive order: seeking back would decompress it again
            content = opened.extractfile(info) if info.isfile() and info.name in wanted else None
            if content is not None:
                yield wanted[info.name], info.size, content


def link(file: Path, to: Path, symbolic: bool = True) -> None:
    """Create a hard link, else a symbolic link, else a copy.

    Args:
        file: the existing file.
        to: path of the link.
        symbolic: whether a symbolic link is allowed; False for temporary files.
    """
    file = file.resolve()
    for create in (os.link, os.symlink) if symbolic else (os.link,):
        try:
            return create(file, to)
        except OSError:
            continue
    shutil.copyfile(file, to)
    return None


def check_picture(file: Path, name: str) -> tuple[int, int]:
    """Check that a picture file is complete; PNG and JPEG are checked by their end marker, without decoding.

    Args:
        file: the picture.
        name: name for messages.

    Returns:
        (width, height) in pixels as stored.

    Raises:
        DataError: empty, truncated, or not a picture.
    """
    try:
        with open(file, 'rb') as stream:
            head = stream.read(8)
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            tail = stream.read()
        end = next((end for start, end in END_MARKERS.items() if head.startswith(start)), None)
        if end is None or end not in tail:
            read_picture(file)
        with Image.open(file) as picture:
            return picture.size
    except (PictureError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        reason = ' '.join(str(error).split()).removeprefix(f'{file}: ')
        raise DataError(f"{name}: the picture can't be read: {reason}") from None

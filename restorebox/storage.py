"""Files that are not on a local disk: objects of S3 and Google Cloud Storage, https, and members of zip archives.

A :class:`RemotePath` names such a file. :func:`read` and :func:`write` take it or a local path; the latter goes to
:mod:`restorebox.files`. Requests and their repetition are those of fsspec and its packages, such as botocore.
"""

from __future__ import annotations

import logging
import os
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from restorebox.archives import Archive, inside
from restorebox.errors import ConfigError, DataError, missing_package, one_line
from restorebox.files import read_bytes, read_limit, write_whole

SCHEMES = ('s3', 'gs', 'https', 'http')
WRITTEN = ('s3', 'gs')  # schemes with folders: listed, and written
LARGEST = 4 * 2**30  # bytes of a file that is read
_NO_BUCKET = 'specified bucket does not exist'
_SECRETS = ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN')


class RemotePath(PurePosixPath):
    """Path of a file or folder in storage, such as ``s3://bucket/a.png``, or in an archive: ``FILE.zip!/a.png``."""

    def __str__(self) -> str:
        text = super().__str__()
        return text if self.scheme is None else text.replace(':/', '://', 1)

    def __fspath__(self) -> str:
        return str(self)

    @property
    def scheme(self) -> str | None:
        """One of :data:`SCHEMES`, or None for an archive on a local disk."""
        first = self.parts[0] if self.parts else ''
        return first[:-1] if first.endswith(':') and first[:-1] in SCHEMES else None

    @property
    def archive(self) -> Path | RemotePath | None:
        """The archive that has the file, or None."""
        for i, part in enumerate(self.parts):
            if part.lower().endswith('.zip!'):
                kind = RemotePath if self.scheme else Path
                return kind(*self.parts[:i], part[:-1])
        return None

    @property
    def member(self) -> str:
        """Name in the archive; ``'.'`` for all of it."""
        return str(PurePosixPath(*self.parts[len((self.archive or self).parts) :]))

    @property
    def key(self) -> str:
        """Name in the storage: bucket and key, or the URL."""
        return str(self) if self.scheme in ('http', 'https') else '/'.join(self.parts[1:])

    @property
    def below(self) -> PurePosixPath:
        """Path without scheme, root and ``..``, below which the outputs of a list are written."""
        parts = [part.removesuffix('!') for part in self.parts if part not in ('..', '/')]
        return PurePosixPath(*parts[self.scheme is not None :])


def locate(text: str | os.PathLike) -> Path | RemotePath:
    """Return the path of a file or folder: ``s3://``, ``gs://``, ``https://``, ``zip://``, ``FILE.zip``, or local.

    ``zip://MEMBER::ARCHIVE`` is the notation of fsspec for a file or folder of an archive; the archive is a local file
    or one of the others. A local ``FILE.zip``, and one with a scheme, is the folder of all its members.

    Raises:
        ConfigError: another scheme, a name or password, a query, or a part that no path can have. What may be a secret
            is not in the message.
    """
    if isinstance(text, (RemotePath, Path)):
        return text
    text = os.fspath(text)
    if text.startswith('zip://'):
        member, between, archive = text.removeprefix('zip://').partition('::')
        if not between or not archive.lower().endswith('.zip'):
            raise ConfigError(f'{_without_secrets(text)}: write zip://MEMBER::ARCHIVE.zip, or ARCHIVE.zip')
        if '::' in archive or archive.startswith('zip:') or not inside(member or '.'):
            raise ConfigError(f'{_without_secrets(text)}: name a member of one archive, without ..')
        return RemotePath(f'{locate_url(archive) if "://" in archive else archive}!', member)
    if re.match(r'[A-Za-z][A-Za-z0-9+.-]+://', text):
        path = locate_url(text)
    elif text.lower().endswith('.zip') and os.path.isfile(text):
        return RemotePath(f'{text}!')
    else:
        return Path(text)
    return RemotePath(f'{path}!') if path.suffix.lower() == '.zip' else path


def locate_url(text: str) -> RemotePath:
    """Return the path of an object from a URL, see :func:`locate`."""
    scheme, _, rest = text.partition('://')
    if scheme not in SCHEMES:
        raise ConfigError(f'{_without_secrets(text)}: {scheme}:// is not read; use one of {", ".join(SCHEMES)}, zip')
    if '@' in rest.split('/')[0]:
        raise ConfigError(f'{scheme}://: a URL with name or password is refused; give them as environment variables')
    if scheme not in WRITTEN and set(rest) & set('?#'):
        raise ConfigError(f'{_without_secrets(text)}: a URL with a query is refused, since reports name the sources')
    parts = rest.removesuffix('/').split('/')
    if not all(parts) or {'.', '..'} & set(parts):
        raise ConfigError(f'{text}: has an empty part, . or ..; write {scheme}://BUCKET/FOLDER/NAME')
    return RemotePath(text)


def read(path: str | os.PathLike, most: int | None = None) -> bytes:
    """Read a file, or its first bytes, of a local disk or of storage.

    Args:
        path: a :class:`RemotePath`, else a local path.
        most: maximum number of bytes; None for all.

    Raises:
        OSError: it can't be read; ``strerror`` is the reason in one line, without secrets.
        TimeoutError: see :func:`restorebox.files.read_bytes`.
    """
    if not isinstance(path, RemotePath):
        return read_bytes(path, most)
    if path.archive is not None:
        return _archive(path.archive).read(path.member, most)
    limit = LARGEST if most is None else most
    try:
        if path.scheme in WRITTEN:
            data = _object(path, limit + 1)
        else:
            data = _stream(path, limit + 1)
    except Exception as error:
        raise failure(path, error) from None
    if most is None and len(data) > limit:
        raise OSError(0, f'is larger than {LARGEST // 2**30} GiB', str(path))
    return data[:limit]


def file_size(path: Path | RemotePath) -> int | None:
    """Return the number of bytes of a file on a local disk or in an archive; None of others, and if there is none."""
    if not isinstance(path, RemotePath):
        try:
            return os.stat(path).st_size
        except OSError:
            return None
    return None if path.archive is None else _archive(path.archive).size(path.member)


def _object(path: RemotePath, most: int) -> bytes:
    """Read an object by one request; without a range s3fs would ask for its size first."""
    try:
        return bytes(_system(str(path.scheme)).cat_file(path.key, start=0, end=most))
    except OSError as error:
        if 'range' in str(error).lower() and 'satisf' in str(error).lower():  # an empty object has no first byte
            return b''
        raise


def _stream(path: RemotePath, most: int) -> bytes:
    """Read from a web server, which may send without end."""
    data = bytearray()
    with _system(str(path.scheme)).open(path.key, block_size=0) as file:
        while len(data) < most and (block := file.read(2**20)):
            data += block
    return bytes(data[:most])


def write(path: str | os.PathLike, data: bytes | memoryview) -> None:
    """Write a file atomically: after an error or a kill it is complete, or as it was before.

    An object is written by one request, or by a multipart upload, which storage shows when it is complete.

    Raises:
        OSError: it can't be written, see :func:`read`.
    """
    if not isinstance(path, RemotePath):
        write_whole(Path(path), data)
        return
    try:
        _system(str(path.scheme)).pipe_file(path.key, bytes(data))
    except Exception as error:
        raise failure(path, error) from None


def remove(paths: list[RemotePath]) -> None:
    """Delete objects; those that do not exist are ignored.

    Raises:
        OSError: see :func:`read`.
    """
    try:
        if paths:
            _system(str(paths[0].scheme)).rm([path.key for path in paths])
    except FileNotFoundError:
        pass
    except Exception as error:
        raise failure(paths[0], error) from None


def files_below(folder: RemotePath) -> tuple[list[RemotePath], list[str]]:
    """List all files of a folder and its sub-folders by one listing (S3: a request per 1000), or of an archive.

    Args:
        folder: a folder, an archive, or a single file, which is then the only result.

    Returns:
        The files, and a line for each that can't be used: too large, or with a name that no path can have.

    Raises:
        DataError: missing bucket or credentials, no network, a damaged or unsafe archive; one line.
    """
    if (archive := folder.archive) is not None:
        root = RemotePath(f'{archive}!')
        members = _archive(archive).names(folder.member)
        return [root / name for name in members], []
    if folder.scheme not in WRITTEN:
        return [folder], []
    try:
        found: dict[str, dict[str, Any]] = _system(str(folder.scheme)).find(folder.key, detail=True)
    except FileNotFoundError as error:
        if _NO_BUCKET in str(error):
            raise DataError(f'{folder}: {failure(folder, error).strerror}') from None
        found = {}
    except Exception as error:
        raise DataError(f'{folder}: {failure(folder, error).strerror}') from None
    files, refused = [], []
    for key, about in found.items():
        if key.endswith('/'):  # written by some programs to keep an empty folder
            continue
        if not all(parts := key.split('/')) or {'.', '..'} & set(parts):
            refused.append(f'{folder.scheme}://{key}: has an empty part, . or .. in its key')
        elif about.get('size') is not None and about['size'] > LARGEST:
            refused.append(f'{folder.scheme}://{key}: is larger than {LARGEST // 2**30} GiB')
        else:
            files.append(RemotePath(f'{folder.scheme}://{key}'))
    return files, refused


def check_output(folder: str | os.PathLike) -> Path | RemotePath:
    """Return the path of an output folder or report.

    Raises:
        ConfigError: nothing can be written there.
    """
    path = locate(folder)
    if isinstance(path, RemotePath) and (path.archive is not None or path.scheme not in WRITTEN):
        raise ConfigError(f'{folder}: outputs go to a local folder, s3:// or gs://, not into an archive or to https://')
    return path


def failure(path: RemotePath, error: BaseException) -> OSError:
    """Return the error of a request as an OSError whose ``strerror`` is a line without secrets.

    A missing object is a FileNotFoundError. Names of exceptions are compared, since the packages are optional.
    """
    kinds = {kind.__name__ for each in (error, error.__cause__) if each for kind in type(each).__mro__}
    text = one_line(error)
    if kinds & {'NoCredentialsError', 'PartialCredentialsError', 'DefaultCredentialsError'}:
        text = 'no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE (gs: see gcsfs)'
    elif kinds & {'EndpointConnectionError', 'ClientConnectorError', 'ConnectTimeoutError', 'ConnectionClosedError'}:
        text = f'no connection ({text})'
    elif isinstance(error, FileNotFoundError):
        text = 'no such bucket' if _NO_BUCKET in text else 'no such file'
    elif isinstance(error, PermissionError):
        text = f'permission denied ({text})'
    elif isinstance(error, OSError):
        text = error.strerror or text
    line = _without_secrets(text)[:300] or type(error).__name__
    return (FileNotFoundError if isinstance(error, FileNotFoundError) else OSError)(0, line, str(path))


def _without_secrets(text: str) -> str:
    for name in _SECRETS:
        if len(value := os.environ.get(name, '')) > 3:
            text = text.replace(value, '***')
    return re.sub(r'(?<=//)[^/\s]*@', '***@', re.sub(r'\?[^\s"\')]*', '?***', text))


def forget() -> None:
    """Close connections and archives, so that changed environment variables and archives are read again."""
    _archive.cache_clear()
    _system.cache_clear()


@cache
def _archive(path: Path | RemotePath) -> Archive:
    """Open an archive; one in storage is first copied to a temporary file, which has no name."""
    if not isinstance(path, RemotePath):
        return Archive(path)
    try:
        if path.scheme in WRITTEN:
            source = _system(str(path.scheme)).open(path.key, 'rb', cache_type='readahead', block_size=2**24)
        else:
            source = _system(str(path.scheme)).open(path.key, block_size=0)
        with source:
            return Archive.copied(source, str(path))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f'{path}: {failure(path, error).strerror}') from None


@cache
def _system(scheme: str) -> Any:
    """Return the file system of fsspec.

    Raises:
        MissingPackageError: its package is not installed.
    """
    options: dict[str, Any] = {'use_listings_cache': False, 'skip_instance_cache': True}
    if scheme == 's3':
        seconds = read_limit()
        options['config_kwargs'] = {'read_timeout': seconds, 'connect_timeout': min(seconds, 10)}
    try:
        import fsspec

        system = fsspec.filesystem(scheme, **options)
    except ImportError as error:
        if scheme == 'gs':
            raise missing_package('gs://', 'storage', ImportError(name='gcsfs')) from None
        raise missing_package(f'{scheme}://', 'storage', error) from None
    for name in ('s3fs', 'fsspec', 'aiobotocore', 'botocore'):  # each error is reported once, as our own line
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return system

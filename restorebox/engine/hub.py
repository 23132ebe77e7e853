"""Weights on the Hugging Face Hub: ``hf://OWNER/NAME[/FILE][@REVISION][#sha256=DIGITS]`` (extra ``hub``).

huggingface_hub finds the file and its SHA-256; :func:`~restorebox.engine.download.download` fetches it with its limits.
The hash of the first fetch of a name is kept beside the file, and other bytes under this name are refused from then on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import torch

from restorebox.engine.checkpoint import sha256
from restorebox.engine.download import download
from restorebox.errors import CheckpointError, ConfigError, missing_package, one_line, printable
from restorebox.files import write_whole
from restorebox.version import __version__

SCHEME = 'hf://'
SUFFIXES = ('.safetensors', '.pth')
LISTED = 5  # maximum number of file names in a message
_PART = r'[A-Za-z0-9][A-Za-z0-9._-]{0,95}'  # neither '..' nor a hidden file
_PATH = re.compile(rf'{_PART}(?:/{_PART})*')
_NAME = re.compile(
    rf'hf://(?P<owner>{_PART})/(?P<name>{_PART})(?:/(?P<file>{_PATH.pattern}))?(?:@(?P<revision>{_PATH.pattern}))?'
    r'(?:#sha256=(?P<digest>[0-9a-f]{64}))?'
)
_DIGEST = re.compile('[0-9a-f]{64}')
_TOKEN = 'HF_TOKEN or `hf auth login`'


@dataclass(frozen=True)
class HubName:
    """A file of weights on the Hub.

    Attributes:
        owner: user or organisation.
        name: of the repository.
        file: path of the file in it; None for its only file of weights.
        revision: branch, tag or commit.
        digest: its SHA-256, 64 hexadecimal digits; None takes that of the first fetch.
    """

    owner: str
    name: str
    file: str | None = None
    revision: str = 'main'
    digest: str | None = None

    def __str__(self) -> str:
        file = f'/{self.file}' if self.file else ''
        return f'{self.repository}{file}@{self.revision}'

    @property
    def repository(self) -> str:
        """``hf://OWNER/NAME``."""
        return f'{SCHEME}{self.owner}/{self.name}'

    @property
    def folder(self) -> Path:
        """Folder of the fetched files of this revision, and of the record of their hashes."""
        cache = Path(torch.hub.get_dir()) / 'checkpoints' / 'restorebox' / 'hf'
        return cache / self.owner / self.name / quote(self.revision, safe='')

    @property
    def record(self) -> Path:
        """File with the SHA-256 of the first fetch."""
        return self.folder / f'{quote(self.file, safe="") if self.file else "weights"}.sha256'


def is_hub_name(text: str) -> bool:
    """Return whether a string names a file on the Hub."""
    return text.startswith(SCHEME)


def parse_hub_name(text: str) -> HubName:
    """Parse ``hf://OWNER/NAME[/FILE][@REVISION][#sha256=DIGITS]``.

    Raises:
        ConfigError: it has another form, or the file is not ``.safetensors`` or ``.pth``.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise ConfigError(f'{text}: it must be hf://OWNER/NAME[/FILE][@REVISION][#sha256=64 hexadecimal digits]')
    file = match['file']
    if file is not None and not file.endswith(SUFFIXES):
        raise ConfigError(f'{text}: {file} is no file of weights; they are named {" or ".join(SUFFIXES)}')
    return HubName(match['owner'], match['name'], file, match['revision'] or 'main', match['digest'])


def fetch_from_hub(text: str) -> Path:
    """Return the local path of a file on the Hub; it is downloaded once, and its SHA-256 is checked each time.

    Args:
        text: see :func:`parse_hub_name`.

    Raises:
        ConfigError: see :func:`parse_hub_name`.
        MissingPackageError: huggingface_hub is not installed.
        CheckpointError: there is no such file, no permission or no connection, it has another hash than that of the
            first fetch or of the name, or :func:`~restorebox.engine.download.download` refuses it.
    """
    name = parse_hub_name(text)
    pinned = name.digest or _recorded(name)
    if pinned is not None and (path := _cached(name, pinned)) is not None:
        if (own := sha256(path)) != pinned:
            raise CheckpointError(f'weights {name}: {path} is damaged: its sha256 is {own}, not {pinned}; delete it')
        return path
    api = _api()
    with _errors_in_one_line(name):
        from huggingface_hub import get_hf_file_metadata, hf_hub_url
        from huggingface_hub.utils import build_hf_headers

        revision = name.revision
        file = name.file
        if file is None:
            info = api.model_info(f'{name.owner}/{name.name}', revision=revision, timeout=30)
            file = _only_file(name, [str(each.rfilename) for each in info.siblings or ()])
        url = hf_hub_url(f'{name.owner}/{name.name}', file, revision=revision, endpoint=api.endpoint)
        found = get_hf_file_metadata(url, headers=dict(build_hf_headers()), timeout=30)
        location = str(found.location)
        # a server of files has its own signed address; the token is for the Hub only
        own_host = urlsplit(location)[:2] == urlsplit(api.endpoint)[:2]
        token = build_hf_headers().get('authorization') if own_host else None
    stated = found.etag if found.etag and _DIGEST.fullmatch(found.etag) else None
    if stated is not None and pinned is not None and stated != pinned:
        raise CheckpointError(_other_bytes(name, stated, pinned))
    digest = pinned or stated
    if digest is None:
        raise CheckpointError(f'weights {name}: the server states no sha256 of {file}; write {name}#sha256=DIGITS')
    path = name.folder / digest / file.rsplit('/', 1)[-1]
    try:
        download(location, path, digest, name=str(name), authorization=token)
    except CheckpointError as error:
        raise CheckpointError(f'weights {error}') from None
    if name.digest is None and pinned is None:
        try:
            write_whole(name.record, f'{digest}\n'.encode(), flush=True)
        except OSError as error:
            raise CheckpointError(f'weights {name}: its hash is not kept: {name.record}: {error.strerror}') from None
    return path


def _recorded(name: HubName) -> str | None:
    """Return the SHA-256 of the first fetch, or None."""
    if not name.record.is_file():
        return None
    digest = name.record.read_text(errors='replace').strip()
    if not _DIGEST.fullmatch(digest):
        raise CheckpointError(f'weights {name}: {name.record} does not hold a sha256; delete it to fetch the file anew')
    return digest


def _cached(name: HubName, digest: str) -> Path | None:
    """Return the path of a file that was fetched before, or None."""
    folder = name.folder / digest
    if name.file is not None:
        path = folder / name.file.rsplit('/', 1)[-1]
        return path if path.is_file() else None
    return next((path for path in sorted(folder.glob('*')) if path.suffix in SUFFIXES), None)


def _other_bytes(name: HubName, own: str, pinned: str) -> str:
    if name.digest is not None:
        return f'weights {name}: the file there has the sha256 {own}, not {pinned}'
    return (
        f'weights {name}: the file there has the sha256 {own}, that of the first fetch had {pinned} ({name.record}); '
        f'to accept it, name it: {name}#sha256={own}'
    )


def _only_file(name: HubName, files: list[str]) -> str:
    """Return the only file of weights of a repository; ``.safetensors`` goes before ``.pth``."""
    for suffix in SUFFIXES:
        found = [file for file in files if file.endswith(suffix)]
        if odd := [file for file in found if not _PATH.fullmatch(file)]:
            raise CheckpointError(f'weights {name}: the file name {printable(odd[0])[:100]} is not allowed')
        if len(found) == 1:
            return found[0]
        if found:
            names = ', '.join(sorted(found)[:LISTED]) + (' ...' if len(found) > LISTED else '')
            raise CheckpointError(
                f'weights {name}: there are {len(found)} files of weights; write '
                f'{name.repository}/FILE@{name.revision} with one of {names}'
            )
    raise CheckpointError(f'weights {name}: there is no file named *{" or *".join(SUFFIXES)}')


def check_upload(to: str, file: str) -> None:
    """Check the target of :func:`upload` before anything is written.

    Args:
        to: ``hf://OWNER/NAME[@BRANCH]``.
        file: name of the file.

    Raises:
        ConfigError: ``to`` has another form, or the file could not be fetched by its name.
        MissingPackageError: huggingface_hub is not installed.
    """
    name = parse_hub_name(to)
    if name.file is not None or name.digest is not None:
        raise ConfigError(f'--to {to}: it must be hf://OWNER/NAME[@BRANCH]; the file keeps its name')
    parse_hub_name(f'{name.repository}/{file}')
    _api()


def upload(file: Path, card: str, to: str) -> str:
    """Upload a published file and its card as ``README.md``, in one commit; a missing repository is created.

    Args:
        file: the published file.
        card: text of the card, with front matter.
        to: see :func:`check_upload`.

    Returns:
        The name under which the file can be fetched, with commit and SHA-256.

    Raises:
        ConfigError, MissingPackageError: see :func:`check_upload`.
        CheckpointError: the server refuses it, or can't be reached.
    """
    check_upload(to, file.name)
    name, api = parse_hub_name(to), _api()
    repository = f'{name.owner}/{name.name}'
    with _errors_in_one_line(name):
        from huggingface_hub import CommitOperationAdd

        api.create_repo(repository, exist_ok=True)
        done = api.create_commit(
            repository,
            [
                CommitOperationAdd(file.name, file),
                CommitOperationAdd('README.md', card.encode()),
            ],
            commit_message=f'{file.name}, by restorebox {__version__}',
            revision=name.revision,
        )
    return f'{name.repository}/{file.name}@{done.oid}#sha256={sha256(file)}'


def _api() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise missing_package('a model at hf://', 'hub', error) from None
    return HfApi(library_name='restorebox', library_version=__version__)


@contextmanager
def _errors_in_one_line(name: HubName) -> Iterator[None]:
    """Replace huggingface_hub's errors, and those of its HTTP client, by a line each.

    Their own texts are left out: those of the HTTP client may quote the header with the token.
    """
    from huggingface_hub import errors

    try:
        yield
    except CheckpointError:
        raise
    except errors.HFValidationError as error:
        raise ConfigError(f'{name}: {one_line(error)[:200]}') from None
    except Exception as error:  # of the HTTP client, whose package differs between versions
        status = getattr(getattr(error, 'response', None), 'status_code', None)
        kind = type(error).__name__
        if isinstance(error, errors.GatedRepoError):
            reason = f'its owner must grant access first; then give a token by {_TOKEN}'
        elif isinstance(error, errors.RevisionNotFoundError):
            reason = f"it has no revision '{name.revision}'"
        elif isinstance(error, errors.RepositoryNotFoundError):
            reason = f'there is no such repository, or it is private and needs a token, by {_TOKEN}'
        elif isinstance(error, errors.EntryNotFoundError):
            reason = f'there is no file {name.file}' if name.file else 'the file is gone'
        elif isinstance(error, errors.OfflineModeIsEnabled):
            reason = 'HF_HUB_OFFLINE is set, and it was not fetched before'
        elif status in (401, 403):
            reason = f'access is refused (status {status}): it needs a token with permission, by {_TOKEN}'
        elif status is not None:
            reason = f'the server answers with status {status}'
        else:
            reason = f"the server can't be reached or its answer can't be read ({kind})"
        raise CheckpointError(f'{name}: {reason}') from None

"""Storage of uploads and results per client, with limits on number, size and age.

Clients refer to files by random keys, which are looked up here. Paths are never built from client input.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from restorebox.datasets.formats import suffix_kind, unread_hint
from restorebox.files import open_regular

MAX_NAME_LENGTH = 120  # characters
_TOKEN = re.compile(r'[A-Za-z0-9_-]{32}')
MAX_FILES = 1024
MAX_UPLOADS = 8  # of a client, not queued; also those that can be restored with one request
QUEUED_AGE_FACTOR = 6  # uploads in the queue expire after this multiple of the age limit


@dataclass
class StoredFile:
    """Stored file of a client.

    Attributes:
        key: random key, with the suffix of a picture or none.
        owner: id of the client.
        page: id of the browser page that it belongs to; empty for an upload before its restoration is first requested.
        path: location on the disk.
        name: the client's file name, for messages and downloads, never for paths.
        size: in bytes.
        upload: true for an upload, false for a result.
        media: media type of a result that the page displays; empty for a file to download.
        claim: random name of the last claim, see :meth:`FileStore.claim`; empty before the first.
        queued: whether it is an upload whose restoration is requested and has not ended.
        created: time of creation, ``time.monotonic()``.
    """

    key: str
    owner: str
    page: str
    path: Path
    name: str
    size: int
    upload: bool
    media: str = ''
    claim: str = ''
    queued: bool = False
    created: float = field(default_factory=time.monotonic)

    def open(self) -> BinaryIO:
        """Open the file for reading; what a process has opened stays readable when the store deletes it.

        Raises:
            OSError: it is gone, a link, or no regular file.
        """
        return open(self.path, 'rb', opener=lambda path, flags: open_regular(path, flags | os.O_NOFOLLOW))


def random_key(name: str) -> str:
    """Return a random file name, with the suffix of ``name`` if that is one of a picture: TGA and raw files need it."""
    suffix = Path(name).suffix.lower()
    return secrets.token_urlsafe(24) + (suffix if suffix_kind(suffix) or unread_hint(suffix) else '')


def safe_name(name: str) -> str:
    """Return the last part of a file name, with unprintable and reserved characters replaced, and shortened."""
    last = re.split(r'[/\\]', name)[-1]
    safe = ''.join(each if each.isprintable() and each not in '"<>|:*?' else '_' for each in last).strip('. ')
    stem, dot, suffix = safe.rpartition('.')
    if len(safe) <= MAX_NAME_LENGTH or len(suffix) > 8:
        return safe[:MAX_NAME_LENGTH]
    return stem[: MAX_NAME_LENGTH - 9] + dot + suffix


class FileStore:
    """Files of all clients in one folder, under random names.

    Args:
        folder: folder that only this process writes to.
        capacity: maximum total size in bytes. Beyond it, the oldest files of the client with the most data are removed.
        max_uploads: maximum number of a client's uploads that are not queued; the oldest is removed.
    """

    def __init__(self, folder: Path, capacity: int, max_uploads: int = MAX_UPLOADS) -> None:
        self.folder = folder
        self.capacity = capacity
        self.max_uploads = max_uploads
        self._secret = secrets.token_bytes(32)
        self._files: dict[str, StoredFile] = {}
        self._lock = Lock()

    def token(self) -> str:
        """Return a signed token for the cookie of a new client."""
        token = secrets.token_urlsafe(24)
        return f'{token}.{self._signature(token)}'

    def owner(self, token: str) -> str | None:
        """Return the id of the client with a token, or None if its signature is invalid."""
        name, _, signature = token.partition('.')
        if not _TOKEN.fullmatch(name) or not hmac.compare_digest(signature.encode(), self._signature(name).encode()):
            return None
        return hashlib.sha256(name.encode()).hexdigest()

    def _signature(self, token: str) -> str:
        return hmac.new(self._secret, token.encode(), 'sha256').hexdigest()

    @staticmethod
    def page(owner: str, session: str) -> str:
        """Return the id of a client's page; includes the client, since browsers choose session names."""
        return hashlib.sha256(f'{owner}:{session}'.encode()).hexdigest()

    def new_path(self, name: str) -> tuple[str, Path]:
        """Return a new key and the path of its file."""
        key = random_key(name)
        return key, self.folder / key

    def add(self, owner: str, page: str, key: str, name: str, upload: bool = False, media: str = '') -> StoredFile:
        """Register a file that has been written to the path of its key."""
        path = self.folder / key
        stored = StoredFile(key, owner, page, path, name, path.stat().st_size, upload, media)
        with self._lock:
            self._files[key] = stored
            waiting = [each for each in self._files.values() if each.owner == owner and each.upload and not each.queued]
            removed = waiting[: -self.max_uploads] if upload else []
            removed += self._over_capacity(stored, removed)
            for each in removed:
                del self._files[each.key]
        self._unlink(removed)
        return stored

    def _over_capacity(self, newest: StoredFile, removed: list[StoredFile]) -> list[StoredFile]:
        """Return the files to remove to make space for the newest; uploads in the queue are kept."""
        remaining = [each for each in self._files.values() if each not in removed]
        total, count = sum(each.size for each in remaining), len(remaining)
        used: Counter[str] = Counter()
        for each in remaining:
            used[each.owner] += each.size + 1
        removable = [each for each in remaining if each is not newest and not each.queued]
        out = []
        while (total > self.capacity or count > MAX_FILES) and removable:
            first = max(removable, key=lambda each: (used[each.owner], -each.created))
            removable.remove(first)
            out.append(first)
            used[first.owner] -= first.size + 1
            total, count = total - first.size, count - 1
        return out

    def claim(self, owner: str, page: str, key: str) -> StoredFile | None:
        """Assign an upload to a page and queue it; None if there is none, or it is queued already.

        The file is renamed to another random name, so that later writes to the first name have no effect.
        """
        with self._lock:
            stored = self._files.get(key)
            if stored is None or stored.owner != owner or not stored.upload or stored.queued:
                return None
            claim = secrets.token_urlsafe(24)
            moved = self.folder / f'{claim}{stored.path.suffix}'
            try:
                os.rename(stored.path, moved)
            except OSError:
                del self._files[key]
                return None
            stored.page, stored.path, stored.claim, stored.queued = page, moved, claim, True
            return stored

    def release(self, stored: StoredFile, claim: str) -> None:
        """Mark an upload as no longer queued; it can be restored again, and its age counts from now.

        Args:
            stored: the upload.
            claim: the claim that ends; a later one is left alone.
        """
        with self._lock:
            if stored.claim == claim:
                stored.queued, stored.created = False, time.monotonic()

    def is_claimed(self, stored: StoredFile, claim: str) -> bool:
        """Return whether a claim still holds: the upload is neither cancelled, nor claimed anew, nor removed."""
        return self._files.get(stored.key) is stored and stored.queued and stored.claim == claim

    def cancel_page(self, page: str) -> None:
        """Release all uploads that a page has queued."""
        for each in list(self._files.values()):
            if each.page == page and each.queued:
                self.release(each, each.claim)

    def upload(self, page: str, key: str) -> StoredFile | None:
        """Return the upload of a page, or None."""
        stored = self._files.get(key)
        return stored if stored is not None and stored.upload and stored.page == page else None

    def find(self, owner: str, key: str) -> StoredFile | None:
        """Return a client's file, or None."""
        stored = self._files.get(key)
        return stored if stored is not None and stored.owner == owner else None

    def remove(self, *files: StoredFile | None) -> None:
        """Remove files."""
        removed = [each for each in files if each is not None]
        with self._lock:
            for each in removed:
                self._files.pop(each.key, None)
        self._unlink(removed)

    def close_page(self, page: str) -> None:
        """Remove all files of a page."""
        self.remove(*(each for each in list(self._files.values()) if each.page == page))

    def results(self, page: str) -> list[StoredFile]:
        """Return the results of a page."""
        return [each for each in list(self._files.values()) if each.page == page and not each.upload]

    def drop_uploads(self, page: str, kept: Collection[str]) -> None:
        """Remove the uploads of a page that are not queued, which it no longer uses, but for those with a kept key."""
        uploads = [each for each in list(self._files.values()) if each.page == page and each.upload]
        self.remove(*(each for each in uploads if not each.queued and each.key not in kept))

    def remove_expired(self, age: float) -> None:
        """Remove files older than ``age`` seconds; for uploads in the queue, ``QUEUED_AGE_FACTOR`` times as long."""
        now = time.monotonic()
        ages = {True: QUEUED_AGE_FACTOR * age, False: age}
        self.remove(*(e for e in list(self._files.values()) if now - e.created > ages[e.queued]))
        known = {each.path for each in list(self._files.values())}
        for path in self.folder.iterdir():  # left by interrupted requests
            with suppress(OSError):
                if path not in known and path.stat().st_mtime < time.time() - QUEUED_AGE_FACTOR * age:
                    path.unlink()

    @staticmethod
    def _unlink(files: list[StoredFile]) -> None:
        for each in files:
            with suppress(OSError):  # already removed
                each.path.unlink()

"""What visitors brought and what was made of it: whose each file is, and how much may lie there.

A visitor names a file by its key alone, which is looked up here. No path is ever built from what a visitor sends.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from restorebox.datasets.reading import PICTURE_SUFFIXES

NAME_LENGTH = 120  # characters of a file's name that are kept
_TOKEN = re.compile(r'[A-Za-z0-9_-]{32}')
FILES = 1024  # that lie here at most, however small
QUEUED = 6  # times longer than others an upload may lie there that waits to be restored


@dataclass
class Kept:
    """One file of a visitor.

    Attributes:
        key: what the visitor calls it by: random, with the suffix of a picture or none.
        owner: the visitor.
        page: the visitor's page that it belongs to; empty for an upload that nobody has asked to restore yet.
        path: where it lies.
        name: what the visitor calls the file; for messages and for saving it, never for a path.
        size: bytes.
        upload: whether it was brought, or made.
        shown: whether it is a PNG that the page shows.
        since: when it came, ``time.monotonic()``.
    """

    key: str
    owner: str
    page: str
    path: Path
    name: str
    size: int
    upload: bool
    shown: bool = False
    since: float = field(default_factory=time.monotonic)


def safe_name(name: str) -> str:
    """The last part of a file's name, without control characters, invisible ones, or quotes, and of bounded length."""
    last = re.split(r'[/\\]', name)[-1]
    kept = ''.join(each if each.isprintable() and each not in '"<>|:*?' else '_' for each in last).strip('. ')
    stem, dot, suffix = kept.rpartition('.')
    return kept[:NAME_LENGTH] if len(kept) <= NAME_LENGTH or len(suffix) > 8 else stem[: NAME_LENGTH - 9] + dot + suffix


class Visits:
    """The files of all visitors, in one folder, under names that are random.

    Args:
        folder: only this process may write there.
        room: bytes that may lie there. When more comes, whoever has most lying there loses the oldest of it first.
        uploads: of one visitor that may lie there unrestored; the oldest goes.
    """

    def __init__(self, folder: Path, room: int, uploads: int = 8) -> None:
        self.folder = folder
        self.room = room
        self.uploads = uploads
        self._secret = secrets.token_bytes(32)
        self._kept: dict[str, Kept] = {}
        self._lock = Lock()

    def token(self) -> str:
        """A new visitor's token, for a cookie."""
        token = secrets.token_urlsafe(24)
        return f'{token}.{self._seal(token)}'

    def owner(self, token: str) -> str | None:
        """The visitor who holds a token, or None if it was not made here."""
        name, _, seal = token.partition('.')
        if not _TOKEN.fullmatch(name) or not hmac.compare_digest(seal.encode(), self._seal(name).encode()):
            return None
        return hashlib.sha256(name.encode()).hexdigest()

    def _seal(self, token: str) -> str:
        return hmac.new(self._secret, token.encode(), 'sha256').hexdigest()

    @staticmethod
    def page(owner: str, session: str) -> str:
        """One of a visitor's pages: the browser picks the session's name, so two visitors may have the same."""
        return hashlib.sha256(f'{owner}:{session}'.encode()).hexdigest()

    def place(self, name: str) -> tuple[str, Path]:
        """A new key, and where its file is to be written."""
        suffix = Path(name).suffix.lower()
        key = secrets.token_urlsafe(24) + (suffix if suffix in PICTURE_SUFFIXES else '')
        return key, self.folder / key

    def add(self, owner: str, page: str, key: str, name: str, upload: bool = False, shown: bool = False) -> Kept:
        """Enter a file that has been written to its place."""
        path = self.folder / key
        kept = Kept(key, owner, page, path, name, path.stat().st_size, upload, shown)
        with self._lock:
            self._kept[key] = kept
            waiting = [each for each in self._kept.values() if each.owner == owner and each.upload and not each.page]
            gone = waiting[: -self.uploads] if upload else []
            gone += self._beyond_room(kept, gone)
            for each in gone:
                del self._kept[each.key]
        self._unlink(gone)
        return kept

    def _beyond_room(self, newest: Kept, gone: list[Kept]) -> list[Kept]:
        """What has to go for the newest file; uploads that are being restored stay."""
        lying = [each for each in self._kept.values() if each not in gone]
        total, count = sum(each.size for each in lying), len(lying)
        held = Counter()
        for each in lying:
            held[each.owner] += each.size + 1
        loose = [each for each in lying if each is not newest and not (each.upload and each.page)]
        out = []
        while (total > self.room or count > FILES) and loose:
            first = max(loose, key=lambda each: (held[each.owner], -each.since))
            loose.remove(first)
            out.append(first)
            held[first.owner] -= first.size + 1
            total, count = total - first.size, count - 1
        return out

    def take(self, owner: str, page: str, key: str) -> Kept | None:
        """A visitor's upload, to be restored for a page; None if there is none, or it has been taken.

        It moves to another random name, so that nothing that was put under the first is read.
        """
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.owner != owner or not kept.upload or kept.page:
                return None
            moved = self.folder / secrets.token_urlsafe(24)
            try:
                os.rename(kept.path, moved)
            except OSError:
                del self._kept[key]
                return None
            kept.page, kept.path = page, moved
            return kept

    def give_back(self, kept: Kept) -> None:
        """An upload that was taken and could not be queued may be asked for again."""
        kept.page = ''

    def taken(self, page: str, key: str) -> Kept | None:
        """An upload that was taken for a page."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.upload and kept.page == page else None

    def find(self, owner: str, key: str) -> Kept | None:
        """A visitor's file, or None."""
        kept = self._kept.get(key)
        return kept if kept is not None and kept.owner == owner else None

    def drop(self, *files: Kept | None) -> None:
        """Remove files."""
        gone = [each for each in files if each is not None]
        with self._lock:
            for each in gone:
                self._kept.pop(each.key, None)
        self._unlink(gone)

    def leave(self, page: str) -> None:
        """Remove what belongs to a page."""
        self.drop(*(each for each in list(self._kept.values()) if each.page == page))

    def renew(self, page: str) -> None:
        """Remove what was made for a page before: it shows the last picture alone."""
        self.drop(*(each for each in list(self._kept.values()) if each.page == page and not each.upload))

    def sweep(self, age: float) -> None:
        """Remove what has lain there for longer, in seconds; what waits to be restored may wait longer."""
        now = time.monotonic()
        ages = {True: QUEUED * age, False: age}
        self.drop(*(e for e in list(self._kept.values()) if now - e.since > ages[bool(e.upload and e.page)]))
        known = {each.path for each in list(self._kept.values())}
        for path in self.folder.iterdir():  # what a request that broke off left
            with suppress(OSError):
                if path not in known and path.stat().st_mtime < time.time() - QUEUED * age:
                    path.unlink()

    @staticmethod
    def _unlink(files: list[Kept]) -> None:
        for each in files:
            with suppress(OSError):  # gone already
                each.path.unlink()

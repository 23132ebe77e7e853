"""Record in an output folder of what made each output, and from which source.

It is a file of JSON lines as a report is, see :mod:`restorebox.inference.records`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from restorebox.errors import ConfigError
from restorebox.inference.lines import LocalLines, RemoteLines, open_lines
from restorebox.inference.records import DONE, FileRecord, Kind, Maker
from restorebox.storage import RemotePath, check_output, files_below, remove

OUTPUTS = '.restorebox.outputs.jsonl'  # in an output folder: the maker of each output

UNFINISHED = ''  # key of a maker: an output of another source or maker was about to be replaced
Made = Literal['same', 'nothing', 'copied', 'other', 'foreign']
Entry = tuple[str, Kind, str | None]  # of an output: key of its maker, what it is, stamp of its source


class OutputLog:
    """Record in an output folder of what made each output, so that another model's are not taken as done.

    An output that is not listed was put there by something else; it is left alone.

    In storage the folder is listed once, and :meth:`expect` records all outputs of a run before the first is written.

    Args:
        folder: the output folder; created if missing.
        maker: weights and settings of this run.
        read_only: create nothing, for a run that writes nothing.
        append_only: for a worker of a run that has read the record: it is not read, what is added is not kept in
            memory, and :meth:`made` is not to be called.

    Raises:
        ConfigError: the file of the record can't be opened.
    """

    def __init__(
        self,
        folder: str | Path | RemotePath,
        maker: Maker,
        read_only: bool = False,
        *,
        append_only: bool = False,
    ) -> None:
        self.folder, self.maker = check_output(folder), maker
        path = self.folder / OUTPUTS
        self._there: set[str] | None = None  # what is in storage
        self._lines: LocalLines | RemoteLines | None = None
        self._made: dict[str, Entry] | None = None if append_only else {}
        if isinstance(self.folder, RemotePath):
            # the process that started the worker has listed the folder, and records the worker's outputs
            self._there = set() if append_only else {self._name(each) for each in files_below(self.folder)[0]}
        if read_only and isinstance(path, Path) and not path.is_file():
            return
        try:
            self._lines = open_lines(path)
            if self._made is None:
                return
            known: dict[str, str] = {}  # one string per maker, not per output
            for _, content in self._lines.read():
                output, key = content.get('output'), content.get('by')
                if isinstance(key, str):
                    known.setdefault(key, key)
                if isinstance(output, str) and isinstance(key, str):
                    self._made[output] = _entry(known[key], content)
                elif isinstance(output, str):
                    self._made.pop(output, None)
        except OSError as error:
            raise ConfigError(f"{path}: can't be opened ({error.strerror or error}); remove it") from None
        if maker.key not in known and not read_only:
            self._lines.add({'by': maker.key, **asdict(maker)})

    def exists(self, output: Path | RemotePath) -> bool:
        """Return whether an output exists as a file; in storage, whether it did when the folder was listed."""
        return os.path.isfile(output) if self._there is None else self._name(output) in self._there

    def made(self, output: str | Path | RemotePath, stamp: str | None = None) -> Made | None:
        """Return what made an output.

        Args:
            output: path in the folder.
            stamp: of the source that is to have this output; None if it is unknown.

        Returns:
            ``'same'``: this model with these settings. ``'nothing'``: the same, which found nothing and wrote the
            picture as it is. ``'copied'``: the same, which found nothing and copied the source. ``'other'``: another
            model or other settings. ``'foreign'``: whatever made it, the source was another one. None: unknown.
        """
        if self._made is None:
            raise ValueError('this record was opened for appending only')
        if (entry := self._made.get(self._name(output))) is None:
            return None
        key, kind, of = entry
        if None not in (of, stamp) and of != stamp:
            return 'foreign'
        return 'other' if key != self.maker.key_of(output) else kind

    @contextmanager
    def writing(self, output: str | Path | RemotePath, kind: Kind = 'same', stamp: str | None = None) -> Iterator[None]:
        """Record an output that the block writes atomically: before it if there is no such file, else after it.

        One that another maker or another source has made is recorded as unfinished before. So a process that is killed
        in between, or finds the disk full, leaves no output without its maker, and none with a wrong one or with
        another source's stamp.

        Args:
            output: path of the output, in the folder.
            kind: see :meth:`made`.
            stamp: of its source.

        Raises:
            OSError: the disk is full.
        """
        if self._there is not None:  # see expect and confirm
            yield
            return
        if os.path.exists(output) and not os.path.isfile(output):
            raise FileExistsError(errno.EEXIST, 'something that is no file has this name; move it away', str(output))
        name, entry = self._name(output), (self.maker.key_of(output), kind, stamp)
        replaced = os.path.lexists(output)
        if not replaced:
            self._set(name, entry)
        elif self._made is None or self.made(output, stamp) in ('foreign', 'other'):
            self._set(name, (UNFINISHED, 'same', None))  # which it is, the old or the new one, is not known until then
        try:
            yield
        except Exception:
            if not replaced:  # a file that comes there is none of ours
                with suppress(OSError):
                    self._set(name, None)
            raise
        if replaced:
            self._set(name, entry)

    def note(self, output: str | Path | RemotePath, kind: Kind, stamp: str | None) -> None:
        """Record what an output is that has been written, on a local disk; in storage see :meth:`confirm`."""
        if self._there is None:
            self._set(self._name(output), (self.maker.key_of(output), kind, stamp))

    def expect(self, outputs: Iterable[Path | RemotePath], stamp: str | None, copied: bool = False) -> None:
        """Record in storage the outputs that a run will make of a file; on a local disk do nothing.

        :meth:`flush` writes those of all files, in one object.

        So a process that is killed leaves no output without its maker. Outputs that exist are recorded by
        :meth:`confirm`, so that none has a wrong one.

        Args:
            outputs: paths in the folder.
            stamp: of the file.
            copied: whether they may become unchanged copies.
        """
        if self._there is not None:
            for output in outputs:
                if (name := self._name(output)) not in self._there:
                    self._set(name, (self.maker.key, 'copied' if copied else 'same', stamp))

    def confirm(self, record: FileRecord, outputs: Iterable[Path | RemotePath], stamp: str | None) -> None:
        """Record in storage what became of a file: expected outputs that were not made, and those that were replaced.

        Args:
            record: of the file.
            outputs: all paths that were expected for it.
            stamp: of the file.

        Raises:
            OSError: it can't be written.
        """
        if self._there is None or self._made is None:
            return
        for output in outputs:
            name = self._name(output)
            if str(output) == record.output and record.status in DONE:
                self._set(name, (self.maker.key, record.kind, stamp))
            elif name not in self._there and name in self._made:
                self._set(name, None)

    def discard(self, output: Path | RemotePath, only_copy: bool, stamp: str | None) -> None:
        """Delete a recorded output, or only an unchanged copy, whose source now has an output of another name.

        That of another source stays.
        """
        entry = (self._made or {}).get(self._name(output))
        if not self.exists(output) or self.made(output, stamp) == 'foreign':
            return
        if entry is not None and (entry[1] == 'copied' or not only_copy):
            remove([output]) if isinstance(output, RemotePath) else output.unlink(missing_ok=True)
            self._set(self._name(output), None)

    def flush(self) -> None:
        """Write what waits, as all processes must before :meth:`finish`."""
        if self._lines is not None:
            self._lines.flush()

    def finish(self) -> None:
        """Join the record's objects in storage, for one process."""
        if isinstance(self._lines, RemoteLines):
            self._lines.keep(lambda contents: {i for i, _ in enumerate(contents)})

    def _set(self, name: str, entry: Entry | None) -> None:
        if self._lines is None or (self._made is not None and self._made.get(name) == entry):
            return
        key, kind, stamp = entry or (None, 'same', None)
        flags: dict[str, Any] = {} if kind == 'same' else {kind: True}
        if stamp is not None:
            flags['of'] = stamp
        self._lines.add({'output': name, 'by': key, **flags})
        if self._made is None:
            return
        if entry is None:
            del self._made[name]
        else:
            self._made[name] = entry

    def close(self) -> None:
        """Close the file."""
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _name(self, output: str | Path | RemotePath) -> str:
        kind = RemotePath if isinstance(self.folder, RemotePath) else Path
        return '/'.join(kind(output).relative_to(self.folder).parts)


def _entry(key: str, content: dict[str, Any]) -> Entry:
    kind: Kind = 'copied' if content.get('copied') is True else 'nothing' if content.get('nothing') is True else 'same'
    return key, kind, stamp if isinstance(stamp := content.get('of'), str) else None

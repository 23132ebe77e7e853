"""Records of restoration runs: what happened to each file (the report), and which model made each output of a folder.

Both are files of JSON lines to which several processes may append, and which a killed process leaves readable. The
schema of a report's line is ``restorebox/schemas/report-1.json``.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from restorebox.errors import ConfigError
from restorebox.inference.encoding import QUALITY
from restorebox.inference.lines import LocalLines, RemoteLines, open_lines
from restorebox.inference.models import find_model, weights_digest
from restorebox.inference.video import is_video
from restorebox.restorers.strength import checked_strength
from restorebox.storage import RemotePath, check_output, files_below, remove

REPORT_VERSION = 1  # of the lines of a report; a change that readers must know of increases it
OUTPUTS = '.restorebox.outputs.jsonl'  # in an output folder: the maker of each output

Status = Literal['restored', 'copied', 'existing', 'failed']
DONE = ('restored', 'copied')


@dataclass(frozen=True)
class Maker:
    """What the content of an output depends on besides its source: weights and settings.

    Precision and device are left out, so that a run may be continued on another machine.

    Attributes:
        model: name or path of the model, as given.
        sha256: hash of the file of weights, 64 hexadecimal digits.
        strength: strength of the restoration, 0 to 2.
        ensemble: whether self-ensemble was used.
        quality: of lossy formats, 1 to 100.
        config: hash of the model's config if it was given apart from the weights, else None.
        temporal: whether videos are filtered against flicker; it has no influence on pictures.
    """

    model: str
    sha256: str
    strength: float = 1.0
    ensemble: bool = False
    quality: int = QUALITY
    config: str | None = None
    temporal: bool = False

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify weights and settings; the name of the model has no influence.

        They are those of pictures, see :meth:`key_of`.
        """
        settings = [self.sha256, float(self.strength), self.ensemble, self.quality, self.config]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]

    def signed(self, record: FileRecord) -> FileRecord:
        """Return the record of a file with this maker's model; that of an existing output is not changed."""
        return record if record.status == 'existing' else replace(record, model=self.model, sha256=self.sha256)

    def key_of(self, output: str | Path | RemotePath) -> str:
        """Return the key for an output file: :attr:`key`, followed by ``-temporal`` for a filtered video."""
        return f'{self.key}-temporal' if self.temporal and is_video(str(output)) else self.key


def maker_of(
    model: str,
    checkpoint: str | None = None,
    strength: float = 1.0,
    ensemble: bool = False,
    quality: int = QUALITY,
    temporal: bool = False,
) -> Maker:
    """Return the maker of a run's outputs; the weights are not loaded.

    Args:
        model: see :class:`~restorebox.inference.RestoreInferencer`, as for the following.
        checkpoint: weights for a config.
        strength: 0 to 2.
        ensemble: whether to use self-ensemble.
        quality: of lossy formats, 1 to 100.
        temporal: whether videos are filtered against flicker.

    Raises:
        ConfigError, CheckpointError, ExportError: the model does not exist; or a value is out of range.
    """
    if not 1 <= quality <= 100:
        raise ConfigError(f'quality is {quality}; it must be from 1 to 100')
    strength, digest, config = checked_strength(strength), weights_digest(model, checkpoint), None
    if checkpoint is not None:
        from restorebox.engine.config import load_config  # imports MMEngine's Runner, to check the config

        path = model if Path(model).suffix == '.py' else find_model(model).config
        config = hashlib.sha256(repr(load_config(path).model.to_dict()).encode()).hexdigest()
    return Maker(model, digest, strength, ensemble, quality, config, temporal)


@dataclass(frozen=True)
class FileRecord:
    """Outcome of one file of a run.

    Attributes:
        source: the file, as it was named or found.
        output: the file that was written or would have been; for a copy its path.
        status: ``'restored'``; ``'copied'`` without change, since nothing was found; ``'existing'``: it was there
            before and was left as it is; ``'failed'``.
        model: name or path of the model, None for an existing output of unknown origin.
        sha256: hash of the model's weights, 64 hexadecimal digits, or None likewise.
        seconds: time of reading, network and writing, without waiting in queues; None for an existing output.
        found: what the model removed, kind -> RMS in levels of 8 bits, see
            :class:`~restorebox.inference.findings.Findings`; empty if nothing was found, None if it was not examined.
        error: a line with file and reason, None unless it failed.
        notes: a line for each thing that could not be kept; for a filtered video also its flicker.
    """

    source: str
    output: str
    status: Status
    model: str | None = None
    sha256: str | None = None
    seconds: float | None = None
    found: dict[str, float] | None = None
    error: str | None = None
    notes: tuple[str, ...] = ()

    def line(self) -> dict[str, Any]:
        """Return the line of a report as a dict."""
        values = asdict(self) | {'notes': list(self.notes)}
        if self.seconds is not None:
            values['seconds'] = round(self.seconds, 4)
        if self.found is not None:
            values['found'] = {kind: round(value, 3) for kind, value in self.found.items()}
        return {'version': REPORT_VERSION, **values}


class Report:
    """Report of a run in JSON lines, one for each file; a context manager.

    Lines are appended as files are finished, by several processes at once. A run that is continued goes on with the
    same report, and keeps the lines of files that an earlier run restored.

    Args:
        path: the file; its folder is created, an existing report is continued.
        append_only: for a worker of a run that has opened the report: it is not read, and existing outputs are not to
            be added.

    Raises:
        ConfigError: the file is something else than a report, or can't be opened.
    """

    def __init__(self, path: str | Path | RemotePath, *, append_only: bool = False) -> None:
        self.path = check_output(path)
        try:
            self._lines = open_lines(self.path)
        except OSError as error:
            raise ConfigError(f"report {path}: can't be written ({error.strerror or error})") from None
        self._done: dict[tuple[str, str], str | None] = {}
        if append_only:
            return
        # read again if it has bytes now, since another process may have added its first line after it was read
        if not self._continue() and not self._lines.empty() and not self._continue():
            self._lines.close()
            raise ConfigError(f'report {path}: is no report of version {REPORT_VERSION}; give it another name')

    def _continue(self) -> bool:
        """Read the lines that are there; returns whether there are any, and all of them are of a report."""
        found = False
        for _, content in self._lines.read():
            if content.get('version') != REPORT_VERSION or not isinstance(content.get('source'), str):
                return False
            found = True
            if content.get('status') in DONE:
                self._done[_file_of(content)] = content.get('sha256')
        return found

    def add(self, record: FileRecord) -> None:
        """Append the record of a file; an existing output keeps the line of the run that made it.

        Raises:
            OSError: the disk is full.
        """
        file = (record.source, record.output)
        if record.status == 'existing' and file in self._done and record.sha256 in (None, self._done[file]):
            return
        self._lines.add(record.line())

    def finish(self) -> None:
        """Keep the last line of each file only; on a local disk other runs may go on with the same report."""
        self._lines.keep(lambda contents: set({_file_of(content): i for i, content in enumerate(contents)}.values()))

    def flush(self) -> None:
        """Write what waits, as all processes must before :meth:`finish`."""
        self._lines.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()


def _file_of(content: dict[str, Any]) -> tuple[str, str]:
    return str(content.get('source')), str(content.get('output'))


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
        self._made: dict[str, tuple[str, bool]] | None = None if append_only else {}
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
                    self._made[output] = (known[key], content.get('copied') is True)
                elif isinstance(output, str):
                    self._made.pop(output, None)
        except OSError as error:
            raise ConfigError(f"{path}: can't be opened ({error.strerror or error}); remove it") from None
        if maker.key not in known and not read_only:
            self._lines.add({'by': maker.key, **asdict(maker)})

    def exists(self, output: Path | RemotePath) -> bool:
        """Return whether an output exists as a file; in storage, whether it did when the folder was listed."""
        return os.path.isfile(output) if self._there is None else self._name(output) in self._there

    def made(self, output: str | Path | RemotePath) -> Literal['same', 'copied', 'other'] | None:
        """Return what made an output.

        Returns:
            ``'same'``: this model with these settings. ``'copied'``: the same, which found nothing and copied the
            source. ``'other'``: another model or other settings. None: unknown.
        """
        if self._made is None:
            raise ValueError('this record was opened for appending only')
        if (entry := self._made.get(self._name(output))) is None:
            return None
        key, copied = entry
        return 'other' if key != self.maker.key_of(output) else 'copied' if copied else 'same'

    @contextmanager
    def writing(self, output: str | Path | RemotePath, copied: bool = False) -> Iterator[None]:
        """Record an output that the block writes atomically: before it if there is no such file, else after it.

        So a process that is killed in between leaves no output without its maker, and none with a wrong one.

        Args:
            output: path of the output, in the folder.
            copied: whether it is an unchanged copy of its source.

        Raises:
            OSError: the disk is full.
        """
        if self._there is not None:  # see expect and confirm
            yield
            return
        if os.path.exists(output) and not os.path.isfile(output):
            raise FileExistsError(errno.EEXIST, 'something that is no file has this name; move it away', str(output))
        name, entry = self._name(output), (self.maker.key_of(output), copied)
        replaced = os.path.lexists(output)
        if not replaced:
            self._set(name, entry)
        try:
            yield
        except Exception:
            if not replaced:  # a file that comes there is none of ours
                with suppress(OSError):
                    self._set(name, None)
            raise
        if replaced:
            self._set(name, entry)

    def expect(self, outputs: Iterable[Path | RemotePath], copied: bool = False) -> None:
        """Record in storage, in one object, the outputs that a run will make; on a local disk do nothing.

        So a process that is killed leaves no output without its maker. Outputs that exist are recorded by
        :meth:`confirm`, so that none has a wrong one.

        Args:
            outputs: paths in the folder.
            copied: whether they may become unchanged copies.

        Raises:
            OSError: it can't be written.
        """
        if self._there is not None and self._lines is not None:
            for output in outputs:
                if (name := self._name(output)) not in self._there:
                    self._set(name, (self.maker.key, copied))
            self._lines.flush()

    def confirm(self, record: FileRecord, outputs: Iterable[Path | RemotePath]) -> None:
        """Record in storage what became of a file: expected outputs that were not made, and those that were replaced.

        Args:
            record: of the file.
            outputs: all paths that were expected for it.

        Raises:
            OSError: it can't be written.
        """
        if self._there is None or self._made is None:
            return
        for output in outputs:
            name = self._name(output)
            if str(output) == record.output and record.status in DONE:
                self._set(name, (self.maker.key, record.status == 'copied'))
            elif name not in self._there and name in self._made:
                self._set(name, None)

    def discard(self, output: Path | RemotePath, only_copy: bool) -> None:
        """Delete a recorded output, or only an unchanged copy, whose source now has an output of another name."""
        entry = (self._made or {}).get(self._name(output))
        if self.exists(output) and entry is not None and (entry[1] or not only_copy):
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

    def _set(self, name: str, entry: tuple[str, bool] | None) -> None:
        if self._lines is None or (self._made is not None and self._made.get(name) == entry):
            return
        key, copied = entry or (None, False)
        self._lines.add({'output': name, 'by': key, **({'copied': True} if copied else {})})
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

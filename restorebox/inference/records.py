"""Records of restoration runs: the maker of outputs, and the report of what happened to each file.

A report is a file of JSON lines to which several processes may append, and which a killed process leaves readable. The
schema of a line is ``restorebox/schemas/report-1.json``.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from restorebox.errors import ConfigError
from restorebox.inference.encoding import QUALITY
from restorebox.inference.lines import open_lines
from restorebox.inference.models import find_model, weights_digest
from restorebox.inference.video import is_video
from restorebox.restorers.strength import checked_strength
from restorebox.storage import RemotePath, check_output

REPORT_VERSION = 1  # of the lines of a report; a change that readers must know of increases it

Status = Literal['restored', 'copied', 'existing', 'failed']
Kind = Literal['same', 'nothing', 'copied']
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
        from restorebox.engine.config import load_config, model_of  # imports MMEngine's Runner, to check the config

        path = model if Path(model).suffix == '.py' else find_model(model).config
        config = hashlib.sha256(repr(model_of(load_config(path), path).to_dict()).encode()).hexdigest()
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

    @property
    def kind(self) -> Kind:
        """What its output is, see :meth:`restorebox.inference.output_log.OutputLog.made`."""
        return 'copied' if self.status == 'copied' else 'same' if self.found is None or self.found else 'nothing'

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

"""A file of a model for other runtimes, checked against PyTorch and, where wanted, quantised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restorebox.engine.checkpoint import load_file, sha256, write_bytes
from restorebox.errors import ExportError
from restorebox.files import json_bytes
from restorebox.inference.exporting import KINDS, export_restorer, file_facts
from restorebox.inference.models import find_weights, is_url, load_model
from restorebox.inference.quantising import find_pairs, quantise


@dataclass
class ExportedFile:
    """What was made.

    Attributes:
        path: of the file.
        size: of it, in bytes.
        worst: largest difference from PyTorch on three sizes, of the file in float32.
        report: what quantising cost and gained, which lies beside the file as JSON too; None without it.
    """

    path: Path
    size: int
    worst: float
    report: dict | None = None


def export_file(
    model: str, checkpoint: str | None, kind: str, out: str | None = None, calibrate: str | None = None
) -> ExportedFile:
    """Export a model; the file is put in place when it has been compared with PyTorch.

    Args:
        model: a model's name or a file of weights; with ``checkpoint`` a config.
        checkpoint: weights for a config.
        kind: 'onnx', 'torchscript' or 'pt2'.
        out: the file to write; None for the model's name with the kind's suffix.
        calibrate: a folder of pictures, see :func:`~restorebox.inference.quantising.find_pairs`, to quantise the
            convolutions of an ONNX file to 8 bits; None to leave them.

    Raises:
        ExportError: another suffix, no such folder, a model that can't be exported or gives something else then.
        ConfigError, CheckpointError, DataError: model, weights or pictures are wrong.
    """
    out = Path(out or Path(model).stem + ('_int8' if calibrate else '') + KINDS[kind])
    if out.suffix != KINDS[kind]:
        raise ExportError(f'{out}: a file of the kind {kind} is named *{KINDS[kind]}')
    if not out.parent.is_dir():
        raise ExportError(f'{out}: there is no folder {out.parent} to write it into')
    if calibrate:
        find_pairs(calibrate)  # before the work
    restorer = load_model(model, checkpoint)
    weights = checkpoint if checkpoint and not is_url(checkpoint) else find_weights(checkpoint or model)
    facts = file_facts(restorer, Path(model).stem)
    facts['source_sha256'] = sha256(weights)
    meta = load_file(weights)['meta']
    facts |= {name: meta[name] for name in ('licence', 'limits') if meta.get(name)}
    data, worst = export_restorer(restorer, kind, facts)
    report = None
    if calibrate:
        data, report = quantise(data, facts, calibrate)
    write_bytes(data, out)
    if report:
        write_bytes(json_bytes(report, indent=2), out.with_suffix('.json'))
    return ExportedFile(out, len(data), worst, report)

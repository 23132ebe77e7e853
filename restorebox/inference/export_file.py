"""Export of a model to a file, with a check against PyTorch and optional quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from restorebox.engine.checkpoint import sha256, write_bytes
from restorebox.engine.published import load_model_file
from restorebox.errors import ExportError
from restorebox.files import json_bytes
from restorebox.inference.exporting import KINDS, export_restorer, file_facts
from restorebox.inference.models import find_weights, is_url, load_model, stem_of
from restorebox.inference.quantising import find_pairs, quantise


@dataclass
class ExportedFile:
    """Result of an export.

    Attributes:
        path: exported file.
        size: in bytes.
        worst: largest absolute difference of the float32 model from PyTorch, over three input sizes.
        report: quality loss and speed-up of quantisation, also written as JSON next to the file; None without it.
    """

    path: Path
    size: int
    worst: float
    report: dict | None = None


def export_file(
    model: str, checkpoint: str | None, kind: str, out: str | None = None, calibrate: str | None = None
) -> ExportedFile:
    """Export a model; the file is written only after its output has been compared with PyTorch.

    Args:
        model: a model's name or a weights file; with ``checkpoint`` a config.
        checkpoint: weights for a config.
        kind: 'onnx', 'torchscript' or 'pt2'.
        out: output file; None for the model's name with the suffix of ``kind``.
        calibrate: folder of calibration pictures, see :func:`~restorebox.inference.quantising.find_pairs`, to quantise
            the convolutions of an ONNX file to 8 bits; None for float32.

    Raises:
        ExportError: wrong suffix, missing folder, the model can't be exported, or its output differs.
        ConfigError, CheckpointError, DataError: the model, weights or pictures can't be read.
    """
    target = Path(out or stem_of(model) + ('_int8' if calibrate else '') + KINDS[kind])
    if target.suffix != KINDS[kind]:
        raise ExportError(f'{target}: a file of the kind {kind} is named *{KINDS[kind]}')
    if not target.parent.is_dir():
        raise ExportError(f'{target}: there is no folder {target.parent} to write it into')
    if calibrate:
        find_pairs(calibrate)  # report errors before the export
    restorer = load_model(model, checkpoint)
    weights = checkpoint if checkpoint and not is_url(checkpoint) else find_weights(checkpoint or model)
    facts = file_facts(restorer, stem_of(model))
    facts['source_sha256'] = sha256(weights)
    meta = load_model_file(weights)['meta']
    facts |= {name: meta[name] for name in ('licence', 'limits') if meta.get(name)}
    data, worst = export_restorer(restorer, kind, facts)
    report = None
    if calibrate:
        data, report = quantise(data, facts, calibrate)
    write_bytes(data, target)
    if report:
        write_bytes(json_bytes(report, indent=2), target.with_suffix('.json'))
    return ExportedFile(target, len(data), worst, report)

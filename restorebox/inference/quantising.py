"""Static post-training quantisation of ONNX files to 8 bits, with a measurement of quality and speed.

Convolutions are quantised: activations per tensor, after a scaling per channel
(:mod:`restorebox.inference.smoothing`), weights per channel. In float32 stay the first and the last one, those in
groups and those with computed weights, and layers that average squares or means (gain control and its
inverse, attention, instance norm), since the dynamic range of their values is too large.
"""

from __future__ import annotations

import ast
import logging
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.errors import DataError, missing_package
from restorebox.inference.exported import open_session
from restorebox.inference.smoothing import smooth_activations
from restorebox.layers import pad_to_multiple
from restorebox.layers.global_statistics import scene_statistics
from restorebox.metrics.protocols import psnr_rgb
from restorebox.pixels import to_float, to_tensor

if TYPE_CHECKING:
    import onnx
    import onnxruntime

CALIBRATE = 64  # maximum number of calibration pictures, evenly spaced over the folder
MEASURE = 16  # number of pictures for the measurement
SIDE = 256  # side in pixels of the centre crop
# Convolutions inside these modules stay in float32. The input of that of AggregateLayer is multiplied by the inverse of
# a gain: with 8 bits the gates of the included model were wrong by up to 6 dB on light rain.
FLOAT = ('AggregateLayer', 'ChannelAttention', 'GainControl', 'InstanceNorm', 'SceneEncoder', 'SceneScale')
CONVOLUTIONS = ('Conv', 'ConvTranspose')
OWN = ['SceneGated', 'Conv2d']  # as do those of its own, unlike those of the backbone inside
Pair = tuple[np.ndarray, np.ndarray | None]


def find_pairs(folder: str | Path) -> list[tuple[Path, Path | None]]:
    """Find calibration pictures, and their clean targets if available.

    Args:
        folder: folder of pictures, or with sub-folders ``lq`` and ``gt`` of pictures with equal names.

    Returns:
        Pairs (picture, target or None).

    Raises:
        DataError: no such folder, no picture in it, or a picture without target.
    """
    folder = Path(folder)
    if not (folder / 'lq').is_dir():
        return [(path, None) for path in _subsample(list_pictures(folder, recursive=True), CALIBRATE)]
    damaged = _subsample(list_pictures(folder / 'lq'), CALIBRATE)
    clean = {path.stem: path for path in list_pictures(folder / 'gt')} if (folder / 'gt').is_dir() else {}
    for path in damaged:
        if clean and path.stem not in clean:
            raise DataError(f'{path}: has no partner of its name in {folder / "gt"}')
    return [(path, clean.get(path.stem)) for path in damaged]


def _subsample(values: list, number: int) -> list:
    """Return at most ``number`` values, evenly spaced."""
    return [values[i * len(values) // number] for i in range(number)] if len(values) > number else values


def _centre_crops(pairs: list[tuple[Path, Path | None]]) -> Iterator[Pair]:
    """Yield centre crops of pictures, ``(H, W, 3)`` float32 in [0, 1], and of their targets.

    Raises:
        PictureError, DataError: a picture can't be read, or a target has another size.
    """
    for damaged, clean in pairs:
        each = [to_float(read_picture(path)) for path in (damaged, clean) if path is not None]
        if len(each) == 2 and each[0].shape != each[1].shape:
            raise DataError(f'{damaged} and {clean} differ in size')
        top, left = (max(side - SIDE, 0) // 2 for side in each[0].shape[:2])
        cut = [picture[top : top + SIDE, left : left + SIDE] for picture in each]
        yield cut[0], cut[1] if len(cut) == 2 else None


def _network_inputs(picture: np.ndarray, facts: dict) -> dict[str, np.ndarray]:
    """Convert ``(H, W, 3)`` to the network's inputs: a padded ``(1, 3, H', W')``, and the statistics that it reads."""
    x = to_tensor(picture)
    statistics = {name: scene_statistics(x).numpy() for name in facts['global_statistics']}
    return {'picture': pad_to_multiple(x, facts['stride'], facts['min_size']).numpy(), **statistics}


def quantise(data: bytes, facts: dict, folder: str | Path) -> tuple[bytes, dict]:
    """Quantise an exported file and measure the loss of quality and the speed-up.

    Args:
        data: an ONNX file of :func:`restorebox.inference.exporting.export_restorer`.
        facts: its metadata.
        folder: representative pictures, see :func:`find_pairs`.

    Returns:
        The quantised file, and a report: ``agreement_db``, PSNR between the outputs of both files; with targets,
        ``psnr_rgb`` of both, and their difference ``cost_db``; ``seconds`` per picture of both, and their ratio
        ``gain``.

    Raises:
        DataError, PictureError: see :func:`find_pairs`; or a picture can't be read.
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    pairs = find_pairs(folder)
    small = quantise_convolutions(data, [_network_inputs(picture, facts) for picture, _ in _centre_crops(pairs)])
    from onnxruntime import __version__ as version

    report = {'pictures': len(pairs), 'onnxruntime': version, 'threads': torch.get_num_threads()}
    return small, report | compare(data, small, facts, _subsample(pairs, MEASURE))


def quantise_convolutions(data: bytes, inputs: list[dict[str, np.ndarray]]) -> bytes:
    """Quantise the convolutions of an ONNX file; its metadata are kept.

    Args:
        data: the file.
        inputs: representative inputs by name, for the ranges of the activations.

    Raises:
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    try:
        import onnx
        import onnxruntime
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise missing_package('export --int8', 'export', error) from None

    class Reader(CalibrationDataReader):
        def get_next(self) -> dict | None:
            return next(remaining, None)

    model = onnx.load_from_string(data)
    skipped, remaining = float_nodes(model), iter(inputs)
    smooth_activations(model, {node.name for node in model.graph.node if node.op_type == 'Conv'} - set(skipped), inputs)
    with tempfile.TemporaryDirectory() as temporary_folder:
        new = Path(temporary_folder) / 'int8.onnx'
        logging.disable(logging.WARNING)  # onnxruntime logs advice to the root logger
        onnxruntime.set_default_logger_severity(3)  # errors: its own log warns of the optional input
        try:
            quantize_static(
                model,
                new,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(CONVOLUTIONS),
                nodes_to_exclude=skipped,
                per_channel=True,
                reduce_range=True,  # 7-bit weights: without VNNI, sums of products saturate at 16 bits
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
            onnxruntime.set_default_logger_severity(2)  # its default
        quantised = onnx.load(new)
    onnx.helper.set_model_props(quantised, {each.key: each.value for each in model.metadata_props})
    return quantised.SerializeToString()


def float_nodes(model: onnx.ModelProto) -> list[str]:
    """Return the names of the convolutions that stay in float32.

    These are those in ``FLOAT`` and ``OWN``; those in groups, of other dimensions, or with weights that the graph
    computes, which would get one scale per tensor; and of the others the first and the last in the graph, which read
    the image and write it.
    """
    stored = {each.name for each in model.graph.initializer if len(each.dims) == 4}
    found: list[str] = []
    others: list[str] = []
    for node in model.graph.node:
        path = next((p.value for p in node.metadata_props if p.key == 'pkg.torch.onnx.class_hierarchy'), '[]')
        *classes, _ = [name.rsplit('.', 1)[-1] for name in ast.literal_eval(path)] or ['']  # the last is the operator
        if any(name in FLOAT for name in classes) or classes[-2:] == OWN:
            found.append(node.name)
        elif node.op_type in CONVOLUTIONS:
            groups = next((each.i for each in node.attribute if each.name == 'group'), 1)
            (others if groups == 1 and node.input[1] in stored else found).append(node.name)
    return [*found, *others[:1], *others[1:][-1:]]


def compare(old: bytes, new: bytes, facts: dict, pairs: list[tuple[Path, Path | None]]) -> dict:
    """Measure scores and times of two files on the same pictures, see :func:`quantise`."""
    sessions = {'fp32': open_session(old, 'fp32'), 'int8': open_session(new, 'int8')}
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    scores: dict[str, list[float]] = {name: [] for name in sessions}
    agreement = []
    for damaged, clean in _centre_crops(pairs):
        inputs = _network_inputs(damaged, facts)
        seen = {}
        for name, session in sessions.items():
            y, spent = _timed(session, inputs)
            seconds[name].append(spent)
            seen[name] = y[0, :, : damaged.shape[0], : damaged.shape[1]].transpose(1, 2, 0)
            if clean is not None:
                scores[name].append(psnr_rgb(seen[name], clean))
        agreement.append(psnr_rgb(seen['int8'], seen['fp32']))
    times = {name: statistics.mean(each) for name, each in seconds.items()}
    report = {
        'measured': len(pairs),
        'agreement_db': float(np.mean(agreement)),
        'seconds': times,
        'gain': times['fp32'] / times['int8'],
    }
    if scores['fp32']:
        means = {name: float(np.mean(each)) for name, each in scores.items()}
        report |= {'psnr_rgb': means, 'cost_db': means['fp32'] - means['int8']}
    return report


def _timed(session: onnxruntime.InferenceSession, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Run a session three times; returns its output and the shortest time, which is least disturbed by other load."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        (y,) = session.run(['restored'], inputs)
        spent.append(time.perf_counter() - began)
    return y, min(spent)

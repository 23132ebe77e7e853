"""Eight-bit ONNX files: static quantisation after training, calibrated on pictures, with what it costs and gains.

Convolutions work on whole numbers, activations with one scale a tensor and weights with one a channel. What pools
squares or means (gain control, attention, instance norm) stays in float32: its values spread over too many magnitudes.
"""

from __future__ import annotations

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
from restorebox.layers import pad_to_multiple
from restorebox.metrics.protocols import psnr_rgb
from restorebox.pixels import to_float, to_tensor

if TYPE_CHECKING:
    import onnx
    import onnxruntime

CALIBRATE = 64  # pictures at most, evenly over the folder's
MEASURE = 16  # of them, for cost and time
SIDE = 256  # pixels of a picture's middle that are looked at
FLOAT = ('GainControl', 'ChannelAttention', 'InstanceNorm')  # modules that stay in float32
Pair = tuple[np.ndarray, np.ndarray | None]


def find_pairs(folder: str | Path) -> list[tuple[Path, Path | None]]:
    """Pictures to calibrate with, and their clean partners where the folder has both.

    Args:
        folder: with pictures, or with ``lq`` and ``gt`` below it and partners of one name.

    Returns:
        (picture, partner or None).

    Raises:
        DataError: no such folder, no picture in it, or one without its partner.
    """
    folder = Path(folder)
    if not (folder / 'lq').is_dir():
        return [(path, None) for path in _some(list_pictures(folder, recursive=True), CALIBRATE)]
    damaged = _some(list_pictures(folder / 'lq'), CALIBRATE)
    clean = {path.stem: path for path in list_pictures(folder / 'gt')} if (folder / 'gt').is_dir() else {}
    for path in damaged:
        if clean and path.stem not in clean:
            raise DataError(f'{path}: has no partner of its name in {folder / "gt"}')
    return [(path, clean.get(path.stem)) for path in damaged]


def _some(values: list, number: int) -> list:
    """So many at most, evenly spread."""
    return [values[i * len(values) // number] for i in range(number)] if len(values) > number else values


def _middles(pairs: list[tuple[Path, Path | None]]) -> Iterator[Pair]:
    """The middles of pictures, ``(H, W, 3)`` float32 in [0, 1], and of their partners.

    Raises:
        PictureError, DataError: one that can't be read, or a partner of another size.
    """
    for damaged, clean in pairs:
        each = [to_float(read_picture(path)) for path in (damaged, clean) if path is not None]
        if len(each) == 2 and each[0].shape != each[1].shape:
            raise DataError(f'{damaged} and {clean} differ in size')
        top, left = (max(side - SIDE, 0) // 2 for side in each[0].shape[:2])
        cut = [picture[top : top + SIDE, left : left + SIDE] for picture in each]
        yield cut[0], cut[1] if len(cut) == 2 else None


def _fed(picture: np.ndarray, facts: dict) -> np.ndarray:
    """``(H, W, 3)`` -> what the file takes."""
    return pad_to_multiple(to_tensor(picture), facts['stride'], facts['min_size']).numpy()


def quantise(data: bytes, facts: dict, folder: str | Path) -> tuple[bytes, dict]:
    """Quantise an exported file and measure what that does.

    Args:
        data: an ONNX file of :func:`restorebox.inference.exporting.export_restorer`.
        facts: those inside it.
        folder: pictures of the kind that the model will get, see :func:`find_pairs`.

    Returns:
        The new file, and a report: ``agreement_db``, PSNR of the new file's pictures to those of the old one;
        ``psnr_rgb`` of both to the clean partners, and ``cost_db``, their difference, where there are partners;
        ``seconds`` of both for one picture, and ``gain``, their ratio.

    Raises:
        DataError, PictureError: see :func:`find_pairs`; or a picture that can't be read.
        MissingPackageError: onnx or onnxruntime is not installed.
    """
    try:
        import onnx
        from onnxruntime import __version__ as version
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    except ImportError as error:
        raise missing_package('export --int8', 'export', error) from None
    pairs = find_pairs(folder)

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.left = _middles(pairs)

        def get_next(self) -> dict | None:
            picture = next(self.left, None)
            return None if picture is None else {'picture': _fed(picture[0], facts)}

    model = onnx.load_from_string(data)
    with tempfile.TemporaryDirectory() as home:
        new = Path(home) / 'int8.onnx'
        logging.disable(logging.WARNING)  # the root logger is told what one might have done before
        try:
            quantize_static(
                model,
                new,
                Reader(),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=['Conv', 'ConvTranspose'],
                nodes_to_exclude=float_nodes(model),
                per_channel=True,
                reduce_range=True,  # 7 bits of weight: processors without VNNI add up products in 16 bits, and saturate
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            logging.disable(logging.NOTSET)
        made = onnx.load(new)
    onnx.helper.set_model_props(made, {each.key: each.value for each in model.metadata_props})
    small = made.SerializeToString()
    report = {'pictures': len(pairs), 'onnxruntime': version, 'threads': torch.get_num_threads()}
    return small, report | compare(data, small, facts, _some(pairs, MEASURE))


def float_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions that stay in float32, by the modules that they came from."""
    found = []
    for node in model.graph.node:
        classes = next((p.value for p in node.metadata_props if p.key == 'pkg.torch.onnx.class_hierarchy'), '')
        if any(f".{kind}'" in classes for kind in FLOAT):
            found.append(node.name)
    return found


def compare(old: bytes, new: bytes, facts: dict, pairs: list[tuple[Path, Path | None]]) -> dict:
    """Scores and times of two files on the same pictures, see :func:`quantise`."""
    sessions = {'fp32': open_session(old, 'fp32'), 'int8': open_session(new, 'int8')}
    seconds: dict[str, list[float]] = {name: [] for name in sessions}
    scores: dict[str, list[float]] = {name: [] for name in sessions}
    agreement = []
    for damaged, clean in _middles(pairs):
        x = _fed(damaged, facts)
        seen = {}
        for name, session in sessions.items():
            y, spent = _timed(session, x)
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


def _timed(session: onnxruntime.InferenceSession, x: np.ndarray) -> tuple[np.ndarray, float]:
    """What a session gives, and the shortest of three times: what else a machine does only adds."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        (y,) = session.run(None, {'picture': x})
        spent.append(time.perf_counter() - began)
    return y, min(spent)

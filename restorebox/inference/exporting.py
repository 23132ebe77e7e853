"""A restorer as one file for other runtimes: ONNX, TorchScript or PyTorch's own pt2.

The file takes ``(1, 3, H, W)`` RGB in [0, 1], H and W multiples of the stride and at least the smallest size, and gives
the same shape in [0, 1]. Value ranges are mapped inside. Padding is not: who runs the file pads by
:func:`restorebox.layers.pad_to_multiple` and crops, as :meth:`BaseRestorer.restore` does, so that the file has nothing
in it that depends on a size. What a runner must know stands in the file as JSON under ``restorebox``.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from restorebox.errors import ExportError, missing_package
from restorebox.inference.tiles import Tiler
from restorebox.layers.finite import nan_where_infinite
from restorebox.restorers.base import BaseRestorer
from restorebox.version import __version__

KINDS = {'onnx': '.onnx', 'torchscript': '.ts', 'pt2': '.pt2'}
FORMAT = 'restorebox exported 1'
FACTS = 'restorebox'  # the key of the facts in an ONNX file
EXTRA = 'restorebox.json'  # and in the archives of PyTorch
TOLERANCE = 1e-3
Run = Callable[[Tensor], Tensor]


def check_exportable(restorer: BaseRestorer) -> None:
    """Refuse what a file of one network can't do.

    Raises:
        ExportError: it restores by more than one pass of one network.
    """
    kind = type(restorer)
    if restorer.needs.tiling == 'noise':
        raise ExportError(f"{kind.__name__} can't be exported: it restores by a sampler of many passes, not by one")
    if restorer.needs.global_statistics:
        raise ExportError(
            f"{kind.__name__} can't be exported: its network reads statistics of the whole picture, which are taken "
            'outside of it'
        )
    if kind.infer is not BaseRestorer.infer or kind.estimate_shared is not BaseRestorer.estimate_shared:
        raise ExportError(
            f"{kind.__name__} can't be exported: what its whole picture must agree on (the airlight) is estimated "
            'before, outside of its network'
        )


class DeployedNetwork(nn.Module):
    """What is exported: ``(1, 3, H, W)`` in [0, 1] -> restored, the same.

    Args:
        restorer: in evaluation mode, on the CPU; its layers take their statistics as its ``restore`` does.

    Raises:
        ExportError: see :func:`check_exportable`.
    """

    def __init__(self, restorer: BaseRestorer) -> None:
        super().__init__()
        check_exportable(restorer)
        self.network = restorer.role('generator')
        self.low, self.high = restorer.needs.value_range

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        span = self.high - self.low
        plain = (self.low, self.high) == (0.0, 1.0)
        restored = self.network(picture if plain else picture * span + self.low)['picture']
        return nan_where_infinite(restored if plain else (restored - self.low) / span).clamp(0, 1)


def file_facts(restorer: BaseRestorer, model: str) -> dict:
    """What a runner must know to feed an exported file, as plain values.

    Args:
        restorer: as for :class:`DeployedNetwork`.
        model: its name, for people.

    Returns:
        ``stride``; ``min_size``, two strides at least, since exporters take a map of one pixel for a special case;
        ``value_range`` of input and output; ``receptive_field``, or the window over which statistics are taken where
        that is larger, None for everything; ``pixel_bytes``, the memory that a pass takes per pixel.

    Raises:
        ExportError: see :func:`check_exportable`.
    """
    check_exportable(restorer)
    tiler, needs = Tiler(restorer), restorer.needs
    everything = needs.receptive_field is None and not tiler.reach
    return {
        'format': FORMAT,
        'model': model,
        'stride': needs.stride,
        'min_size': max(needs.min_size, 2 * needs.stride),
        'value_range': [0.0, 1.0],
        'receptive_field': None if everything else 2 * tiler.reach + 1,
        'statistics_window': restorer.statistics_window,
        'pixel_bytes': tiler.pixel_bytes,
        'restorebox_version': __version__,
    }


def export_restorer(restorer: BaseRestorer, kind: str, facts: dict) -> tuple[bytes, float]:
    """Export and compare with PyTorch on three sizes.

    Args:
        restorer: see :class:`DeployedNetwork`.
        kind: a key of :data:`KINDS`.
        facts: what goes into the file, with those of :func:`file_facts`.

    Returns:
        The file, and the largest difference that was seen.

    Raises:
        ExportError: the restorer or one of its operations can't be exported, or the file gives something else.
        MissingPackageError: ONNX without its packages.
    """
    network = DeployedNetwork(restorer).eval()
    sizes = check_sizes(facts['stride'], facts['min_size'], facts['statistics_window'])
    with torch.no_grad(), _quiet():
        data = _ENCODERS[kind](network, facts, sizes[0])
        return data, check_file(data, kind, network, sizes)


def check_file(data: bytes, kind: str, network: Run, sizes: list[tuple[int, int]]) -> float:
    """Compare a file with the network that it was made from, on noise.

    Args:
        data: the file.
        kind: a key of :data:`KINDS`.
        network: what it must give.
        sizes: heights and widths.

    Returns:
        The largest difference.

    Raises:
        ExportError: it is larger than :data:`TOLERANCE` at one of the sizes.
    """
    run = runner(data, kind)
    worst = 0.0
    for height, width in sizes:
        x = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(height))
        with torch.no_grad():
            seen = (run(x) - network(x)).abs().max().item()
        if not seen <= TOLERANCE:  # NaN is a failure as well
            raise ExportError(
                f'the exported {kind} file differs from PyTorch by {seen:.3g} at {height}x{width}; at most '
                f'{TOLERANCE:g} is right; nothing was written'
            )
        worst = max(worst, seen)
    return worst


def check_sizes(stride: int, least: int, window: int | None) -> list[tuple[int, int]]:
    """Three sizes, multiples of the stride: one that is no square, a small one, one past the window of statistics."""
    small = -(-max(least, 48) // stride) * stride
    past = -(-max(window or 0, 2 * small) // stride) * stride
    return [(small + stride, small + 2 * stride), (small, small), (past + stride, small)]


def runner(data: bytes, kind: str) -> Run:
    """A function that runs an exported file: ``(1, 3, H, W)`` -> the same shape."""
    if kind == 'torchscript':
        return torch.jit.load(io.BytesIO(data))
    if kind == 'pt2':
        return torch.export.load(io.BytesIO(data)).module()
    from restorebox.inference.exported import open_session

    session = open_session(data, 'the exported file')
    return lambda x: torch.from_numpy(session.run(None, {'picture': x.numpy()})[0])


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters talk about themselves: deprecations, tensors that they copy, operators that they leave out."""
    noisy = [logging.getLogger(name) for name in ('torch.onnx', 'onnxscript', 'onnx_ir', 'torch.export')]
    levels = [each.level for each in noisy]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for each in noisy:
            each.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for each, level in zip(noisy, levels, strict=True):
                each.setLevel(level)


def _program(network: nn.Module, facts: dict, size: tuple[int, int], kind: str) -> torch.export.ExportedProgram:
    """The network's graph for any height and width."""
    stride = facts['stride']
    least = -(-facts['min_size'] // stride)
    free = {2 + i: torch.export.Dim(name, min=least) for i, name in enumerate(('height', 'width'))}
    shapes = ({axis: dim if stride == 1 else stride * dim for axis, dim in free.items()},)
    try:
        return torch.export.export(network, (torch.rand(1, 3, *size),), dynamic_shapes=shapes)
    except Exception as error:  # what a network may do that a graph can't hold is open-ended
        raise _cannot(kind, error) from error


def _encode_pt2(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_program(network, facts, size, 'pt2'), buffer, extra_files={EXTRA: json.dumps(facts)})
    return buffer.getvalue()


def _encode_torchscript(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    try:
        traced = torch.jit.trace(network, torch.rand(1, 3, *size), check_trace=False)  # we check it ourselves
        torch.jit.save(traced, buffer, _extra_files={EXTRA: json.dumps(facts)})
    except Exception as error:  # see _program
        raise _cannot('torchscript', error) from error
    return buffer.getvalue()


def _encode_onnx(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401 (the check reads it, which should be known before the work)
        import onnxscript  # noqa: F401 (torch's exporter asks for it)
    except ImportError as error:
        raise missing_package('export --to onnx', 'export', error) from None
    program = _program(network, facts, size, 'onnx')
    try:
        made = torch.onnx.export(
            program, dynamo=True, input_names=['picture'], output_names=['restored'], external_data=False, verbose=False
        )
    except Exception as error:  # operators that ONNX lacks, and whatever else
        raise _cannot('onnx', error) from error
    proto = made.model_proto
    onnx.helper.set_model_props(proto, {FACTS: json.dumps(facts)})
    return proto.SerializeToString()


def _cannot(kind: str, error: Exception) -> ExportError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ExportError(f"the network can't be exported to {kind}: {lines[0][:200]}")


_ENCODERS = {'onnx': _encode_onnx, 'torchscript': _encode_torchscript, 'pt2': _encode_pt2}

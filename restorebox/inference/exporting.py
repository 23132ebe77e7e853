"""Export of restorers to ONNX, TorchScript or PyTorch's pt2 format.

Input and output are ``(N, 3, H, W)`` RGB in [0, 1]; H and W are multiples of the stride and at least the minimum size.
A network that reads global statistics has a second input ``scene``, ``(N, 7, 32, 32)``: those of the whole picture,
see :func:`restorebox.layers.global_statistics.scene_statistics`. An ONNX file of a network that reads means of features
has an optional third input, these means over the whole picture, and a second output, the features; files of other kinds
average over their input. The value range is mapped inside the graph. Padding and cropping are not part of it, so that
the graph is independent of the size: callers pad with :func:`restorebox.layers.pad_to_multiple` and crop, as
:meth:`BaseRestorer.restore` does. Stride, sizes and other metadata are stored in the file as JSON under ``restorebox``.
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
from restorebox.inference.exported import MOST_STRIDE
from restorebox.inference.feature_means import reads_feature_means
from restorebox.inference.tiles import Tiler
from restorebox.layers.finite import nan_where_infinite
from restorebox.layers.global_statistics import GRID, STATISTICS, scene_statistics
from restorebox.restorers.base import BaseRestorer
from restorebox.version import __version__

KINDS = {'onnx': '.onnx', 'torchscript': '.ts', 'pt2': '.pt2'}
FORMAT = 'restorebox exported 1'
FACTS = 'restorebox'  # metadata key in an ONNX file
EXTRA = 'restorebox.json'  # metadata file in PyTorch's archives
TOLERANCE = 1e-3
SCENE = 'scene'  # name of the input with global statistics
Run = Callable[..., Tensor | tuple[Tensor, ...]]


def check_exportable(restorer: BaseRestorer) -> None:
    """Check that restoration is a single pass of a single network.

    Raises:
        ExportError: it is not.
    """
    kind = type(restorer)
    if restorer.needs.tiling == 'noise':
        raise ExportError(f"{kind.__name__} can't be exported: it restores by a sampler of many passes, not by one")
    if restorer.needs.global_statistics and not _reads_scene(restorer):
        raise ExportError(
            f"{kind.__name__} can't be exported: its network reads other statistics of the whole picture than those of "
            'restorebox.layers.global_statistics, and a file cannot contain how they are computed'
        )
    if kind.infer is not BaseRestorer.infer or kind.estimate_shared is not BaseRestorer.estimate_shared:
        raise ExportError(
            f"{kind.__name__} can't be exported: what its whole picture must agree on (the airlight) is estimated "
            'before, outside of its network'
        )


def _reads_scene(restorer: BaseRestorer) -> bool:
    """Return whether the network's global statistics are :func:`scene_statistics`, under the name ``SCENE``."""
    probe = torch.rand(1, 3, 48, 40, generator=torch.Generator().manual_seed(0))
    found = restorer.role('generator').backbone.global_statistics(probe)
    return [*found] == [SCENE] and torch.equal(found[SCENE], scene_statistics(probe))


class DeployedNetwork(nn.Module):
    """Module to export: maps ``(N, 3, H, W)`` in [0, 1] to the restored pictures of the same shape and range.

    Attributes:
        reads_scene: whether it has the input ``scene``.
        feature_means: the taps whose means over the whole picture it can read.

    Args:
        restorer: in evaluation mode, on the CPU.

    Raises:
        ExportError: see :func:`check_exportable`.
    """

    def __init__(self, restorer: BaseRestorer) -> None:
        super().__init__()
        check_exportable(restorer)
        self.network = restorer.role('generator')
        self.low, self.high = restorer.needs.value_range
        self.reads_scene = restorer.needs.global_statistics
        self.feature_means = restorer.needs.feature_means if reads_feature_means(restorer) else ()

    def forward(self, picture: Tensor, *statistics: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Restore a picture, see the class.

        Args:
            picture: ``(N, 3, H, W)``.
            statistics: ``scene`` of the whole picture if the network reads it, ``(N, 7, 32, 32)``; then none, or of
                each tap in ``feature_means`` the mean over the whole picture, ``(1, C, 1, 1)``; NaN: over ``picture``.

        Returns:
            The restored pictures; with means also the features of each tap, ``(N, C, h, w)``.
        """
        names = (*([SCENE] if self.reads_scene else []), *self.feature_means)
        given = dict(zip(names, statistics, strict=False))
        taps = tuple(tap for tap in self.feature_means if tap in given)
        span = self.high - self.low
        plain = (self.low, self.high) == (0.0, 1.0)
        out = self.network(picture if plain else picture * span + self.low, taps=taps, **given)
        restored = out['picture'] if plain else (out['picture'] - self.low) / span
        restored = nan_where_infinite(restored).clamp(0, 1)
        return (restored, *(out[tap] for tap in taps)) if taps else restored


def file_facts(restorer: BaseRestorer, model: str) -> dict:
    """Return the metadata of an exported file as plain values.

    Args:
        restorer: as for :class:`DeployedNetwork`.
        model: name of the model, for information.

    Returns:
        ``stride``; ``min_size``, at least two strides, since exporters specialise on feature maps of one pixel;
        ``value_range`` of input and output; ``receptive_field``, or the window of statistics if that is larger, None
        for the whole picture; ``pixel_bytes``, the memory of a forward pass per pixel; ``global_statistics``, the names
        of the inputs besides ``picture``; ``feature_means``, tap -> channels of the optional inputs of an ONNX file.

    Raises:
        ExportError: see :func:`check_exportable`; or the stride is too large.
    """
    check_exportable(restorer)
    tiler, needs = Tiler(restorer), restorer.needs
    if needs.stride > MOST_STRIDE or needs.min_size > 2 * MOST_STRIDE:
        raise ExportError(
            f'model {model}: its stride is {needs.stride} and its min_size {needs.min_size}; exported files may have '
            f'{MOST_STRIDE} and {2 * MOST_STRIDE}'
        )
    unbounded = needs.receptive_field is None and not restorer.statistics_window
    channels = restorer.role('generator').backbone.tap_channels
    return {
        'format': FORMAT,
        'model': model,
        'stride': needs.stride,
        'min_size': max(needs.min_size, 2 * needs.stride),
        'value_range': [0.0, 1.0],
        'receptive_field': None if unbounded else 2 * tiler.radius + 1,
        'statistics_window': restorer.statistics_window,
        'pixel_bytes': tiler.pixel_bytes,
        'global_statistics': [SCENE] if needs.global_statistics else [],
        'feature_means': {tap: channels[tap] for tap in needs.feature_means} if reads_feature_means(restorer) else {},
        'restorebox_version': __version__,
    }


def export_restorer(restorer: BaseRestorer, kind: str, facts: dict) -> tuple[bytes, float]:
    """Export a restorer and compare the result with PyTorch on three sizes.

    Args:
        restorer: see :class:`DeployedNetwork`.
        kind: a key of :data:`KINDS`.
        facts: metadata of the file, see :func:`file_facts`.

    Returns:
        Content of the file, and the largest absolute difference from PyTorch.

    Raises:
        ExportError: the restorer or one of its operations can't be exported, or the output differs.
        MissingPackageError: packages for ONNX are not installed.
    """
    network = DeployedNetwork(restorer).eval()
    sizes = check_sizes(facts['stride'], facts['min_size'], facts['statistics_window'])
    with torch.no_grad(), _quiet():
        data = _ENCODERS[kind](network, facts, sizes[0])
        return data, check_file(data, kind, network, sizes, facts)


def check_file(data: bytes, kind: str, network: Run, sizes: list[tuple[int, int]], facts: dict) -> float:
    """Compare an exported file with its network on noise: two pictures of the first size, one of each other size.

    Global statistics are those of another picture, and means of features are random, so that a file which ignores them
    is refused. A file that reads such means is run without them, too.

    Args:
        data: content of the file.
        kind: a key of :data:`KINDS`.
        network: the original network.
        sizes: (height, width) of the inputs.
        facts: metadata of the file, see :func:`file_facts`.

    Returns:
        Largest absolute difference.

    Raises:
        ExportError: it is larger than :data:`TOLERANCE` at one of the sizes, or the file does not run there.
    """
    run = runner(data, kind)
    worst = 0.0
    for height, width in sizes:
        count = 2 if (height, width) == sizes[0] else 1
        x = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(height))
        inputs = (x, *(scene_statistics(x.square()) for _ in facts['global_statistics']))
        means = _example_means(facts, kind)
        for given in [inputs, (*inputs, *means)] if means else [inputs]:
            with torch.no_grad():
                expected = _as_tuple(network(*given))
                try:
                    made = _as_tuple(run(*given))
                except Exception as error:  # a size that the network reads in Python has been fixed
                    raise _cannot(kind, error) from error
            seen = max((a - b).abs().max().item() for a, b in zip(expected, made, strict=False))
            if not seen <= TOLERANCE:  # NaN is a failure as well
                raise ExportError(
                    f'the exported {kind} file differs from PyTorch by {seen:.3g} at {height}x{width}; at most '
                    f'{TOLERANCE:g} is right; nothing was written'
                )
            worst = max(worst, seen)
    return worst


def _as_tuple(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _example_means(facts: dict, kind: str) -> tuple[Tensor, ...]:
    """Return means of features with which a network is traced and checked: for ONNX, where they are optional."""
    channels = facts['feature_means'].values() if kind == 'onnx' else ()
    rng = torch.Generator().manual_seed(0)
    return tuple(torch.rand(1, number, 1, 1, generator=rng) for number in channels)


def check_sizes(stride: int, least: int, window: int | None) -> list[tuple[int, int]]:
    """Return three (height, width), multiples of the stride: not square, small, larger than the statistics window."""
    small = -(-max(least, 48) // stride) * stride
    past = -(-max(window or 0, 2 * small) // stride) * stride
    return [(small + stride, small + 2 * stride), (small, small), (past + stride, small)]


def runner(data: bytes, kind: str) -> Run:
    """Return a function that runs an exported file, with the inputs and outputs of :class:`DeployedNetwork`."""
    if kind == 'torchscript':
        return torch.jit.load(io.BytesIO(data))
    if kind == 'pt2':
        return torch.export.load(io.BytesIO(data)).module()
    from restorebox.inference.exported import open_session

    session = open_session(data, 'the exported file')
    names = [each.name for each in (*session.get_inputs(), *session.get_overridable_initializers())]
    return lambda *inputs: tuple(
        torch.from_numpy(y)
        for y in session.run(None, {name: x.numpy() for name, x in zip(names, inputs, strict=False)})
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporters' warnings about deprecations and internals."""
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


def _example(facts: dict, count: int, size: tuple[int, int], kind: str) -> tuple[Tensor, ...]:
    """Return inputs with which a network is traced."""
    return (
        torch.rand(count, 3, *size),
        *(torch.rand(count, STATISTICS, GRID, GRID) for _ in facts['global_statistics']),
        *_example_means(facts, kind),
    )


def _program(network: nn.Module, facts: dict, size: tuple[int, int], kind: str) -> torch.export.ExportedProgram:
    """Return the exported program with dynamic batch size, height and width."""
    stride = facts['stride']
    least = -(-facts['min_size'] // stride)
    free = {2 + i: torch.export.Dim(name, min=least) for i, name in enumerate(('height', 'width'))}
    sides = {axis: dim if stride == 1 else stride * dim for axis, dim in free.items()}
    batch = torch.export.Dim('batch')
    statistics = (*({0: batch} for _ in facts['global_statistics']), *({} for _ in _example_means(facts, kind)))
    shapes = ({0: batch} | sides, *([statistics] if statistics else []))
    try:
        return torch.export.export(network, _example(facts, 2, size, kind), dynamic_shapes=shapes)
    except Exception as error:  # exporters raise exceptions of many types
        raise _cannot(kind, error) from error


def _encode_pt2(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(_program(network, facts, size, 'pt2'), buffer, extra_files={EXTRA: json.dumps(facts)})
    return buffer.getvalue()


def _encode_torchscript(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    try:
        traced = torch.jit.trace(network, _example(facts, 1, size, 'torchscript'), check_trace=False)  # see check_file
        torch.jit.save(traced, buffer, _extra_files={EXTRA: json.dumps(facts)})
    except Exception as error:  # see _program
        raise _cannot('torchscript', error) from error
    return buffer.getvalue()


def _encode_onnx(network: nn.Module, facts: dict, size: tuple[int, int]) -> bytes:
    try:
        import onnx
        import onnxruntime  # noqa: F401 (needed by check_file; reported before the export)
        import onnxscript  # noqa: F401 (needed by torch's exporter)
    except ImportError as error:
        raise missing_package('export --to onnx', 'export', error) from None
    program = _program(network, facts, size, 'onnx')
    try:
        exported = torch.onnx.export(
            program,
            dynamo=True,
            input_names=['picture', *facts['global_statistics'], *facts['feature_means']],
            output_names=['restored', *(f'features_{tap}' for tap in facts['feature_means'])],
            external_data=False,
            verbose=False,
        )
    except Exception as error:  # such as operators that ONNX does not have
        raise _cannot('onnx', error) from error
    assert exported is not None  # as always with dynamo=True
    proto = exported.model_proto
    for tap, number in facts['feature_means'].items():  # an input with an initializer may be left out
        unknown = onnx.numpy_helper.from_array(torch.full((1, number, 1, 1), torch.nan).numpy(), tap)
        proto.graph.initializer.append(unknown)
    onnx.helper.set_model_props(proto, {FACTS: json.dumps(facts)})
    return proto.SerializeToString()


def _cannot(kind: str, error: Exception) -> ExportError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return ExportError(f"the network can't be exported to {kind}: {lines[0][:200]}")


_ENCODERS = {'onnx': _encode_onnx, 'torchscript': _encode_torchscript, 'pt2': _encode_pt2}

"""Execution providers of onnxruntime: their names as devices, and which of them run the nodes of a graph."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from restorebox.errors import ConfigError, ExportError

if TYPE_CHECKING:
    import onnxruntime

# device -> provider, and the package of onnxruntime that contains it
PROVIDERS = {
    'cpu': ('CPUExecutionProvider', 'onnxruntime'),
    'cuda': ('CUDAExecutionProvider', 'onnxruntime-gpu'),
    'openvino': ('OpenVINOExecutionProvider', 'onnxruntime-openvino'),
    'coreml': ('CoreMLExecutionProvider', 'onnxruntime, on macOS'),
    'directml': ('DmlExecutionProvider', 'onnxruntime-directml, on Windows'),
}
RECORD = 'session.record_ep_graph_assignment_info'  # session option of onnxruntime 1.24; older ones ignore it


def check_provider(device: str, name: str) -> None:
    """Check that a device is the name of a provider.

    Raises:
        ConfigError: it is not.
    """
    if device not in PROVIDERS:
        raise ConfigError(f'model {name}: an ONNX file runs on the device {", ".join(PROVIDERS)}, not {device}')


def provider_options(device: str, threads: int) -> list[Any]:
    """Return the argument ``providers`` of a session; nodes that the first does not support go to the CPU's.

    Args:
        device: a key of :data:`PROVIDERS`.
        threads: number of threads on a CPU.

    Raises:
        ExportError: the installed onnxruntime has no such provider.
    """
    import onnxruntime

    wanted, package = PROVIDERS[device]
    there = onnxruntime.get_available_providers()
    if wanted not in there:
        raise ExportError(
            f'device {device}: the installed onnxruntime has no {wanted}, only {", ".join(there)}; the package with '
            f'it is {package}'
        )
    options: dict[str, str] = {}
    if device == 'openvino':  # its default is bfloat16 on some processors, which differs by several levels of 255
        precision = {'CPU': {'INFERENCE_PRECISION_HINT': 'f32'}}
        options = {'device_type': 'CPU', 'num_of_threads': str(threads), 'load_config': json.dumps(precision)}
    cpu = PROVIDERS['cpu'][0]
    return [cpu] if wanted == cpu else [(wanted, options), cpu]


def used_providers(session: onnxruntime.InferenceSession, device: str, name: str) -> str:
    """Return which providers run the graph, with their numbers of nodes: ``'CPUExecutionProvider (301 nodes)'``.

    onnxruntime falls back to the CPU without an error, for example if libraries of CUDA are missing. A provider that
    compiles parts of the graph counts the nodes that it has compiled.

    Args:
        session: opened with the options of :func:`provider_options` and :data:`RECORD`.
        device: a key of :data:`PROVIDERS`.
        name: name of the model in messages.

    Raises:
        ExportError: the device's provider runs nothing.
    """
    wanted = PROVIDERS[device][0]
    assigned = getattr(session, 'get_provider_graph_assignment_info', None)
    if assigned is None:  # onnxruntime before 1.24
        found, text = session.get_providers(), session.get_providers()[0]
    else:
        numbers: Counter[str] = Counter()
        for part in assigned():
            numbers[part.ep_name] += len(part.get_nodes())
        found, text = list(numbers), ', '.join(f'{each} ({count} nodes)' for each, count in numbers.most_common())
    if wanted not in found:
        raise ExportError(
            f'model {name}: onnxruntime runs it with {text}, not with {wanted}; --device cpu does so on purpose'
        )
    return text

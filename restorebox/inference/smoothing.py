"""Per-channel scaling of the inputs of convolutions before 8-bit quantisation (SmoothQuant, Xiao et al., ICML 2023).

::

    conv(x, w) = conv(x / s, s w),    s_c = sqrt(max |x_c| / max |w_c|)    (eq. 4, alpha = 0.5)

Activations have one scale per tensor, so that channels of small values keep few of the 256 levels. After the division
all channels of x use more of them, and weights have a scale per output channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from restorebox.inference.exported import open_session

if TYPE_CHECKING:
    import onnx

# The division is one more pass over x in float32. It is worth its time only if so many multiplications of the
# convolution follow per element of x. The refinement network of heavy rain, of width 16, takes 1.2 times as long in 8
# bits as in float32 with divisions everywhere, 1.1 times with this bound, 0.9 times without any.
WORTH = 250


def can_be_smoothed(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Return whether a convolution is of two dimensions without groups, with stored weights that no other node uses."""
    from onnx import helper

    groups = next((helper.get_attribute_value(each) for each in node.attribute if each.name == 'group'), 1)
    stored = any(each.name == node.input[1] and len(each.dims) == 4 for each in model.graph.initializer)
    uses = sum(list(each.input).count(node.input[1]) for each in model.graph.node)
    return groups == 1 and stored and uses == 1


def smooth_activations(model: onnx.ModelProto, names: set[str], inputs: list[dict[str, np.ndarray]]) -> None:
    """Divide the inputs of convolutions by a scale per channel, and multiply their weights by it, in place.

    Convolutions with fewer than ``WORTH`` multiplications per element of the input are left as they are.

    Args:
        model: a model in float32.
        names: of convolutions, see :func:`can_be_smoothed`.
        inputs: representative inputs by name, for the ranges of the activations.
    """
    from onnx import helper, numpy_helper

    weights = {each.name: each for each in model.graph.initializer}
    chosen = {
        node.name: node.input[0]
        for node in model.graph.node
        if node.name in names and _multiplications(node, list(weights[node.input[1]].dims)) >= WORTH
    }
    if not chosen:
        return
    ranges = _channel_ranges(model, list(chosen.values()), inputs)
    nodes = []
    for node in model.graph.node:
        if node.name in chosen:
            stored = weights[node.input[1]]
            axis = 1 if node.op_type == 'Conv' else 0  # of the input channels
            weight = np.moveaxis(numpy_helper.to_array(stored), axis, -1)
            x, w = ranges[node.input[0]], np.abs(weight).max((0, 1, 2))
            scale = np.sqrt(np.divide(x, w, out=np.ones_like(x), where=(x > 0) & (w > 0)))
            factor, smoothed = f'{node.name}_factor', f'{node.name}_smoothed'
            stored.CopyFrom(numpy_helper.from_array(np.moveaxis(weight * scale, -1, axis), stored.name))
            model.graph.initializer.append(numpy_helper.from_array((1 / scale).reshape(1, -1, 1, 1), factor))
            nodes.append(helper.make_node('Mul', [node.input[0], factor], [smoothed], name=f'{node.name}_smoothing'))
            node.input[0] = smoothed
        nodes.append(type(node).FromString(node.SerializeToString()))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _multiplications(node: onnx.NodeProto, shape: list[int]) -> float:
    """Return the multiplications of a convolution without groups per element of its input.

    Args:
        node: the convolution.
        shape: of its weights.
    """
    from onnx import helper

    if node.op_type == 'ConvTranspose':
        return float(np.prod(shape[1:]))
    strides = next((helper.get_attribute_value(each) for each in node.attribute if each.name == 'strides'), [1])
    return shape[0] * float(np.prod(shape[2:])) / float(np.prod(strides))


def _channel_ranges(
    model: onnx.ModelProto, names: list[str], inputs: list[dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the largest absolute value per channel, ``(C,)``, of tensors of the graph over all inputs."""
    from onnx import helper

    names = list(dict.fromkeys(names))
    probe = type(model).FromString(model.SerializeToString())
    present = {each.name for each in probe.graph.output}
    probe.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names if name not in present)
    session = open_session(probe.SerializeToString(), 'the file to be quantised')
    ranges: dict[str, np.ndarray] = {}
    for each in inputs:
        for name, y in zip(names, session.run(names, each), strict=True):
            highest = np.abs(y).max((0, 2, 3))
            ranges[name] = np.maximum(ranges.get(name, highest), highest)
    return ranges

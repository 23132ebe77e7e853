"""Per-channel scaling of the inputs of convolutions before 8-bit quantisation (SmoothQuant, Xiao et al., ICML 2023).

::

    conv(x, w) = conv(x / s, s w),    s_c = sqrt(max |x_c| / max |w_c|)    (eq. 4, alpha = 0.5)

Activations have one scale per tensor, so that channels of small values keep few of the 256 levels. After the division
the largest values of the channels differ less. Weights have a scale per output channel.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from restorebox.inference.exported import open_session

if TYPE_CHECKING:
    import onnx

# Least number of multiplications of a convolution per element of its input: the division is one more pass over x in
# float32. Of the refinement network of heavy rain, of width 16, a pass in 8 bits took 1.2 times as long as in float32
# with divisions everywhere, 1.1 times with this bound, and 0.9 times without any.
WORTH = 250
LEAST = 0.02  # of the largest value of all channels; one without values or weights must not set a range


def smooth_activations(model: onnx.ModelProto, names: set[str], inputs: list[dict[str, np.ndarray]]) -> None:
    """Scale the inputs and weights of convolutions per channel, in place. The function of the model does not change.

    Convolutions whose weights another node reads, too, and those below ``WORTH`` are left as they are.

    Args:
        model: a model in float32.
        names: of convolutions (Conv) in two dimensions without groups, with stored weights.
        inputs: representative inputs by name, for the ranges of the activations.
    """
    from onnx import helper, numpy_helper

    weights = {each.name: each for each in model.graph.initializer}
    uses = Counter(name for node in model.graph.node for name in node.input)
    chosen = {
        node.name: node.input[0]
        for node in model.graph.node
        if node.name in names
        and uses[node.input[1]] == 1
        and _multiplications(node, weights[node.input[1]].dims) >= WORTH
    }
    if not chosen:
        return
    ranges = _channel_ranges(model, list(chosen.values()), inputs)
    for i in reversed(range(len(model.graph.node))):  # each insertion moves the nodes behind it
        node = model.graph.node[i]
        if node.name not in chosen:
            continue
        stored = weights[node.input[1]]
        weight = numpy_helper.to_array(stored)
        x, w = ranges[node.input[0]], np.abs(weight).max((0, 2, 3))
        x, w = (np.maximum(each, LEAST * each.max() or 1) for each in (x, w))
        scale = np.sqrt(x / w)
        factor, smoothed = f'{node.name}_factor', f'{node.name}_smoothed'
        stored.CopyFrom(numpy_helper.from_array(weight * scale[:, None, None], stored.name))
        model.graph.initializer.append(numpy_helper.from_array((1 / scale).reshape(1, -1, 1, 1), factor))
        division = helper.make_node('Mul', [node.input[0], factor], [smoothed], name=f'{node.name}_smoothing')
        node.input[0] = smoothed
        model.graph.node.insert(i, division)


def _multiplications(node: onnx.NodeProto, shape: Sequence[int]) -> float:
    """Return the multiplications of a convolution per element of its input.

    Args:
        node: the convolution.
        shape: of its weights.
    """
    from onnx import helper

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

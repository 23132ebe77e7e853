"""Scaling of activations before quantisation: the function stays the same, and 8 bits lose less of small channels."""

import numpy as np
import pytest

from restorebox.inference.exported import open_session
from restorebox.inference.quantising import float_nodes, quantise_convolutions
from restorebox.inference.smoothing import can_be_smoothed, smooth_activations

onnx = pytest.importorskip('onnx', reason='onnx (requirements/export.txt) is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
helper, numpy_helper = onnx.helper, onnx.numpy_helper

SPREAD = np.geomspace(1, 100, 16, dtype=np.float32)  # of the channels of the input


def make_model(weights, twice=False, kind='Conv', **attributes):
    """Three convolutions, since the first and the last one stay in float32; both are identities."""
    out = weights.shape[0] if kind == 'Conv' else weights.shape[1]
    nodes = [
        helper.make_node('Conv', ['x', 'unit_in'], ['y'], name='first'),
        helper.make_node(kind, ['y', 'w'], ['features'], name='second', **attributes),
        helper.make_node('Conv', ['features', 'unit_out'], ['z'], name='last'),
    ]
    if twice:
        nodes.insert(2, helper.make_node('Conv', ['y', 'w'], ['other'], name='again'))
    units = {name: np.eye(n, dtype=np.float32)[:, :, None, None] for name, n in (('unit_in', 16), ('unit_out', out))}
    graph = helper.make_graph(
        nodes,
        'small',
        [helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 16, None, None])],
        [helper.make_tensor_value_info('z', onnx.TensorProto.FLOAT, [1, None, None, None])],
        [numpy_helper.from_array(each, name) for name, each in {**units, 'w': weights}.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid('', 18)], ir_version=9)


def draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def inputs(count=4):
    drawn = draw(count, 16, 20, 24) * SPREAD[:, None, None]
    drawn[:, 3] = 0  # a dead channel
    return [{'x': each[None]} for each in drawn]


def run(model, given):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return open_session(data, 'small').run(['z'], given)[0]


def test_the_function_stays_the_same():
    weights = draw(64, 16, 3, 3)
    weights[:, 5] = 0
    model = make_model(weights)
    before = [run(model, each) for each in inputs()]
    smooth_activations(model, {'second'}, inputs())
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ['Conv', 'Mul', 'Conv', 'Conv']
    for given, expected in zip(inputs(), before, strict=True):
        np.testing.assert_allclose(run(model, given), expected, rtol=1e-4, atol=1e-3)


def test_the_scale_is_that_of_the_paper():
    weights = draw(64, 16, 3, 3)
    model = make_model(weights)
    smooth_activations(model, {'second'}, inputs())
    stored = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    x = np.abs(np.concatenate([each['x'] for each in inputs()])).max((0, 2, 3))
    alive = x > 0
    expected = np.sqrt(x[alive] / np.abs(weights).max((0, 2, 3))[alive])
    np.testing.assert_allclose(1 / stored['second_factor'].ravel()[alive], expected, rtol=1e-5)
    assert stored['second_factor'].ravel()[3] == 1


def test_eight_bits_lose_less():
    model = make_model(draw(64, 16, 3, 3) / SPREAD[:, None, None])  # all channels contribute alike
    plain = make_model(draw(64, 16, 3, 3) / SPREAD[:, None, None])
    exact = run(model, inputs()[0])
    smoothed = quantise_convolutions(model.SerializeToString(), inputs())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('restorebox.inference.quantising.smooth_activations', lambda *_: None)
        unsmoothed = quantise_convolutions(plain.SerializeToString(), inputs())
    errors = [np.abs(run(each, inputs()[0]) - exact).mean() for each in (smoothed, unsmoothed)]
    assert errors[0] < 0.3 * errors[1]


def test_a_transposed_convolution_has_its_input_channels_first():
    model = make_model(draw(16, 32, 3, 3), kind='ConvTranspose')
    before = run(model, inputs()[0])
    assert float_nodes(model) == ['first', 'last']
    smooth_activations(model, {'second'}, inputs())
    assert [node.op_type for node in model.graph.node] == ['Conv', 'Mul', 'ConvTranspose', 'Conv']
    np.testing.assert_allclose(run(model, inputs()[0]), before, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ('shape', 'attributes'),
    [((24, 16, 3, 3), {}), ((64, 16, 3, 3), {'strides': [2, 2]}), ((16, 24, 3, 3), {'kind': 'ConvTranspose'})],
    ids=['few outputs', 'stride', 'transposed'],
)
def test_those_of_few_multiplications_per_element_are_left(shape, attributes):
    model = make_model(draw(*shape), **attributes)
    before = model.SerializeToString(deterministic=True)
    smooth_activations(model, {'second'}, inputs())
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ('shape', 'attributes'),
    [((64, 8, 3, 3), {'group': 2}), ((64, 16, 3, 3), {'twice': True})],
    ids=['groups', 'weights used twice'],
)
def test_those_that_cannot_be_smoothed_stay_in_float32(shape, attributes):
    model = make_model(draw(*shape), **attributes)
    assert 'second' in float_nodes(model)


def test_computed_weights_cannot_be_smoothed():
    """With weights that a node computes there is nothing stored to be scaled."""
    model = make_model(draw(64, 16, 3, 3))
    model.graph.node.insert(0, helper.make_node('Neg', ['w'], ['computed'], name='negative'))
    model.graph.node[2].input[1] = 'computed'
    assert not can_be_smoothed(model.graph.node[2], model)


def test_two_convolutions_may_read_the_picture_itself():
    model = make_model(draw(64, 16, 3, 3))
    model.graph.node[1].input[0] = 'x'
    model.graph.output.append(helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, None, None, None]))
    before = run(model, inputs()[0])
    smooth_activations(model, {'second'}, inputs())
    np.testing.assert_allclose(run(model, inputs()[0]), before, rtol=1e-4, atol=1e-3)
    assert model.graph.node[1].op_type == 'Mul'


def test_other_dimensions_stay_in_float32():
    graph = helper.make_graph(
        [helper.make_node('Conv', ['x', 'w'], ['y'], name='of sound')],
        'small',
        [helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 16, None])],
        [helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, None, None])],
        [numpy_helper.from_array(draw(512, 16, 3), 'w')],
    )
    assert not can_be_smoothed(graph.node[0], helper.make_model(graph))

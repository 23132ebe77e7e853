"""Scaling of activations before quantisation: the function stays the same, and 8 bits lose less of small channels."""

import numpy as np
import pytest

from restorebox.inference.exported import open_session
from restorebox.inference.quantising import float_nodes, quantise_convolutions
from restorebox.inference.smoothing import LEAST, smooth_activations

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
    x = np.maximum(x, LEAST * x.max())
    np.testing.assert_allclose(1 / stored['second_factor'].ravel() ** 2, x / np.abs(weights).max((0, 2, 3)), rtol=1e-5)


def eight_bit_errors(weights, given):
    """Relative error of the output in 8 bits, with and without smoothing."""
    exact = run(make_model(weights), given[0])
    smoothed = quantise_convolutions(make_model(weights).SerializeToString(), given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('restorebox.inference.quantising.smooth_activations', lambda *_: None)
        unsmoothed = quantise_convolutions(make_model(weights).SerializeToString(), given)
    return [np.abs(run(each, given[0]) - exact).mean() / np.abs(exact).mean() for each in (smoothed, unsmoothed)]


def test_eight_bits_lose_less():
    weights = draw(64, 16, 3, 3) / SPREAD[:, None, None]  # all channels contribute alike
    smoothed, unsmoothed = eight_bit_errors(weights, inputs())
    assert smoothed < 0.3 * unsmoothed


def test_a_channel_without_weights_sets_no_range():
    weights = draw(64, 16, 3, 3)
    weights[:, 15] = 0
    given = [{'x': each['x'] / SPREAD[:, None, None]} for each in inputs()]
    for each in given:
        each['x'][:, 15] *= 1000
    smoothed, unsmoothed = eight_bit_errors(weights, given)
    assert smoothed < 0.5 * unsmoothed


def test_a_channel_without_values_takes_no_precision():
    given = [{'x': each['x'] / SPREAD[:, None, None] / 1000} for each in inputs()]  # channel 3 is dead
    smoothed, unsmoothed = eight_bit_errors(draw(64, 16, 3, 3), given)
    assert smoothed < 1.5 * unsmoothed


@pytest.mark.parametrize(
    ('shape', 'attributes'),
    [((24, 16, 3, 3), {}), ((64, 16, 3, 3), {'strides': [2, 2]}), ((64, 16, 3, 3), {'twice': True})],
    ids=['few multiplications', 'stride', 'weights used twice'],
)
def test_others_are_quantised_without_it(shape, attributes):
    model = make_model(draw(*shape), **attributes)
    before = model.SerializeToString(deterministic=True)
    smooth_activations(model, {'second'}, inputs())
    assert model.SerializeToString(deterministic=True) == before


def test_those_without_a_scale_per_channel_stay_in_float32():
    assert 'second' in float_nodes(make_model(draw(64, 8, 3, 3), group=2))
    model = make_model(draw(64, 16, 3, 3))
    assert float_nodes(model) == ['first', 'last']
    model.graph.node.insert(0, helper.make_node('Neg', ['w'], ['computed'], name='negative'))
    model.graph.node[2].input[1] = 'computed'
    assert float_nodes(model) == ['second', 'first', 'last']


def test_two_convolutions_may_read_the_picture_itself():
    model = make_model(draw(64, 16, 3, 3))
    model.graph.node[1].input[0] = 'x'
    model.graph.output.append(helper.make_tensor_value_info('y', onnx.TensorProto.FLOAT, [1, None, None, None]))
    before = run(model, inputs()[0])
    smooth_activations(model, {'second'}, inputs())
    np.testing.assert_allclose(run(model, inputs()[0]), before, rtol=1e-4, atol=1e-3)
    assert model.graph.node[1].op_type == 'Mul'


def test_a_quantised_file_has_the_division_before_the_8_bits():
    made = onnx.load_from_string(quantise_convolutions(make_model(draw(64, 16, 3, 3)).SerializeToString(), inputs()))
    makers = {name: node for node in made.graph.node for name in node.output}
    second = next(node for node in made.graph.node if node.name == 'second')
    dequantised = makers[second.input[0]]
    assert [dequantised.op_type, makers[dequantised.input[0]].op_type] == ['DequantizeLinear', 'QuantizeLinear']
    assert makers[makers[dequantised.input[0]].input[0]].op_type == 'Mul'
    weights = {node.name: node.input[1] for node in made.graph.node if node.op_type == 'Conv'}
    assert weights['first'] == 'unit_in'
    assert weights['last'] == 'unit_out'
    assert weights['second'] != 'w'

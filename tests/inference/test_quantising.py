"""Eight bits: what they cost, and that they leave alone what can't bear them."""

import json

import pytest

from restorebox.errors import DataError
from restorebox.inference import load_model
from restorebox.inference.exported import ExportedRestorer
from restorebox.inference.exporting import FACTS, export_restorer, file_facts
from restorebox.inference.quantising import find_pairs, float_nodes, quantise
from tests.factories import write_pairs
from tests.inference.test_exporting import drawn

onnx = pytest.importorskip('onnx', reason='onnx (requirements/export.txt) is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
pytest.importorskip('onnxscript', reason='onnxscript (requirements/export.txt) is not installed')


@pytest.fixture(scope='module')
def weather():
    """The relative of FDR-Net that is shipped, as an ONNX file, and its facts."""
    restorer = load_model('weather')
    facts = file_facts(restorer, 'weather')
    return export_restorer(restorer, 'onnx', facts)[0], facts


@pytest.mark.slow
def test_it_costs_less_than_a_fifth_of_a_decibel_on_real_weights(weather, shared, tmp_path):
    data, facts = weather
    small, report = quantise(data, facts, shared / 'data' / 'render_hybrid_moderate')
    assert report['psnr_rgb']['fp32'] > 23
    assert report['cost_db'] < 0.2
    assert report['agreement_db'] > 38
    assert len(small) < 0.7 * len(data)
    (tmp_path / 'int8.onnx').write_bytes(small)
    assert ExportedRestorer(tmp_path / 'int8.onnx').generator.facts == facts


@pytest.mark.slow
def test_what_pools_stays_in_float32(weather, tmp_path):
    data, facts = weather
    model = onnx.load_from_string(data)
    assert json.loads({each.key: each.value for each in model.metadata_props}[FACTS]) == facts
    left = [node for node in model.graph.node if node.name in float_nodes(model) and node.op_type == 'Conv']
    # the first, the last, and in each of four blocks the pool of gain control, both layers of the attention and the
    # aggregation
    assert len(left) == 2 + 4 * 4
    write_pairs(tmp_path, 'test', 2)
    small, report = quantise(data, facts, tmp_path / 'test' / 'lq')
    assert 'cost_db' not in report
    made = onnx.load_from_string(small)
    makers = {name: node for node in made.graph.node for name in node.output}
    convolutions = {node.name: node for node in made.graph.node if node.op_type == 'Conv'}
    for node in left:
        assert makers[convolutions[node.name].input[0]].op_type != 'DequantizeLinear'
    fed = [makers[node.input[0]].op_type for name, node in convolutions.items() if node not in left]
    assert fed.count('DequantizeLinear') == len(convolutions) - len(left)


@pytest.mark.slow
def test_gates_stay_in_float32():
    """The first one, that of the head, four of the FDR block, those of the scene's encoder, and two of the gates."""
    restorer = drawn('gates')
    model = onnx.load_from_string(export_restorer(restorer, 'onnx', file_facts(restorer, 'gates'))[0])
    left = [node for node in model.graph.node if node.name in float_nodes(model) and node.op_type == 'Conv']
    scopes = [next(p.value for p in node.metadata_props if p.key == 'pkg.torch.onnx.name_scopes') for node in left]
    inner = [scope for scope in scopes if 'backbone.inner' in scope]
    assert len(inner) == 1 + 4
    assert any("'network.backbone.gates'" in scope for scope in scopes)
    assert any("'network.backbone.mixed'" in scope for scope in scopes)
    assert len(scopes) - len(inner) == 1 + 2 + sum('network.backbone.encoder.' in scope for scope in scopes)


def test_pairs_are_found_by_name(tmp_path):
    write_pairs(tmp_path, 'test', 3)
    home = tmp_path / 'test'
    assert [(a.name, b.name) for a, b in find_pairs(home)] == [(f'0{i}.png',) * 2 for i in range(3)]
    assert [b for _, b in find_pairs(home / 'lq')] == [None] * 3
    (home / 'gt' / '01.png').unlink()
    with pytest.raises(DataError, match=r'01\.png: has no partner of its name in'):
        find_pairs(home)
    with pytest.raises(DataError, match='no such folder'):
        find_pairs(tmp_path / 'nothing')

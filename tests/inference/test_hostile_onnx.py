"""An untrusted ONNX file runs no code and reads no other file; errors are one line."""

import json

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.errors import ExportError
from restorebox.inference.exported import ExportedNetwork
from tests.inference.test_exporting import drawn, exported_file

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


@pytest.fixture(scope='module')
def exported(published, tmp_path_factory):
    folder = tmp_path_factory.mktemp('onnx')
    Image.fromarray(np.full((24, 40, 3), 90, np.uint8)).save(folder / 'p.png')
    main(['export', str(published), '--to', 'onnx', '--out', str(folder / 'good.onnx')])
    return folder


def refused(folder, model, capsys):
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(['restore', str(folder / 'p.png'), '--model', str(model), '--out', str(model.with_suffix(''))])
    captured = capsys.readouterr()
    assert caught.value.code not in (0, None)
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == 1, captured.err
    assert not list(model.parent.rglob('*.png'))
    return lines[0]


def write(folder, to, change=None, **facts):
    """The good file with other facts in its metadata, or with its graph changed."""
    model = onnx.load(folder / 'good.onnx')
    (entry,) = [each for each in model.metadata_props if each.key == 'restorebox']
    entry.value = json.dumps({**json.loads(entry.value), **facts})
    if change:
        change(model)
    onnx.save(model, to)
    return to


@pytest.mark.parametrize(
    'facts',
    [
        {'stride': 0},
        {'feature_means': 'x'},
        {'feature_means': ['means']},
        {'feature_means': {'means': 0}},
        {'feature_means': {'means': True}},
        {'feature_means': {'means': 10**9}},
        {'feature_means': {'means': 16}},
        {'feature_means': {'x': 16}},
        {'feature_means': {'taps': 16}},
        {'feature_means': {'a b': 16}},
        {'stride': -4},
        {'stride': 'four'},
        {'stride': {'type': 'os.system', 'command': 'touch IT_RAN'}},
        {'stride': 10**12},
        {'stride': True},
        {'min_size': 10**9},
        {'min_size': 4096},  # every picture is padded to it
        {'stride': 2048},
        {'min_size': None},
        {'value_range': [1, 0]},
        {'value_range': 'x'},
        {'receptive_field': -3},
        {'receptive_field': {'_scope_': 'antigravity', 'type': 'x'}},
        {'receptive_field': 1e30},
        {'pixel_bytes': 0},
        {'pixel_bytes': float('nan')},
        {'pixel_bytes': float('inf')},
        {'pixel_bytes': int('9' * 4000)},
        {'limits': json.loads('[' * 60 + ']' * 60)},
    ],
    ids=lambda facts: str(facts)[:40],
)
def test_facts_that_no_export_writes(facts, exported, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused(exported, write(exported, tmp_path / 'm.onnx', **facts), capsys)
    assert 'm.onnx' in line
    assert not (tmp_path / 'IT_RAN').exists()


@pytest.fixture(scope='module')
def with_means(tmp_path_factory):
    """An exported file with the optional input ``means``."""
    return exported_file(drawn('feature means'), tmp_path_factory.mktemp('means'))


def required(model):
    (unknown,) = [each for each in model.graph.initializer if each.name == 'means']
    model.graph.initializer.remove(unknown)


def wider(model):
    (entry,) = [each for each in model.graph.input if each.name == 'means']
    entry.type.tensor_type.shape.dim[1].dim_value += 1
    required(model)
    array = np.zeros((1, entry.type.tensor_type.shape.dim[1].dim_value, 1, 1), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(array, 'means'))


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        (required, "its inputs are ['picture', 'scene', 'means']; they must be ['picture', 'scene']"),
        (lambda model: model.graph.output.pop(), "its further outputs are []; they must be ['features_means']"),
        (wider, ''),  # onnxruntime itself refuses it
    ],
    ids=['required', 'no output', 'wider'],
)
def test_a_graph_that_does_not_fit_its_facts(change, words, with_means, tmp_path):
    model = onnx.load(with_means)
    change(model)
    onnx.save(model, tmp_path / 'm.onnx')
    with pytest.raises(ExportError) as caught:
        ExportedNetwork(tmp_path / 'm.onnx')
    assert words in str(caught.value)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_make_no_picture(value, exported, tmp_path, capsys):
    def change(model):
        weight = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        array = onnx.numpy_helper.to_array(weight).copy()
        array[...] = value
        weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))

    assert 'the network gave NaN' in refused(exported, write(exported, tmp_path / 'm.onnx', change), capsys)


def test_a_graph_that_gives_another_shape(exported, tmp_path, capsys):
    def change(model):
        graph = model.graph
        graph.node.append(onnx.helper.make_node('GlobalAveragePool', [graph.output[0].name], ['other']))
        graph.output[0].name = 'other'
        for axis in (2, 3):
            graph.output[0].type.tensor_type.shape.dim[axis].dim_value = 1

    assert 'm.onnx' in refused(exported, write(exported, tmp_path / 'm.onnx', change), capsys)


@pytest.mark.parametrize('place', ['absolute', 'above', 'beside'])
def test_weights_in_another_file_are_not_read(place, exported, tmp_path, capsys, monkeypatch):
    inside = tmp_path / 'inside'
    inside.mkdir()
    monkeypatch.chdir(inside)  # where a model that comes as bytes would look
    secret = {'absolute': tmp_path / 'secret', 'above': tmp_path / 'secret', 'beside': inside / 'secret'}[place]
    location = {'absolute': str(secret), 'above': '../secret', 'beside': 'secret'}[place]

    def change(model):
        weight = max(model.graph.initializer, key=lambda each: len(each.raw_data))
        secret.write_bytes(bytes(len(weight.raw_data)))
        weight.ClearField('raw_data')
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.external_data.add(key='location', value=location)

    model = onnx.load(exported / 'good.onnx')
    change(model)
    (inside / 'm.onnx').write_bytes(model.SerializeToString())
    refused(exported, inside / 'm.onnx', capsys)


@pytest.mark.parametrize('data', [b'', b'\0' * 100, b'no model', b'\x08\x07' * 1000], ids=lambda data: repr(data[:8]))
def test_files_that_are_no_models(data, exported, tmp_path, capsys):
    (tmp_path / 'm.onnx').write_bytes(data)
    assert 'm.onnx' in refused(exported, tmp_path / 'm.onnx', capsys)


def test_the_good_file_is_good(exported, tmp_path):
    main(['restore', str(exported / 'p.png'), '--model', str(exported / 'good.onnx'), '--out', str(tmp_path / 'o')])
    assert Image.open(tmp_path / 'o' / 'p.png').size == (40, 24)

"""Execution providers of onnxruntime, and files with a fixed batch size."""

import pytest
import torch

from restorebox.errors import ConfigError, ExportError
from restorebox.inference.exported import ExportedRestorer, open_session
from restorebox.inference.exporting import export_restorer, file_facts
from restorebox.inference.providers import check_provider, provider_options, used_providers
from restorebox.inference.tiles import Tiler
from tests.factories import small_restorer

onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
onnx = pytest.importorskip('onnx', reason='onnx (requirements/export.txt) is not installed')
pytest.importorskip('onnxscript', reason='onnxscript (requirements/export.txt) is not installed')
LACKING = sorted({'CUDAExecutionProvider': 'cuda', 'CoreMLExecutionProvider': 'coreml'}.items())


@pytest.fixture(scope='module')
def path(tmp_path_factory):
    restorer = small_restorer('SupervisedRestorer').eval()
    with torch.no_grad():
        restorer.generator.head.conv.weight.normal_(0, 0.1, generator=torch.Generator().manual_seed(0))
    data, _ = export_restorer(restorer, 'onnx', file_facts(restorer, 'small'))
    path = tmp_path_factory.mktemp('providers') / 'small.onnx'
    path.write_bytes(data)
    return path


def test_the_provider_that_runs_the_graph_is_named(path):
    network = ExportedRestorer(path).generator
    assert network.providers.startswith('CPUExecutionProvider')
    with pytest.raises(ExportError, match=r'runs it with CPUExecutionProvider.*, not with CUDAExecutionProvider'):
        used_providers(open_session(path, 'small'), 'cuda', 'small')  # as after a fallback


def test_unknown_and_missing_providers_are_a_line():
    with pytest.raises(ConfigError, match=r'runs on the device cpu, cuda, openvino, coreml, directml, not tpu'):
        check_provider('tpu', 'small')
    lacking = [device for name, device in LACKING if name not in onnxruntime.get_available_providers()]
    assert lacking, 'no system has both'
    with pytest.raises(ExportError, match=r'^device \w+: the installed onnxruntime has no \w+ExecutionProvider, only '):
        provider_options(lacking[0], 1)


def test_several_pictures_in_one_pass(path, tmp_path):
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / 'one.onnx')  # as earlier versions exported
    new, old = ExportedRestorer(path), ExportedRestorer(tmp_path / 'one.onnx')
    assert (new.generator.batched, old.generator.batched) == (True, False)
    pictures = torch.rand(3, 3, 40, 48, generator=torch.Generator().manual_seed(0))
    single = torch.cat([new.restore(each[None])['pred'] for each in pictures])
    assert (single - pictures).abs().mean() > 0.01, 'nothing would be compared'
    for restorer in (new, old):
        assert (restorer.restore(pictures)['pred'] - single).abs().max() < 1e-5
    arrays = [each.permute(1, 2, 0).numpy() for each in pictures]
    assert len(Tiler(new).batch(arrays)) == 3

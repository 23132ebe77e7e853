"""The command export, and restore with the exported file."""

import json

import numpy as np
import pytest
from PIL import Image

from restorebox import RestoreInferencer
from restorebox.cli.main import main
from tests.factories import SMALL_RESTORERS, publish_small, write_pairs

pytestmark = pytest.mark.slow

onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
pytest.importorskip('onnxscript', reason='onnxscript (requirements/export.txt) is not installed')

CONFIG = (
    "model = dict(type='SupervisedRestorer', generator=dict(backbone=dict(type='UNet', levels=2, base_width=4, "
    "max_width=8), head=dict(type='PictureHead')), losses=dict(l1=dict(type='L1Loss')))"
)


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp('export')
    publish_small(folder)
    (folder / 'toy.py').write_text(CONFIG)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)).save(folder / 'a.png')
    return folder


def test_an_exported_file_restores_as_its_checkpoint(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    main(['export', 'toy.py', 'published.safetensors', '--to', 'onnx'])
    assert 'toy.onnx: ' in (printed := capsys.readouterr().out)
    assert 'of PyTorch on three sizes' in printed
    facts = json.loads(onnxruntime.InferenceSession('toy.onnx').get_modelmeta().custom_metadata_map['restorebox'])
    assert facts['model'] == 'toy'
    assert facts['licence'] == 'CC0'
    assert facts['stride'] == 4
    main(['restore', 'a.png', '--backend', 'onnxruntime', '--model', 'toy.onnx', '--out', 'b'])
    main(['restore', 'a.png', '--device', 'cpu', '--model', 'published.safetensors', '--out', 'c'])
    made, expected = (np.asarray(Image.open(home / each / 'a.png'), np.int16) for each in 'bc')
    assert made.shape == (37, 51, 3)
    assert np.abs(made - expected).max() <= 1
    assert np.array_equal(RestoreInferencer('toy.onnx')('a.png'), made)


def test_eight_bits_with_their_cost_and_gain(home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    write_pairs(home, 'pairs', 2)
    main(['export', 'toy.py', 'published.safetensors', '--to', 'onnx', '--int8', '--calibrate', 'pairs'])
    printed = capsys.readouterr().out
    assert 'toy_int8.onnx: ' in printed
    assert ' dB: psnr_rgb ' in printed
    assert ' s a picture' in printed
    report = json.loads((home / 'toy_int8.json').read_text())
    assert report['pictures'] == 2
    assert abs(report['cost_db']) < 0.5
    main(['restore', 'a.png', '--model', 'toy_int8.onnx', '--out', 'd'])
    assert (home / 'd' / 'a.png').is_file()


@pytest.mark.parametrize('words', ['--int8', '--int8 --calibrate .', '--to onnx --calibrate .'])
def test_eight_bits_need_onnx_and_pictures(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main(f'export a.py b.pth --to pt2 {words}'.split())
    assert caught.value.code == 2
    assert '--int8' in capsys.readouterr().err


def test_a_model_of_many_passes_is_a_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    publish_small(tmp_path, dict(type='DiffusionRestorer', **SMALL_RESTORERS['DiffusionRestorer']))
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(['export', 'published.safetensors', '--to', 'onnx'])
    assert caught.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "error: DiffusionRestorer can't be exported: it restores by a sampler of many passes, not by one"
    assert not list(tmp_path.glob('*onnx*'))


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ('export toy.py published.safetensors --to onnx --out toy.pt2', 'toy.pt2: a file of the kind onnx is named'),
        ('export toy.py published.safetensors --to pt2 --out no/toy.pt2', 'no/toy.pt2: there is no folder no'),
        ('export toy.py nothing.pth --to pt2', 'checkpoint nothing.pth: no such file'),
        ('export toy.py --to pt2', 'a config needs a checkpoint'),
        ('export unet5_paired --to pt2', 'has no published weights'),
        ('export toy.py published.safetensors --to onnx --int8 --calibrate no', 'no: no such folder'),
        ('restore a.png --model nothing.onnx', 'model nothing.onnx: no such file'),
        ('restore a.png --model bad.onnx', "model bad.onnx: onnxruntime can't read it"),
        ('restore a.png --model published.safetensors --backend onnxruntime', "'onnxruntime' runs files named *.onnx"),
        ('restore a.png --model bad.onnx --backend torch', "backend 'torch' does not run bad.onnx"),
        ('restore a.png --model bad.onnx --device xpu', 'runs on the device cpu, cuda, openvino, coreml, directml'),
        ('restore a.png --model bad.onnx --device coreml', 'device coreml: the installed onnxruntime has no CoreML'),
        ('restore a.png --model bad.onnx --precision bf16', 'has its weights and their precision inside'),
    ],
)
def test_mistakes_are_a_line(words, message, home, monkeypatch, capsys):
    monkeypatch.chdir(home)
    (home / 'bad.onnx').write_bytes(b'nothing')
    before = sorted(home.iterdir())
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert sorted(home.iterdir()) == before

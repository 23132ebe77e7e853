"""Models by name, and weights in the package, on disk and behind a URL."""

import http.server
import threading

import pytest
import torch

from restorebox.engine.checkpoint import sha256
from restorebox.errors import CheckpointError, ConfigError
from restorebox.files import configs_dir
from restorebox.inference import models
from restorebox.inference.models import (
    cached_path,
    checkpoint_file,
    find_model,
    find_weights,
    known_models,
    weights_path,
)


def test_every_config_of_a_metafile_exists_and_names_are_unique():
    found = known_models()
    assert {'weather', 'unet5_paired'} <= found.keys()
    for entry in found.values():
        assert configs_dir().parent.joinpath(entry.config).is_file(), entry
        assert (entry.weights is None) == (entry.sha256 is None), f'{entry.name}: weights come with their hash'
        if entry.weights and not models.is_url(entry.weights):
            weights_path(entry.weights, entry.sha256)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match=r"no model 'wether'; did you mean 'weather'"):
        find_model('wether')


def metafile(folder, weights, digest):
    (folder / 'toy').mkdir()
    (folder / 'toy' / 'untrained.py').touch()
    (folder / 'toy' / 'metafile.yml').write_text(
        f'Collections:\n  - Name: Toy\nModels:\n  - {{Name: toy, Weights: "{weights}", SHA256: {digest}}}\n'
    )
    return folder


def test_weights_in_the_package_and_on_disk(published, tmp_path, monkeypatch):
    digest = sha256(published)
    assert find_weights('toy', metafile(tmp_path, published, digest)) == published
    package = tmp_path / 'configs'
    package.mkdir()
    monkeypatch.setattr('restorebox.files.configs_dir', lambda: package)
    (package / 'w.safetensors').write_bytes(published.read_bytes())
    assert weights_path('configs/w.safetensors', digest) == package / 'w.safetensors'
    with pytest.raises(CheckpointError, match=f'has the sha256 {digest}, it should have 000'):
        weights_path('configs/w.safetensors', '0' * 64)
    with pytest.raises(CheckpointError, match='must be 64 hexadecimal digits'):
        weights_path('configs/w.safetensors', 'abc')
    with pytest.raises(CheckpointError, match=r'configs/other\.safetensors: no such file'):
        weights_path('configs/other.safetensors', digest)


def test_a_checkpoint_is_a_file_or_the_name_of_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for given in ('w/iter_2.pth', 'a.pt', 'w/x', 'https://x.org/a.pth', 'hf://a/b', 'configs/unet/w.safetensors', '/w'):
        assert checkpoint_file(given) == given
    assert checkpoint_file('cclgan_demo') == str(configs_dir() / 'cclgan' / 'cclgan_demo.safetensors')
    (tmp_path / 'cclgan_demo').touch()
    assert checkpoint_file('cclgan_demo') == 'cclgan_demo'
    with pytest.raises(ConfigError, match="no model 'wether'; did you mean 'weather'"):
        checkpoint_file('wether')


def test_a_model_without_weights_is_an_error_with_a_hint(published, tmp_path):
    with pytest.raises(ConfigError, match=r"'untrained' has no published weights: train it.*models with weights: toy"):
        find_weights('untrained', metafile(tmp_path, published, sha256(published)))


def test_a_metafile_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / 'toy').mkdir()
    (tmp_path / 'toy' / 'metafile.yml').write_text('Models: [')
    with pytest.raises(ConfigError, match=r'toy/metafile\.yml, line 1: no valid YAML'):
        known_models(tmp_path)


@pytest.fixture
def server(published):
    """Serves the published file; counts how often."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(published.parent))

        def log_message(self, *args):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}', asked
        running.shutdown()


def test_a_url_is_downloaded_once_and_checked(server, published, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    address, asked = server
    url, digest = f'{address}/published.safetensors', sha256(published)
    for _ in range(2):
        assert find_weights(f'{url}#sha256={digest}').read_bytes() == published.read_bytes()
    assert len(asked) == 1
    with pytest.raises(CheckpointError, match=f"can't be downloaded: its sha256 is {digest}, expected 000"):
        find_weights(f'{url}#sha256={"0" * 64}')
    assert not cached_path(url, '0' * 64).exists()
    with pytest.raises(CheckpointError, match='a URL needs the hash of its file'):
        find_weights(url)
    with pytest.raises(CheckpointError, match="can't be downloaded: HTTPError: 404"):
        find_weights(f'{address}/nothing.safetensors#sha256={digest}')
    cached_path(url, digest).write_bytes(b'damaged')
    with pytest.raises(CheckpointError, match='it is damaged or another file'):
        find_weights(f'{url}#sha256={digest}')

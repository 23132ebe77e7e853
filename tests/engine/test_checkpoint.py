"""Loading runs nothing; saving is whole or not at all."""

import argparse
import functools
import http.server
import os
import pickle
import threading

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from safetensors.torch import save_file as save_safetensors

from restorebox.cli import publish
from restorebox.engine import RestorationRunner
from restorebox.engine.checkpoint import hub_state, load_any, load_file, safe_loaders, save_file, write_bytes
from restorebox.errors import CheckpointError


class Malicious:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


class GetattrChain:
    """builtins.getattr reaches anything: allowing it plainly would allow everything."""

    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / 'served'
    folder.mkdir()
    quiet = type('Quiet', (http.server.SimpleHTTPRequestHandler,), {'log_message': lambda *_: None})
    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(quiet, directory=str(folder)))
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield folder, f'http://127.0.0.1:{httpd.server_port}'
    httpd.shutdown()
    httpd.server_close()


def test_our_own_checkpoints_with_histories_load(tmp_path):
    buffer = HistoryBuffer([1.0, 2.0], [1, 1])
    buffer.update(np.float64(3.0).item())
    checkpoint = {
        'state_dict': {'w': torch.ones(2)},
        'message_hub': {'log_scalars': {'loss': buffer}},
        'array': np.arange(3),
        'scalar': np.float32(2),
    }
    save_file(checkpoint, tmp_path / 'c.pth')
    loaded = load_file(tmp_path / 'c.pth')
    assert loaded['message_hub']['log_scalars']['loss'].mean() == 2.0
    assert loaded['array'].tolist() == [0, 1, 2]


@pytest.mark.parametrize('old_format', [False, True])
def test_a_malicious_file_is_refused_and_nothing_runs(tmp_path, old_format):
    marker = tmp_path / 'ran'
    torch.save(
        {'state_dict': {'w': torch.ones(1)}, 'extra': Malicious(marker)},
        tmp_path / 'evil.pth',
        _use_new_zipfile_serialization=not old_format,
    )
    with pytest.raises(CheckpointError, match='refused') as caught:
        load_file(tmp_path / 'evil.pth')
    assert 'evil.pth' in str(caught.value)
    assert '\n' not in str(caught.value)
    assert not marker.exists()


def test_a_bare_pickle_is_refused(tmp_path):
    marker = tmp_path / 'ran'
    (tmp_path / 'evil.pth').write_bytes(pickle.dumps(Malicious(marker)))
    with pytest.raises(CheckpointError):
        load_file(tmp_path / 'evil.pth')
    assert not marker.exists()


def test_getattr_serves_statistics_methods_only(tmp_path):
    torch.save({'state_dict': {}, 'x': GetattrChain()}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match='refused'):
        load_file(tmp_path / 'evil.pth')


def test_a_malicious_file_over_http_is_refused(tmp_path, server, monkeypatch):
    folder, url = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    marker = tmp_path / 'ran'
    torch.save({'state_dict': {}, 'x': Malicious(marker)}, folder / 'evil.pth')
    with pytest.raises(CheckpointError, match='refused'):
        load_any(f'{url}/evil.pth')
    assert not marker.exists()


def test_a_good_file_over_http_loads(tmp_path, server, monkeypatch):
    folder, url = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save({'state_dict': {'w': torch.ones(3)}}, folder / 'good.pth')
    assert load_any(f'{url}/good.pth')['state_dict']['w'].sum() == 3
    with pytest.raises(CheckpointError, match="can't be downloaded"):
        load_any(f'{url}/absent.pth')


def test_a_wrong_hash_in_the_name_is_refused(tmp_path, server, monkeypatch):
    folder, url = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save({'state_dict': {}}, folder / 'model-0123abcd.pth')
    with pytest.raises(CheckpointError, match='sha256'):
        load_any(f'{url}/model-0123abcd.pth')


@pytest.mark.parametrize(
    'scheme', ['openmmlab', 'open-mmlab', 'modelzoo', 'torchvision', 's3', 'petrel', 'pavi', 'mmcls']
)
def test_schemes_that_run_pickles_are_refused(scheme):
    with pytest.raises(CheckpointError, match='download the file'):
        load_any(f'{scheme}://x')
    with safe_loaders(), pytest.raises(CheckpointError, match='download the file'):
        CheckpointLoader.load_checkpoint(f'{scheme}://x')


@pytest.mark.parametrize(
    ('content', 'reason'),
    [(b'', "can't be read"), (b'hello, not a checkpoint', 'refused|read'), (None, 'no such file')],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content, reason):
    path = tmp_path / 'x.pth'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        load_file(path)
    assert str(path) in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_truncated_checkpoint_is_named(tmp_path):
    torch.save({'state_dict': {'w': torch.ones(10_000)}}, tmp_path / 'c.pth')
    data = (tmp_path / 'c.pth').read_bytes()
    (tmp_path / 'c.pth').write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r'c\.pth'):
        load_file(tmp_path / 'c.pth')


def test_bare_state_dicts_and_safetensors_load(tmp_path):
    torch.save({'w': torch.ones(2)}, tmp_path / 'bare.pth')
    save_safetensors({'w': torch.ones(2)}, tmp_path / 'p.safetensors', {'licence': '"mine"'})
    assert load_file(tmp_path / 'bare.pth')['state_dict']['w'].tolist() == [1, 1]
    published = load_file(tmp_path / 'p.safetensors')
    assert published['meta'] == {'licence': 'mine'}
    (tmp_path / 'bad.safetensors').write_bytes(b'xx')
    with pytest.raises(CheckpointError, match=r'bad\.safetensors'):
        load_file(tmp_path / 'bad.safetensors')


def test_a_failed_write_leaves_the_old_file_and_no_new_one(tmp_path, monkeypatch):
    path = tmp_path / 'c.pth'
    write_bytes(b'old', path)

    def full(_fd):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(CheckpointError, match='No space left'):
        write_bytes(b'new', path)
    assert path.read_bytes() == b'old'
    assert list(tmp_path.iterdir()) == [path]


def test_text_in_a_checkpoint_is_not_executed(tmp_path):
    """MMEngine's resume runs meta['config'], and reading a config's text means running it."""
    marker = tmp_path / 'ran'
    code = f"__import__('os').mkdir({str(marker)!r})"
    meta = {'config': code, 'cfg': f'x = {code}', 'cfg_json': code}
    torch.save({'state_dict': {'generator.w': torch.ones(1)}, 'meta': meta}, tmp_path / 'evil.pth')
    assert 'config' not in load_file(tmp_path / 'evil.pth')['meta']
    words = ['--licence', 'x', '--limits', 'y']
    with pytest.raises(CheckpointError, match='contains no readable config'):
        publish.main([str(tmp_path / 'evil.pth'), str(tmp_path / 'out.safetensors'), *words])
    assert not marker.exists()


def test_an_array_with_a_forged_dtype_is_refused(tmp_path):
    torch.save({'state_dict': {}, 'x': np.array([('a', 1)], dtype=[('s', 'U1'), ('n', 'i4')])}, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=r'odd\.pth'):
        load_file(tmp_path / 'odd.pth')


@pytest.mark.parametrize(
    'checkpoint', [{'state_dict': [1]}, {'state_dict': {1: torch.ones(1)}}, {'state_dict': {}, 'meta': 3}]
)
def test_a_checkpoint_of_the_wrong_form_is_named(tmp_path, checkpoint):
    torch.save(checkpoint, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match='must map names to weights'):
        load_file(tmp_path / 'odd.pth')


def test_other_peoples_safetensors_load(tmp_path):
    save_safetensors({'w': torch.ones(2)}, tmp_path / 'p.safetensors', {'format': 'pt'})
    assert load_file(tmp_path / 'p.safetensors')['meta'] == {'format': 'pt'}


def test_files_of_one_name_from_two_addresses_are_two_files(tmp_path, server, monkeypatch):
    folder, url = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    for i, name in enumerate('ab'):
        (folder / name).mkdir()
        torch.save({'state_dict': {'w': torch.tensor(float(i))}}, folder / name / 'iter_1.pth')
    loaded = [load_any(f'{url}/{name}/iter_1.pth')['state_dict']['w'].item() for name in 'ab']
    assert loaded == [0.0, 1.0]


def test_a_cut_download_is_not_kept(tmp_path, server, monkeypatch):
    folder, url = server
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    torch.save({'state_dict': {'w': torch.ones(10_000)}}, folder / 'm.pth')
    whole = (folder / 'm.pth').read_bytes()
    (folder / 'm.pth').write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match='downloaded from'):
        load_any(f'{url}/m.pth')
    (folder / 'm.pth').write_bytes(whole)
    assert load_any(f'{url}/m.pth')['state_dict']['w'].sum() == 10_000
    for address in ('http://[bad', f'{url}/a b.pth'):
        with pytest.raises(CheckpointError, match="can't be downloaded"):
            load_any(address)


@pytest.mark.parametrize('verb', ['train', 'val', 'test'])
def test_mmengine_loads_no_code_during_a_run_and_its_loaders_are_restored(tmp_path, monkeypatch, verb):
    """A network's ``init_cfg`` and MMEngine's own hooks load through its loaders, not through the Runner."""
    marker, path = tmp_path / 'ran', str(tmp_path / 'evil.pth')
    torch.save({'state_dict': {}, 'x': Malicious(marker)}, path)
    before = CheckpointLoader._schemes
    monkeypatch.setattr(Runner, verb, lambda self: load_checkpoint(torch.nn.Linear(1, 1), path))
    runner = RestorationRunner.__new__(RestorationRunner)
    runner._work_dir = str(tmp_path)
    with pytest.raises(CheckpointError, match='refused'):
        getattr(runner, verb)()
    assert not marker.exists()
    assert CheckpointLoader._schemes is before
    assert CheckpointLoader._schemes[''].__module__ == 'mmengine.runner.checkpoint'


def test_what_could_not_be_read_back_is_left_out_of_the_hubs_state_and_said_once():
    hub = MessageHub('hub of test_checkpoint')
    hub.update_info('plain', {'a': [1, 2.0, 'b'], 'c': torch.ones(2)})
    hub.update_info('function', lambda: 0)
    hub.update_info('object', argparse.Namespace(a=1))
    for _ in range(2):
        assert list(hub_state(hub)['runtime_info']) == ['plain']
    assert 'function' in hub.runtime_info


def test_an_entry_that_cant_be_pickled_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"can't save .*iter_1.pth: training_states: Can't"):
        save_file({'meta': {}, 'training_states': [lambda: 0]}, tmp_path / 'iter_1.pth')
    assert not list(tmp_path.iterdir())

"""Weights at hf://: fetched, pinned, refused and uploaded, with huggingface_hub and a server on this machine."""

import hashlib
import json
import re

import pytest
import yaml

from restorebox.cli.main import main
from restorebox.engine.checkpoint import load_any, sha256
from restorebox.engine.hub import fetch_from_hub, parse_hub_name
from restorebox.errors import CheckpointError, ConfigError, MissingPackageError
from restorebox.files import packaged
from restorebox.inference.models import find_weights, load_model, stem_of, weights_digest
from tests.hub_server import TOKEN, HubServer
from tests.processes import refused

constants = pytest.importorskip('huggingface_hub.constants', reason='requirements/hub.txt is not installed')

NAME = 'hf://owner/rain'
SHIPPED = packaged('configs/fdrnet/weather.safetensors')


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('HF_HOME', str(tmp_path / 'hf'))
    for name in ('HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN'):
        monkeypatch.delenv(name, raising=False)
    running = HubServer()
    # huggingface_hub reads HF_ENDPOINT and its files of tokens once, at its import
    monkeypatch.setattr(constants, 'ENDPOINT', running.url)
    address = running.url + '/{repo_id}/resolve/{revision}/{filename}'
    monkeypatch.setattr(constants, 'HUGGINGFACE_CO_URL_TEMPLATE', address)
    monkeypatch.setattr(constants, 'HF_HUB_DISABLE_XET', True)  # a protocol of its own, to servers of the Hub only
    monkeypatch.setattr(constants, 'HF_URL_HOSTS', frozenset({'127.0.0.1'}), raising=False)
    monkeypatch.setattr(constants, 'HF_TOKEN_PATH', str(tmp_path / 'hf' / 'token'))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    yield running
    running.close()


@pytest.fixture
def shipped(server):
    """The included weights, stored on the server."""
    server.put('owner/rain', 'weather.safetensors', SHIPPED.read_bytes())
    return server


@pytest.mark.parametrize(
    'text',
    [
        'hf://owner',
        'hf://owner/',
        'hf:///name',
        'hf://../name',
        'hf://owner/..',
        'hf://owner/name/../../x.pth',
        'hf://owner/name/.hidden.pth',
        'hf://owner/name//x.pth',
        'hf://owner/name@../x',
        'hf://owner/name@',
        'hf://owner/name#sha256=12',
        'hf://owner/name#sha256=',
        'hf://owner/name\n',
        'hf://owner/name/x.bin',
        'hf://owner/name/x.pth/y',
    ],
)
def test_other_forms_are_refused(text, capsys):
    line = refused(lambda: main(['info', text]), capsys)
    assert 'it must be hf://OWNER/NAME' in line or 'is no file of weights' in line


def test_parts_of_a_name():
    name = parse_hub_name(f'hf://o-1/n.2/a/b.pth@refs/pr/1#sha256={"a" * 64}')
    assert (name.owner, name.name, name.file, name.revision, name.digest) == (
        'o-1', 'n.2', 'a/b.pth', 'refs/pr/1', 'a' * 64,
    )  # fmt: skip
    assert str(name) == 'hf://o-1/n.2/a/b.pth@refs/pr/1'
    assert 'refs%2Fpr%2F1' in str(name.folder)
    assert [stem_of(each) for each in (NAME, f'{NAME}/a.pth@x', 'b/c.pth', 'http://h/d.pth#sha256=1')] == [
        'rain', 'a', 'c', 'd',
    ]  # fmt: skip


def test_fetched_once_and_used_everywhere(shipped, capsys):
    path = fetch_from_hub(NAME)
    digest = sha256(SHIPPED)
    assert path.read_bytes() == SHIPPED.read_bytes()
    assert path.parts[-5:] == ('owner', 'rain', 'main', digest, 'weather.safetensors')
    assert (path.parents[1] / 'weights.sha256').read_text().strip() == digest
    shipped.requests.clear()
    assert find_weights(NAME) == find_weights(f'{NAME}#sha256={digest}') == path
    assert weights_digest(NAME) == digest
    assert load_any(f'{NAME}@main')['state_dict'].keys() == load_any(str(SHIPPED))['state_dict'].keys()
    assert sum(p.numel() for p in load_model(NAME).parameters()) > 1000
    main(['info', NAME])
    assert digest in capsys.readouterr().out
    assert shipped.requests == []


def test_other_bytes_under_a_known_name_are_refused(shipped):
    path = fetch_from_hub(f'{NAME}@main')
    path.unlink()
    shipped.put('owner/rain', 'weather.safetensors', b'other')
    other = hashlib.sha256(b'other').hexdigest()
    with pytest.raises(CheckpointError, match=f'has the sha256 {other}, that of the first fetch had') as caught:
        fetch_from_hub(NAME)
    assert '\n' not in str(caught.value)
    assert str(caught.value).endswith(f'{NAME}@main#sha256={other}'), 'it says how to accept it'
    assert fetch_from_hub(f'{NAME}@main#sha256={other}').read_bytes() == b'other'
    # a server that states the known hash and sends other bytes
    shipped.put('owner/rain', 'weather.safetensors', SHIPPED.read_bytes())
    shipped.replace = b'other'
    with pytest.raises(CheckpointError, match=f'its sha256 is {other}, expected'):
        fetch_from_hub(NAME)
    assert not path.exists()
    shipped.replace = None
    assert fetch_from_hub(NAME) == path


def test_a_hash_in_the_name_pins_from_the_start(shipped):
    with pytest.raises(CheckpointError, match=f'has the sha256 {sha256(SHIPPED)}, not {"0" * 64}'):
        fetch_from_hub(f'{NAME}#sha256={"0" * 64}')
    shipped.plain = True
    with pytest.raises(CheckpointError, match=r'states no sha256 of weather\.safetensors; write hf://owner/rain@main#'):
        fetch_from_hub(NAME)
    assert fetch_from_hub(f'{NAME}#sha256={sha256(SHIPPED)}').is_file()


def test_a_file_damaged_on_disk_is_refused(shipped):
    fetch_from_hub(NAME).write_bytes(b'damaged')
    with pytest.raises(CheckpointError, match=r'weather\.safetensors is damaged: its sha256 is .*; delete it'):
        fetch_from_hub(NAME)
    parse_hub_name(NAME).record.write_text('x')
    with pytest.raises(CheckpointError, match='does not hold a sha256; delete it'):
        fetch_from_hub(NAME)


def test_a_truncated_file_is_refused_and_not_kept(shipped, tmp_path):
    shipped.truncate = True
    with pytest.raises(CheckpointError, match=rf'{NAME}@main can.t be downloaded: .*incomplete') as caught:
        fetch_from_hub(NAME)
    assert 'signature' not in str(caught.value)
    assert not [path for path in (tmp_path / 'cache').rglob('*') if path.is_file()]


def test_a_file_above_the_limit_is_refused(shipped, monkeypatch):
    monkeypatch.setattr('restorebox.engine.download.MAX_BYTES', 1000)
    with pytest.raises(CheckpointError, match='GiB; download it yourself'):
        fetch_from_hub(NAME)


@pytest.mark.parametrize('address', ['file:///etc/passwd', 'ftp://127.0.0.1/x', 'data:text/plain,x'])
def test_redirections_lead_to_http_only(address, shipped):
    shipped.redirect = address
    with pytest.raises(CheckpointError, match=r'unknown url type|InvalidURL'):
        fetch_from_hub(NAME)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('hf://owner/none', 'there is no such repository, or it is private and needs a token'),
        (f'{NAME}@v9', "it has no revision 'v9'"),
        (f'{NAME}/b.pth', 'there is no file b.pth'),
        ('hf://owner/empty', r'there is no file named \*.safetensors or \*.pth'),
        ('hf://owner/two', 'there are 2 files of weights; write hf://owner/two/FILE@main with one of a.pth, b.pth'),
        ('hf://owner/odd', r'the file name \.\./\.\./a.safetensors is not allowed'),
        ('hf://owner--x/a', 'Cannot have -- or'),
    ],
)
def test_what_is_not_there_is_one_line(text, message, shipped):
    shipped.put('owner/empty', 'model.bin', b'x')
    shipped.put('owner/two', 'a.pth', b'x')
    shipped.put('owner/two', 'b.pth', b'y')
    shipped.put('owner/odd', '../../a.safetensors', b'y')
    with pytest.raises((CheckpointError, ConfigError), match=message) as caught:
        fetch_from_hub(text)
    assert '\n' not in str(caught.value)


def test_one_safetensors_goes_before_pickles(shipped):
    shipped.put('owner/rain', 'weather.pth', b'x')
    assert fetch_from_hub(NAME).name == 'weather.safetensors'
    assert fetch_from_hub(f'{NAME}/weather.pth').read_bytes() == b'x'


def test_a_private_repository_needs_the_token_and_none_is_shown(shipped, monkeypatch, tmp_path, capsys):
    shipped.private.add('owner/rain')
    assert 'is private and needs a token, by HF_TOKEN' in refused(lambda: main(['info', NAME]), capsys)
    monkeypatch.setenv('HF_TOKEN', TOKEN)
    shipped.truncate = True
    assert TOKEN not in refused(lambda: main(['info', NAME]), capsys)
    shipped.truncate = False
    main(['info', NAME])
    assert TOKEN not in ''.join(capsys.readouterr())
    assert not [path for path in tmp_path.rglob('*') if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert shipped.tokens
    assert not [path for path in shipped.tokens if path.startswith('/storage')], 'the storage gets no token'


def test_a_token_that_no_header_can_hold_is_not_printed(shipped, monkeypatch, capsys):
    monkeypatch.setenv('HF_TOKEN', 'hf_secret\u20acsecret')
    assert 'secret' not in refused(lambda: main(['info', NAME]), capsys)


def test_offline_the_fetched_file_is_used(shipped, monkeypatch):
    path = fetch_from_hub(NAME)
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    assert fetch_from_hub(NAME) == path
    with pytest.raises(CheckpointError, match='HF_HUB_OFFLINE is set, and it was not fetched before'):
        fetch_from_hub(f'{NAME}/other.pth')
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', False)
    shipped.close()
    assert fetch_from_hub(NAME) == path
    with pytest.raises(CheckpointError, match=r"other\.pth@main: the server can't be reached"):
        fetch_from_hub(f'{NAME}/other.pth')


def test_nothing_of_a_fetched_pickle_is_run(server, tmp_path, capsys):
    import io

    import torch

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / 'written'), 'w'))

    buffer = io.BytesIO()
    torch.save({'state_dict': {'x': torch.zeros(1)}, 'x': Evil()}, buffer)
    server.put('owner/evil', 'a.pth', buffer.getvalue())
    assert 'it holds more than weights' in refused(lambda: main(['info', 'hf://owner/evil']), capsys)
    assert not (tmp_path / 'written').exists()


def test_without_huggingface_hub_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'huggingface_hub', None)
    with pytest.raises(MissingPackageError, match=r"pip install 'restorebox\[hub\]'"):
        fetch_from_hub(NAME)


def publish(out, *more):
    main(
        ['publish', str(SHIPPED), str(out), '--licence', 'Non-commercial: trained on BSDS', '--limits', 'a | b', *more]
    )


def test_published_with_its_card_and_fetched_by_the_printed_name(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('HF_TOKEN', TOKEN)
    publish(tmp_path / 'mine.safetensors', '--to', NAME)
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
    name = re.search(r'uploaded: (\S+)', printed.out)[1]
    stored = server.files['owner/rain']['main']
    assert sorted(stored) == ['README.md', 'mine.safetensors']
    card = stored['README.md'].decode()
    front = yaml.safe_load(card.split('---\n')[1])
    assert front['license'] == 'other'
    assert front['license_name'] == 'non-commercial-trained-on-bsds'
    assert front['library_name'] == 'restorebox'
    assert r'a \| b' in card
    digest = sha256(tmp_path / 'mine.safetensors')
    assert name == f'hf://owner/rain/mine.safetensors@{name.split("@")[1][:40]}#sha256={digest}'
    assert digest in card
    assert find_weights(name).read_bytes() == stored['mine.safetensors']


@pytest.mark.parametrize(
    ('to', 'message'),
    [
        ('owner/rain', 'it must be hf://OWNER/NAME'),
        (f'{NAME}/a.pth', 'the file keeps its name'),
        (f'{NAME}#sha256={"0" * 64}', 'the file keeps its name'),
    ],
)
def test_a_wrong_target_is_refused_before_anything_is_written(to, message, server, tmp_path, capsys):
    out = tmp_path / 'mine.safetensors'
    assert message in refused(lambda: publish(out, '--to', to), capsys)
    assert not out.exists()
    assert server.requests == []


def test_an_upload_without_permission_is_one_line(server, tmp_path, capsys):
    line = refused(lambda: publish(tmp_path / 'mine.safetensors', '--to', NAME), capsys)
    assert 'it needs a token with permission, by HF_TOKEN' in line or 'needs a token' in line
    assert json.dumps(server.files) == '{}'

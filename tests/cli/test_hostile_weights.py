"""Untrusted weights run no code in any command, and are an error of one line."""

import io
import json
import os
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file as load_safetensors
from safetensors.torch import save_file as save_safetensors

from restorebox.cli.main import main
from restorebox.inference.output_log import OUTPUTS
from tests.factories import SMALL_RESTORERS, publish_small, write_pairs
from tests.processes import write_config

pytestmark = pytest.mark.slow

MODEL = dict(
    type='SupervisedRestorer',
    **SMALL_RESTORERS['SupervisedRestorer'],
    data_preprocessor=dict(type='RestorationPreprocessor'),
)
# where a config has components, and what of it a program could stand in for
PLACES = (
    (),
    ('generator',),
    ('generator', 'backbone'),
    ('generator', 'head'),
    ('losses', 'l1'),
    ('losses', 'more'),
    ('data_preprocessor',),
    ('data_preprocessor', 'nested', 'deeper'),
)


def payloads(marker, script, module):
    """Configs each of which MMEngine would run where it is built."""
    touch = ['touch', str(marker)]
    code = f'open({str(marker)!r}, "w")'
    return {
        'Popen': {'type': 'subprocess.Popen', 'args': touch},
        'check_call': {'type': 'subprocess.check_call', 'popenargs': touch},
        'system': {'type': 'os.system', 'command': f'touch {marker}'},
        'makedirs': {'type': 'os.makedirs', 'name': str(marker)},
        'run_path': {'type': 'runpy.run_path', 'path_name': str(script)},
        'run_module': {'type': 'runpy.run_module', 'mod_name': module},
        'exec': {'type': 'builtins.exec', 'source': code},
        'import': {'type': 'importlib.import_module', 'name': module},
        'attribute': {'type': f'{module}.anything'},
        'scope': {'type': 'UNet', '_scope_': module},
        'scope and dot': {'type': f'{module}.UNet', '_scope_': module},
        'ours': {'type': 'restorebox.files.write_whole', 'path': str(marker), 'data': 'x'},
        'list': {'type': ['subprocess.Popen'], 'args': touch},
        'dict': {'type': {'type': 'subprocess.Popen', 'args': touch}},
        'mmengine': {'type': 'Config', 'cfg_dict': {}},
    }


def set_place(model, place, payload):
    if not place:
        return payload
    node = model
    for key in place[:-1]:
        node = node.setdefault(key, {})
    node[place[-1]] = {**node.get(place[-1], {}), **payload} if place == ('generator',) else payload
    return model


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp('base')
    published = publish_small(folder, MODEL)
    Image.fromarray(np.full((24, 32, 3), 90, np.uint8)).save(folder / 'p.png')
    for split in ('train', 'test'):
        write_pairs(folder / 'pairs', split, 2)
    write_config(folder / 'config.py', folder / 'pairs', samples=4)
    with safe_open(published, 'pt') as file:
        meta = file.metadata()
    return folder, load_safetensors(published), meta


def write(path, state, meta, cfg):
    """Write a file of weights whose metadata contains a config."""
    if path.suffix == '.pth':
        torch.save({'state_dict': state, 'meta': {'cfg_json': json.dumps(cfg)}}, path)
    else:
        save_safetensors(state, path, {**meta, 'cfg_json': json.dumps(json.dumps(cfg))})
    return path


def verbs(file, base, out):
    """Each way to look at a file of weights that builds the network of its config."""
    return {
        'info': ['info', str(file)],
        'restore': ['restore', str(base / 'p.png'), '--model', str(file), '--out', str(out), '--precision', 'fp32'],
        'publish': ['publish', str(file), str(out / 'p.safetensors'), '--licence', 'CC0', '--limits', 'none'],
        'export': ['export', str(file), '--to', 'torchscript', '--out', str(out / 'x.ts')],
    }


def refused(argv, capsys):
    """Run a verb in this process; asserts that it ends in one line and a code other than 0, and returns the line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        main(argv)
    err = capsys.readouterr().err.strip()
    assert caught.value.code not in (0, None)
    assert len(err.splitlines()) == 1, err
    assert all(c.isprintable() for c in err), err
    return err


def test_sixty_hostile_configs_run_nothing_in_any_verb(base, tmp_path, capsys, monkeypatch):
    folder, state, meta = base
    marker, module = tmp_path / 'IT_RAN', 'hostile_module_of_a_test'
    script = tmp_path / f'{module}.py'
    script.write_text(f'open({str(marker)!r}, "w").close()\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    tried = 0
    for i, (name, payload) in enumerate(payloads(marker, script, module).items()):
        for j, place in enumerate(PLACES):
            if (i + j) % 2:
                continue  # every payload in four places, every place with half of the payloads: 60 files
            cfg = {'model': set_place(json.loads(json.dumps(MODEL)), place, payload)}
            file = write(tmp_path / f'{i}_{j}{(".pth", ".safetensors")[(i // 2 + j // 2) % 2]}', state, meta, cfg)
            for verb, argv in verbs(file, folder, tmp_path).items():
                line = refused(argv, capsys)
                assert file.name in line, (name, place, verb, line)
                assert not marker.exists(), (name, place, verb)
                assert module not in sys.modules, (name, place, verb)
            tried += 1
            file.unlink()
    assert tried == 60
    assert {path.name for path in tmp_path.iterdir()} == {script.name}  # and nothing was written


def test_a_training_and_a_test_with_a_hostile_file_run_nothing(base, tmp_path, capsys):
    folder, state, meta = base
    marker = tmp_path / 'IT_RAN'
    cfg = {'model': {'type': 'os.mkdir', 'path': str(marker)}, 'custom_imports': {'imports': ['antigravity']}}
    file = write(tmp_path / 'hostile.pth', state, meta, cfg)
    common = [str(folder / 'config.py'), '--work-dir', str(tmp_path / 'work')]
    for argv in (
        ['test', common[0], str(file), *common[1:]],
        ['train', *common, '--no-data-check', '--cfg-options', f'load_from={file}'],
        ['prune', common[0], str(file), '--samples', '0', *common[1:]],
    ):
        capsys.readouterr()
        with pytest.raises(SystemExit):  # these weights are of another network than the config's
            main(argv)
        assert 'Traceback' not in capsys.readouterr().err
        assert not marker.exists()


def test_the_weights_behind_the_hostile_configs_are_good(base, tmp_path):
    folder, state, meta = base
    for suffix in ('.pth', '.safetensors'):
        file = write(tmp_path / f'good{suffix}', state, meta, {'model': MODEL})
        for argv in verbs(file, folder, tmp_path / suffix[1:]).values():
            (tmp_path / suffix[1:]).mkdir(exist_ok=True)
            if argv[0] != 'publish' or suffix == '.pth':
                main(argv)


def broken(kind, state):
    """A state dict with one weight that is no finite plain tensor of numbers."""
    state = {key: value.clone() for key, value in state.items()}
    key = next(key for key, value in state.items() if value.dim() == 4)
    weight = state[key]
    state[key] = {
        'NaN': lambda: weight.index_fill(0, torch.tensor(0), float('nan')),
        'infinite': lambda: weight.index_fill(0, torch.tensor(0), float('-inf')),
        'integers': lambda: weight.to(torch.int64),
        'bytes': lambda: weight.to(torch.uint8),
        'booleans': lambda: weight > 0,
        'complex': lambda: weight.to(torch.complex64),
        'sparse': lambda: weight.to_sparse(),
        'sparse rows': lambda: weight.flatten(1).to_sparse_csr(),
        'quantised': lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
        'meta': lambda: weight.to('meta'),
        'expanded': lambda: weight.new_zeros(1).expand(weight.shape),
        'no tensor': lambda: 'text',
        'numpy': lambda: weight.numpy(),
        'list': lambda: weight.tolist(),
        'name': lambda: weight,
    }[kind]()
    if kind == 'name':
        state['generator.\x1b[31m\nred'] = weight.clone()
    return state


KINDS = (
    *('NaN', 'infinite', 'integers', 'bytes', 'booleans', 'complex', 'sparse', 'sparse rows', 'quantised', 'meta'),
    *('expanded', 'no tensor', 'numpy', 'list', 'name'),
)


@pytest.mark.filterwarnings('ignore:Sparse CSR')
@pytest.mark.parametrize('kind', KINDS)
def test_weights_that_are_no_finite_numbers_are_refused_in_one_line(kind, base, tmp_path, capsys):
    folder, state, meta = base
    files = [write(tmp_path / 'w.pth', broken(kind, state), meta, {'model': MODEL})]
    if kind in ('NaN', 'infinite', 'integers', 'bytes', 'booleans', 'complex', 'name'):
        files.append(write(tmp_path / 'w.safetensors', broken(kind, state), meta, {'model': MODEL}))
    for file in files:
        for argv in verbs(file, folder, tmp_path).values():
            assert file.name in refused(argv, capsys)


HUGE_TEXT = '9' * 5000


@pytest.mark.parametrize(
    'text',
    [
        '{"model": ' * 2000 + '1' + '}' * 2000,
        '[' * 100_000,
        f'{{"model": {{"type": "SupervisedRestorer", "statistics_window": {HUGE_TEXT}}}}}',
        '{"model": {"type": "SupervisedRestorer", "statistics_window": NaN}}',
        '{"model": {"type": "SupervisedRestorer", "statistics_window": 1e999}}',
        '{"model": null}',
        '[]',
        '"text"',
        '{"model": {"type": "SupervisedRestorer"}}',
        json.dumps({'model': {**MODEL, 'generator': {'backbone': {'type': 'UNet', 'levels': 10**9}}}}),
        json.dumps({'model': {**MODEL, 'generator': {'backbone': {'type': 'FDRUNet', 'blocks': [10**6, 10**6]}}}}),
        json.dumps({'model': {'type': 'RestorationPreprocessor'}}),
        json.dumps({'model': {'type': 'CycleRestorer', **SMALL_RESTORERS['CycleRestorer'], 'inter_width': 10**6}}),
    ],
    ids=lambda text: text[:24] + text[-24:],
)
def test_configs_that_no_network_has_are_refused_in_one_line(text, base, tmp_path, capsys):
    folder, state, meta = base
    torch.save({'state_dict': state, 'meta': {'cfg_json': text}}, tmp_path / 'w.pth')
    save_safetensors(state, tmp_path / 'w.safetensors', {**meta, 'cfg_json': json.dumps(text)})
    for file in (tmp_path / 'w.pth', tmp_path / 'w.safetensors'):
        for argv in verbs(file, folder, tmp_path).values():
            assert file.name in refused(argv, capsys)


def test_metadata_that_is_no_plain_data_or_has_control_characters(base, tmp_path, capsys):
    folder, state, meta = base
    red = '\x1b[31mred\x1b]0;title\x07\u202eleft'
    file = tmp_path / 'w.safetensors'
    facts = {'licence': red, 'limits': f'a\nb\rc {red}', 'average': ['no', 'text'], 'scores': {'mean': {red: 1.5}}}
    save_safetensors(state, file, {**meta, **{key: json.dumps(value) for key, value in facts.items()}})
    main(['info', str(file)])
    out = capsys.readouterr().out
    assert 'red' in out
    assert '\\x1b[31m' in out
    assert all(c.isprintable() or c == '\n' for c in out)
    rows = [line.split()[0] for line in out.splitlines()]
    assert rows.count('limits') == 1
    assert 'b' not in rows  # a line break of the file makes no row of its own
    for odd in ({'scores': {'mean': 'text'}}, {'scores': 7}, {'scores': {'mean': {'a': 10**400}}}, {'compute': None}):
        save_safetensors(state, file, {**meta, **{key: json.dumps(value) for key, value in odd.items()}})
        main(['info', str(file)])
    torch.save(
        {'state_dict': state, 'meta': {'cfg_json': json.dumps({'model': MODEL}), 'compute': 'x'}}, tmp_path / 'c.pth'
    )
    for argv in verbs(tmp_path / 'c.pth', folder, tmp_path).values():
        assert "its 'compute'" in refused(argv, capsys)
    save_safetensors(state, file, {**meta, 'licence': '[' * 5000, 'limits': HUGE_TEXT})  # text, as other people's is
    main(['info', str(file)])


def directory(data: bytes) -> tuple[int, int, int]:
    """Offsets of the end record of a zip archive and of its directory, and the size of the latter."""
    end = data.rindex(b'PK\5\6')
    (size,) = struct.unpack_from('<I', data, end + 12)
    return end, end - size, size


def rezipped(good: Path) -> bytes:
    """The same archive as Python writes it, without the longer end record."""
    out = io.BytesIO()
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(out, 'w') as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return out.getvalue()


def members_that_share_bytes(good: Path, folder: Path) -> Path:
    """A hundred more entries of the directory that point at the largest member."""
    data = rezipped(good)
    end, start, size = directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        largest = max(archive.infolist(), key=lambda each: each.file_size).filename.encode()
    at = data.index(largest, start) - 46
    entry = data[at : at + 46 + len(largest)]
    more = b''.join(entry.replace(largest, b'%0*d' % (len(largest), i)) for i in range(100))
    record = bytearray(data[end:])
    number = struct.unpack_from('<H', record, 10)[0] + 100
    struct.pack_into('<HHI', record, 8, number, number, size + len(more))
    (folder / 'shared.pth').write_bytes(data[:end] + more + record)
    return folder / 'shared.pth'


def two_directories(good: Path, folder: Path) -> Path:
    """A second directory between the first and the end record, which names the offset of the first."""
    data = rezipped(good)
    end, start, _ = directory(data)
    (folder / 'two.pth').write_bytes(data[:end] + data[start:end] + data[end:])
    return folder / 'two.pth'


def test_archives_that_grow_and_structures_that_repeat_end_at_once(base, tmp_path, capsys):
    _, state, meta = base
    good = write(tmp_path / 'good.pth', state, meta, {'model': MODEL})
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(tmp_path / 'bomb.pth', 'w', zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    tree: list = []
    for _ in range(60):  # 2**60 leaves for who follows every way
        tree = [tree, tree]
    torch.save(
        {'state_dict': state, 'meta': {'cfg_json': json.dumps({'model': MODEL})}, 'x': tree}, tmp_path / 'tree.pth'
    )
    assert 'compressed' in refused(['info', str(tmp_path / 'bomb.pth')], capsys)
    assert 'share bytes' in refused(['info', str(members_that_share_bytes(good, tmp_path))], capsys)
    assert 'not where its end record says' in refused(['info', str(two_directories(good, tmp_path))], capsys)
    main(['info', str(tmp_path / 'tree.pth')])


@pytest.mark.parametrize('value', [float('nan'), float('inf'), float('-inf')])
def test_a_network_that_overflows_makes_no_picture(value, base, tmp_path, capsys, monkeypatch):
    """Finite weights may give infinite values; a hook simulates an overflow inside the network."""
    from restorebox.heads.picture import PictureHead

    folder, state, meta = base
    file = write(tmp_path / 'w.pth', state, meta, {'model': MODEL})
    forward = PictureHead.forward
    monkeypatch.setattr(PictureHead, 'forward', lambda *args, **kwargs: forward(*args, **kwargs) * value)
    argv = verbs(file, folder, tmp_path / 'out')['restore']
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 3  # it started, and some files failed
    assert 'the network gave NaN' in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'p.png').exists()
    assert os.listdir(tmp_path / 'out') == [OUTPUTS]

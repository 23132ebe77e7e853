"""Identity of stored runs: what counts as a change of code, and what a record holds."""

import importlib
import json
import sys

import pytest

from restorebox.claims import records
from restorebox.engine.config import find_config, load_config
from restorebox.errors import ConfigError, RestoreboxError
from restorebox.files import configs_dir
from tests.conftest import REPO

CODE = 'def f(x):\n    return x + 1\n'


def digest(tmp_path, text):
    file = tmp_path / f'{len(list(tmp_path.iterdir()))}.py'  # digests are kept by name
    file.write_text(text)
    return records.source_digest(file)


@pytest.mark.parametrize(
    ('text', 'same'),
    [
        ('"""About."""\n\ndef f(x):  # why\n    """Add."""\n\n    return (x +\n        1)\n', True),
        ('def f(x):\n    return x + 2\n', False),
        ('def f(y):\n    return y + 1\n', False),
    ],
)
def test_comments_docstrings_and_layout_are_no_code(tmp_path, text, same):
    assert (digest(tmp_path, CODE) == digest(tmp_path, text)) == same


def test_sources_of_a_run_are_its_configs_and_components():
    name = 'fdrnet/fdrnet_demo.py'
    found = records.sources(find_config(name), load_config(name).to_dict(), 'claims/analyses/distortions.py')
    for file in (
        'configs/fdrnet/fdrnet_demo.py',
        'configs/_base_/models/fdrnet.py',
        'restorebox/backbones/fdrnet.py',
        'restorebox/layers/disentangle.py',  # imported by the backbone
        'restorebox/datasets/transforms.py',
        'restorebox/engine/loops.py',
        'restorebox/claims/analyses/distortions.py',
    ):
        assert found[file], file
    assert not {'restorebox/restorers/cycle.py', 'restorebox/inference/__init__.py'} & set(found)


@pytest.mark.parametrize('package', [False, True])
def test_code_of_plugins_is_code_of_the_run(package, tmp_path, monkeypatch):
    name = f'own_loss_{"package" if package else "module"}'
    file = tmp_path / (f'{name}/__init__.py' if package else f'{name}.py')
    file.parent.mkdir(exist_ok=True)
    loss = f'Loss{name.title().replace("_", "")}'
    text = f"""
from restorebox.losses.pixel import L1Loss
from restorebox.registry import LOSSES

@LOSSES.register_module()
class {loss}(L1Loss):
    factor = 1
"""
    file.write_text(text)
    if package:
        (file.parent / 'deep').mkdir()
        (file.parent / 'deep' / 'parts.py').write_text('x = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    config = find_config('unet/unet_demo.py')
    found = records.sources(config, {'losses': {'own': {'type': loss}}})
    own = [f'plugins/{name}/__init__.py', f'plugins/{name}/deep/parts.py'] if package else [f'plugins/{name}.py']
    assert [key for key in found if key.startswith('plugins/')] == own
    stored = {'sources': records.store_names(found, tmp_path / 'sources')}
    assert records.changed(stored, tmp_path) == []
    file.write_text(text.replace('= 1', '= 2'))
    records.source_digest.cache_clear()
    assert records.changed(stored, tmp_path) == own[:1]
    monkeypatch.syspath_prepend(tmp_path / 'elsewhere')
    monkeypatch.setattr(sys, 'path', [entry for entry in sys.path if entry != str(tmp_path)])
    monkeypatch.delitem(sys.modules, name)
    assert records.changed(stored, tmp_path) == own  # not importable
    assert not [key for key in records.sources(config, {'type': 'L1Loss'}) if key.startswith('plugins/')]


def test_changed_names_the_file(tmp_path):
    name = 'unet/unet_demo.py'
    found = records.sources(find_config(name), load_config(name).to_dict())
    stored = {'sources': records.store_names(found, tmp_path / 'sources')}
    assert records.changed(stored, tmp_path) == []
    altered = {**found, 'restorebox/pixels.py': 'other', 'restorebox/gone.py': 'other'}
    stored = {'sources': records.store_names(altered, tmp_path / 'sources')}
    assert records.changed(stored, tmp_path) == ['restorebox/pixels.py', 'restorebox/gone.py']
    assert records.changed({}, tmp_path) == [records.NO_SOURCES]
    assert records.changed({'failed': 'no data'}, tmp_path) == []


def test_an_absent_list_is_one_line(tmp_path):
    with pytest.raises(RestoreboxError, match='the list of files that a stored run names is unreadable'):
        records.changed({'sources': 'none'}, tmp_path)


def test_data_are_known_by_names_and_hashes(tmp_path):
    for name, content in (('a/x.png', b'1'), ('b/x.png', b'2')):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    names = records.data_names(tmp_path)
    assert list(names) == ['a/x.png', 'b/x.png']
    assert names['a/x.png'] != names['b/x.png']
    digest = records.store_names(names, tmp_path / 'data')
    assert json.loads((tmp_path / 'data' / f'{digest}.json').read_text()) == names
    with pytest.raises(ConfigError, match='no such folder'):
        records.data_names(tmp_path / 'nowhere')


def test_a_record_says_what_it_lacks():
    assert records.unknown(dict.fromkeys(records.IDENTITY, 'x')) == []
    assert records.unknown({**dict.fromkeys(records.IDENTITY, 'x'), 'commit': None, 'mean': {}}) == ['commit']


def test_the_place_of_docs_is_the_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert records.root_dir() == REPO
    monkeypatch.setattr(records, 'configs_dir', lambda: tmp_path / 'configs')
    assert records.root_dir() == tmp_path
    assert records.commit() is None  # no git there
    assert configs_dir() == REPO / 'configs'

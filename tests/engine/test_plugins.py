"""Published files name the plugins of their components, and readers say which one is missing."""

import json
import sys

import pytest

from restorebox import registry
from restorebox.cli.main import main
from restorebox.engine import load_file
from restorebox.engine.plugins import plugin_notes, used_plugins
from restorebox.engine.published import stored_config
from restorebox.errors import CheckpointError, PluginError
from tests.processes import refused

PLUGIN = """
from restorebox.backbones.unet import UNet
from restorebox.registry import BACKBONES

@BACKBONES.register_module()
class PluginUNet(UNet):
    pass
"""
MODEL = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='PluginUNet', levels=2, base_width=4, max_width=4),
        head=dict(type='PictureHead'),
    ),
    losses=dict(l1=dict(type='L1Loss')),
)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """An installed plugin with a distribution of version 1.2; the fixture's result removes it."""
    (tmp_path / 'site' / 'toy_plugin').mkdir(parents=True)
    (tmp_path / 'site' / 'toy_plugin' / '__init__.py').write_text(PLUGIN)
    info = tmp_path / 'site' / 'toy_plugin_dist-1.2.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: toy-plugin-dist\nVersion: 1.2\n')
    (info / 'entry_points.txt').write_text('[restorebox.plugins]\ntoy = toy_plugin\n')
    monkeypatch.syspath_prepend(tmp_path / 'site')
    monkeypatch.setattr(registry, '_plugins', {})
    monkeypatch.setattr(registry, '_plugins_loaded', False)
    registry.BACKBONES.own_names()

    def remove():
        monkeypatch.setattr(registry, '_plugins', {})
        sys.path.remove(str(tmp_path / 'site'))
        registry.BACKBONES._module_dict.pop('PluginUNet', None)

    yield remove
    registry.BACKBONES._module_dict.pop('PluginUNet', None)
    sys.modules.pop('toy_plugin', None)


def test_a_published_file_names_its_plugin_and_the_reader_says_that_it_is_missing(plugin, tmp_path, capsys):
    import torch

    restorer = registry.RESTORERS.build(MODEL)
    state = {key: value for key, value in restorer.state_dict().items() if key.startswith('generator.')}
    meta = {'cfg_json': json.dumps({'model': MODEL})}
    torch.save({'state_dict': state, 'meta': meta}, tmp_path / 'a.pth')
    out = str(tmp_path / 'a.safetensors')
    main(['publish', str(tmp_path / 'a.pth'), out, '--licence', 'mit', '--limits', 'none'])
    assert load_file(out)['meta']['plugins'] == [{'name': 'toy_plugin', 'version': '1.2'}]
    capsys.readouterr()
    main(['info', out])
    assert 'toy_plugin 1.2' in capsys.readouterr().out
    plugin()
    line = refused(lambda: main(['info', out]), capsys)
    assert 'a.safetensors: it was made with the plugin toy_plugin 1.2 (not installed): model, ' in line
    assert 'PluginUNet' in line


def test_components_of_restorebox_need_no_plugin():
    own = json.loads(json.dumps(MODEL).replace('PluginUNet', 'UNet'))
    assert used_plugins(own) == []


@pytest.mark.parametrize(
    ('given', 'notes'),
    [
        ([{'name': 'a_b', 'version': '2'}], ['a_b 2 (not installed)']),
        ([{'name': 'a_b', 'version': None}], ['a_b (not installed)']),
        ([{'name': 'a; rm -r', 'version': '2'}, 'x', {'name': 7}, {}], []),
        ('x', []),
        (None, []),
        ([{'name': 'a' * 500, 'version': 'b' * 500}], [f'{"a" * 60} {"b" * 60} (not installed)']),
    ],
)
def test_forged_lists_of_plugins(given, notes):
    assert plugin_notes(given) == notes


def test_nothing_is_imported_by_a_name_in_a_file(monkeypatch):
    monkeypatch.delitem(sys.modules, 'antigravity', raising=False)
    model = json.loads(json.dumps(MODEL).replace('PluginUNet', 'NoSuchNet'))
    meta = {'cfg_json': json.dumps({'model': model}), 'plugins': [{'name': 'antigravity', 'version': '1'}]}
    with pytest.raises(CheckpointError, match='made with the plugin antigravity 1'):
        stored_config({'meta': meta}, 'a.pth')
    assert 'antigravity' not in sys.modules


def test_a_plugin_that_ends_the_program_is_named_with_its_line(plugin, tmp_path, monkeypatch):
    module = tmp_path / 'site' / 'toy_plugin' / '__init__.py'
    module.write_text('import sys\n\nsys.exit(3)\n')
    monkeypatch.delitem(sys.modules, 'toy_plugin')
    monkeypatch.setattr(registry, '_plugins_loaded', False)
    with pytest.raises(PluginError) as caught:
        registry.BACKBONES.own_names()
    assert str(caught.value) == (
        f"plugin 'toy' (toy_plugin, from toy-plugin-dist) can't be imported: SystemExit: 3 ({module}, line 3)"
    )

"""Registries: helpful errors and plugins."""

import ast
import re
import shutil
import subprocess
import sys

import pytest

from restorebox import registry as r
from restorebox.engine.check import check_types
from restorebox.errors import ConfigError
from tests.conftest import REPO
from tests.processes import environment


def test_a_misspelt_name_lists_near_names_and_plugins():
    with pytest.raises(KeyError) as caught:
        r.BACKBONES.build(dict(type='UNett'))
    assert str(caught.value) == "no backbone is called 'UNett'; did you mean 'UNet' or 'GUNet'?"


@pytest.mark.parametrize('ours_first', [True, False])
def test_a_name_that_two_modules_register_is_a_line_with_both(ours_first):
    """Components of restorebox are imported when the first name is looked up: either side may come first."""
    registry = r.Registry('part', locations=['restorebox.pixels'])

    class One:
        pass

    class Two:
        pass

    Two.__module__ = 'restorebox.backbones.unet'
    first, second = (Two, One) if ours_first else (One, Two)
    registry.register_module('UNet', module=first)
    with pytest.raises(ConfigError) as caught:
        registry.register_module('UNet', module=second)
    assert str(caught.value) == (
        f"part 'UNet' is registered by {first.__module__} and {second.__module__}; give one of them another name"
    )
    registry.register_module('UNet', module=second, force=True)


REGISTRIES = [value for value in vars(r).values() if isinstance(value, r.Registry)]


LONGEST = 400  # letters of a line that a person reads


def test_no_error_about_a_name_lists_all_names():
    """For every registry: a name without near names, each known name misspelt, and a text that is no name."""
    long = {}
    for registry in REGISTRIES:
        for name in ['Xyzzy', 'q', 'x' * 10_000, *(f'{known[:-1]}qq' for known in registry.known())]:
            with pytest.raises(KeyError) as caught:
                registry.get(name)
            if len(str(caught.value)) > LONGEST:
                long[registry.name, name[:40]] = str(caught.value)
    with pytest.raises(ConfigError) as caught:
        check_types({'anything': {'type': 'Xyzzy'}})
    assert len(str(caught.value)) < LONGEST
    assert not long


def test_no_error_about_a_key_lists_all_keys():
    """Of every class in every registry."""
    long, seen = {}, 0
    for registry in REGISTRIES:
        for name in registry.known():
            build, message = registry.get(name), ''
            try:
                r.check_keys(build, ['xyzzy_qq'], name, complete=False)
            except ConfigError as error:
                message = str(error)
                seen += 1
            if len(message) > LONGEST:
                long[name] = message
    assert seen > 150, 'hardly any class was asked'
    assert not long


@pytest.mark.parametrize('count', [1, 10, 11, 190])
def test_names_that_none_is_near_are_shown_in_part(count):
    known = [f'Component{i:03d}' for i in range(count)]
    line = r.nearest('Xyzzy', known)
    assert line.count('Component') == min(count, 10)
    assert ('and' in line) == (count > 10)
    assert count <= 10 or line.endswith(f'and {count - 10} more')
    assert len(r.nearest('Xyzzy', [name * 20 for name in known])) < LONGEST
    assert r.nearest('Xyzzy', []) == 'known: nothing'


@pytest.mark.parametrize('name', ['CenterCrop', 'RandomFlip', 'LoadImageFromFile', 'Pad', 'Normalize'])
def test_transforms_of_mmcv_are_not_ours(name):
    with pytest.raises(ConfigError, match='no transform is called'):
        r.TRANSFORMS.build({'type': name})


def test_a_misspelt_key_names_the_nearest():
    with pytest.raises(ConfigError, match="UNet has no key 'levles'; did you mean 'levels'"):
        r.BACKBONES.build(dict(type='UNet', levles=3))


def test_a_missing_key_is_named():
    with pytest.raises(ConfigError, match="PictureHead needs the key 'in_channels'"):
        r.HEADS.build(dict(type='PictureHead', scale=1))


@pytest.mark.parametrize('name', [n for n, v in vars(r).items() if isinstance(v, r.Registry)])
def test_every_registry_fills_itself_and_refuses_nonsense(name):
    registry = getattr(r, name)
    assert registry.known(), f'{name} is empty'
    with pytest.raises(KeyError, match=r'no .* is called'):
        registry.get('NoSuchThing')


def test_keys_of_a_class_that_passes_them_to_its_parents_are_known():
    known, _ = r.constructor_keys(r.PARAM_SCHEDULERS.get('CosineAnnealingLR'))
    assert {'T_max', 'eta_min', 'by_epoch'} <= set(known)


def test_mmengine_builds_ours_by_name():
    from mmengine.registry import HOOKS, DefaultScope

    with DefaultScope.overwrite_default_scope('restorebox'):
        assert type(HOOKS.build(dict(type='CapHistoryHook'))).__module__ == 'restorebox.hooks.reports'


@pytest.mark.slow
def test_importing_restorebox_imports_nothing_else():
    code = 'import sys; before = set(sys.modules); import restorebox; print(sorted(set(sys.modules) - before))'
    out = subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True, text=True, check=True)
    ours = [name for name in ast.literal_eval(out.stdout) if name not in sys.stdlib_module_names]
    assert ours == ['restorebox', 'restorebox.version']


@pytest.mark.slow
@pytest.mark.parametrize('room', ['restorers', 'datasets', 'metrics', 'hooks', 'engine'])
def test_rooms_leave_the_slow_libraries_alone(room):
    slow = '("torchvision", "lpips", "pytorch_fid", "skimage")'
    code = f'import restorebox.{room}, sys; print([m for m in {slow} if m in sys.modules])'
    out = subprocess.run([sys.executable, '-c', code], env=environment(), capture_output=True, text=True, check=True)
    assert out.stdout.strip() == '[]'


NEW_BACKBONE = """
\"\"\"Two convolutions.\"\"\"

from torch import nn

from restorebox.backbones import BaseBackbone, Needs
from restorebox.registry import BACKBONES


@BACKBONES.register_module()
class NewNet(BaseBackbone):
    \"\"\"Two convolutions.\"\"\"

    tap_channels = {'first': 4}

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.out_channels, self.out_stride = width, 1
        self.needs = Needs(stride=1, min_size=1, in_channels=3, value_range=(0.0, 1.0), receptive_field=5)

    def forward(self, x, taps=(), only_taps=False):
        kept = self.collect(taps, only_taps)
        x = self.first(x).relu()
        return kept.features if kept.last('first', x) else kept.end(self.second(x))
"""


@pytest.mark.slow
def test_a_new_file_in_a_room_is_registered_and_walked(tmp_path):
    """A new file in a copy of package and tests is registered and tested without other changes."""
    for name in ('restorebox', 'tests'):
        shutil.copytree(REPO / name, tmp_path / name, ignore=shutil.ignore_patterns('__pycache__', '*.safetensors'))
    (tmp_path / 'restorebox' / 'backbones' / 'new_net.py').write_text(NEW_BACKBONE.lstrip())
    environ = {**environment(), 'PYTHONPATH': str(tmp_path)}
    walk = [
        sys.executable,
        '-m',
        'pytest',
        '-q',
        '-n0',
        '-p',
        'no:cacheprovider',
        '-k',
        'NewNet',
        '--rootdir',
        tmp_path,
    ]
    result = subprocess.run(
        [*walk, 'tests/backbones/test_all_backbones.py'], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(re.search(r'(\d+) passed', result.stdout)[1]) > 5


def test_a_location_with_a_star_is_all_modules_of_its_folder():
    found = r.modules_of('restorebox.datasets.*')
    assert {'restorebox.datasets', 'restorebox.datasets.transforms', 'restorebox.datasets.pictures'} <= set(found)
    assert 'restorebox.datasets.sources' not in found, 'a package in it is a room of its own'
    assert r.modules_of('restorebox.engine') == ['restorebox.engine']

"""Hints for names and keys of other toolboxes in a config."""

import re

from restorebox import registry as r
from restorebox.aliases import (
    ALIASES,
    ALIASES_AT,
    BASICSR_KEYS,
    COMPONENT_KEYS,
    KEYS,
    OPENMMLAB_KEYS,
    component_key_alias,
)
from restorebox.engine.config import check_override, load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.registry import constructor_keys

UNET5 = configs_dir() / 'unet' / 'unet5_paired.py'
PIX2PIX = configs_dir() / 'infoaccum' / 'rain800_pix2pix.py'
REGISTRIES = [value for value in vars(r).values() if isinstance(value, r.Registry)]
# where ALIASES_AT says that a name stands -> a config that has it there
CONFIGS = {
    'dataset': 'train_dataloader = dict(dataset=dict(_delete_=True, type={0!r}))',
    'sampler': 'train_dataloader = dict(sampler=dict(_delete_=True, type={0!r}))',
    'pipeline': 'train_dataloader = dict(dataset=dict(pipeline=[dict(type="LoadPictures"), dict(type={0!r})]))',
    'model': 'model = dict(_delete_=True, type={0!r}, generator=dict(type="MSRResNet"))',
    'data_preprocessor': 'model = dict(data_preprocessor=dict(type={0!r}))',
    'backbone': 'model = dict(generator=dict(backbone=dict(_delete_=True, type={0!r})))',
    'head': 'model = dict(generator=dict(head=dict(_delete_=True, type={0!r})))',
    'losses': 'model = dict(losses=dict(more=dict(type={0!r})))',
    'val_evaluator': 'val_evaluator = [dict(type={0!r})]',
    'train_cfg': 'train_cfg = dict(_delete_=True, type={0!r}, max_iters=10)',
    'val_cfg': 'val_cfg = dict(type={0!r})',
    'test_cfg': 'test_cfg = dict(type={0!r})',
    'custom_hooks': 'custom_hooks = [dict(type={0!r})]',
    'visualizer': 'visualizer = dict(_delete_=True, type={0!r})',
}


def refusal(tmp_path, text):
    """Return the error of check-config for a config, '' if there is none."""
    config = tmp_path / 'c.py'
    config.write_text(f"_base_ = '{UNET5}'\n{text}\n")
    try:
        check_config(str(config))
    except ConfigError as error:
        return str(error)
    return ''


def test_check_config_answers_every_name_of_another_toolbox_with_ours(tmp_path):
    wrong = {}
    for place, names in ALIASES_AT.items():
        for name, ours in names.items():
            line = refusal(tmp_path, CONFIGS[place].format(name))
            if f"is called '{name}'; restorebox has {ours}" not in line or len(line) > 400:
                wrong[name] = line
    assert not wrong
    assert len(ALIASES) == sum(map(len, ALIASES_AT.values())) > 80, 'a name stands at two places'


def test_the_hints_name_existing_components():
    known = {each for registry in REGISTRIES for each in registry.own_names()}
    known |= {'lsgan', 'hinge', 'side_by_side', 'psnr_y', 'psnr_rgb', 'ssim_y', 'ssim_rgb', 'lpips_alex'}
    everything = {each for registry in REGISTRIES for each in registry.known()}
    assert not everything & ALIASES.keys(), 'it is a name here: the answer would never be seen'
    for name, ours in ALIASES.items():
        named = re.findall(r"'(\w+)'", ours)
        assert named or 'nothing in its place' in ours, name
        assert set(named) <= known, name


def test_check_config_answers_top_level_keys_of_other_toolboxes(tmp_path):
    wrong = {}
    for key in [key for key in KEYS if '.' not in key]:
        line = refusal(tmp_path, f'{key} = dict()')
        if not line.endswith(f"nothing reads '{key}'; restorebox has {KEYS[key]}, see docs/coming_from.md"):
            wrong[key] = line
    assert not wrong
    assert not BASICSR_KEYS.keys() & OPENMMLAB_KEYS.keys()


def test_our_keys_of_components_exist():
    keys = {
        key for each in REGISTRIES for name in each.known() for key in (constructor_keys(each.get(name)) or ([],))[0]
    }
    ours = {key.split(' ')[0] for key in COMPONENT_KEYS.values() if not key.startswith('(')}
    assert ours <= keys
    assert component_key_alias('by_epoch', []) == 'leave it out: numbers are samples'
    assert component_key_alias('interval', ['size']) is None, 'the component has no every_samples'


def test_the_losses_named_for_losses_compare_two_pictures():
    """A name that is refused at the same place would be of no help."""
    named = {word for ours in ALIASES_AT['losses'].values() for word in re.findall(r"'(\w+)'", ours)}
    losses = named & set(r.LOSSES.own_names())
    assert len(losses) > 5
    assert all(r.LOSSES.get(name).of_pictures for name in losses)


def test_our_keys_in_the_tables_are_read():
    configs = [load_config(str(path)) for path in (UNET5, PIX2PIX)]
    unread = {}
    for key, ours in KEYS.items():
        reasons = []
        for cfg in configs:
            try:
                check_override(cfg, ours.split(' ')[0])
            except ConfigError as error:
                reasons.append(str(error))
        if len(reasons) == len(configs):
            unread[key] = reasons
    assert not unread
    named = {word for ours in KEYS.values() for word in re.findall(r"type='(\w+)'", ours)}
    assert named <= {each for registry in REGISTRIES for each in registry.known()}

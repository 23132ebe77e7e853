"""Rows of a config: reading, order of application, storing by name; user errors are one line."""

import pytest

from restorebox.cli.common import prepare
from restorebox.cli.main import main
from restorebox.cli.train import parse
from restorebox.engine.config import load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.rows import find_row, read_rows
from tests.processes import refused

FDRNET = configs_dir() / 'fdrnet' / 'did_hy_fdrnet.py'
ROWS = """
wide: {about: wider, of: [a.py], differences: {width: 3, sizes: [1, 2]}}
wider: {about: wider still, of: [a.py, b.py], from: wide, differences: {width: 5}}
"""


@pytest.fixture
def folder(tmp_path):
    for name in ('a.py', 'b.py', 'c.py'):
        (tmp_path / name).touch()
    (tmp_path / 'rows.yml').write_text(ROWS)
    return tmp_path


def test_a_row_has_the_differences_of_the_row_it_is_made_from(folder):
    assert find_row(folder / 'a.py', 'wider').differences == {'width': 5, 'sizes': [1, 2]}
    assert find_row(folder / 'a.py', 'wide').differences == {'width': 3, 'sizes': [1, 2]}
    assert read_rows(folder / 'none') == {}


@pytest.mark.parametrize(
    ('config', 'row', 'expected'),
    [
        ('a.py', 'wid', "--row wid: a.py has no such row; did you mean 'wide'"),
        ('b.py', 'wide', '--row wide: is a row of a.py, not of b.py'),
        ('c.py', 'x', 'has no rows'),
    ],
)
def test_a_name_that_is_no_row_of_the_config_is_named(folder, config, row, expected):
    with pytest.raises(ConfigError) as caught:
        find_row(folder / config, row)
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('x: {about: a, of: [a.py], differences: {}, form: y}', "x: has no key 'form'; did you mean 'from'"),
        ('x: {about: a, of: [a.py]}', "x: misses the key 'differences'"),
        ('x: {about: a, of: a.py, differences: {}}', "of is 'a.py'; it must be a list"),
        ('x: {about: a, of: [d.py], differences: {}}', 'of: there is no config d.py'),
        ('x: {about: a, of: [a.py], from: y, differences: {}}', "x: from: there is no row 'y'"),
        ('x: {about: a, of: [a.py], from: x, differences: {}}', "x: from: 'x' leads back to itself"),
        ('x: 3', 'x: must be keys with values, got 3'),
        ('[1]', 'must be rows by name, got list'),
        ('x: {', 'line 1: no valid YAML'),
    ],
)
def test_a_mistake_in_the_file_is_one_line(folder, text, expected):
    (folder / 'rows.yml').write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_rows(folder)
    assert expected in str(caught.value)
    assert str(folder / 'rows.yml') in str(caught.value)
    assert '\n' not in str(caught.value)


def test_a_loaded_config_says_its_row_and_overrides_come_after_it():
    cfg = load_config(FDRNET, row='layers1')
    assert (cfg.row, cfg.model.generator.backbone['layers']) == ('layers1', 1)
    cfg = load_config(FDRNET, {'model.generator.backbone.layers': 7}, row='layers1')
    assert cfg.model.generator.backbone['layers'] == 7
    assert 'row' not in load_config(FDRNET)


def test_a_difference_without_effect_is_an_error(tmp_path):
    (tmp_path / 'a.py').write_text(f"_base_ = '{FDRNET}'\n")
    (tmp_path / 'rows.yml').write_text('x: {about: a, of: [a.py], differences: {model.generater.backbone.layers: 1}}')
    with pytest.raises(ConfigError, match=r"^row x: model.generater.*did you mean 'generator'"):
        load_config(tmp_path / 'a.py', row='x')


def test_two_rows_never_share_a_folder(tmp_path):
    assert prepare(parse([str(FDRNET)])).work_dir == 'work_dirs/did_hy_fdrnet'
    cfg = prepare(parse([str(FDRNET), '--row', 'layers1']))
    assert cfg.work_dir == 'work_dirs/did_hy_fdrnet_layers1'
    assert prepare(parse([str(FDRNET), '--row', 'layers1', '--work-dir', 'w'])).work_dir == 'w'
    cfg.dump(tmp_path / 'stored.py')
    assert load_config(tmp_path / 'stored.py').row == 'layers1'
    (tmp_path / 'a.py').write_text(f"_base_ = '{FDRNET}'\nwork_dir = 'own'\n")
    (tmp_path / 'rows.yml').write_text('x: {about: a, of: [a.py], differences: {model.generator.backbone.layers: 1}}')
    assert prepare(parse([str(tmp_path / 'a.py'), '--row', 'x'])).work_dir == 'own_x'


@pytest.mark.parametrize('verb', ['check-data', 'browse-data', 'train'])
def test_verbs_that_take_a_config_take_a_row_of_it(verb, capsys):
    line = refused(lambda: main([verb, str(FDRNET), '--row', 'layer1']), capsys)
    assert "did_hy_fdrnet.py has no such row; did you mean 'layers1'" in line


def test_check_config_takes_a_row(capsys):
    with pytest.raises(ConfigError, match="did you mean 'layers1'"):
        check_config(str(FDRNET), row='layer1')
    main(['check-config', str(FDRNET), '--row', 'layers1'])
    assert capsys.readouterr().out.startswith('ok ')


def test_models_lists_the_rows(capsys):
    main(['models', '--all'])
    lines = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith('configs/fdrnet/did_hy_fdrnet.py')
    ]
    assert any(line.split()[1] == 'layers1' for line in lines)

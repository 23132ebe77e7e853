"""docs/add_a_method.md, carried out: its files are written out of the page, its commands run as they stand."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.factories import write_pairs
from tests.processes import environment, one_line_error, succeed

PAGE = (REPO / 'docs' / 'add_a_method.md').read_text()
FILE = re.compile(r'^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$', re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r'^```sh\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CONFIG = 'plainnet/configs/plainnet_paired.py'


def commands(word: str) -> str:
    """The one block of commands on the page in which a word stands."""
    found = [block for block in COMMANDS.findall(PAGE) if word in block]
    assert len(found) == 1, f"{len(found)} blocks of the page hold '{word}'"
    return found[0]


def write_files(folder: Path) -> list[str]:
    """Write the page's files below a folder; returns their names."""
    files = FILE.findall(PAGE)
    for name, text in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [name for name, _ in files]


def shell(script: str, work: Path) -> subprocess.CompletedProcess:
    """Run commands of the page with the plugin installed."""
    env = environment() | {'PYTHONPATH': f'{work / "site"}{os.pathsep}{REPO}'}
    return subprocess.run(
        ['bash', '-e', '-c', script], cwd=work, env=env, capture_output=True, text=True, timeout=300, check=False
    )


def fingerprint() -> dict[str, str]:
    """Hashes of all that a plugin must leave alone."""
    files = [p for part in ('restorebox', 'configs', 'tools') for p in (REPO / part).rglob('*') if p.is_file()]
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in files if '__pycache__' not in p.parts}


@pytest.fixture(scope='module')
def work(tmp_path_factory) -> Path:
    """The page's folder with its files, pairs, a clone, and the plugin installed from them without a network."""
    folder = tmp_path_factory.mktemp('work')
    names = write_files(folder)
    assert CONFIG in names
    (folder / 'restorebox').symlink_to(REPO)
    write_pairs(folder / 'data' / 'paired', 'train', 4)
    write_pairs(folder / 'data' / 'paired', 'test', 2)
    install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-build-isolation', '--no-index']
    succeed(
        subprocess.run(
            [*install, '--target', str(folder / 'site'), str(folder / 'plainnet')],
            capture_output=True,
            text=True,
            check=False,
        )
    )
    return folder


@pytest.mark.slow
def test_the_walk_through_works_and_changes_no_file_of_restorebox(work):
    before = fingerprint()
    block = commands('pip install ./plainnet').replace('pip install ./plainnet\n', '')  # done by the fixture
    result = succeed(shell(block, work))
    assert f'ok     {CONFIG}' in result.stdout
    assert 'loss_edge' in result.stdout, 'the loss was not trained with'
    assert 'gain' in result.stdout, 'the test printed no table'
    assert fingerprint() == before


@pytest.mark.slow
def test_a_misspelt_plugin_backbone_is_answered_with_its_name_and_the_plugin(work):
    (work / 'plainnet/configs/misspelt.py').write_text(
        "_base_ = 'plainnet_paired.py'\nmodel = dict(generator=dict(backbone=dict(type='PlainNett')))\n"
    )
    line = one_line_error(shell('restorebox check-config plainnet/configs/misspelt.py', work))
    message = "no backbone is called 'PlainNett'; did you mean 'PlainNet'? (plugins loaded: plainnet (plainnet))"
    assert line.endswith(message)
    assert message in PAGE
    code = (
        'from restorebox.registry import BACKBONES\n'
        'try: BACKBONES.build(dict(type="PlainNett"))\n'
        'except KeyError as error: print(error)'
    )
    assert succeed(shell(f"python -c '{code}'", work)).stdout.strip() == message


@pytest.mark.slow
def test_a_plugin_that_cant_be_imported_is_one_line(work, tmp_path):
    (tmp_path / 'broken-1.0.dist-info').mkdir()
    (tmp_path / 'broken-1.0.dist-info/METADATA').write_text('Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n')
    (tmp_path / 'broken-1.0.dist-info/entry_points.txt').write_text('[restorebox.plugins]\nbroken = no_such_module\n')
    line = one_line_error(shell(f'PYTHONPATH={tmp_path}:$PYTHONPATH restorebox check-config {CONFIG}', work))
    assert "plugin 'broken' (no_such_module, from broken) can't be imported: ModuleNotFoundError" in line


@pytest.mark.slow
def test_a_single_file_is_imported_by_its_config(work):
    assert 'ok     notes/blue.py' in succeed(shell(commands('notes/blue.py'), work)).stdout
    result = shell("restorebox train notes/blue.py --cfg-options custom_imports.imports=['blue_loss']", work)
    assert 'custom_imports is read too late' in one_line_error(result)

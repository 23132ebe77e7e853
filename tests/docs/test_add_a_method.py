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
    """Return the only block of commands on the page that contains a word."""
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
    """Run commands of the page with the plugin installed; a PYTHONPATH that they set comes in front."""
    env = environment() | {'PYTHONPATH': f'{work / "site"}{os.pathsep}{REPO}'}
    script = script.replace('export PYTHONPATH=notes', 'export PYTHONPATH=notes:$PYTHONPATH')
    return subprocess.run(
        ['bash', '-e', '-c', script], cwd=work, env=env, capture_output=True, text=True, timeout=900, check=False
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
    (folder / 'restorebox-src').symlink_to(REPO)
    write_pairs(folder / 'data' / 'paired', 'train', 4)
    write_pairs(folder / 'data' / 'paired', 'test', 2)
    listed = folder / 'data' / 'listed'
    listed.mkdir()
    for split in ('train', 'test'):
        rows = [f'../paired/{split}/lq/{i:02d}.png,../paired/{split}/gt/{i:02d}.png' for i in range(2)]
        (listed / f'{split}.csv').write_text('\n'.join(['lq,gt', *rows]) + '\n')
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


@pytest.mark.slow
def test_the_file_of_each_other_component_is_trained_with(work):
    """Data set, transform, metric, hook and restorer of the page, for two steps and a validation, in one process."""
    script = commands('restorebox train notes/listed.py').replace('restorebox check-config notes/listed.py\n', '')
    result = succeed(shell(script, work))
    assert 'schedule: 4 samples = 2 steps of 2' in result.stdout
    header, *rows = (work / 'work_dirs/listed/losses.csv').read_text().splitlines()
    assert header == 'samples,loss_l1,loss_mirror,loss'
    assert [row.split(',')[0] for row in rows] == ['2', '4']
    assert re.search(r'colour_shift: \d+\.\d+', result.stdout), 'the metric gave no score'


@pytest.mark.slow
def test_a_table_with_a_short_row_is_refused_with_its_line(work, tmp_path):
    short = work / 'data/short'
    short.mkdir()
    (short / 'train.csv').write_text('lq,gt\n../paired/train/lq/00.png\n')
    (short / 'test.csv').write_text('lq,gt\n')
    script = 'export PYTHONPATH=notes\nrestorebox train notes/listed.py --data-root data/short'
    assert 'train.csv, line 2: it must have the columns lq and gt' in one_line_error(shell(script, work))


@pytest.mark.slow
def test_the_degradation_and_the_head_are_trained_with(work):
    result = succeed(shell(commands('restorebox train notes/bands.py'), work))
    assert 'schedule: 4 samples = 2 steps of 2' in result.stdout
    assert '6 of 6 runs to do' in succeed(shell(commands('restorebox sweep notes/bands.py'), work)).stdout


@pytest.mark.slow
def test_the_unpaired_method_trains_with_its_own_term(work):
    result = succeed(shell(commands('restorebox train notes/sparse_rain.py'), work))
    assert re.search(r'loss_removed: \d', result.stdout + result.stderr), 'the added term is not among the losses'


ASK = """
import sys, torch
sys.path.insert(0, 'notes')
import csv_pairs, random_gamma
from restorebox.datasets import SampleKey
from restorebox.errors import DataError
from restorebox.registry import DATASETS
steps = [dict(type='LoadPictures'), dict(type='RandomGamma', low=0.5), dict(type='Pack')]
pairs = DATASETS.build(dict(type='CSVPairs', data_root='data/listed', table='train.csv', pipeline=steps))
first, again, other = (pairs[SampleKey(0, epoch, 0)]['inputs']['gt'] for epoch in (3, 3, 4))
print(len(pairs), torch.equal(first, again), torch.equal(first, other), first.dtype)
for table in ('absent', 'odd', 'empty'):
    try:
        DATASETS.build(dict(type='CSVPairs', data_root='data/listed', table=f'{table}.csv'))
    except DataError as error:
        print(error)
"""


@pytest.mark.slow
def test_the_data_set_of_the_page_gives_samples_by_key_and_names_what_is_wrong(work):
    """What the training above could not tell: the same key gives the same sample, another key another one."""
    (work / 'data/listed/odd.csv').write_text('a,b\n1,2\n')
    (work / 'data/listed/empty.csv').write_text('lq,gt\n')
    (work / 'ask.py').write_text(ASK)
    assert succeed(shell('python ask.py', work)).stdout.splitlines() == [
        '2 True False torch.float32',
        'data/listed/absent.csv: No such file or directory',
        'data/listed/odd.csv: its first line must name the columns lq and gt',
        'data/listed: CSVPairs lists no pictures',
    ]

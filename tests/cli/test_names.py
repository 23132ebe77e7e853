"""Names of files that are not UTF-8 or hold control characters: nothing is lost, and no terminal gets them raw."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from restorebox.cli.main import main
from restorebox.datasets.pictures import PairedPictures
from restorebox.errors import PictureError, one_line, printable
from tests.factories import write_pairs
from tests.processes import environment, write_config

LATIN = os.fsdecode(b'caf\xe9')
ODD = [LATIN, 'red\x1b[31m', 'two\nlines']
SHOWN = [r'caf\xe9', r'red\x1b[31m', r'two\nlines']


@pytest.fixture
def odd_pairs(tmp_path):
    """Pairs of odd names, in a folder of one."""
    root = tmp_path / f'd_{LATIN}'
    for split in ('train', 'test'):
        write_pairs(root, split, 3)
        for role in ('lq', 'gt'):
            for i, name in enumerate(ODD):
                os.rename(root / split / role / f'{i:02d}.png', root / split / role / f'{name}.png')
    return root


def run_verb(*args: object) -> int:
    try:
        main([str(arg) for arg in args])
    except SystemExit as end:
        return end.code
    return 0


@pytest.mark.slow
def test_train_test_and_looking_at_data(odd_pairs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = write_config(tmp_path / 'toy.py', odd_pairs, samples=4)
    assert run_verb('train', config, '--work-dir', 'w') == 0
    assert run_verb('test', config, 'w/iter_2.pth', '--work-dir', 't') == 0
    assert {row['name'] for row in json.loads(Path('t/scores.json').read_bytes())['per_picture']} == set(ODD)
    for name in ODD:
        (odd_pairs / 'test' / 'lq' / f'{name}.png').write_bytes(b'no picture')
    (odd_pairs / 'train/lq' / f'alone{LATIN}.png').write_bytes(b'no picture')
    capsys.readouterr()
    assert run_verb('check-data', odd_pairs) == 1
    said = capsys.readouterr()
    assert run_verb('test', config, 'w/iter_2.pth', '--work-dir', 't2') == 1
    refused = capsys.readouterr()
    assert run_verb('browse-data', config, '--split', 'test', '--cfg-options',
                    'test_dataloader.dataset.bad_picture=skip') == 1  # fmt: skip
    browsed = capsys.readouterr()
    for name, shown in zip(ODD, SHOWN, strict=True):
        assert f'{shown}.png: is not a picture' in said.out
        assert f'{shown}.png: is not a picture' in browsed.out
        assert name not in said.out + said.err + refused.err + browsed.out + browsed.err
    assert len(refused.err.splitlines()) == 1
    files = {file for each in json.loads(Path('work_dirs/check_data/report.json').read_bytes())['findings']
             for file in each['files']}  # fmt: skip
    assert {str(odd_pairs / 'test' / 'lq' / f'{name}.png') for name in ODD} <= files


@pytest.mark.slow
def test_synthesize_keeps_manifest_and_pairs(odd_pairs, tmp_path, capsys):
    clean = tmp_path / 'clean' / 'sub'
    shutil.copytree(odd_pairs / 'train' / 'gt', clean)
    (clean / f'bad{LATIN}.png').write_bytes(b'no picture')
    out = tmp_path / 'out'
    assert run_verb('synthesize', clean.parent, out, '--recipe', 'jpeg', '--recursive', '--workers', 1,
                    '--bad-picture', 'skip') == 0  # fmt: skip
    said = capsys.readouterr()
    assert r'badcaf\xe9.png: is not a picture' in said.err
    lines = (out / 'train/manifest.jsonl').read_bytes().decode().splitlines()
    assert {json.loads(line)['source'] for line in lines} == {f'sub/{name}.png' for name in ODD}
    pairs = PairedPictures(out, 'train', pairing='list_file', list_file='pairs.txt')
    assert {pairs.get_data_info(i)['name'] for i in range(len(pairs))} == set(ODD)


@pytest.mark.slow
@pytest.mark.parametrize(
    'encoding', [{'PYTHONIOENCODING': 'ascii'}, {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}]
)
def test_any_encoding_of_a_pipe_will_do(odd_pairs, tmp_path, encoding):
    os.rename(odd_pairs / 'test/lq' / f'{LATIN}.png', odd_pairs / 'test/lq/été.png')
    result = subprocess.run(
        [sys.executable, '-m', 'restorebox', 'check-data', str(odd_pairs)],
        cwd=tmp_path, env=environment(**encoding), capture_output=True, check=False, timeout=900,
    )  # fmt: skip
    assert result.returncode == 1
    assert b'Traceback' not in result.stderr
    assert rb'gt/caf\xe9.png' in result.stdout
    assert json.loads((tmp_path / 'work_dirs/check_data/report.json').read_bytes())['findings']


def test_an_error_is_one_line_whatever_the_name():
    error = PictureError(f'{LATIN}\x1b[2J\nerror: \u202ebad\x9b: empty')
    wanted = r'caf\xe9\x1b[2J\nerror: \u202ebad\x9b: empty'
    assert str(error) == one_line(error) == str(pickle.loads(pickle.dumps(error))) == wanted
    assert str(PictureError(f'{error}; again')) == f'{wanted}; again'
    # as torch hands on a worker's
    caught = PictureError(f'Caught PictureError in DataLoader worker process 0.\nOriginal Traceback (most recent call '
                          f'last):\n  File "x.py", line 1\nrestorebox.errors.PictureError: {error}\n')  # fmt: skip
    assert one_line(caught) == wanted


def test_ordinary_names_stay_as_they_are():
    for name in ('été 雨 1.png', 'C:\\a b\\c.png', '\u3000'):
        assert printable(name) == name

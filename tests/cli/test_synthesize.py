"""The command synthesize: options, output and user errors."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from restorebox.cli import synthesize
from restorebox.degradations.recipes import ABOUT, RECIPES
from restorebox.errors import DataError, RestoreboxError
from tests.conftest import REPO
from tests.datasets.synthesis.sets import contents, manifest, write_clean
from tests.processes import environment, one_line_error, succeed

TOOL = str(REPO / 'tools' / 'synthesize.py')


def make(*args: object) -> None:
    synthesize.main([str(arg) for arg in args])


@pytest.fixture
def clean(tmp_path):
    return write_clean(tmp_path / 'clean', 7)


def test_a_second_run_repairs_damaged_files_and_changes_no_others(tmp_path, clean, capsys):
    options = ['--recipe', 'noise', '--workers', 1]
    make(clean, tmp_path / 'out', *options)
    before, written = contents(tmp_path / 'out'), (tmp_path / 'out/train/lq/003.png').stat().st_mtime_ns
    make(clean, tmp_path / 'out', *options)
    assert '7 of 7 were there already; 0 made' in capsys.readouterr().out
    (tmp_path / 'out/train/lq/001.png').write_bytes(b'')
    (tmp_path / 'out/train/gt/002.jpg').unlink()
    (tmp_path / 'out/train/lq/.restorebox-0123456789abcdef.tmp').write_bytes(b'half')
    (tmp_path / 'out/train/journal.jsonl').write_text('{"name": "00')
    make(clean, tmp_path / 'out', *options)
    assert '5 of 7 were there already; 2 made' in capsys.readouterr().out
    assert contents(tmp_path / 'out') == before
    assert (tmp_path / 'out/train/lq/003.png').stat().st_mtime_ns == written


def test_unreadable_pictures_stop_it_or_are_skipped(tmp_path, clean, capsys):
    (clean / '005.jpg').write_bytes((clean / '005.jpg').read_bytes()[:200])
    options = [clean, tmp_path / 'out', '--recipe', 'noise', '--workers', 1]
    with pytest.raises(DataError, match=r'005\.jpg: is .*; complete pictures are kept'):
        make(*options)
    assert len((tmp_path / 'out/train/journal.jsonl').read_text().splitlines()) == 5
    make(*options, '--bad-picture', 'skip')
    printed = capsys.readouterr()
    assert '5 of 7 were there already' in printed.out
    assert '6 degraded pictures of 6 clean ones' in printed.out
    assert '1 pictures were skipped:' in printed.err
    assert '005.jpg' in printed.err
    assert [record['name'] for record in manifest(tmp_path / 'out/train')] == ['000', '001', '002', '003', '004', '006']
    for path in clean.iterdir():
        path.write_bytes(b'no picture')
    with pytest.raises(DataError, match='none of 7 pictures'):
        make(clean, tmp_path / 'other', '--recipe', 'noise', '--bad-picture', 'skip')


@pytest.mark.parametrize(
    ('args', 'expected'),
    [
        (['missing', 'out', '--recipe', 'noise'], 'missing: no such folder'),
        (['empty', 'out', '--recipe', 'noise'], 'no pictures in this folder'),
        (['clean', 'out', '--recipe', 'haevy_rain'], "did you mean 'heavy_rain'"),
        (['clean', 'out', '--config', 'absent.py'], 'absent.py: no such file'),
        (['clean', 'out', '--config', 'other.py'], "has no 'recipe = dict(type=...)'; did you mean 'recipes'"),
        (['clean', 'out', '--config', 'wrong.py'], "HeavyRain has no key 'bta'; did you mean 'beta'"),
        (['clean', 'made', '--recipe', 'poisson'], 'was made with recipe "noise", now it is "poisson"'),
        (['clean', 'made', '--recipe', 'noise', '--seed', '1'], 'was made with seed 0, now it is 1'),
        (['clean', 'made', '--recipe', 'noise', '--layers'], 'was made with layers false, now it is true'),
        (['few', 'made', '--recipe', 'noise'], 'belong to no picture of few, the first is gt/001.jpg'),
        (['clean', 'foreign', '--recipe', 'noise'], 'contains lq/mine.png, which was not made by synthesize'),
        (['changed', 'made', '--recipe', 'noise'], '000.png has changed since'),
        (['twice', 'out', '--recipe', 'noise'], 'two pictures of one name'),
        (['made/train/gt', 'made', '--recipe', 'noise'], 'contains the other'),
    ],
)
def test_user_errors_are_one_line_and_nothing_is_overwritten(tmp_path, monkeypatch, args, expected):
    monkeypatch.chdir(tmp_path)
    for name, count in (('clean', 2), ('few', 1), ('changed', 2)):
        write_clean(Path(name), count)
    Path('empty').mkdir()
    Image.new('RGB', (9, 9)).save('changed/000.png')
    Path('foreign/train/lq').mkdir(parents=True)
    Image.new('RGB', (9, 9)).save('foreign/train/lq/mine.png')
    write_clean(Path('twice'), 1)
    Image.new('RGB', (9, 9)).save('twice/000.bmp')
    Path('other.py').write_text('recipes = 3\n')
    Path('wrong.py').write_text("recipe = dict(type='HeavyRain', bta=(1, 2))\n")
    make('clean', 'made', '--recipe', 'noise', '--workers', 1)
    before = contents(tmp_path)
    with pytest.raises(RestoreboxError) as caught:
        make(*args)
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before


def test_a_config_gives_the_recipe(tmp_path, clean):
    (tmp_path / 'mine.py').write_text("recipe = dict(type='HeavyRain', beta=(2, 3))\n")
    (tmp_path / 'mine.json').write_text('{"recipe": {"type": "HeavyRain", "beta": [2, 3]}}')
    for suffix in ('py', 'json'):
        make(clean, tmp_path / suffix, '--config', tmp_path / f'mine.{suffix}')
    assert contents(tmp_path / 'py') == contents(tmp_path / 'json')
    assert all(2 <= record['parameters']['beta'] <= 3 for record in manifest(tmp_path / 'py/train'))


def test_the_list_names_every_recipe(capsys):
    assert list(ABOUT) == list(RECIPES)
    with pytest.raises(SystemExit) as caught:
        make('--list')
    assert caught.value.code == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    with pytest.raises(SystemExit):
        make('clean', 'out', '--recipe', 'noise', '--workers', 0)
    assert '0 is not a positive integer' in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_same_command_resumes(tmp_path):
    """A limit on the file size simulates the full disk: small pictures fit, the large one does not."""
    clean = write_clean(tmp_path / 'clean', 3)
    write_clean(tmp_path / 'large', 1, (128, 128))
    (tmp_path / 'large/000.png').rename(clean / '002a.png')

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    command = [sys.executable, TOOL, 'clean', 'out', '--recipe', 'noise', '--workers', '1']
    known = dict(cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    line = one_line_error(subprocess.run(command, preexec_fn=limit, **known))
    assert 'out/train/lq/002a.png: File too large; complete pictures are kept' in line
    assert len((tmp_path / 'out/train/journal.jsonl').read_text().splitlines()) == 3
    assert not [name for name in contents(tmp_path / 'out') if name.endswith('.tmp')]
    assert not (tmp_path / 'out/train/lq/002a.png').exists()
    succeed(subprocess.run(command, **known))
    assert len(manifest(tmp_path / 'out/train')) == 4


@pytest.fixture
def unreadable_folders(monkeypatch):
    """Make folders called 'locked' unreadable; permissions have no effect in tests that run as root."""
    scan = os.scandir

    def scandir(path):
        if os.path.basename(path) == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', scandir)


def test_faults_of_single_files_do_not_stop_the_run(tmp_path, clean, unreadable_folders, capsys):
    (clean / 'locked').mkdir()
    (clean / 'sub').mkdir()
    os.mkfifo(clean / 'pipe.png')
    for name, place in (('itself.png', 'itself.png'), ('zero.png', '/dev/zero'), ('sub/up', '..')):
        (clean / name).symlink_to(place)
    for name in ('l' * 251 + '.jpg', 'm' * 251 + '.gif', 'n' * 245 + '.png'):
        Image.new('L', (9, 7), 90).save(clean / name)
    options = ['--recipe', 'noise', '--recursive', '--per-picture', 2, '--workers', 2]
    with pytest.raises(DataError, match=r"locked: the folder can't be read \(Permission denied\)"):
        make(clean, tmp_path / 'out', *options)
    with pytest.raises(SystemExit) as end:
        make(clean, tmp_path / 'out', *options, '--bad-picture', 'skip')
    assert end.value.code == 1
    names = {record['source'] for record in manifest(tmp_path / 'out/train')}
    assert len(names) == 8
    assert 'n' * 245 + '.png' in names
    printed = capsys.readouterr()
    assert '16 degraded pictures of 8 clean ones' in printed.out
    place = tmp_path / 'out/train/lq'
    assert printed.err.splitlines() == [
        '5 pictures were skipped:',
        f"  {clean}/itself.png: can't be read (Too many levels of symbolic links)",
        f'  {place}/{"l" * 251}_00.png: File name too long',
        f'  {place}/{"m" * 251}_00.png: File name too long',
        f"  {clean}/pipe.png: can't be read (is no regular file)",
        f"  {clean}/zero.png: can't be read (is no regular file)",
        f'not entered: {clean}/sub/up: is the same folder as {clean}; its pictures are listed under that name',
        'folders were skipped:',
        f"  {clean}/locked: the folder can't be read (Permission denied)",
    ]
    assert not [name for name in contents(tmp_path / 'out') if Path(name).name.startswith('.')]

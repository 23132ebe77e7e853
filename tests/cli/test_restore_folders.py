"""restore over folders as they are found: what is bad in them is named, and the rest is restored."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox import files
from restorebox.cli.main import main
from restorebox.files import LOCK, READ_TIMEOUT, locked
from restorebox.inference import folders, inputs
from restorebox.inference.output_log import OUTPUTS
from tests.factories import publish_small
from tests.processes import environment, restore

LONG = ('l' * 251 + '.png', 'm' * 251 + '.gif', 'n' * 247 + '.gif')


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'in'
    for name in ('a.png', 'sub/b.png', 'locked/c.png', *LONG):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('L', (9, 7), 90).save(folder / name)
    return folder


def names(folder):
    found = (path.relative_to(folder).as_posix() for path in folder.rglob('*') if not path.is_dir())
    return sorted(name for name in found if name != OUTPUTS)


def test_one_bad_thing_does_not_end_it(pictures, published, tmp_path, monkeypatch, capsys):
    os.mkfifo(pictures / 'pipe.png')
    for name, place in (('itself.png', 'itself.png'), ('zero.png', '/dev/zero'), ('sub/up', '..'), ('gone.png', 'x')):
        (pictures / name).symlink_to(place)
    (pictures / 'folder.png').mkdir()
    scan = os.scandir

    def scandir(path):  # permissions would not stop a test that runs as root
        if os.path.basename(path) == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', scandir)
    out = tmp_path / 'out'
    assert restore(pictures, '--model', published, '--out', out) == 3
    assert names(out) == sorted(['a.png', 'sub/b.png', LONG[0], 'm' * 251 + '.png', LONG[2] + '.png'])
    printed = capsys.readouterr()
    assert f'5 restored into {out}, 4 could not be restored, 1 folder could not be read' in printed.out
    assert printed.err.splitlines() == [
        f'not entered: {pictures}/sub/up: is the same folder as {pictures}; its pictures are listed under that name',
        f"not restored: {pictures}/locked: the folder can't be read (Permission denied)",
        f'not restored: {pictures}/gone.png: no such file',
        f"not restored: {pictures}/itself.png: can't be read (Too many levels of symbolic links)",
        f"not restored: {pictures}/pipe.png: can't be read (is no regular file)",
        f"not restored: {pictures}/zero.png: can't be read (is no regular file)",
    ]
    assert restore(pictures, '--model', published, '--out', out) == 3
    assert f'0 restored into {out}, 5 were there already, 4 could not' in capsys.readouterr().out


def test_an_output_of_another_file_is_neither_kept_as_this_ones_nor_replaced(published, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, folder in enumerate(('one', 'two')):
        os.mkdir(folder)
        Image.new('L', (9, 7), 90 + 100 * i).save(f'{folder}/a.png')
        with zipfile.ZipFile(f'{folder}.zip', 'w') as archive:
            archive.write(f'{folder}/a.png', 'z.png')
    words = ('--model', published, '--out', 'out')
    assert restore('one', 'one.zip', *words) == 0
    made = {name: Path(f'out/{name}').read_bytes() for name in ('a.png', 'z.png')}
    capsys.readouterr()

    def refused(source, output):
        why = f'out/{output} was made from another file, or from this one before it changed'
        return f'not restored: {source}: {why}; take another --out, or --overwrite'

    assert restore('two', 'two.zip', *words, '--report', 'report.jsonl') == 3
    printed = capsys.readouterr()
    assert '0 restored into out, 2 could not be restored' in printed.out
    assert printed.err.splitlines() == [refused('two/a.png', 'a.png'), refused('two.zip!/z.png', 'z.png')]
    assert '"status": "existing"' not in Path('report.jsonl').read_text()
    assert made == {name: Path(f'out/{name}').read_bytes() for name in made}
    main(['restore', 'two', *map(str, words), '--dry-run'])
    assert 'two/a.png -> out/a.png (refused: the one there was made from another file)' in capsys.readouterr().out

    shutil.copytree('one', 'copy')  # the same file in another folder, with another time
    os.utime('copy/a.png', (1, 1))
    assert restore('copy', *words) == 0
    assert '0 restored into out, 1 were there already' in capsys.readouterr().out

    shutil.copy('two/a.png', 'one/a.png')  # it has changed
    assert restore('one', *words) == 3
    assert restore('one', *words, '--overwrite') == 0
    assert restore('one', *words) == 0
    assert Path('out/a.png').read_bytes() != made['a.png']


def test_the_source_of_an_output_is_the_file_that_was_read(published, tmp_path, monkeypatch, capsys):
    """It may have changed since the run was planned, and one that can't be read later is not another one."""
    monkeypatch.chdir(tmp_path)
    os.mkdir('in')
    Image.new('L', (9, 7), 90).save('in/a.png')
    whole = Path('in/a.png').read_bytes()
    plan = folders.plan_jobs

    def planned_during_a_copy(*args):
        Path('in/a.png').write_bytes(whole[:40])
        jobs = plan(*args)
        Path('in/a.png').write_bytes(whole)
        return jobs

    monkeypatch.setattr(folders, 'plan_jobs', planned_during_a_copy)
    words = ('in', '--model', published, '--out', 'out')
    assert restore(*words) == 0
    monkeypatch.setattr(folders, 'plan_jobs', plan)
    assert restore(*words) == 0
    monkeypatch.setattr(inputs, 'read_head', lambda path: b'')
    assert restore(*words) == 0
    assert capsys.readouterr().out.count('0 restored into out, 1 were there already') == 2


def test_leftovers_of_killed_runs_are_removed_and_links_not_followed(pictures, published, tmp_path):
    out, treasure = tmp_path / 'out', tmp_path / 'treasure'
    treasure.write_bytes(b'mine')
    for folder in (out, out / 'sub'):
        folder.mkdir()
        (folder / f'.restorebox-{"0" * 16}.tmp').write_bytes(b'half')
    (out / 'a.png').symlink_to(tmp_path / 'nowhere')
    (out / 'sub' / 'b.png').symlink_to(treasure)
    (out / LOCK).write_bytes(b'process 1 on elsewhere\n')
    assert restore(pictures, '--model', published, '--out', out) == 0
    assert names(out) == sorted(['a.png', 'sub/b.png', 'locked/c.png', LONG[0], 'm' * 251 + '.png', LONG[2] + '.png'])
    assert not (out / 'a.png').is_symlink()
    assert not (tmp_path / 'nowhere').exists()
    assert treasure.read_bytes() == b'mine'


def test_a_second_run_into_one_folder_is_a_line_with_the_first_one_s_number(pictures, published, tmp_path, capsys):
    out = tmp_path / 'out'
    with locked(out, 'restore'):
        assert restore(pictures, '--model', published, '--out', out) == 1
        assert names(out) == [LOCK]
    assert f'{out}: another restore (process {os.getpid()} on ' in capsys.readouterr().err
    with locked(out, 'restore'), pytest.MonkeyPatch.context() as patch:
        patch.setenv('RANK', '1')  # of one run under torchrun the first rank alone takes it
        patch.setenv('WORLD_SIZE', '2')
        assert restore(pictures, '--model', published, '--out', out) == 0
    assert len(names(out)) == 3


def test_a_run_without_a_lock_prints_a_warning(pictures, published, tmp_path, capsys):
    out = tmp_path / 'out'
    (out / LOCK).mkdir(parents=True)
    assert restore(pictures / 'a.png', '--model', published, '--out', out) == 0
    assert f'{out}: no lock (Is a directory); keep other runs away from it' in capsys.readouterr().err
    assert names(out) == ['a.png']


LESS = """
import resource, sys
from restorebox.cli.main import main
from restorebox.inference import folders
begin = folders.run_jobs
def limited(*args):
    taken = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[1]) * 2**20,) * 2)
    return begin(*args)
folders.run_jobs = limited
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
# MiB when the model is there; some modules are imported later. With 200 and less, native code of PyTorch may end the
# process by itself, which no Python code can catch, and Python's own Thread.start may wait for a thread that could not
# begin.
@pytest.mark.parametrize('more', [800])
def test_a_lack_of_memory_is_never_damage_and_never_the_end(published, tmp_path, more):
    rng = np.random.default_rng(0)
    (tmp_path / 'in').mkdir()
    for name, size in (('a', (64, 80)), ('b', (2400, 3200)), ('z', (64, 80))):
        Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / 'in' / f'{name}.png')
    words = ['restore', 'in', '--out', 'o', '--model', published, '--device', 'cpu', '--memory', '4000']
    command = [sys.executable, '-c', LESS, str(more), *map(str, words)]
    known = dict(cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False, timeout=900)
    result = subprocess.run(command, **known)
    assert 'Traceback' not in result.stderr, result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith('not restored')]
    missing = {'a.png', 'b.png', 'z.png'} - set(names(tmp_path / 'o'))
    assert len(lines) == len(missing), (result.returncode, result.stdout, result.stderr)
    assert all(any(f'in/{name}: not enough memory for a picture of' in line for line in lines) for name in missing)
    assert result.returncode == (3 if missing else 0)


def test_the_time_that_a_read_has_is_an_option(pictures, published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(READ_TIMEOUT, '60')
    seen, begin = [], files._Reading.start
    monkeypatch.setattr(files._Reading, 'start', lambda reading: (seen.append(files.read_limit()), begin(reading))[1])
    words = (pictures / 'a.png', '--model', published, '--out', tmp_path / 'out')
    assert restore(*words, '--read-timeout', 7) == 0
    # the first bytes, by which its kind is known; those, by which a change since then would be known; and all
    assert seen == [7.0, 7.0, 7.0]
    monkeypatch.setenv(READ_TIMEOUT, 'soon')
    assert restore(*words) == 1
    assert 'RESTOREBOX_READ_TIMEOUT=soon' in capsys.readouterr().err

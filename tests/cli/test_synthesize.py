"""synthesize: what it leaves depends on pictures, recipe and seed alone, however often it is killed."""

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.cli import synthesize, synthesize_work
from restorebox.cli.synthesize_folder import Folder
from restorebox.cli.synthesize_work import Job
from restorebox.datasets.pictures import PairedPictures
from restorebox.datasets.reading import read_picture
from restorebox.degradations import render_again
from restorebox.degradations.recipes import ABOUT, RECIPES
from restorebox.errors import BusyError, ConfigError, DataError, RestoreboxError
from tests.conftest import REPO
from tests.processes import environment, one_line_error, succeed

TOOL = str(REPO / 'tools' / 'synthesize.py')
MOST = 14  # lines that a run's journal gains before it is killed; five times as many are fewer than all 120


def write_clean(folder: Path, count: int, size: tuple[int, int] = (24, 32)) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f'{i:03d}.{"jpg" if i % 3 else "png"}')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}


def make(*args: object) -> None:
    synthesize.main([str(arg) for arg in args])


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b'\n') if journal.exists() else 0


def manifest(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'manifest.jsonl').read_text().splitlines()]


def read_layer(home: Path, record: dict, role: str) -> list:
    pixels = cv2.imread(str(home / record['files'][role]['path']), cv2.IMREAD_UNCHANGED)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]
    return (pixels / 65535 * record['layers'][role]['scale']).tolist()


@pytest.fixture
def clean(tmp_path):
    return write_clean(tmp_path / 'clean', 7)


@pytest.mark.slow
@pytest.mark.parametrize('workers', [1, 2])
def test_killed_five_times_it_ends_as_if_it_had_not_been(tmp_path, workers):
    clean = write_clean(tmp_path / 'clean', 60, (128, 160))
    options = ['--recipe', 'heavy_rain', '--layers', '--per-picture', 2, '--workers', workers]
    out, whole, journal = tmp_path / 'killed', tmp_path / 'whole', tmp_path / 'killed/train/journal.jsonl'
    make(clean, whole, *options)
    moments = random.Random(workers)
    complete = 0
    for _ in range(5):
        # forked from here, it is at work at once: a process of its own like the tool's, without seconds of imports
        process = multiprocessing.get_context('fork').Process(target=make, args=(clean, out, *options))
        process.start()
        # by what is done and not by time, which a busy machine stretches
        enough, deadline = complete + moments.randint(0, MOST), time.monotonic() + 60
        while lines(journal) < enough and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))  # anywhere in the work on the next picture
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, 'it ended before it could be killed: give it more pictures'
        for path in out.rglob('*.png'):
            if not path.name.startswith('.'):
                read_picture(path)  # none is half-written
        complete = lines(journal)
    assert 0 < complete < 120
    make(clean, out, *options)
    assert contents(out) == contents(whole)
    assert len(manifest(out / 'train')) == 120


def test_neither_workers_nor_other_pictures_matter(tmp_path, clean):
    make(clean, tmp_path / 'one', '--recipe', 'snow', '--workers', 1)
    make(clean, tmp_path / 'three', '--recipe', 'snow', '--workers', 3)
    whole = contents(tmp_path / 'one')
    assert whole == contents(tmp_path / 'three')
    (clean / '000.png').unlink()
    make(clean, tmp_path / 'fewer', '--recipe', 'snow')
    fewer = contents(tmp_path / 'fewer')
    assert all(whole[name] == data for name, data in fewer.items() if name.endswith('.png'))
    assert {'train/lq/001.png', 'train/gt/001.jpg'} <= set(fewer)


def test_a_second_run_touches_nothing_and_heals_what_is_broken(tmp_path, clean, capsys):
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


@pytest.mark.parametrize('recipe', ['light_rain', 'heavy_rain', 'rain_fog', 'haze', 'snow', 'moderate', 'did_hy'])
def test_a_line_of_the_manifest_renders_again(tmp_path, recipe):
    clean = write_clean(tmp_path / 'clean', 1)
    make(clean, tmp_path / 'out', '--recipe', recipe, '--layers', '--per-picture', 2, '--workers', 1)
    home = tmp_path / 'out' / 'train'
    for record in manifest(home):
        for source in (clean / record['source'], home / record['files']['gt']['path']):
            again = render_again(record, read_picture(source))
            assert np.array_equal(again['lq'], read_picture(home / record['files']['lq']['path']))
        for role, facts in record['layers'].items():
            stored = facts.get('constant') or read_layer(home, record, role)
            assert np.abs(np.float32(stored) - again[role]).max() <= 0.51 * facts.get('scale', 0) / 65535, role
    assert {role for role in again if role not in ('lq', 'parameters')} == set(record['layers'])


def test_several_per_picture_are_a_set_that_pairs_by_template(tmp_path, clean):
    make(clean, tmp_path / 'out', '--recipe', 'noise', '--per-picture', 3, '--split', 'test')
    pairing = dict(pairing='template', template=dict(lq='{name}_*', gt='{name}'))
    pairs = PairedPictures(tmp_path / 'out', split='test', **pairing)
    assert [pairs.get_data_info(i)['name'] for i in range(3)] == ['000_00', '000_01', '000_02']
    assert len(pairs) == 21
    shown = [contents(tmp_path / 'out')[f'test/lq/000_0{k}.png'] for k in range(3)]
    assert len(set(shown)) == 3


def test_sub_folders_stay_and_pair_by_list(tmp_path):
    write_clean(tmp_path / 'clean' / 'a', 2)
    write_clean(tmp_path / 'clean' / 'b c', 2)
    make(tmp_path / 'clean', tmp_path / 'out', '--recipe', 'noise', '--recursive')
    pairs = PairedPictures(tmp_path / 'out', pairing='list_file', list_file='pairs.txt')
    assert [Path(pairs.get_data_info(i)['paths']['gt']).parent.name for i in range(4)] == ['a', 'a', 'b c', 'b c']
    with pytest.raises(DataError, match='lie in each other'):
        make(tmp_path, tmp_path / 'out', '--recipe', 'noise', '--recursive')


def test_odd_clean_pictures_become_png_and_ordinary_ones_are_linked(tmp_path):
    clean = write_clean(tmp_path / 'clean', 2)
    picture = Image.open(clean / '000.png')
    exif = Image.Exif()
    exif[274] = 6
    picture.save(clean / 'turned.jpg', exif=exif)
    picture.convert('P').save(clean / 'palette.png')
    picture.convert('L').save(clean / 'grey.png')
    deep = np.random.default_rng(0).integers(0, 65536, (9, 8), dtype=np.uint16)
    Image.fromarray(deep).save(clean / 'deep.png')
    (clean / 'ten_bits.pgm').write_bytes(b'P5 8 9 1023\n' + (deep >> 6).astype('>u2').tobytes())
    make(clean, tmp_path / 'out', '--recipe', 'haze')
    home = tmp_path / 'out' / 'train'
    files = sorted(p.name for p in (home / 'gt').iterdir())
    assert files == ['000.png', '001.jpg', 'deep.png', 'grey.png', 'palette.png', 'ten_bits.png', 'turned.png']
    for record in manifest(home):
        gt, source = read_picture(home / record['files']['gt']['path']), read_picture(clean / record['source'])
        assert np.abs(gt - source.astype(gt.dtype)).max() <= 1 / 65535
        again = [render_again(record, each)['lq'] for each in (gt, source)]
        assert np.array_equal(*again)
        assert np.array_equal(again[0], read_picture(home / record['files']['lq']['path']))
    assert (home / 'gt/001.jpg').samefile(clean / '001.jpg')
    assert read_picture(home / 'gt/turned.png').shape == (32, 24, 3)


def test_unreadable_pictures_stop_it_or_are_skipped(tmp_path, clean, capsys):
    (clean / '005.jpg').write_bytes((clean / '005.jpg').read_bytes()[:200])
    options = [clean, tmp_path / 'out', '--recipe', 'noise', '--workers', 1]
    with pytest.raises(DataError, match=r'005\.jpg: is .*; what is complete stays'):
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
        (['clean', 'out', '--recipe', 'noise', '--seed', '-1'], '--seed -1: it must be 0 or more'),
        (['clean', 'made', '--recipe', 'poisson'], 'was made with recipe "noise", now it is "poisson"'),
        (['clean', 'made', '--recipe', 'noise', '--seed', '1'], 'was made with seed 0, now it is 1'),
        (['clean', 'made', '--recipe', 'noise', '--layers'], 'was made with layers false, now it is true'),
        (['few', 'made', '--recipe', 'noise'], 'belong to no picture of few, the first is gt/001.jpg'),
        (['clean', 'foreign', '--recipe', 'noise'], 'holds lq/mine.png, which no synthesis made'),
        (['changed', 'made', '--recipe', 'noise'], '000.png has changed since'),
        (['twice', 'out', '--recipe', 'noise'], 'two pictures of one name'),
        (['made/train/gt', 'made', '--recipe', 'noise'], 'lie in each other'),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_overwritten(tmp_path, monkeypatch, args, expected):
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
    assert '0 is not a positive number' in capsys.readouterr().err


def test_a_busy_folder_is_refused(tmp_path, clean, monkeypatch):
    monkeypatch.setattr('restorebox.cli.synthesize_folder.PATIENCE', 0.1)
    job = Job(clean, tmp_path / 'out', 'noise')
    folder = Folder(job, ['000.png'])
    with pytest.raises(BusyError, match=rf'another synthesize \(process {os.getpid()} on .*\) is at work there'):
        Folder(job, ['000.png'])
    folder.close()
    Folder(job, ['000.png']).close()


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(tmp_path):
    """A limit on the size of files stands for the full disk: small pictures fit, the large one does not."""
    clean = write_clean(tmp_path / 'clean', 3)
    write_clean(tmp_path / 'large', 1, (128, 128))
    (tmp_path / 'large/000.png').rename(clean / '002a.png')

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

    command = [sys.executable, TOOL, 'clean', 'out', '--recipe', 'noise', '--workers', '1']
    known = dict(cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    line = one_line_error(subprocess.run(command, preexec_fn=limit, **known))
    assert 'out/train/lq/002a.png: File too large; what is complete stays' in line
    assert len((tmp_path / 'out/train/journal.jsonl').read_text().splitlines()) == 3
    assert not [name for name in contents(tmp_path / 'out') if name.endswith('.tmp')]
    assert not (tmp_path / 'out/train/lq/002a.png').exists()
    succeed(subprocess.run(command, **known))
    assert len(manifest(tmp_path / 'out/train')) == 4


def test_a_record_needs_its_parameters():
    with pytest.raises(ConfigError, match="needs the key 'parameters'"):
        render_again({'recipe': 'noise'}, np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    'recipe',
    [
        {'type': 'os.mkdir', 'path': 'IT_RAN'},
        {'type': 'Compose', 'recipes': [{'type': 'JPEG'}, {'type': 'os.mkdir', 'path': 'IT_RAN'}]},
        {'type': 'JPEG', '_scope_': 'antigravity'},
        {'type': 'UNet'},
        ['jpeg'],
    ],
    ids=str,
)
def test_a_recipe_of_a_strangers_manifest_runs_nothing(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        render_again({'recipe': recipe, 'parameters': {}}, np.zeros((4, 4, 3), np.uint8))
    assert not os.path.exists('IT_RAN')


@pytest.fixture
def shut(monkeypatch):
    """Folders called 'locked' can't be read; permissions would not stop a test that runs as root."""
    scan = os.scandir

    def scandir(path):
        if os.path.basename(path) == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', scandir)


def test_one_bad_thing_does_not_end_it(tmp_path, clean, shut, capsys):
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
        f'not entered: {clean}/sub/up: is the folder {clean}, whose pictures are taken under that name',
        'folders were skipped:',
        f"  {clean}/locked: the folder can't be read (Permission denied)",
    ]
    assert not [name for name in contents(tmp_path / 'out') if Path(name).name.startswith('.')]


def test_the_longest_names_and_planted_links(tmp_path, clean):
    for name in ('l' * 251 + '.jpg', 'm' * 251 + '.gif'):
        Image.new('L', (9, 7), 90).save(clean / name)
    home, treasure = tmp_path / 'out/train', tmp_path / 'treasure'
    make(clean, tmp_path / 'out', '--recipe', 'noise', '--workers', 1)
    before = contents(home)
    assert {f'lq/{letter * 251}.png' for letter in 'lm'} <= set(before)
    treasure.write_bytes(b'mine')
    for name in ('lq/000.png', 'gt/001.jpg'):
        (home / name).unlink()
        (home / name).symlink_to(treasure)
    (home / 'gt/002.jpg').unlink()
    os.mkfifo(home / 'gt/002.jpg')
    make(clean, tmp_path / 'out', '--recipe', 'noise', '--workers', 1)
    assert contents(home) == before
    assert treasure.read_bytes() == b'mine'
    assert not any(path.is_symlink() for path in home.rglob('*'))


def test_a_lack_of_memory_is_no_damage(tmp_path, clean, monkeypatch, capsys):
    read = synthesize_work.read_picture

    def reader(path):
        if path.stem == '003':
            raise MemoryError
        return read(path)

    monkeypatch.setattr(synthesize_work, 'read_picture', reader)
    options = ['--recipe', 'noise', '--workers', 1]
    with pytest.raises(DataError, match=r'003\.png: not enough memory for it; try fewer --workers; what is complete'):
        make(clean, tmp_path / 'out', *options)
    make(clean, tmp_path / 'out', *options, '--bad-picture', 'skip')
    assert '003.png: not enough memory for it' in capsys.readouterr().err
    assert len(manifest(tmp_path / 'out/train')) == 6


def test_a_set_is_not_made_into_what_a_link_leads_to(tmp_path, clean):
    (clean / 'linked').symlink_to(tmp_path / 'out')
    (tmp_path / 'out/train/lq').mkdir(parents=True)
    Image.new('L', (9, 7)).save(tmp_path / 'out/train/lq/x.png')
    with pytest.raises(DataError, match='lie in each other'):
        make(clean, tmp_path / 'out', '--recipe', 'noise', '--recursive')


def test_a_picture_that_kills_its_worker_costs_no_other(tmp_path, clean, monkeypatch, capsys):
    read = synthesize_work.read_picture
    (tmp_path / 'first').touch()

    def reader(path):
        if path.stem == '003' or (path.stem == '005' and (tmp_path / 'first').exists()):
            if path.stem == '005':
                (tmp_path / 'first').unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path)

    monkeypatch.setattr(synthesize_work, 'read_picture', reader)
    options = ['--recipe', 'noise', '--workers', 2]
    with pytest.raises(DataError, match=r'003\.png: its worker was killed twice \(exit code -9; .* fewer --workers\)'):
        make(clean, tmp_path / 'out', *options)
    make(clean, tmp_path / 'out', *options, '--bad-picture', 'skip')
    assert '003.png: its worker was killed twice' in capsys.readouterr().err
    assert len(manifest(tmp_path / 'out/train')) == 6

"""A synthesised set depends only on pictures, recipe and seed, even if the run is killed and resumed."""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from restorebox.datasets.pictures import PairedPictures
from restorebox.datasets.reading import read_picture
from restorebox.datasets.synthesis import Job, SynthesisResult, make_set, work
from restorebox.datasets.synthesis.folder import OutputFolder
from restorebox.degradations import render_again
from restorebox.errors import BusyError, ConfigError, DataError
from tests.datasets.synthesis.sets import contents, lines, manifest, write_clean

MAX_LINES = 14  # lines added to the journal before the run is killed; five times as many are fewer than all 120


def make(clean, out, recipe, *, split='train', recursive=False, workers=None, skip=False, **options) -> SynthesisResult:
    return make_set(Job(clean, out / split, recipe, **options), recursive, workers, skip)


@pytest.fixture
def clean(tmp_path):
    return write_clean(tmp_path / 'clean', 7)


def read_layer(home: Path, record: dict, role: str) -> list:
    pixels = cv2.imread(str(home / record['files'][role]['path']), cv2.IMREAD_UNCHANGED)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]
    return (pixels / 65535 * record['layers'][role]['scale']).tolist()


@pytest.mark.slow
@pytest.mark.parametrize('workers', [1, 2])
def test_a_run_that_is_killed_five_times_gives_the_same_set(tmp_path, workers):
    clean = write_clean(tmp_path / 'clean', 60, (128, 160))
    options = dict(recipe='heavy_rain', layers=True, per_picture=2, workers=workers)
    out, whole, journal = tmp_path / 'killed', tmp_path / 'whole', tmp_path / 'killed/train/journal.jsonl'
    make(clean, whole, **options)
    moments = random.Random(workers)
    complete = 0
    for _ in range(5):
        # forked, so that it starts at once, without seconds of imports
        process = multiprocessing.get_context('fork').Process(target=make, args=(clean, out), kwargs=options)
        process.start()
        # wait for a number of lines and not for a time, which depends on the load of the machine
        enough, deadline = complete + moments.randint(0, MAX_LINES), time.monotonic() + 600
        while lines(journal) < enough and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))  # at any point of the next picture
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, 'it ended before it could be killed: use more pictures'
        for path in out.rglob('*.png'):
            if not path.name.startswith('.'):
                read_picture(path)  # none is half-written
        complete = lines(journal)
    assert 0 < complete < 120
    make(clean, out, **options)
    assert contents(out) == contents(whole)
    assert len(manifest(out / 'train')) == 120


def test_the_result_is_independent_of_workers_and_other_pictures(tmp_path, clean):
    make(clean, tmp_path / 'one', 'snow', workers=1)
    make(clean, tmp_path / 'three', 'snow', workers=3)
    whole = contents(tmp_path / 'one')
    assert whole == contents(tmp_path / 'three')
    (clean / '000.png').unlink()
    make(clean, tmp_path / 'fewer', 'snow')
    fewer = contents(tmp_path / 'fewer')
    assert all(whole[name] == data for name, data in fewer.items() if name.endswith('.png'))
    assert {'train/lq/001.png', 'train/gt/001.jpg'} <= set(fewer)


@pytest.mark.parametrize('recipe', ['light_rain', 'heavy_rain', 'rain_fog', 'haze', 'snow', 'moderate', 'did_hy'])
def test_a_line_of_the_manifest_renders_again(tmp_path, recipe):
    clean = write_clean(tmp_path / 'clean', 1)
    make(clean, tmp_path / 'out', recipe, layers=True, per_picture=2, workers=1)
    home = tmp_path / 'out' / 'train'
    for record in manifest(home):
        for source in (clean / record['source'], home / record['files']['gt']['path']):
            again = render_again(record, read_picture(source))
            assert np.array_equal(again['lq'], read_picture(home / record['files']['lq']['path']))
        for role, facts in record['layers'].items():
            stored = read_layer(home, record, role)
            assert np.abs(np.float32(stored) - again[role]).max() <= 0.51 * facts['scale'] / 65535, role
            if 'constant' in facts:
                assert (np.float32(facts['constant']) == again[role]).all()
    assert {role for role in again if role not in ('lq', 'parameters')} == set(record['layers'])


def test_several_per_picture_are_paired_by_template(tmp_path, clean):
    make(clean, tmp_path / 'out', 'noise', per_picture=3, split='test')
    pairing = dict(pairing='template', template=dict(lq='{name}_*', gt='{name}'))
    pairs = PairedPictures(tmp_path / 'out', split='test', **pairing)
    assert [pairs.get_data_info(i)['name'] for i in range(3)] == ['000_00', '000_01', '000_02']
    assert len(pairs) == 21
    shown = [contents(tmp_path / 'out')[f'test/lq/000_0{k}.png'] for k in range(3)]
    assert len(set(shown)) == 3


def test_sub_folders_are_kept_and_paired_by_list(tmp_path):
    write_clean(tmp_path / 'clean' / 'a', 2)
    write_clean(tmp_path / 'clean' / 'b c', 2)
    make(tmp_path / 'clean', tmp_path / 'out', 'noise', recursive=True)
    pairs = PairedPictures(tmp_path / 'out', pairing='list_file', list_file='pairs.txt')
    assert [Path(pairs.get_data_info(i)['paths']['gt']).parent.name for i in range(4)] == ['a', 'a', 'b c', 'b c']
    with pytest.raises(DataError, match='contains the other'):
        make(tmp_path, tmp_path / 'out', 'noise', recursive=True)


def test_uncommon_clean_pictures_become_png_and_common_ones_are_linked(tmp_path):
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
    make(clean, tmp_path / 'out', 'haze')
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


def test_a_locked_folder_is_an_error(tmp_path, clean, monkeypatch):
    monkeypatch.setattr('restorebox.datasets.synthesis.folder.LOCK_TIMEOUT', 0.1)
    job = Job(clean, tmp_path / 'out', 'noise')
    folder = OutputFolder(job, ['000.png'])
    with pytest.raises(BusyError, match=rf'another synthesize \(process {os.getpid()} on .*\) is at work there'):
        OutputFolder(job, ['000.png'])
    folder.close()
    OutputFolder(job, ['000.png']).close()


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
def test_a_recipe_of_an_untrusted_manifest_runs_no_code(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        render_again({'recipe': recipe, 'parameters': {}}, np.zeros((4, 4, 3), np.uint8))
    assert not os.path.exists('IT_RAN')


def test_damaged_bytes_in_the_manifest_cost_only_their_line(tmp_path, clean):
    make(clean, tmp_path / 'out', 'noise', workers=1)
    before, path = contents(tmp_path / 'out'), tmp_path / 'out/train/manifest.jsonl'
    line = path.read_bytes().split(b'\n')[0]
    path.write_bytes(path.read_bytes().replace(b'"name": "', b'"name": "\xff', 1))
    assert path.read_bytes().split(b'\n')[0] != line
    make(clean, tmp_path / 'out', 'noise', workers=1)
    assert contents(tmp_path / 'out') == before


def test_long_names_and_replaced_files(tmp_path, clean):
    for name in ('l' * 251 + '.jpg', 'm' * 251 + '.gif'):
        Image.new('L', (9, 7), 90).save(clean / name)
    home, target = tmp_path / 'out/train', tmp_path / 'target'
    make(clean, tmp_path / 'out', 'noise', workers=1)
    before = contents(home)
    assert {f'lq/{letter * 251}.png' for letter in 'lm'} <= set(before)
    target.write_bytes(b'other')
    for name in ('lq/000.png', 'gt/001.jpg'):
        (home / name).unlink()
        (home / name).symlink_to(target)
    (home / 'gt/002.jpg').unlink()
    os.mkfifo(home / 'gt/002.jpg')
    make(clean, tmp_path / 'out', 'noise', workers=1)
    assert contents(home) == before
    assert target.read_bytes() == b'other'
    assert not any(path.is_symlink() for path in home.rglob('*'))


def test_a_lack_of_memory_is_reported_as_such(tmp_path, clean, monkeypatch):
    read = work.read_picture

    def reader(path):
        if path.stem == '003':
            raise MemoryError
        return read(path)

    monkeypatch.setattr(work, 'read_picture', reader)
    monkeypatch.setattr(work, 'start_method', lambda: 'fork')  # so that workers have the reader
    with pytest.raises(
        DataError, match=r'003\.png: not enough memory for it; try fewer --workers; complete pictures are kept'
    ):
        make(clean, tmp_path / 'out', 'noise', workers=1)
    bad = make(clean, tmp_path / 'out', 'noise', workers=1, skip=True).unreadable
    assert [source for source, _ in bad] == ['003.png']
    assert '003.png: not enough memory for it' in bad[0][1]
    assert len(manifest(tmp_path / 'out/train')) == 6


def test_an_output_folder_that_is_linked_as_input_is_an_error(tmp_path, clean):
    (clean / 'linked').symlink_to(tmp_path / 'out')
    (tmp_path / 'out/train/lq').mkdir(parents=True)
    Image.new('L', (9, 7)).save(tmp_path / 'out/train/lq/x.png')
    with pytest.raises(DataError, match='contains the other'):
        make(clean, tmp_path / 'out', 'noise', recursive=True)


def test_a_picture_that_kills_its_worker_does_not_affect_others(tmp_path, clean, monkeypatch):
    read = work.read_picture
    (tmp_path / 'first').touch()

    def reader(path):
        if path.stem == '003' or (path.stem == '005' and (tmp_path / 'first').exists()):
            if path.stem == '005':
                (tmp_path / 'first').unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return read(path)

    monkeypatch.setattr(work, 'read_picture', reader)
    monkeypatch.setattr(work, 'start_method', lambda: 'fork')  # so that workers have the reader
    with pytest.raises(DataError, match=r'003\.png: its worker was killed twice \(exit code -9; .* fewer --workers\)'):
        make(clean, tmp_path / 'out', 'noise', workers=2)
    bad = make(clean, tmp_path / 'out', 'noise', workers=2, skip=True).unreadable
    assert [source for source, _ in bad] == ['003.png']
    assert '003.png: its worker was killed twice' in bad[0][1]
    assert len(manifest(tmp_path / 'out/train')) == 6

"""Rules of single data sources, and existing output folders of a preparation."""

import hashlib
import json
import os
import shutil
import struct
import zipfile
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from restorebox.datasets.reading import read_picture
from restorebox.datasets.sources import draw, prepare, rank
from restorebox.datasets.sources.files import check_picture
from restorebox.errors import ConfigError, DataError
from tests.miniatures import make, picture


def prepared(name, tmp_path, **more):
    source, what = make(name, tmp_path / 'release')
    prepare(source, tmp_path / 'release', tmp_path / 'data', **more)
    return tmp_path / 'release', tmp_path / 'data', source, what


def names(data, listed):
    return (data / 'lists' / f'{listed}.txt').read_text().splitlines()[1:]


def test_the_random_selection_can_be_reproduced_with_hashlib():
    assert rank(3, 'x_1') == hashlib.sha256(b'3:x_1').hexdigest()
    names = sorted('abcdefgh', key=lambda name: hashlib.sha256(f'5:{name}'.encode()).hexdigest())
    assert draw('hgfedcba', 3, 5) == sorted(names[:3])
    assert draw('ab', 3, 5) == ['a', 'b']


def test_rain100h_leaves_out_the_backgrounds_of_the_test_set(tmp_path):
    release, data, source, _ = prepared('rain100h', tmp_path)
    assert names(data, 'left_out_train') == ['2', '5']
    assert names(data, 'train') == ['1', '3', '4', '6']
    again = Image.open(release / 'Rain100H/norain-002.png')  # the same background, encoded differently
    again.save(release / 'RainTrainH/norain-6.png', compress_level=1)
    with pytest.raises(DataError, match='3 scenes are left after the exclusions, published 4'):
        prepare(source, release, tmp_path / 'other')
    prepare(source, release, tmp_path / 'other', allow_count=True)
    assert names(tmp_path / 'other', 'left_out_train') == ['2', '5', '6']


def test_rain100h_reads_a_copy_without_the_546(tmp_path):
    source, _ = make('rain100h', tmp_path / 'release')
    for i in (2, 5):
        for kind in ('rain', 'norain'):
            (tmp_path / f'release/RainTrainH/{kind}-{i}.png').unlink()
    prepare(replace(source, other_counts={'train': (4,)}), tmp_path / 'release', tmp_path / 'data')
    assert names(tmp_path / 'data', 'train') == ['1', '3', '4', '6']


def test_outdoor_rain_holds_out_the_backgrounds_of_test_1(tmp_path):
    release, data, _, _ = prepared('outdoor_rain', tmp_path)
    for split in ('val', 'test'):
        assert {name[:7] for name in names(data, split)} == {'im_0301', 'im_0350'}
    assert {name[:7] for name in names(data, 'train')} & {'im_0300', 'im_0351'} == {'im_0300', 'im_0351'}
    name = 'im_0300_s85_a04.png'
    assert (data / 'train/streak' / name).samefile(release / 'train/streak/im_0300_s85.png')
    assert (data / 'train/transmission' / name).samefile(release / 'train/trans' / name)
    assert (data / 'train/airlight' / name).samefile(release / 'train/atm' / name)
    name = 'im_0301_s80_a04.png'
    assert (data / 'val/lq' / name).samefile(release / 'train/in' / name)
    assert (data / 'val/airlight' / name).samefile(release / 'train/atm' / name)
    assert (data / 'test/lq' / name).samefile(release / 'test1/in' / name)
    assert (data / 'test/gt' / name).samefile(release / 'test1/gt/im_0301.png')
    assert sorted(path.name for path in (data / 'test').iterdir()) == ['gt', 'lq']


@pytest.mark.parametrize('degraded', ['Test1/input', 'downloads/test1/in'])
def test_outdoor_rain_finds_test_1_in_other_copies(degraded, tmp_path):
    release = tmp_path / 'release'
    source, _ = make('outdoor_rain', release)
    shutil.move(release / 'test1', tmp_path / 'test1')
    shutil.copytree(tmp_path / 'test1/in', release / degraded)
    shutil.copytree(tmp_path / 'test1/gt', (release / degraded).parent / 'gt')
    prepare(source, release, tmp_path / 'data')
    assert len(names(tmp_path / 'data', 'test')) == 4


def test_outdoor_rain_without_test_1_has_no_test_split(tmp_path):
    source, _ = make('outdoor_rain', tmp_path / 'release')
    shutil.rmtree(tmp_path / 'release/test1')
    with pytest.raises(DataError, match=r"split 'test' of Outdoor-Rain: found 0 scenes, published 4; .*--allow-count"):
        prepare(source, tmp_path / 'release', tmp_path / 'data')
    prepare(source, tmp_path / 'release', tmp_path / 'data', allow_count=True)
    assert len(names(tmp_path / 'data', 'val')) == 8
    assert not (tmp_path / 'data/test').exists()


def test_a_folder_called_test_does_not_hide_the_training_set(tmp_path):
    source, _ = make('outdoor_rain_8_2_random', tmp_path / 'release/testing')
    prepare(source, tmp_path / 'release', tmp_path / 'data')
    assert len(names(tmp_path / 'data', 'train')) == 32


def test_outdoor_rain_needs_no_layers_but_all_of_a_kind(tmp_path):
    source, _ = make('outdoor_rain', tmp_path / 'release')
    shutil.rmtree(tmp_path / 'release/train/trans')
    prepare(source, tmp_path / 'release', tmp_path / 'data')
    assert not (tmp_path / 'data/train/transmission').exists()
    (tmp_path / 'release/train/atm/im_0400_s80_a04.png').unlink()
    with pytest.raises(DataError, match=r'im_0400_s80_a04 without a partner; looked for train/atm/.*\(airlight\)'):
        prepare(source, tmp_path / 'release', tmp_path / 'other')


@pytest.mark.parametrize(('name', 'apart'), [('by_background', True), ('random', False)])
def test_outdoor_rain_8_2_keeps_backgrounds_apart_or_not(name, apart, tmp_path):
    _, data, _, _ = prepared(f'outdoor_rain_8_2_{name}', tmp_path)
    train, test = ({scene[:7] for scene in names(data, split)} for split in ('train', 'test'))
    assert bool(train & test) != apart
    assert len(names(data, 'train')) == 4 * len(names(data, 'test'))


@pytest.mark.parametrize(
    ('name', 'view'), [('cclgan_spa', lambda n: n[:3]), ('cclgan_rain_cityscapes', lambda n: n[:16])]
)
def test_the_sides_of_an_unpaired_set_share_no_background(name, view, tmp_path):
    _, data, source, _ = prepared(name, tmp_path)
    a, b = ({view(scene) for scene in names(data, side)} for side in ('trainA', 'trainB'))
    assert a
    assert b
    assert not a & b
    assert len(names(data, 'trainA')) == source.kept['trainA']
    assert sorted(p.name for p in (data / 'testA').iterdir()) == sorted(p.name for p in (data / 'testB').iterdir())


def test_an_unpaired_set_uses_all_backgrounds_if_there_are_too_few(tmp_path):
    source, _ = make('cclgan_spa', tmp_path / 'release')
    source = replace(source, kept={'trainA': 20, 'trainB': 20, 'testA': 3})
    prepare(source, tmp_path / 'release', tmp_path / 'data')
    assert len(names(tmp_path / 'data', 'trainA')) == 20
    assert len(names(tmp_path / 'data', 'trainB')) == 12


def test_rain800_is_cut_with_the_rain_on_the_right(tmp_path):
    release, data, _, _ = prepared('rain800', tmp_path)
    both = read_picture(release / 'rain/training/3.jpg')
    width = both.shape[1] // 2
    assert np.array_equal(read_picture(data / 'train/lq/3.png'), both[:, width:])
    assert np.array_equal(read_picture(data / 'train/gt/3.png'), both[:, :width])


def test_reside_is_cut_about_the_centre(tmp_path):
    release, data, _, _ = prepared('reside_its', tmp_path)
    clean = read_picture(release / 'SOTS/indoor/gt/1401.png')
    assert np.array_equal(read_picture(data / 'test/gt/1401_2.png'), clean[2:-2, 3:-3])
    assert (data / 'test/gt/1401_1.png').samefile(data / 'test/gt/1401_2.png')


def test_sidd_blocks_are_those_of_the_arrays(tmp_path):
    from scipy.io import loadmat

    release, data, _, _ = prepared('sidd_small', tmp_path)
    for role, stem in (('lq', 'ValidationNoisyBlocksSrgb'), ('gt', 'ValidationGtBlocksSrgb')):
        array = loadmat(release / f'{stem}.mat')[stem]
        assert np.array_equal(read_picture(data / f'test/{role}/02_03.png'), array[1, 2])


@pytest.mark.parametrize('damage', ['cut', 'text', 'other', 'shape', 'forged', 'packed', 'gone'])
def test_a_wrong_mat_file_is_an_error(damage, tmp_path):
    from scipy.io import savemat

    source, _ = make('sidd_small', tmp_path / 'release')
    file = tmp_path / 'release/ValidationGtBlocksSrgb.mat'
    blocks = np.zeros((2, 2, 16, 16, 3), np.uint8)
    stated, forged = struct.pack('<5i', *blocks.shape), struct.pack('<5i', 2, 2, 16384, 16384, 3)

    def forge():
        savemat(file, {'ValidationGtBlocksSrgb': blocks})
        file.write_bytes(file.read_bytes().replace(stated, forged))

    {
        'cut': lambda: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        'text': lambda: file.write_text('<html>please log in</html>'),
        'other': lambda: savemat(file, {'x': blocks}),
        'shape': lambda: savemat(file, {'ValidationGtBlocksSrgb': blocks}),
        'forged': forge,
        'packed': lambda: zipfile.ZipFile(f'{file}.zip', 'w').write(file, file.name) or file.unlink(),
        'gone': lambda: file.unlink(),
    }[damage]()
    with pytest.raises(DataError, match='ValidationGtBlocksSrgb') as caught:
        prepare(source, tmp_path / 'release', tmp_path / 'data')
    assert '\n' not in str(caught.value)
    assert damage != 'forged' or 'has 3221225472 values' in str(caught.value)
    assert not (tmp_path / 'data').exists()


def test_div2k_hybrid_is_written_in_three_sizes(tmp_path):
    _, data, _, _ = prepared('div2k_hybrid', tmp_path)
    sizes = [Image.open(data / f'train/gt/0004{end}.png').size for end in ('', '_s2', '_s3')]
    assert sizes == [(70, 66), (47, 44), (23, 22)]
    assert [p.name for p in (data / 'val/gt').iterdir()] == ['0005.png']


def test_a_truncated_picture_is_named(tmp_path):
    source, what = make('rain100l', tmp_path / 'release')
    for file in (tmp_path / 'release' / what.partner, tmp_path / 'release/RainTrainL/rain-2.png'):
        whole = file.read_bytes()
        for damaged in (whole[:-60], b'', b'no picture'):
            file.write_bytes(damaged)
            with pytest.raises(DataError, match=file.relative_to(tmp_path / 'release').as_posix()):
                prepare(source, tmp_path / 'release', tmp_path / 'data')
        file.write_bytes(whole)
    prepare(source, tmp_path / 'release', tmp_path / 'data')


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release')
    folder = tmp_path / 'release/RainTrainL'
    with zipfile.ZipFile(tmp_path / 'release/RainTrainL.zip', 'w') as out:
        for file in sorted(folder.iterdir()):
            out.write(file, f'RainTrainL/{file.name}')
    shutil.rmtree(folder)
    raw = bytearray((tmp_path / 'release/RainTrainL.zip').read_bytes())
    raw[raw.index(b'IDAT') + 20] ^= 1
    (tmp_path / 'release/RainTrainL.zip').write_bytes(raw)
    with pytest.raises(DataError, match=r'RainTrainL\.zip: the archive is damaged'):
        prepare(source, tmp_path / 'release', tmp_path / 'data')


@pytest.mark.parametrize('kind', ['zip', 'gztar'])
def test_an_archive_that_expands_to_far_more_than_its_size_is_refused(tmp_path, kind):
    """100 MB of zeros, packed to 100 kB."""
    source, _ = make('rain100l', tmp_path / 'release')
    folder = tmp_path / 'release/RainTrainL'
    os.truncate(folder / 'rain-2.png', 100 * 10**6)
    packed = shutil.make_archive(str(folder), kind, tmp_path / 'release', 'RainTrainL')
    assert os.stat(packed).st_size < 10**6
    shutil.rmtree(folder)
    with pytest.raises(DataError, match=r'RainTrainL\.(zip|tar\.gz): its files expand to more than 67108864 bytes'):
        prepare(source, tmp_path / 'release', tmp_path / 'data')
    assert {each.name for each in tmp_path.iterdir()} == {'release'}


def test_files_that_are_packed_and_unpacked_count_once(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release')
    shutil.make_archive(str(tmp_path / 'release/RainTrainL'), 'zip', tmp_path / 'release', 'RainTrainL')
    shutil.make_archive(str(tmp_path / 'release/Rain100L'), 'zip', tmp_path / 'release/Rain100L')
    prepare(source, tmp_path / 'release', tmp_path / 'data')


def test_a_set_that_is_contained_twice_is_an_error(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release/one')
    make('rain100l', tmp_path / 'release/two')
    with pytest.raises(DataError, match=r'two pictures are called 1: .*; .* contains the set only once'):
        prepare(source, tmp_path / 'release', tmp_path / 'data')


def test_partners_of_different_size_are_an_error(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release')
    picture(tmp_path / 'release/RainTrainL/norain-2.png', 1, (10, 10))
    with pytest.raises(DataError, match=r'pictures of 2 differ in size .*: train/lq 24x20, train/gt 10x10'):
        prepare(source, tmp_path / 'release', tmp_path / 'data')


def test_missing_partners_are_counted_and_three_are_named(tmp_path):
    source, _ = make('rain1400', tmp_path / 'release')
    (tmp_path / 'release/rainy_image_dataset/training/ground_truth/1.jpg').unlink()
    with pytest.raises(DataError) as caught:
        prepare(source, tmp_path / 'release', tmp_path / 'data')
    message = str(caught.value)
    assert "split 'train': 3 picture(s)" in message
    assert '1_1.jpg' in message
    assert 'looked for training/ground_truth/1.jpg, ... (gt)' in message


def test_other_existing_folders_are_not_changed(tmp_path):
    release, data, source, _ = prepared('rain100l', tmp_path)
    other, _ = make('rain100h', tmp_path / 'h')
    with pytest.raises(ConfigError, match='contains rain100l, not rain100h'):
        prepare(other, tmp_path / 'h', data)
    (data / 'train/lq/1.png').unlink()
    with pytest.raises(DataError, match='train/lq: expected 4 pictures, found 3'):
        prepare(source, release, data)
    (tmp_path / 'mine').mkdir()
    with pytest.raises(ConfigError, match='exists and was not made by prepare-data'):
        prepare(source, release, tmp_path / 'mine')
    (tmp_path / 'mine.part').mkdir()
    (tmp_path / 'mine').rmdir()
    with pytest.raises(ConfigError, match='exists and was not made by prepare-data'):
        prepare(source, release, tmp_path / 'mine')
    (tmp_path / 'mine.part' / '.unpacked').mkdir()  # as after a killed preparation
    prepare(source, release, tmp_path / 'mine')
    assert not (tmp_path / 'mine.part').exists()


def test_an_existing_set_of_another_seed_is_an_error(tmp_path):
    release, data, source, _ = prepared('cclgan_spa', tmp_path)
    assert json.loads((data / 'source.json').read_text())['seed'] == 0
    with pytest.raises(ConfigError, match='contains cclgan_spa with seed 0, not cclgan_spa with seed 1'):
        prepare(source, release, data, seed=1)


def test_the_output_may_be_inside_the_release(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release')
    prepare(source, tmp_path / 'release', tmp_path / 'release/data')
    prepare(source, tmp_path / 'release', tmp_path / 'release/data')


def test_a_missing_folder_is_an_error(tmp_path):
    source, _ = make('rain100l', tmp_path / 'release')
    with pytest.raises(DataError, match='nowhere: no such folder'):
        prepare(source, tmp_path / 'nowhere', tmp_path / 'data')


def test_a_complete_picture_with_additional_data_is_accepted(tmp_path):
    picture(tmp_path / 'a.jpg', 1)
    with open(tmp_path / 'a.jpg', 'ab') as out:
        out.write(bytes(5000))
    assert check_picture(tmp_path / 'a.jpg', 'a.jpg') == (24, 20)


def test_a_picture_of_a_forged_size_is_refused(tmp_path):
    data = bytearray()
    for name, body in (('IHDR', struct.pack('>IIBBBBB', 60_000, 60_000, 8, 2, 0, 0, 0)), ('IEND', b'')):
        chunk = name.encode() + body
        data += struct.pack('>I', len(body)) + chunk + struct.pack('>I', zlib.crc32(chunk))
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + data)
    with pytest.raises(DataError, match=r"a\.png: the picture can't be read: .*pixels"):
        check_picture(tmp_path / 'a.png', 'a.png')

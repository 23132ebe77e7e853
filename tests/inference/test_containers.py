"""A cut file is found in every container, by the sizes that it states; where it states none, that is known."""

import random
import struct
import zlib

import pytest

from restorebox.errors import PictureError
from restorebox.inference.containers import demuxers, find_fault
from restorebox.inference.video import read_frames
from tests.inference.small_clips import KINDS, av, make_clip, make_kind

ENDLESS = {'mkv, live', 'flv, no size', 'ts', 'm2ts', 'mpg'}


@pytest.mark.parametrize('kind', KINDS)
def test_a_cut_is_found_wherever_it_is(kind, tmp_path):
    whole = make_kind(kind, tmp_path)
    fault, stated = find_fault(whole)
    assert fault is None
    assert stated == (kind not in ENDLESS)
    data = whole.read_bytes()
    draw = random.Random(0)
    ends = {len(data) * percent // 100 for percent in range(10, 100)} | {
        draw.randrange(400, len(data)) for _ in range(60)
    }
    missed = []
    for end in sorted(ends):
        whole.write_bytes(data[:end])
        fault, stated = find_fault(whole)
        assert fault or not stated, f'cut at byte {end} of {len(data)}'
        assert fault is None or fault.startswith('is cut: '), fault
        missed += [end] if fault is None else []
    assert len(missed) < len(ends) / 20, missed  # those between two parts, where no size is stated


def test_streams_without_an_end_are_known(tmp_path):
    whole = make_kind('mkv, live', tmp_path)
    assert whole.read_bytes().count(b'\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff') == 1
    front = make_clip(tmp_path / 'f.mp4', options={'movflags': 'frag_keyframe+empty_moov+skip_trailer'})
    assert find_fault(front) == (None, False)


def test_a_live_avi_is_walked(tmp_path):
    whole = make_kind('avi', tmp_path)
    data = bytearray(whole.read_bytes())
    data[4:8] = bytes(4)
    movi = data.find(b'movi')
    data[movi - 4 : movi] = bytes(4)
    whole.write_bytes(data)
    assert find_fault(whole) == (None, False)
    whole.write_bytes(data[: len(data) // 2])
    assert find_fault(whole)[0].startswith('is cut')


def test_matroska_is_checked_by_its_checksums_and_elements(tmp_path):
    whole = make_kind('mkv', tmp_path)
    data = bytearray(whole.read_bytes())
    cluster = data.find(b'\x1f\x43\xb6\x75')
    data[cluster + 200] ^= 1
    whole.write_bytes(data)
    assert 'is damaged: the checksum of the part from byte' in find_fault(whole)[0]
    whole = make_kind('webm', tmp_path)  # which has none
    data = bytearray(whole.read_bytes())
    block = data.find(b'\xa3', data.find(b'\x1f\x43\xb6\x75') + 5)
    data[block + 1 : block + 3] = struct.pack('>H', 0x4003)
    whole.write_bytes(data)
    assert find_fault(whole)[0].startswith('is damaged at byte')


def test_an_mp4_without_its_index(tmp_path):
    whole = make_kind('mp4', tmp_path)
    data = whole.read_bytes()
    whole.write_bytes(data.replace(b'moov', b'free'))
    assert find_fault(whole) == ('is cut: its index (the moov box) is missing', True)
    whole.write_bytes(data[: data.find(b'moov') - 4])
    assert find_fault(whole) == ('is cut: its index (the moov box) is missing', True)


def test_what_follows_the_last_part_is_let_be(tmp_path):
    for kind in ('mp4', 'avi', 'mpg'):
        whole = make_kind(kind, tmp_path)
        whole.write_bytes(whole.read_bytes() + bytes(50))
        assert find_fault(whole)[0] is None, kind


def test_other_files_are_not_judged(tmp_path):
    for data in (b'', b'G', b'text', bytes(1000)):
        (tmp_path / 'a').write_bytes(data)
        assert find_fault(tmp_path / 'a') == (None, False)


def boxed(kind, *content):
    body = b''.join(content)
    return struct.pack('>I4s', len(body) + 8, kind) + body


def test_numbers_of_samples_that_no_bytes_back_are_a_fault(tmp_path):
    """FFmpeg takes some 40 bytes for each sample that an index states, when it opens the file."""
    whole = make_clip(tmp_path / 'a.mp4')
    data = bytearray(whole.read_bytes())
    at = data.find(b'stsz') + 8
    data[at : at + 8] = struct.pack('>II', 1, 80_000_000)  # bytes per sample, samples
    whole.write_bytes(data)
    assert find_fault(whole)[0] == 'is damaged: its index states 80000000 samples, more than it has bytes'
    with pytest.raises(PictureError, match='index states 80000000 samples'):
        list(read_frames(whole))
    head = boxed(b'ftyp', b'isom', bytes(4))
    five = [boxed(b'trak', boxed(b'stbl', boxed(b'stsz', struct.pack('>III', 0, 1, 400_000)))) for _ in range(5)]
    whole.write_bytes(head + boxed(b'moov', *five))  # together
    assert 'states 2000000 samples' in find_fault(whole)[0]
    run = boxed(b'moof', boxed(b'traf', boxed(b'trun', struct.pack('>II', 0, 40_000_000))))
    whole.write_bytes(head + boxed(b'moov') + run)
    assert 'states 40000000 samples' in find_fault(whole)[0]
    endless = bytearray(boxed(b'moov', *five))
    endless[:4] = bytes(4)  # to the end of the file
    whole.write_bytes(head + endless)
    assert 'states 2000000 samples' in find_fault(whole)[0]
    zero = struct.pack('>I4s', 0, b'junk')  # FFmpeg goes on behind the box that contains it
    deep = boxed(b'moov', boxed(b'trak', boxed(b'udta', zero)), *(boxed(b'udta', each) for each in five))
    whole.write_bytes(head + deep)
    assert 'states 2000000 samples' in find_fault(whole)[0]
    whole.write_bytes(head + boxed(b'moov') + boxed(b'xxxx') + run)
    assert 'states 40000000 samples' in find_fault(whole)[0]
    for index, words in (
        (boxed(b'moov', *five), 'states 2000000 samples'),
        (bytes(2**26 + 1), 'its index has more than 67108864 bytes'),
        (boxed(b'moov', five[0]), None),
    ):
        packed = struct.pack('>I', len(index)) + zlib.compress(index)
        whole.write_bytes(head + boxed(b'moov', boxed(b'cmov', boxed(b'dcom', b'zlib'), boxed(b'cmvd', packed))))
        fault = find_fault(whole)[0]
        assert fault is None if words is None else words in fault


@pytest.mark.parametrize('kind', KINDS)
def test_a_file_is_opened_only_by_the_demuxer_of_its_format(kind, tmp_path):
    whole = make_kind(kind, tmp_path)
    names = demuxers(whole).split(',')
    with av.open(str(whole)) as source:
        found = source.format.name.split(',')
    assert names[0] in found
    assert len(list(read_frames(whole))) == 10


@pytest.mark.parametrize('first', [b'xxxx', b'jP  ', b'\x82\x82\x82\x82', b'ediw', b'PICT'])
def test_no_index_is_read_that_was_not_checked(first, tmp_path):
    """FFmpeg takes files for MP4 that start with another box, and then reads their index."""
    whole = make_clip(tmp_path / 'a.mp4')
    data = bytearray(whole.read_bytes())
    at = data.find(b'stsz') + 8
    data[at : at + 8] = struct.pack('>II', 1, 80_000_000)
    hidden = tmp_path / 'b.mp4'
    hidden.write_bytes(boxed(first, bytes(8)) + data)
    assert find_fault(hidden) == (None, False)
    with pytest.raises(PictureError, match="can't be read as a video"):
        list(read_frames(hidden))


@pytest.mark.parametrize('first', [b'junk', b'pict', b'prfl', b'free', b'wide'])
def test_boxes_that_may_come_first_do(first, tmp_path):
    whole = make_clip(tmp_path / 'a.mp4', options={'movflags': 'faststart'})
    moved = tmp_path / 'b.mov'
    # offsets to the frames are of the file, so the box must not move them: it replaces the file type
    data = whole.read_bytes()
    moved.write_bytes(data[:4] + first + data[8:])
    assert find_fault(moved) == (None, True)
    assert len(list(read_frames(moved))) == 10

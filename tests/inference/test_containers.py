"""A cut file is found in every container, by the sizes that it states; where it states none, that is known."""

import random
import struct

import pytest

from restorebox.inference.containers import find_fault
from tests.inference.small_clips import KINDS, make_clip, make_kind

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

"""Zip archives from untrusted sources: what is refused, and what is read."""

import zipfile

import pytest

from restorebox.archives import EXPANDED, Archive, inside
from restorebox.errors import DataError


def packed(path, members, kind=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', kind) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    'name', ['../a.png', 'a/../../b.png', '/etc/a.png', 'a//b.png', 'C:/a.png', 'a\\b.png', './a.png']
)
def test_names_outside_are_refused(tmp_path, name):
    assert not inside(name)
    with pytest.raises(DataError, match='is refused'):
        Archive(packed(tmp_path / 'a.zip', [('good.png', b'1'), (name, b'1')]))


def test_members_are_read_and_selected(tmp_path):
    archive = Archive(packed(tmp_path / 'a.zip', [('a/b.png', b'12345'), ('ab.png', b'6'), ('c/', b'')]))
    assert archive.names() == ['a/b.png', 'ab.png']
    assert archive.names('a') == archive.names('a/b.png') == ['a/b.png']
    assert archive.read('a/b.png') == b'12345'
    assert archive.read('a/b.png', 2) == b'12'
    with pytest.raises(FileNotFoundError):
        archive.read('no.png')


def test_bombs_damage_and_encryption_are_errors_of_the_member(tmp_path):
    path = packed(tmp_path / 'a.zip', [('bomb.png', bytes(EXPANDED + 1)), ('good.png', b'1'), ('bad.png', b'abc')])
    data = bytearray(path.read_bytes())
    data[data.rindex(b'PK\x01\x02') + 8] |= 1  # the flag of encryption in the last entry of the directory
    path.write_bytes(data)
    archive = Archive(path)
    with pytest.raises(OSError, match='more than 100 times'):
        archive.read('bomb.png')
    with pytest.raises(OSError, match='is encrypted'):
        archive.read('bad.png')
    assert archive.read('good.png') == b'1'


def test_a_member_that_states_a_smaller_size_gives_no_more(tmp_path):
    path = packed(tmp_path / 'a.zip', [('a.png', b'x' * 1000)])
    data = bytearray(path.read_bytes())
    at = data.rindex(b'PK\x01\x02') + 24
    data[at : at + 4] = (10).to_bytes(4, 'little')
    path.write_bytes(data)
    with pytest.raises(OSError, match='damaged'):  # its checksum is that of all its bytes
        Archive(path).read('a.png')


def test_two_of_a_name_and_no_archive(tmp_path):
    with pytest.warns(UserWarning, match='Duplicate name'):
        path = packed(tmp_path / 'a.zip', [('a.png', b'1'), ('a.png', b'2')])
    with pytest.raises(DataError, match='two members'):
        Archive(path)
    path.write_bytes(b'no archive')
    with pytest.raises(DataError, match='zip archive'):
        Archive(path)

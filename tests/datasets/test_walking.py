"""Each folder is visited once, and unreadable folders are named."""

import os

import pytest

from restorebox.datasets.reading import list_pictures
from restorebox.datasets.sources.files import list_files
from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import DataError


@pytest.fixture
def tree(tmp_path):
    for name in ('a.png', 'sub/b.png', 'sub/deep/c.png', 'locked/d.png', '.hidden/e.png'):
        (tmp_path / 'tree' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'tree' / name).touch()
    return tmp_path / 'tree'


def names(folder, **options):
    return [path.relative_to(folder).as_posix() for path in list_pictures(folder, recursive=True, **options)]


@pytest.fixture
def shut(monkeypatch):
    """Folders called 'locked' can't be read; permissions would not stop a test that runs as root."""
    scan = os.scandir

    def scandir(path):
        if os.path.basename(path) == 'locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return scan(path)

    monkeypatch.setattr(os, 'scandir', scandir)


def test_links_that_loop_come_to_an_end_and_no_folder_is_taken_twice(tree):
    (tree / 'sub' / 'up').symlink_to('..')
    (tree / 'itself').symlink_to('itself')
    for one, other in (('x', 'y'), ('y', 'x')):
        (tree / one).mkdir()
        (tree / one / 'other').symlink_to(tree / other)
    (tree / 'again').symlink_to('sub')
    skipped = SkippedFiles()
    assert names(tree, skipped=skipped) == ['a.png', 'locked/d.png', 'sub/b.png', 'sub/deep/c.png']
    assert not skipped.unreadable
    assert sorted(line.split(': ')[0] for line in skipped.repeated) == [
        str(tree / name) for name in ('again', 'sub/up', 'x/other', 'y/other')
    ]
    line = f'{tree}/again: is the same folder as {tree}/sub; its pictures are listed under that name'
    assert line in skipped.repeated


def test_a_linked_folder_from_elsewhere_is_entered(tree, tmp_path):
    (tmp_path / 'elsewhere').mkdir()
    (tmp_path / 'elsewhere' / 'z.png').touch()
    (tree / 'linked').symlink_to(tmp_path / 'elsewhere')
    assert 'linked/z.png' in names(tree)


def test_one_that_cannot_be_read_is_named(tree, shut):
    skipped = SkippedFiles()
    assert names(tree, skipped=skipped) == ['a.png', 'sub/b.png', 'sub/deep/c.png']
    assert skipped.unreadable == [f"{tree}/locked: the folder can't be read (Permission denied)"]
    with pytest.raises(DataError, match=r"locked: the folder can't be read \(Permission denied\)"):
        names(tree)
    skipped = SkippedFiles()
    assert list_pictures(tree / 'locked', skipped=skipped) == []
    assert len(skipped.unreadable) == 1


def test_a_release_is_walked_the_same_way(tree, shut):
    """glob and os.walk go through two links that loop 2 ** 40 times."""
    for name in ('one', 'two'):
        (tree / 'sub' / name).symlink_to('.')
    with pytest.raises(DataError, match=r"locked: the folder can't be read \(Permission denied\)"):
        list_files(tree)
    (tree / 'locked').rename(tree / 'open')
    assert [file.path for file in list_files(tree)] == ['/a.png', '/open/d.png', '/sub/b.png', '/sub/deep/c.png']
    shut_out = list_files(tree, leave_out=[tree / 'sub'])
    assert [file.path for file in shut_out] == ['/a.png', '/open/d.png']

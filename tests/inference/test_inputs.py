"""What folders and patterns name, and where it goes."""

import glob
import os

import pytest

from restorebox.datasets.walking import SkippedFiles
from restorebox.errors import DataError
from restorebox.inference.inputs import Selection, find_pictures, plan_jobs, read_list


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = (
        'a.png',
        'b.JPG',
        '.c.png',
        'sub/d.png',
        'sub/deep/e.png',
        '.hidden/f.png',
        'sub/.hidden/g.png',
        'sub/x.txt',
    )
    for name in files:
        (tmp_path / 't' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 't' / name).touch()


@pytest.mark.parametrize(
    'pattern',
    [
        *(
            't/*',
            't/*.png',
            't/**',
            't/**/*.png',
            't/*/*.png',
            '**/*.png',
            '*/**/*.png',
            't/**/**/*',
            't/s?b/[de]*.png',
        ),
        *('t/.*', 't/.hidden/*', 't/*/.hidden/*.png', 't/**/.*', 't/**/deep/*.png', 't/sub/../*.png'),
    ],
)
def test_a_pattern_fits_what_glob_says(tree, pattern):
    found = {str(path) for path, _ in find_pictures(pattern)}
    wanted = {name for name in glob.glob(pattern, recursive=True) if name.lower().endswith(('.png', '.jpg'))}
    assert found == wanted
    assert found


def test_links_that_loop_do_not_hold_a_pattern(tree):
    """glob itself goes through two links 2 ** 40 times."""
    for name in ('one', 'two'):
        os.symlink('.', f't/sub/{name}')
    skipped = SkippedFiles()
    found = [str(path) for path, _ in find_pictures('t/**/*.png', skipped=skipped)]
    assert found == ['t/a.png', 't/sub/d.png', 't/sub/deep/e.png']
    assert len(skipped.repeated) == 2


@pytest.mark.parametrize(
    ('name', 'target'),
    [
        ('a' * 251 + '.png', 'a' * 251 + '.png'),
        ('a' * 247 + '.gif', 'a' * 247 + '.gif.png'),
        ('a' * 248 + '.gif', 'a' * 248 + '.png'),
        ('a' * 251 + '.gif', 'a' * 251 + '.png'),
        ('a' * 251 + '.avi', 'a' * 251 + '.mkv'),
        ('ä' * 125 + 'n.gif', 'ä' * 125 + 'n.png'),
    ],
)
def test_a_target_has_a_name_that_a_file_system_takes(tmp_path, name, target):
    (tmp_path / name).touch()
    (job,) = plan_jobs(tmp_path, tmp_path / 'out')
    assert job.target.name == target


def test_a_link_to_itself_is_left_to_the_reader(tmp_path):
    (tmp_path / 'a.png').symlink_to('a.png')
    assert [job.source.name for job in plan_jobs(tmp_path, tmp_path / 'out')] == ['a.png']
    (tmp_path / 'out').symlink_to('out')
    assert len(plan_jobs(tmp_path, tmp_path / 'out')) == 1


def test_folders_that_cannot_be_read_are_named_also_where_nothing_is_left(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(os, 'scandir', refuse)
    for source in (tmp_path, f'{tmp_path}/*.png'):
        with pytest.raises(DataError, match=r"the folder can't be read \(Permission denied\)"):
            plan_jobs(source, tmp_path / 'out', SkippedFiles())
        with pytest.raises(DataError, match=r"the folder can't be read \(Permission denied\)"):
            plan_jobs(source, tmp_path / 'out')


@pytest.mark.parametrize('name', ['a.gif', 'a.png', 'a.avi', 'a.heic', 'a.v2.gif'])
def test_the_outputs_of_a_suffix_are_no_sources_of_the_next_run(tmp_path, name):
    (tmp_path / name).touch()
    selection = Selection(suffix='_clean')
    (job,) = plan_jobs(tmp_path, tmp_path, selection=selection)
    job.target.touch()
    assert [each.source.name for each in plan_jobs(tmp_path, tmp_path, selection=selection)] == [name]


def test_an_original_is_not_the_target_of_another_source_through_a_linked_folder(tmp_path):
    for name in ('x/p.png', 'y/p.png'):
        (tmp_path / 's' / name).parent.mkdir(parents=True)
        (tmp_path / 's' / name).touch()
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/x').symlink_to('../s/y')
    with pytest.raises(DataError, match=r'x/p.png would be written over .*y/p.png, which is a source too'):
        plan_jobs(tmp_path / 's', tmp_path / 'out')


def test_a_list_of_a_windows_editor_begins_with_a_mark(tmp_path):
    (tmp_path / 'list.txt').write_bytes(b'\xef\xbb\xbfa.png\r\nb.png\r\n')
    assert read_list(str(tmp_path / 'list.txt')) == ['a.png', 'b.png']

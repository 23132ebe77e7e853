"""Paths in storage, and requests to an S3 server on loopback."""

import pickle
from pathlib import Path, PurePosixPath

import pytest

from restorebox.errors import ConfigError, DataError
from restorebox.storage import RemotePath, check_output, failure, files_below, locate, read, remove, write
from tests.storage_server import SECRET, s3_server

__all__ = ['s3_server']  # a fixture


@pytest.mark.parametrize(
    ('text', 'shown', 'archive', 'member'),
    [
        ('s3://bucket/a/b.png', 's3://bucket/a/b.png', None, None),
        ('https://host/b.png', 'https://host/b.png', None, None),
        ('s3://bucket/a.zip', 's3://bucket/a.zip!', 's3://bucket/a.zip', '.'),
        ('zip://c/d.png::s3://bucket/a.zip', 's3://bucket/a.zip!/c/d.png', 's3://bucket/a.zip', 'c/d.png'),
        ('zip://c/d.png::/x/a.zip', '/x/a.zip!/c/d.png', '/x/a.zip', 'c/d.png'),
        ('zip://::x/a.ZIP', 'x/a.ZIP!', 'x/a.ZIP', '.'),
    ],
)
def test_paths(text, shown, archive, member):
    path = locate(text)
    assert isinstance(path, RemotePath)
    assert str(path) == shown
    assert pickle.loads(pickle.dumps(path)) == path
    assert str(pickle.loads(pickle.dumps(path))) == shown
    assert (path.archive and str(path.archive)) == archive
    if member:
        assert path.member == member
    assert str(path.parent / path.name) == shown
    assert type(path.with_name('x.png')) is RemotePath


def test_local_paths_and_lists():
    assert locate('a/b.png') == Path('a/b.png')
    assert locate('no_such.zip') == Path('no_such.zip')
    assert RemotePath('s3://bucket/a/b.png').below == PurePosixPath('bucket/a/b.png')


@pytest.mark.parametrize(
    'text',
    [
        'ftp://host/a.png',
        's3://me:hidden@bucket/a.png',
        'https://host/a.png?X-Amz-Signature=hidden',
        's3://bucket//a.png',
        's3://bucket/../a.png',
        'zip://../a.png::b.zip',
        'zip://a.png',
        'zip://a.png::zip://b.zip::c.zip',
    ],
)
def test_refused_urls_without_their_secrets(text):
    with pytest.raises(ConfigError) as caught:
        locate(text)
    assert 'hidden' not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('text', ['https://host/out', 'zip://a::b.zip', 's3://bucket/a.zip'])
def test_outputs_go_to_folders(text):
    with pytest.raises(ConfigError, match='outputs go to'):
        check_output(text)


def test_secrets_are_not_in_messages(monkeypatch):
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', SECRET)
    line = failure(RemotePath('s3://b/a.png'), OSError(f'bad {SECRET} at http://user:pw@host/x?sig=1')).strerror
    assert line == 'bad *** at http://***@host/x?***'


def test_round_trip(s3_server):
    folder = RemotePath(f's3://{s3_server.bucket}/folder')
    assert files_below(folder) == ([], [])
    for name in ('a.png', 'b/c.png'):
        write(folder / name, name.encode())
    s3_server.files.pipe_file(f'{s3_server.bucket}/folder//d.png', b'1')
    found, refused = files_below(folder)
    assert sorted(map(str, found)) == [f'{folder}/a.png', f'{folder}/b/c.png']
    assert len(refused) == 1
    assert 'empty part' in refused[0]
    assert read(folder / 'b/c.png') == b'b/c.png'
    assert read(folder / 'b/c.png', 3) == b'b/c'
    write(folder / 'a.png', b'')
    assert read(folder / 'a.png') == b''
    remove([folder / 'a.png', folder / 'none.png'])
    with pytest.raises(FileNotFoundError) as caught:
        read(folder / 'a.png')
    assert caught.value.strerror == 'no such file'
    with pytest.raises(DataError, match='no such bucket'):
        files_below(RemotePath('s3://no-such-bucket/in'))

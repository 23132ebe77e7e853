"""restore over all kinds of files, as a user types it: kept, or named at the end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.datasets.formats import HEIF
from tests.factories import publish_small
from tests.heic import HEIC8

RNG = np.random.default_rng(0)


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'in').mkdir()
    return tmp_path / 'in'


def picture(channels=3):
    return Image.fromarray(
        np.kron(RNG.integers(0, 256, (4, 5, channels), dtype=np.uint8), np.ones((6, 6, 1), np.uint8))
    )


def names():
    return sorted(path.name for path in Path('o').iterdir() if not path.name.startswith('.'))


def test_kinds_that_can_be_read_are_restored_and_the_others_named(folder, published, capsys):
    readable = ['a.jpg', 'b.jfif', 'c.jpe', 'd.avif', 'e.jp2', 'f.tga']
    for name in readable:
        picture().save(folder / name)
    (folder / 'phone.heic').write_bytes(HEIC8)
    for name in ('g.nef', 'h.cr2', 'i.psd', 'notes.txt', 'a.xmp', 'b.xmp', 'Thumbs.db'):
        (folder / name).write_bytes(b'x')
    main(['restore', 'in', '--out', 'o', '--model', str(published), '--device', 'cpu'])
    printed = capsys.readouterr()
    expected = sorted([*readable, 'phone.heic.png'] if HEIF else readable)
    assert f'{len(expected)} restored into o' in printed.out
    assert names() == expected
    lines = printed.err.splitlines()
    assert 'left out: .cr2 1, .nef 1: develop raw files to TIFF or PNG first' in lines
    assert 'left out: .psd 1: save them as PNG or TIFF first' in lines
    assert 'not pictures: 4 (.xmp 2, .db 1, .txt 1)' in lines
    assert any('restorebox[heif]' in line for line in lines) == (not HEIF)


def test_a_wrong_suffix_is_reported_and_the_content_kept(folder, published, capsys):
    picture(4).save(folder / 'alpha.jpg', 'PNG')
    picture(4).save(folder / 'web.jpg', 'WEBP')
    picture().quantize(8).save(folder / 'few.jpg', 'GIF', transparency=1)
    picture().save(folder / 'photo.png', 'JPEG')
    words = ['restore', 'in', '--out', 'o', '--model', str(published), '--device', 'cpu']
    main(words)
    printed = capsys.readouterr()
    assert '4 restored into o' in printed.out
    assert names() == ['alpha.jpg.png', 'few.jpg.png', 'photo.png', 'web.jpg.webp']
    lines = printed.err.splitlines()
    assert 'in/alpha.jpg: is a PNG inside; written as alpha.jpg.png' in lines
    assert 'in/photo.png: is a JPEG inside; written as photo.png' in lines
    for name, mode in (('alpha.jpg.png', 'RGBA'), ('few.jpg.png', 'RGBA'), ('photo.png', 'RGB')):
        with Image.open(f'o/{name}') as image:
            assert (image.format, image.mode) == ('PNG', mode)
    main(words)
    assert '0 restored into o, 4 were there already' in capsys.readouterr().out


def test_pages_and_frames_are_kept(folder, published, capsys):
    first, *others = (picture() for _ in range(3))
    first.save(folder / 'scan.tif', save_all=True, append_images=others)
    first.save(folder / 'move.gif', save_all=True, append_images=others, duration=[50, 60, 70], loop=0)
    main(['restore', 'in', '--out', 'o', '--model', str(published), '--device', 'cpu'])
    assert '2 restored into o' in capsys.readouterr().out
    for name in ('scan.tif', 'move.gif.png'):
        with Image.open(f'o/{name}') as image:
            assert image.n_frames == 3
    first.save(folder / 'scan.png', 'TIFF', save_all=True, append_images=others)  # goes where its pages fit
    main(['restore', 'in/scan.png', '--out', 'o', '--model', str(published), '--device', 'cpu'])
    with Image.open('o/scan.png.tif') as image:
        assert image.n_frames == 3


def test_a_file_with_too_many_pixels_is_named_with_its_way(folder, published, capsys):
    picture().save(folder / 'a.png')
    words = ['restore', 'in', '--out', 'o', '--model', str(published), '--device', 'cpu', '--max-pixels']
    with pytest.raises(SystemExit):
        main([*words, '719'])
    assert 'in/a.png: has 720 pixels' in (line := capsys.readouterr().err)
    assert '--max-pixels 720' in line
    main([*words, '720'])
    assert '1 restored into o' in capsys.readouterr().out


def test_content_that_a_format_does_not_support_is_reported(folder, published, capsys):
    picture().save(folder / 'a.png', 'JPEG', comment=b'hello')
    picture().save(folder / 'b.webp', 'JPEG', comment=b'hello', dpi=(300, 300))
    main(['restore', 'in', '--out', 'o', '--model', str(published), '--device', 'cpu'])
    lines = [line for line in capsys.readouterr().err.splitlines() if 'inside' not in line]
    assert lines == ['in/b.webp: .webp files hold no comments and no resolution: left out']

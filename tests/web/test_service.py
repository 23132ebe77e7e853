"""The restoration service, without a browser."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.errors import CheckpointError, ConfigError, PictureError
from restorebox.inference.files import read_file
from restorebox.web import Limits, RestorationService
from restorebox.web.service import TooLargeError, page_models
from tests.factories import SMALL_RESTORERS, publish_small


@pytest.fixture(scope='module')
def service(tmp_path_factory):
    small = str(publish_small(tmp_path_factory.mktemp('published')))
    return RestorationService({'small': small, 'lost': 'nowhere.safetensors'}, Limits(megabytes=1, megapixels=1), 'cpu')


def save(path, size=(48, 40), **options):
    array = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(array).save(path, **options)
    return path


def test_a_picture_is_restored_and_scored(service, tmp_path):
    path = save(tmp_path / 'a.png')
    picture, clean = service.read(path, 'a.png'), service.read(path, 'a.png')
    steps = []
    answer = service.restore(
        picture, 'a.png', tmp_path, 'small', clean, lambda done, total: steps.append((done, total))
    )
    assert answer.before.shape == answer.after.shape == (40, 48, 3)
    assert np.array_equal(answer.before, clean.colours)
    assert answer.file.name == 'a_restored.png'
    assert np.array_equal(read_file(answer.file).colours, answer.after)
    assert [row[0] for row in answer.scores] == ['before', 'after']
    assert float(answer.scores[0][1]) == 100 > float(answer.scores[1][1])
    assert answer.layers == []


def test_a_picture_of_one_pixel(service, tmp_path):
    path = save(tmp_path / 'dot.png', (1, 1))
    answer = service.restore(service.read(path, 'dot.png'), 'dot.png', tmp_path, 'small')
    assert answer.summary.startswith('1x1 by small')
    assert answer.before.shape == answer.after.shape == read_file(answer.file).colours.shape == (1, 1, 3)


def test_deep_pictures_stay_deep(service, tmp_path):
    import cv2

    deep = np.random.default_rng(1).integers(0, 65536, (40, 48, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / 'deep.png'), deep)
    answer = service.restore(service.read(tmp_path / 'deep.png', 'deep.png'), 'deep.png', tmp_path, 'small')
    assert read_file(answer.file).colours.dtype == np.uint16
    assert answer.after.dtype == np.uint8


def test_layers_are_shown(tmp_path):
    kind = 'HeavyRainRestorer'
    model = str(publish_small(tmp_path, dict(type=kind, **SMALL_RESTORERS[kind])))
    service = RestorationService({'heavy': model}, Limits(), 'cpu')
    answer = service.restore(service.read(save(tmp_path / 'a.png'), 'a.png'), 'a.png', tmp_path, 'heavy')
    titles = dict(answer.layers)
    assert {'streaks', 'transmission', 'airlight', 'depth'} <= set(titles)
    assert all(layer.shape == (40, 48, 3) and layer.dtype == np.uint8 for layer in titles.values())


def test_uploads_that_are_an_error(service, tmp_path):
    text = tmp_path / 'upload17.jpg'
    text.write_text('no picture')
    with pytest.raises(PictureError, match=r'^notes\.jpg: is not a picture of a known kind'):
        service.read(text, 'notes.jpg')
    save(tmp_path / 'wide.png', (1100, 1000), compress_level=1)
    with pytest.raises(PictureError, match=r'MiB, and this server takes files up to 1 MiB'):
        service.read(tmp_path / 'wide.png', 'wide.png')
    Image.new('L', (1100, 1000)).save(tmp_path / 'flat.png')
    with pytest.raises(
        PictureError, match=r'^flat\.png: 1100x1000 are 1\.1 megapixels, and this server takes pictures'
    ):
        service.read(tmp_path / 'flat.png', 'flat.png')
    picture, other = (
        read_file(save(tmp_path / name, size)) for name, size in (('a.png', (48, 40)), ('b.png', (40, 48)))
    )
    with pytest.raises(PictureError, match='the clean picture is 40x48 and the other one 48x40'):
        service.restore(picture, 'a.png', tmp_path, 'small', other)
    with pytest.raises(PictureError, match="no model 'elsewhere'"):
        service.restore(picture, 'a.png', tmp_path, 'elsewhere')


def test_a_model_that_fails_leaves_the_others_working(service, tmp_path):
    picture = read_file(save(tmp_path / 'a.png'))
    with pytest.raises(CheckpointError, match='no such file'):
        service.restore(picture, 'a.png', tmp_path, 'lost')
    assert service.restore(picture, 'a.png', tmp_path, 'small').file.is_file()


def test_large_pictures_are_shown_small(service, tmp_path, monkeypatch):
    monkeypatch.setattr('restorebox.web.service.PREVIEW_PIXELS', 16 * 100)
    Image.new('RGB', (400, 16)).save(tmp_path / 'long.png')
    answer = service.restore(service.read(tmp_path / 'long.png', 'long.png'), 'long.png', tmp_path, 'small')
    assert answer.before.shape == answer.after.shape == (8, 200, 3)
    assert answer.scale == 'Shown at 50 %; the download has full size.'
    assert read_file(answer.file).colours.shape == (16, 400, 3)


def test_models_of_a_page():
    assert page_models(('weather', 'other'), None) == {'weather': 'weather', 'other': 'other'}
    assert list(page_models(('weather', 'other'), 'other')) == ['other', 'weather']
    assert page_models(('weather',), 'runs/mine.safetensors') == {
        'mine.safetensors': 'runs/mine.safetensors',
        'weather': 'weather',
    }


def test_a_file_that_is_gone_is_one_line(service, tmp_path):
    with pytest.raises(PictureError, match=r'^a\.png: is no longer available; choose it again$'):
        service.read(tmp_path / 'a.png', 'a.png')


def test_paths_that_are_no_files_are_not_read(service, tmp_path):
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'link.png').symlink_to(save(tmp_path / 'a.png'))
    for path in (tmp_path / 'pipe.png', tmp_path / 'link.png', tmp_path, '/dev/zero'):
        with pytest.raises(PictureError, match=r'^a\.png: is not a regular file$'):
            service.read(Path(path), 'a.png')


def test_a_network_that_gives_nan_is_a_line(service, tmp_path, monkeypatch):
    picture = read_file(save(tmp_path / 'a.png'))
    service.restore(picture, 'a.png', tmp_path, 'small')

    def tiler(picture, progress):
        raise PictureError('the network gave NaN')

    monkeypatch.setattr(service._loaded[1], 'tiler', tiler)
    with pytest.raises(PictureError, match=r'^not restored: the network gave NaN$'):
        service.restore(picture, 'a.png', tmp_path, 'small')


def test_strength_and_findings_are_in_the_summary(service, tmp_path):
    picture = read_file(save(tmp_path / 'a.png'))
    full = service.restore(picture, 'a.png', tmp_path, 'small')
    assert full.summary.startswith('48x40 by small; found: ')
    half = service.restore(picture, 'a.png', tmp_path, 'small', strength=0.5)
    assert half.summary.startswith('48x40 by small at strength 0.5; found: ')
    zero = service.restore(picture, 'a.png', tmp_path, 'small', strength=0.0)
    assert zero.summary == '48x40 by small at strength 0'
    assert np.array_equal(zero.after, zero.before)
    mean = (full.before.astype(float) + full.after) / 2
    assert np.abs(half.after - mean).max() <= 1
    with pytest.raises(ConfigError, match='strength is 3; it must be a number from 0 to 2'):
        service.restore(picture, 'a.png', tmp_path, 'small', strength=3)
    again = service.restore(picture, 'a.png', tmp_path, 'small')  # the strength of one request is not the next one's
    assert np.array_equal(again.after, full.after)


def test_videos_have_limits(service, tmp_path, monkeypatch):
    from tests.inference.small_clips import make_clip  # skips without PyAV

    make_clip(tmp_path / 'key', 4, form='mp4')
    told: list[tuple[int, int]] = []

    def restored(name: str = 'rain.mp4', strength: float = 1) -> tuple[Path, str]:
        return service.restore_video(
            tmp_path / 'key', name, tmp_path, 'small', lambda *done: told.append(done), strength
        )

    file, text = restored()
    assert file.stat().st_size > 0
    assert text.startswith('4 frames by small at strength 1; found: ')
    assert told[-1] == (4, 4)
    file.unlink()
    with monkeypatch.context() as patch:
        patch.setattr('restorebox.web.service.MAX_VIDEO_PIXELS', 2 * 48 * 64)
        with pytest.raises(TooLargeError, match=r'^rain\.mp4: has more than 0 megapixels in all frames'):
            restored()
        patch.setattr(service, 'limits', Limits(megapixels=0.003))
        with pytest.raises(TooLargeError, match=r'^rain\.mp4: frames of 64x48; this server takes 0\.003 MP$'):
            restored()
        make_clip(tmp_path / 'key', 4, form='webm', codec='libvpx-vp9', size=(480, 640))
        patch.setattr(service, 'limits', Limits(megapixels=0.001))
        with pytest.raises(TooLargeError, match=r'^rain\.mp4: frames too large to decode; this server takes'):
            restored()
    make_clip(tmp_path / 'key', 4, form='mp4')
    monkeypatch.setattr('restorebox.web.service.MAX_FRAMES', 3)
    with pytest.raises(TooLargeError, match=r'^rain\.mp4: has more than 3 frames'):
        restored()
    make_clip(tmp_path / 'key', 4, form='mp4', options={'movflags': 'faststart'})
    data = (tmp_path / 'key').read_bytes()
    (tmp_path / 'key').write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match=r'^rain\.mp4: is cut: it ends at byte \d+, inside a part'):
        restored()
    (tmp_path / 'key').write_text('no video')
    with pytest.raises(PictureError, match=r'^rain\.mp4: '):
        restored()
    assert not file.exists()

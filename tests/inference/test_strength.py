"""Strength of a restoration of arrays, files and videos, whole and in tiles."""

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.errors import ConfigError
from restorebox.inference import RestoreInferencer, Tiler
from restorebox.inference.files import read_file
from tests.factories import SMALL_RESTORERS, publish_small
from tests.inference.test_tiles import drawn, picture, tiler_for


@pytest.fixture(scope='module')
def heavy(tmp_path_factory):
    kind = 'HeavyRainRestorer'
    return publish_small(tmp_path_factory.mktemp('heavy'), dict(type=kind, **SMALL_RESTORERS[kind]))


def random(kind, shape=(20, 31, 3)):
    array = np.random.default_rng(0).random(shape)
    return array.astype(kind) if kind.startswith('f') else (array * np.iinfo(kind).max).astype(kind)


@pytest.mark.parametrize('shape', [(20, 31), (20, 31, 1), (20, 31, 3), (20, 31, 4)])
@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float16', 'float32', 'float64'])
def test_zero_gives_the_input_back(published, shape, kind):
    array = random(kind, shape)
    out = RestoreInferencer(published, device='cpu', strength=0)(array)
    assert out.dtype == array.dtype
    assert np.array_equal(out, array)
    assert not np.shares_memory(out, array)


def test_zero_keeps_the_pixels_of_files_with_alpha_and_depth(published, tmp_path):
    inferencer = RestoreInferencer(published, device='cpu', strength=0)
    for name, array in (('rgba.png', random('uint8', (20, 31, 4))), ('deep.png', random('uint16', (20, 31)))):
        Image.fromarray(array).save(tmp_path / name)
        inferencer.restore_file(tmp_path / name, tmp_path / f'out_{name}')
        before, after = (read_file(tmp_path / each).layers for each in (name, f'out_{name}'))
        assert before.dtype == after.dtype == array.dtype
        assert np.array_equal(before, after)


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
def test_one_is_the_default_and_others_lie_on_the_line(published, inferencer, kind):
    array = random(kind)
    full = inferencer(array)
    assert np.array_equal(RestoreInferencer(published, device='cpu', strength=1)(array), full)
    white = 1.0 if kind == 'float32' else np.iinfo(kind).max
    lq, pred = array.astype(np.float64), full.astype(np.float64)
    for strength in (0.3, 1.7):
        found = RestoreInferencer(published, device='cpu', strength=strength)(array)
        expected = np.clip(lq + strength * (pred - lq), 0, white)
        # `full` is rounded before the mixture here and not in the inferencer
        assert np.abs(found - expected).max() <= (1e-5 if kind == 'float32' else 1.5)


def test_the_change_grows_with_the_strength(inferencer, heavy):
    array = random('uint8', (64, 64, 3))
    for each in (inferencer, RestoreInferencer(heavy, device='cpu')):
        changes = []
        for strength in (0, 0.25, 0.5, 0.75, 1):
            each.tiler.strength = strength
            changes.append(np.abs(each(array).astype(float) - array).mean())
        assert changes[0] == 0
        assert all(np.diff(changes) > 0)


def test_tiles_are_mixed_like_the_whole():
    restorer = drawn(generator=dict(backbone=dict(type='DnCNN', layers=6, width=4), head=dict(type='PictureHead')))
    whole, tiles = Tiler(restorer, 1e6, strength=0.5), tiler_for(restorer, 240, strength=0.5)
    a, b = whole(picture()), tiles(picture())
    assert np.abs(a.astype(float) - b).max() <= 1
    assert np.abs(a.astype(float) - picture()).mean() > 1, 'the network should do something'


@pytest.mark.parametrize('strength', [-1, 3, float('nan')])
def test_bad_strengths_are_refused_before_the_model_is_loaded(strength):
    with pytest.raises(ConfigError, match=r'strength is .* from 0 to 2'):
        RestoreInferencer('nowhere.safetensors', strength=strength)


def test_the_network_does_not_run_at_zero(monkeypatch):
    tiler = Tiler(drawn(), strength=0)
    monkeypatch.setattr(tiler.restorer, 'restore', lambda *_, **__: pytest.fail('the network ran'))
    assert np.array_equal(tiler(picture(16, 16)), picture(16, 16))


def test_videos(published, tmp_path):
    from restorebox.inference.video import read_frames
    from tests.inference.small_clips import make_clip

    path = tmp_path / 'a.mp4'
    make_clip(path, 3)
    source = np.stack(list(read_frames(path))).astype(float)
    changes = []
    for strength in (0, 0.5, 1):
        inferencer = RestoreInferencer(published, device='cpu', strength=strength)
        frames = np.stack(list(inferencer(path))).astype(float)
        changes.append(np.abs(frames - source).mean())
        target = tmp_path / f'{strength}.mp4'
        assert inferencer.restore_video(path, target) == 3
        made = np.stack(list(read_frames(target))).astype(float)
        assert np.abs(made - frames).mean() < 6, 'the file should hold the frames, but for the loss of H.264'
    assert changes[0] == 0
    assert changes[1] == pytest.approx(changes[2] / 2, rel=0.05)


def test_seeds_of_samplers_do_not_depend_on_it():
    restorer = drawn('DiffusionRestorer')
    lq = picture(32, 32, np.float32)
    one, half = Tiler(restorer)(lq), Tiler(restorer, strength=0.5)(lq)
    torch.testing.assert_close(torch.from_numpy(half), torch.from_numpy((lq + one) / 2), atol=1e-5, rtol=0)

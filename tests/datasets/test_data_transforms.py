"""Transforms: the same crop and flip for all roles of a scene, and correct tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from restorebox.datasets.transforms import (
    CentreWindow,
    Degrade,
    Flip,
    LoadPictures,
    Pack,
    RandomWindow,
    Resize,
    Rotate90,
)
from restorebox.errors import ConfigError, DataError, PictureError
from restorebox.registry import TRANSFORMS

ARGUMENTS = {
    'Resize': {'size': (20, 24)},
    'RandomWindow': {'size': 8},
    'CentreWindow': {'size': 8},
    'Degrade': {'recipe': {'type': 'LineRain'}},
    'DrawnPictures': {'p': 1.0, 'recipe': {'type': 'LineRain'}},
    'Illuminant': {'p': 1.0},
    'Night': {'p': 1.0},
    'ShrinkPictures': {'least': 8, 'p': 1.0},
    'SmallWindow': {'p': 1.0, 'least': 8},
}
NEEDS_LQ = ('Illuminant', 'RoundPicture', 'SurveyScene')
GEOMETRIC = [
    RandomWindow((9, 14)),
    RandomWindow(50),
    CentreWindow(8),
    Flip(),
    Flip(direction='vertical'),
    Rotate90(),
    Resize((20, 24), interpolation='nearest'),
    Resize(short=10, interpolation='nearest'),
]


def ours():
    TRANSFORMS.import_from_location()
    return sorted(
        name for name, kind in TRANSFORMS.module_dict.items() if kind.__module__.startswith('restorebox.datasets')
    )


def scene(size=(17, 23), seed=0, **roles):
    """A sample as it is after loading; every pixel of gt has a value of its own."""
    height, width = size
    gt = np.arange(height * width * 3, dtype=np.float32).reshape(height, width, 3)
    rng = np.random.default_rng(seed)
    return {'name': 'a', 'index': 0, 'paths': {}, 'bad': [], 'rng': rng, 'gt': gt, **roles}


def refused(kind, call, *words):
    with pytest.raises(kind) as caught:
        call()
    assert '\n' not in str(caught.value)
    for word in words:
        assert str(word) in str(caught.value), f'{word!r} is not in {str(caught.value)!r}'


@pytest.mark.parametrize('name', ours())
def test_every_registered_transform_is_built_and_run(name, tmp_path):
    """New transforms are included automatically; a transform with arguments needs a line in ARGUMENTS."""
    transform = TRANSFORMS.build({'type': name, **ARGUMENTS.get(name, {})})
    values = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    Image.fromarray(values).save(tmp_path / 'a.png')
    more = {'lq': values} if name in NEEDS_LQ else {}
    results = scene(paths={'gt': str(tmp_path / 'a.png')}, gt=values, **more)
    out = transform(results)
    tensors = out['inputs'] if 'inputs' in out else Pack()(out)['inputs']
    assert 'gt' in tensors
    for tensor in tensors.values():
        assert tensor.is_contiguous()
        assert tensor.dtype in (torch.uint8, torch.float32)


@pytest.mark.parametrize('transform', GEOMETRIC, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize('seed', range(6))
def test_roles_of_a_scene_move_together(transform, seed):
    base = scene(seed=seed)
    layer = base['gt'][..., :1] + 7
    flat = base['gt'][..., 1] - 3
    out = transform({**base, 'lq': base['gt'] + 5, 'streak': layer, 'depth': flat})
    assert np.all(out['lq'] - out['gt'] == 5)
    np.testing.assert_array_equal(out['streak'], out['gt'][..., :1] + 7)
    np.testing.assert_array_equal(out['depth'], out['gt'][..., 1] - 3)


@pytest.mark.parametrize('transform', [RandomWindow(6), Flip(), Rotate90()], ids=lambda t: type(t).__name__)
def test_hq_is_moved_on_its_own(transform):
    """Equal arrays as gt and hq: in some samples they must come out different."""
    coupled = 0
    for seed in range(40):
        base = scene((17, 17), seed)
        out = transform({**base, 'hq': base['gt'].copy()})
        coupled += np.array_equal(out['gt'], out['hq'])
    assert coupled < 30


def test_hq_may_have_another_size():
    out = RandomWindow(8)({**scene(), 'hq': np.zeros((5, 90, 3), np.uint8)})
    assert out['hq'].shape == out['gt'].shape == (8, 8, 3)


def test_window_reaches_every_place_and_stays_inside():
    places = set()
    for seed in range(300):
        base = scene((6, 7), seed)
        cut = RandomWindow(5)({**base})['gt']
        top, left = divmod(int(cut[0, 0, 0]) // 3, 7)
        np.testing.assert_array_equal(cut, base['gt'][top : top + 5, left : left + 5])
        places.add((top, left))
    assert places == {(top, left) for top in range(2) for left in range(3)}


def test_centre_window():
    base = scene((10, 13))
    np.testing.assert_array_equal(CentreWindow((4, 5))({**base})['gt'], base['gt'][3:7, 4:9])


@pytest.mark.parametrize('size', [(1, 1), (1, 5), (3, 1), (2, 3)])
@pytest.mark.parametrize('kind', [RandomWindow, CentreWindow])
def test_small_pictures_are_padded_by_reflection(size, kind):
    base = scene(size)
    out = kind(11)({**base})['gt']
    assert out.shape == (11, 11, 3)
    rows, columns = ([abs((i + n - 1) % (2 * n - 2) - n + 1) if n > 1 else 0 for i in range(11)] for n in size)
    np.testing.assert_array_equal(out, base['gt'][np.ix_(rows, columns)])


def test_unequal_sizes_name_both_files():
    results = scene(paths={'lq': '/x/rain.png', 'gt': '/y/clear.png'}, lq=np.zeros((17, 22, 3), np.float32))
    for transform in GEOMETRIC:
        refused(DataError, lambda t=transform: t({**results}), '/x/rain.png', '22x17', '/y/clear.png', '23x17')


def test_named_roles_only():
    base = scene()
    out = Flip(1, roles=('lq',))({**base, 'lq': base['gt']})
    np.testing.assert_array_equal(out['gt'], base['gt'])
    np.testing.assert_array_equal(out['lq'], base['gt'][:, ::-1])
    refused(DataError, lambda: Flip(roles=('lq',))(scene()), "'lq'", 'gt')


def test_flips_and_turns():
    base = scene()['gt']
    np.testing.assert_array_equal(Flip(1)(scene())['gt'], base[:, ::-1])
    np.testing.assert_array_equal(Flip(1, 'vertical')(scene())['gt'], base[::-1])
    np.testing.assert_array_equal(Rotate90(1)(scene())['gt'], base.transpose(1, 0, 2)[::-1])
    np.testing.assert_array_equal(Rotate90(0)(Flip(0)(scene()))['gt'], base)
    flipped = sum(not np.array_equal(Flip(0.25)(scene(seed=s))['gt'], base) for s in range(400))
    assert 70 < flipped < 130


def test_flipped_views_become_contiguous_tensors():
    results = Rotate90(1)(Flip(1, 'vertical')(Flip(1)(scene())))
    assert not results['gt'].flags.c_contiguous
    tensor = Pack()(results)['inputs']['gt']
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.permute(1, 2, 0), results['gt'])


@pytest.mark.parametrize('how', ['nearest', 'area', 'bilinear', 'bicubic', 'lanczos'])
def test_resize_keeps_a_constant_and_the_range(how):
    out = Resize((9, 31), interpolation=how)(scene(gt=np.full((20, 20, 3), 0.25, np.float32)))['gt']
    assert out.shape == (9, 31, 3)
    np.testing.assert_allclose(out, 0.25, atol=1e-6)
    edges = (np.indices((20, 20)).sum(0) % 7 < 3).astype(np.float32)
    out = Resize((33, 47), interpolation=how)(scene(gt=edges))['gt']  # bicubic and lanczos overshoot at edges
    assert out.shape == (33, 47)
    assert out.min() >= 0
    assert out.max() <= 1


def test_resize_of_bytes_agrees_with_floats():
    values = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    small = Resize((11, 17))(scene(gt=values))['gt']
    assert small.dtype == np.uint8
    wide = Resize((11, 17))(scene(gt=values.astype(np.float32)))['gt']
    assert np.abs(small - wide).mean() < 0.5
    assert np.abs(small - wide).max() <= 3  # Pillow before 13 rounds and clips between the two passes over bytes
    assert Resize((11, 17))(scene(gt=values[..., :1]))['gt'].dtype == np.uint8


def test_resize_short_side():
    assert Resize(short=100)(scene((40, 60)))['gt'].shape == (100, 150, 3)
    assert Resize(short=10)(scene((90, 30)))['gt'].shape == (30, 10, 3)


def test_wrong_arguments():
    refused(ConfigError, lambda: Resize(), 'size=(height, width) or short')
    refused(ConfigError, lambda: Resize((3, 3), short=2), 'either')
    refused(ConfigError, lambda: Resize((3, 3), interpolation='bicubik'), "'bicubic'")
    refused(ConfigError, lambda: RandomWindow(0), 'RandomWindow')
    refused(ConfigError, lambda: CentreWindow((3, 4, 5)), 'CentreWindow')
    refused(ConfigError, lambda: Flip(direction='diagonal'), "'diagonal'")
    refused(ConfigError, lambda: TRANSFORMS.build({'type': 'Flip', 'prob': 0.5}), "'prob'")


def test_a_file_of_two_roles_is_decoded_once(monkeypatch):
    calls = []
    values = np.arange(2 * 6 * 3, dtype=np.uint8).reshape(2, 6, 3)
    monkeypatch.setattr('restorebox.datasets.transforms.read_picture', lambda path: calls.append(path) or values)
    out = LoadPictures()({'paths': {'lq': 'a', 'gt': 'a'}, 'halves': {'lq': (0, 2), 'gt': (1, 2)}})
    assert calls == ['a']
    np.testing.assert_array_equal(out['lq'], values[:, :3])
    np.testing.assert_array_equal(out['gt'], values[:, 3:])
    refused(
        PictureError, lambda: LoadPictures()({'paths': {'lq': 'a'}, 'halves': {'lq': (0, 4)}}), 'a: ', 'width of 6', '4'
    )


def test_degrade_writes_target_layers_and_parameters():
    clean = np.full((30, 30, 3), 128, np.uint8)
    results = Degrade({'type': 'LineRain', 'density': (0.02, 0.02)})(scene(gt=clean))
    assert results['gt'] is clean
    assert results['lq'].dtype == np.float32
    np.testing.assert_array_equal(results['lq'], np.clip(clean.astype(np.float32) / 255 + results['streak'], 0, 1))
    again = Degrade({'type': 'LineRain'}, source='lq', target='lq')(results)
    assert np.all(again['lq'] >= np.clip(clean / np.float32(255), 0, 1))
    packed = Pack(roles=('lq', 'streak'), keep=('parameters',))(again)
    assert list(packed['inputs']) == ['lq', 'streak']
    assert packed['data_samples'].parameters['density'] > 0


def test_degrade_faults():
    refused(DataError, lambda: Degrade({'type': 'LineRain'}, source='hq')(scene()), "'hq'")
    both = scene(lq=np.zeros((17, 23, 3), np.float32))
    refused(DataError, lambda: Degrade({'type': 'LineRain'})(both), "overwrite 'lq'", 'lq=None')
    refused(ConfigError, lambda: Degrade({'type': 'LineRian'}), "'LineRain'")


def test_pack():
    flat = np.zeros((17, 23))
    out = Pack()(scene(depth=flat, streak=flat[..., None], lq=np.zeros((17, 23, 3), np.uint8)))
    assert {role: tuple(t.shape) for role, t in out['inputs'].items()} == {
        'gt': (3, 17, 23),
        'depth': (1, 17, 23),
        'streak': (1, 17, 23),
        'lq': (3, 17, 23),
    }
    assert out['inputs']['lq'].dtype == torch.uint8
    assert out['inputs']['depth'].dtype == torch.float32
    assert set(out['data_samples'].metainfo) == {'name', 'index', 'paths', 'bad'}
    refused(DataError, lambda: Pack(roles=('hq',))(scene()), "'hq'")
    refused(DataError, lambda: Pack(keep=('nam',))(scene()), "'name'")


def test_packed_tensors_have_memory_of_their_own():
    """A view would keep the whole picture alive, and a read-only array may not become a tensor."""
    frozen = np.zeros((50, 50), np.float32)
    frozen.flags.writeable = False
    tensor = Pack()(scene(depth=frozen[:4, :4]))['inputs']['depth']
    tensor += 1
    assert frozen.sum() == 0
    assert tensor.untyped_storage().nbytes() == 4 * 4 * 4

"""Miniatures of public data sets in their official layout, one per registered source.

Tests over all registered sources fail if a source has no miniature. The numbers of pictures are small, so each
miniature has its own counts for ``dataclasses.replace(source, counts=..., kept=...)``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from restorebox.datasets.sources import Source
from restorebox.datasets.sources.page import get
from restorebox.datasets.sources.several_tests import CDD_KINDS

SIZE = (24, 20)  # width and height


@dataclass
class Mini:
    """Description of a miniature: counts for the source, and a file without which a partner is missing."""

    counts: dict[str, int]
    kept: dict[str, int]
    partner: str
    loose: tuple[str, ...] = field(default=())  # top-level files that stay outside of archives


def picture(path: Path, scene: int, size: tuple[int, int] = SIZE) -> None:
    """Write a picture that depends only on ``scene``, coarse enough to differ from others in a thumbnail."""
    coarse = np.random.default_rng(scene).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize(size, Image.Resampling.NEAREST).save(path)


def pairs(root: Path, lq: str, gt: str, count: int, start: int = 0, renders: tuple[str, ...] = ('',)) -> None:
    """Write ``count`` clean pictures and their renders; {i} is the number from 1, {r} the render."""
    for i in range(1, count + 1):
        picture(root / gt.format(i=i + start), 1000 * count + i + start)
        for r, render in enumerate(renders):
            picture(root / lq.format(i=i + start, r=render), 7000 + 100 * i + r)


def _rain100(root: Path, letter: str, train: int) -> Mini:
    pairs(root, f'RainTrain{letter}/rain-{{i}}.png', f'RainTrain{letter}/norain-{{i}}.png', train)
    pairs(root, f'Rain100{letter}/rain-{{i:03d}}.png', f'Rain100{letter}/norain-{{i:03d}}.png', 3)
    picture(root / f'RainTrain{letter}/rainregion-1.png', 3)
    return Mini({'train': train, 'test': 3}, {}, f'Rain100{letter}/norain-002.png')


def _rain100h(root: Path) -> Mini:
    mini = _rain100(root, 'H', 6)
    for train, test in ((2, 1), (5, 3)):  # two training backgrounds are of the test set
        clean = (root / f'Rain100H/norain-{test:03d}.png').read_bytes()
        (root / f'RainTrainH/norain-{train}.png').write_bytes(clean)
    mini.kept = {'train': 4}
    return mini


def _rain200(root: Path, word: str) -> Mini:
    for split, count in (('train', 4), ('test', 2)):
        top = f'rain_data_{split}_{word}'
        pairs(root, f'{top}/rain/X2/norain-{{i}}x2.png', f'{top}/norain/norain-{{i}}.png', count)
    return Mini({'train': 4, 'test': 2}, {}, f'rain_data_train_{word}/norain/norain-3.png')


def _side_by_side(root: Path, names: dict[str, int]) -> None:
    for name, count in names.items():
        for i in range(count):
            picture(root / name.format(i=i), zlib.crc32(name.encode()) + i, (2 * SIZE[0], SIZE[1]))


def _rain800(root: Path) -> Mini:
    _side_by_side(root, {'rain/training/{i}.jpg': 4, 'rain/test_syn/{i}.jpg': 2})
    return Mini({'train': 4, 'test': 2}, {}, '')


def _did_mdn(root: Path) -> Mini:
    names = {f'DID-MDN-training/Rain_{d}/train2018new/{{i}}.jpg': 2 for d in ('Heavy', 'Medium', 'Light')}
    _side_by_side(root, {**names, 'DID-MDN-test/{i}.jpg': 3})
    return Mini({'train': 6, 'test': 3}, {}, '')


def _rain1400(root: Path) -> Mini:
    renders = tuple(str(r) for r in range(1, 4))
    for split, start in (('training', 0), ('testing', 900)):
        top = f'rainy_image_dataset/{split}'
        pairs(root, f'{top}/rainy_image/{{i}}_{{r}}.jpg', f'{top}/ground_truth/{{i}}.jpg', 2, start, renders)
    return Mini({'train': 6, 'test': 6}, {}, 'rainy_image_dataset/training/ground_truth/2.jpg')


def _spa(root: Path) -> Mini:
    for video in range(6):
        for x in (0, 1):
            picture(root / f'Training/real_world_gt/{video:03d}/{video:03d}_{x}_0.png', 10 * video + x)
            for frame in (1, 2):
                name = f'{video:03d}-{frame}'
                picture(root / f'Training/real_world/{video:03d}/{name}/{name}_{x}_0.png', 100 * video + 10 * x + frame)
    for i in range(5):
        picture(root / f'Testing/real_test_1000/rain/{i:03d}.png', i)
        picture(root / f'Testing/real_test_1000/gt/{i:03d}gt.png', 5000 + i)
    return Mini({'train': 24, 'test': 5}, {}, 'Testing/real_test_1000/gt/003gt.png')


def _cclgan_spa(root: Path) -> Mini:
    return replace(_spa(root), kept={'trainA': 5, 'trainB': 5, 'testA': 3})


def _rain_cityscapes(root: Path) -> Mini:
    for split, cities in (('train', ('aachen', 'ulm')), ('val', ('munster',))):
        for city in cities:
            for i in range(3):
                view = f'{city}_{i:06d}_000019'
                picture(root / f'leftImg8bit/{split}/{city}/{view}_leftImg8bit.png', 10 * len(city) + i)
                if i == 2:
                    continue  # Cityscapes has more views than the rainy set
                picture(root / f'leftImg8bit_depth_rain/{split}/{city}/{view}_depth.png', 900 + i)
                for pattern in (1, 2, 3):
                    end = f'leftImg8bit_rain_alpha_0.01_beta_0.005_dropsize_0.01_pattern_{pattern}'
                    picture(root / f'leftImg8bit_rain/{split}/{city}/{view}_{end}.png', 10 * i + pattern)
    return Mini({'train': 12, 'test': 6}, {}, 'leftImg8bit/train/ulm/ulm_000001_000019_leftImg8bit.png')


def _cclgan_rain_cityscapes(root: Path) -> Mini:
    return replace(_rain_cityscapes(root), kept={'trainA': 4, 'trainB': 4, 'testA': 3})


def _outdoor(root: Path) -> Mini:
    for number in (1, 2, 300, 301, 350, 351, 400, 401, 402, 403):
        picture(root / f'train/gt/im_{number:04d}.png', number)
        for angle in (80, 85):
            for level in (4, 5):
                name = f'im_{number:04d}_s{angle}_a{level:02d}.png'
                for folder in ('in', 'trans', 'atm'):
                    picture(root / 'train' / folder / name, number + angle + level)
            picture(root / f'train/streak/im_{number:04d}_s{angle}.png', number + angle)
    for number in (301, 350):  # Test 1: the same clean pictures and names, other renders
        picture(root / f'test1/gt/im_{number:04d}.png', number)
        for angle in (80, 85):
            picture(root / f'test1/in/im_{number:04d}_s{angle}_a04.png', 2000 + number + angle)
    return Mini({'train': 40}, {'train': 32, 'test': 8}, 'train/gt/im_0350.png')


def _outdoor_with_test_1(root: Path) -> Mini:
    return replace(_outdoor(root), counts={'train': 40, 'test': 4}, kept={'train': 32, 'val': 8, 'test': 4})


def _div2k_hybrid(root: Path) -> Mini:
    for i in range(1, 6):
        picture(root / f'DIV2K/{i:04d}.png', i, (70, 66))
    for i in range(1, 4):
        picture(root / f'test_images/moderate_in/{i}_in.png', i)
        picture(root / f'test_images/moderate_gt/{i}_gt.png', 50 + i)
    return Mini({'train': 5, 'test': 3}, {'train': 12, 'val': 1}, 'test_images/moderate_gt/2_gt.png')


def _sidd_small(root: Path) -> Mini:
    for i in range(1, 4):
        top = root / f'SIDD_Small_sRGB_Only/Data/{i:04d}_001_S6_00100_00060_3200_L'
        picture(top / 'NOISY_SRGB_010.PNG', i)
        picture(top / 'GT_SRGB_010.PNG', 50 + i)
    for k, stem in enumerate(('ValidationNoisyBlocksSrgb', 'ValidationGtBlocksSrgb')):
        blocks = np.random.default_rng(k).integers(0, 256, (2, 3, 16, 16, 3), dtype=np.uint8)
        savemat(root / f'{stem}.mat', {stem: blocks}, do_compression=True)
    partner = 'SIDD_Small_sRGB_Only/Data/0002_001_S6_00100_00060_3200_L/GT_SRGB_010.PNG'
    mats = ('ValidationNoisyBlocksSrgb.mat', 'ValidationGtBlocksSrgb.mat')
    return Mini({'train': 3, 'test': 6}, {}, partner, mats)


def _reside_its(root: Path) -> Mini:
    large = (SIZE[0] + 6, SIZE[1] + 4)  # clean pictures have a border that the hazy ones have not
    for i in (1, 2):
        picture(root / f'ITS/clear/{i}.png', i)
        picture(root / f'SOTS/indoor/gt/{1400 + i}.png', 1400 + i, large)
        for r in (1, 2):
            picture(root / f'ITS/hazy/{i}_{r}_0.9{r}.png', 10 * i + r)
            picture(root / f'SOTS/indoor/hazy/{1400 + i}_{r}.png', 20 * i + r)
    return Mini({'train': 4, 'test': 4}, {}, 'SOTS/indoor/gt/1402.png')


def _gopro(root: Path) -> Mini:
    for split, sequences in (('train', ('GOPR0372_07_00', 'GOPR0374_11_01')), ('test', ('GOPR0384_11_00',))):
        for k, sequence in enumerate(sequences):
            for i in (1, 2):
                for folder in ('blur', 'blur_gamma', 'sharp'):
                    picture(
                        root / f'{split}/{sequence}/{folder}/{i:06d}.png', len(split) * 1000 + 10 * k + i + len(folder)
                    )
    return Mini({'train': 4, 'test': 2}, {}, 'train/GOPR0374_11_01/sharp/000002.png')


def _same_names(root: Path, top: str, lq: str, gt: str, count: int, name: str = '{i}.png', start: int = 0) -> None:
    pairs(root, f'{top}/{lq}/{name}', f'{top}/{gt}/{name}', count, start)


def _rain13k(root: Path) -> Mini:
    _same_names(root, 'train/Rain13K', 'input', 'target', 4, '{i}.jpg')
    tests = ('Rain100H', 'Rain100L', 'Test100', 'Test1200', 'Test2800')
    for k, name in enumerate(tests):
        _same_names(root, f'test/{name}', 'input', 'target', 2, start=10 * (k + 1))
    return Mini({'train': 4, **{f'test_{t.lower()}': 2 for t in tests}}, {}, 'train/Rain13K/target/3.jpg')


def _snow100k(root: Path) -> Mini:
    _same_names(root, 'all', 'synthetic', 'gt', 4, 'beautiful_smile_{i:05d}.jpg')
    for k, name in enumerate('SML'):
        top = f'media/jdway/GameSSD/overlapping/test/Snow100K-{name}'
        _same_names(root, top, 'synthetic', 'gt', 2, 'city_{i:05d}.jpg', 10 * (k + 1))
    return Mini({'train': 4, 'test_s': 2, 'test_m': 2, 'test_l': 2}, {}, 'all/gt/beautiful_smile_00003.jpg')


def _lol(root: Path) -> Mini:
    _same_names(root, 'our485', 'low', 'high', 4)
    _same_names(root, 'eval15', 'low', 'high', 2, start=20)
    return Mini({'train': 4, 'test': 2}, {}, 'our485/high/2.png')


def _reside_ots(root: Path) -> Mini:
    for i in (5, 8):
        picture(root / f'OTS_BETA/clear/{i:04d}.jpg', i)
        for part, beta in (('part1', '0.04'), ('part2', '0.2')):
            picture(root / f'OTS_BETA/haze/{part}/{i:04d}_0.8_{beta}.jpg', 10 * i + len(beta))
    for i in (1, 2):
        picture(root / f'SOTS/outdoor/gt/{i:04d}.png', 500 + i)
        picture(root / f'SOTS/outdoor/hazy/{i:04d}_0.8_0.2.jpg', 600 + i)
    return Mini({'train': 4, 'test': 2}, {}, 'SOTS/outdoor/gt/0002.png')


def _cdd11(root: Path) -> Mini:
    for split, scenes in (('train', (1, 2)), ('test', (1,))):
        for i in scenes:
            for k, kind in enumerate(('clear', *CDD_KINDS)):
                picture(root / f'CDD-11_{split}/{kind}/{i:05d}.png', 1000 * len(split) + 20 * i + k)
    tests = {f'test_{kind}': 1 for kind in CDD_KINDS}
    return Mini({'train': 22, **tests}, {}, 'CDD-11_train/clear/00002.png')


def _all_weather(root: Path) -> Mini:
    for name in ('im_0001_s80_a04.png', '0_rain.png', 'beautiful_smile_00001.jpg'):
        _same_names(root, 'allweather', 'input', 'gt', 1, name, zlib.crc32(name.encode()) % 1000)
    _same_names(root, 'snowtest100k_L/Snow100K-L', 'synthetic', 'gt', 2, 'city_{i:05d}.jpg', 40)
    for i in (301, 302):
        picture(root / f'test1/gt/im_{i:04d}.png', 3000 + i)
        picture(root / f'test1/input/im_{i:04d}_s80_a04.png', 4000 + i)
        picture(root / f'test_a/gt/{i - 301}_clean.png', 5000 + i)
        picture(root / f'test_a/data/{i - 301}_rain.png', 6000 + i)
    counts = {'train': 3, 'test_snow': 2, 'test_rain': 2, 'test_drops': 2}
    return Mini(counts, {}, 'allweather/gt/0_rain.png')


def _wed_bsd400(root: Path) -> Mini:
    for i in range(1, 4):
        picture(root / f'WED/{i:05d}.bmp', i)
        picture(root / f'BSD400/test_{i:03d}.png', 100 + i)
    for name in (101085, 102061):
        picture(root / f'CBSD68/{name}.png', name)
    return Mini({'train': 6, 'test': 2}, {}, '')


MINIATURES: dict[str, Callable[[Path], Mini]] = {
    'rain100l': lambda root: _rain100(root, 'L', 4),
    'rain100h': _rain100h,
    'rain200l': lambda root: _rain200(root, 'Light'),
    'rain200h': lambda root: _rain200(root, 'Heavy'),
    'rain800': _rain800,
    'rain1200': _did_mdn,
    'did_hy': _did_mdn,
    'rain1400': _rain1400,
    'spa': _spa,
    'cclgan_spa': _cclgan_spa,
    'rain_cityscapes': _rain_cityscapes,
    'cclgan_rain_cityscapes': _cclgan_rain_cityscapes,
    'outdoor_rain': _outdoor_with_test_1,
    'outdoor_rain_8_2_random': _outdoor,
    'outdoor_rain_8_2_by_background': _outdoor,
    'div2k_hybrid': _div2k_hybrid,
    'sidd_small': _sidd_small,
    'reside_its': _reside_its,
    'gopro': _gopro,
    'rain13k': _rain13k,
    'snow100k': _snow100k,
    'lol': _lol,
    'reside_ots': _reside_ots,
    'cdd11': _cdd11,
    'all_weather': _all_weather,
    'wed_bsd400': _wed_bsd400,
}


def make(name: str, root: Path) -> tuple[Source, Mini]:
    """Write the miniature of a source; return the source with the counts of the miniature, and its description."""
    assert name in MINIATURES, f'the data source {name} has no miniature in tests/miniatures.py'
    mini = MINIATURES[name](root)
    return replace(get(name), counts=mini.counts, kept=mini.kept, other_counts={}), mini

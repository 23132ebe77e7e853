"""Outdoor-Rain: streaks and veil with all their layers; and the two 80/20 splits of its training part."""

from __future__ import annotations

import re

from restorebox.datasets.sources.base import Choice, Part, Scene, Source, draw, find, none_found, refuse_partnerless
from restorebox.datasets.sources.files import File
from restorebox.errors import DataError
from restorebox.registry import SOURCES

TEST_1 = range(301, 351)  # numbers of the backgrounds
SHARE = 0.8  # of OutdoorRain-8-2 that is trained on
# folder of the release -> role; layers may be shared by renders of one angle or one haze level
LAYERS = {'streak': 'streak', 'trans': 'transmission', 'atm': 'airlight'}
OUTDOOR = dict(
    task='rain and veil',
    paper=(
        'Li, Cheong, Tan, "Heavy rain image restoration: integrating physics model and conditional adversarial '
        'learning", CVPR 2019'
    ),
    page='https://github.com/liruoteng/HeavyRainRemoval',
    terms='none found; ask the authors before any use other than research',
    obtain=(
        'The README of the official page links to the synthetic training set (7 GB). Put its train/ with in/, gt/ and, '
        'for methods that use the physics, streak/, trans/ and atm/, packed or unpacked, into a folder.'
    ),
    parts=(
        Part(
            'train',
            'lq',
            r'/(?:in|input)/(?P<name>im_(?P<key>\d+)_s\d+_a\d+)\.png',
            'train/in/im_0001_s80_a04.png, ...',
        ),
        Part('train', 'gt', r'/gt/im_(?P<key>\d+)\.png', 'train/gt/im_0001.png, ...'),
        *(
            Part('train', role, rf'/{folder}/(?P<name>im_\d+[^/]*)\.png', f'train/{folder}/im_0001_*.png, ...', True)
            for folder, role in LAYERS.items()
        ),
    ),
    pairing='im_0001_s80_a04.png (background, angle, haze level) with im_0001.png, and with its streak, trans and atm',
    facts="the paper's repository (names, prefix of 7 characters) and loaders of others (9,000 of 600 backgrounds)",
    unsure=(
        'How the files of streak/, trans/ and atm/ are called beyond the prefix: the longest of background, angle and '
        'level that fits is taken. That Test 1 is backgrounds 0301 to 0350 stands in no public file that was found.'
    ),
)


def _with_layers(source: Source, files: list[File]) -> list[Scene]:
    """Pairs by background; layers by as much of background, angle and level as their names have."""
    files = [file for file in files if '/test' not in file.path.lower()]  # another folder of the download
    found = {part.role: find(part, files) for part in source.parts}
    lq, gt = found['lq'], found['gt']
    if not lq:
        raise none_found(source, lq.part)
    refuse_partnerless('train', lq, {'gt': gt})
    layers = {role: _by_marks(found[role]) for role in LAYERS.values() if found[role]}
    scenes = []
    for key, group in lq.by_key.items():
        for name, file in group:
            scene = Scene('train', name, {'train/lq': file, 'train/gt': gt.by_key[key][0][1]}, key[0])
            for role, known in layers.items():
                scene.files[f'train/{role}'] = _layer_of(name, known, found[role].part)
            scenes.append(scene)
    return scenes


def _marks(name: str) -> tuple[str, str, str]:
    """Background, angle and level of 'im_0001_s80_a04'; '' where the name does not say."""
    parts = [re.search(mark, name) for mark in (r'im_(\d+)', r'_s(\d+)', r'_a(\d+)')]
    return tuple(part[1] if part else '' for part in parts)


def _by_marks(found: object) -> dict[tuple[str, str, str], File]:
    return {_marks(name): file for group in found.by_key.values() for name, file in group}


def _layer_of(name: str, known: dict[tuple[str, str, str], File], part: Part) -> File:
    background, angle, level = _marks(name)
    for marks in ((background, angle, level), (background, angle, ''), (background, '', level), (background, '', '')):
        if marks in known:
            return known[marks]
    raise DataError(f"split 'train': {name} without a partner; looked for {part.shown} ({part.role})")


def _moved(scene: Scene, split: str) -> Scene:
    files = {folder.replace('train/', f'{split}/', 1): file for folder, file in scene.files.items()}
    return Scene(split, scene.name, files, scene.background)


def _test_1(source: Source, scenes: list[Scene], seed: int) -> Choice:
    return Choice([_moved(s, 'test' if int(s.background) in TEST_1 else 'train') for s in scenes])


def _random(source: Source, scenes: list[Scene], seed: int) -> Choice:
    trained = set(draw([s.name for s in scenes], round(SHARE * len(scenes)), seed))
    return Choice([_moved(s, 'train' if s.name in trained else 'test') for s in scenes])


def _by_background(source: Source, scenes: list[Scene], seed: int) -> Choice:
    backgrounds = sorted({s.background for s in scenes})
    trained = set(draw(backgrounds, round(SHARE * len(backgrounds)), seed))
    return Choice([_moved(s, 'train' if s.background in trained else 'test') for s in scenes])


def _outdoor(name: str, title: str, choose: object, train: int, test: int, **more: object) -> Source:
    return Source(
        name=name,
        title=title,
        **OUTDOOR,
        counts={'train': 9_000},
        kept={'train': train, 'test': test},
        layout=(
            '{train,test}/{lq,gt}, partners of the same name, and streak/, transmission/ and airlight/ where the '
            'download has them'
        ),
        pair=_with_layers,
        choose=choose,
        **more,
    )


@SOURCES.register_module()
def outdoor_rain() -> Source:
    """Outdoor-Rain with Test 1: 8,250 training pictures of 550 backgrounds, 750 test pictures of 50 others."""
    return _outdoor(
        'outdoor_rain',
        'Outdoor-Rain',
        _test_1,
        8_250,
        750,
        exclusions=(
            'Test 1 is backgrounds 0301 to 0350 with all their 15 renders. They are among the 9,000 training pictures, '
            'and are moved from there to the test split.'
        ),
    )


@SOURCES.register_module()
def outdoor_rain_8_2_random() -> Source:
    """OutdoorRain-8-2 as published: 7,200 of the 9,000 pictures by chance, so that both splits share backgrounds."""
    return _outdoor(
        'outdoor_rain_8_2_random',
        'OutdoorRain-8-2, random',
        _random,
        7_200,
        1_800,
        drawn=True,
        exclusions='None: renders of one background are in both splits, which the numbers of InfoAccum include.',
    )


@SOURCES.register_module()
def outdoor_rain_8_2_by_background() -> Source:
    """OutdoorRain-8-2 without the leak: 480 backgrounds to train on, 120 others to test on."""
    return _outdoor(
        'outdoor_rain_8_2_by_background',
        'OutdoorRain-8-2, by background',
        _by_background,
        7_200,
        1_800,
        drawn=True,
    )

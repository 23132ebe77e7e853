"""Outdoor-Rain, rain streaks and veil with all layers, and two 80/20 splits of its training part."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from restorebox.datasets.sources.base import (
    MatchedFiles,
    Part,
    Scene,
    Selection,
    Source,
    check_partners,
    draw,
    match_files,
    no_files_error,
)
from restorebox.datasets.sources.files import File
from restorebox.errors import DataError
from restorebox.registry import SOURCES

TEST_1 = range(301, 351)  # numbers of the backgrounds
TRAIN_FRACTION = 0.8  # of OutdoorRain-8-2
# folder of the release -> role; several renders of one angle or one haze level may share a layer
LAYERS = {'streak': 'streak', 'trans': 'transmission', 'atm': 'airlight'}
OUTDOOR: dict[str, Any] = dict(
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
    references=(
        'repository of the paper (names, prefix of 7 characters) and data loaders of other repositories (9,000 of 600 '
        'backgrounds)'
    ),
    unconfirmed=(
        'The names of the files in streak/, trans/ and atm/ after the prefix: the file that matches most of '
        'background, angle and level is used. No public file confirms that Test 1 is backgrounds 0301 to 0350.'
    ),
)

Attributes = tuple[str, str, str]  # background, angle, haze level


def _pair_with_layers(source: Source, files: list[File]) -> list[Scene]:
    """Pair by background; assign layers by those of background, angle and level that are in their names."""
    files = [file for file in files if '/test' not in file.path.lower()]  # the download also has a test folder
    matched = {part.role: match_files(part, files) for part in source.parts}
    lq, gt = matched['lq'], matched['gt']
    if not lq:
        raise no_files_error(source, lq.part)
    check_partners('train', lq, {'gt': gt})
    layers = {role: _by_attributes(matched[role]) for role in LAYERS.values() if matched[role]}
    scenes = []
    for key, group in lq.by_key.items():
        for name, file in group:
            scene = Scene('train', name, {'train/lq': file, 'train/gt': gt.by_key[key][0][1]}, key[0])
            for role, candidates in layers.items():
                scene.files[f'train/{role}'] = _find_layer(name, candidates, matched[role].part)
            scenes.append(scene)
    return scenes


def _attributes(name: str) -> Attributes:
    """Return background, angle and level of a name such as 'im_0001_s80_a04'; '' for those it lacks."""
    background, angle, level = (re.search(pattern, name) for pattern in (r'im_(\d+)', r'_s(\d+)', r'_a(\d+)'))
    return (background[1] if background else '', angle[1] if angle else '', level[1] if level else '')


def _by_attributes(matched: MatchedFiles) -> dict[Attributes, File]:
    return {_attributes(name): file for group in matched.by_key.values() for name, file in group}


def _find_layer(name: str, candidates: dict[Attributes, File], part: Part) -> File:
    background, angle, level = _attributes(name)
    for key in ((background, angle, level), (background, angle, ''), (background, '', level), (background, '', '')):
        if key in candidates:
            return candidates[key]
    raise DataError(f"split 'train': {name} without a partner; looked for {part.example} ({part.role})")


def _with_split(scene: Scene, split: str) -> Scene:
    """Return a scene of the training split as one of another split."""
    files = {folder.replace('train/', f'{split}/', 1): file for folder, file in scene.files.items()}
    return Scene(split, scene.name, files, scene.background)


def _split_test_1(source: Source, scenes: list[Scene], seed: int) -> Selection:
    return Selection([_with_split(s, 'test' if int(s.background) in TEST_1 else 'train') for s in scenes])


def _split_by_picture(source: Source, scenes: list[Scene], seed: int) -> Selection:
    train = set(draw([s.name for s in scenes], round(TRAIN_FRACTION * len(scenes)), seed))
    return Selection([_with_split(s, 'train' if s.name in train else 'test') for s in scenes])


def _split_by_background(source: Source, scenes: list[Scene], seed: int) -> Selection:
    backgrounds = sorted({s.background for s in scenes})
    train = set(draw(backgrounds, round(TRAIN_FRACTION * len(backgrounds)), seed))
    return Selection([_with_split(s, 'train' if s.background in train else 'test') for s in scenes])


def _outdoor(
    name: str,
    title: str,
    select: Callable[[Source, list[Scene], int], Selection],
    train: int,
    test: int,
    drawn: bool = False,
    exclusions: str = '',
) -> Source:
    return Source(
        name=name,
        title=title,
        **OUTDOOR,
        counts={'train': 9_000},
        kept={'train': train, 'test': test},
        layout=(
            '{train,test}/{lq,gt}, partners of the same name, and streak/, transmission/ and airlight/ if the '
            'download has them'
        ),
        pair=_pair_with_layers,
        select=select,
        drawn=drawn,
        exclusions=exclusions,
    )


@SOURCES.register_module()
def outdoor_rain() -> Source:
    """Outdoor-Rain with Test 1: 8,250 training pictures of 550 backgrounds, 750 test pictures of 50 others."""
    return _outdoor(
        'outdoor_rain',
        'Outdoor-Rain',
        _split_test_1,
        8_250,
        750,
        exclusions=(
            'Test 1 is backgrounds 0301 to 0350 with all 15 renders each. They are among the 9,000 training pictures '
            'and are moved to the test split.'
        ),
    )


@SOURCES.register_module()
def outdoor_rain_8_2_random() -> Source:
    """OutdoorRain-8-2 as published: 7,200 of 9,000 pictures drawn at random; both splits share backgrounds."""
    return _outdoor(
        'outdoor_rain_8_2_random',
        'OutdoorRain-8-2, random',
        _split_by_picture,
        7_200,
        1_800,
        drawn=True,
        exclusions='None: renders of one background are in both splits, also in the published scores of InfoAccum.',
    )


@SOURCES.register_module()
def outdoor_rain_8_2_by_background() -> Source:
    """OutdoorRain-8-2 without shared backgrounds: 480 backgrounds for training, 120 others for test."""
    return _outdoor(
        'outdoor_rain_8_2_by_background',
        'OutdoorRain-8-2, by background',
        _split_by_background,
        7_200,
        1_800,
        drawn=True,
    )

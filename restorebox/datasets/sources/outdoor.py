"""Outdoor-Rain: its training set with all layers, Test 1, and two 80/20 splits of the training set."""

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
    match_files,
    no_files_error,
)
from restorebox.datasets.sources.files import File
from restorebox.datasets.subsets import draw
from restorebox.errors import DataError
from restorebox.registry import SOURCES

HELD_OUT = range(301, 351)  # numbers of Test 1's backgrounds, which are also in the training set
TRAIN_FRACTION = 0.8  # of OutdoorRain-8-2
# folder of the release -> role; several renders of one angle or one haze level may share a layer
LAYERS = {'streak': 'streak', 'trans': 'transmission', 'atm': 'airlight'}
NOT_TEST_1 = r'(?<!/(?i:test1))'  # its files have the names of training files
WITH_LAYERS = 'partners of the same name, and streak/, transmission/ and airlight/ if the download has them'
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
            NOT_TEST_1 + r'/(?:in|input)/(?P<name>im_(?P<key>\d+)_s\d+_a\d+)\.png',
            'train/in/im_0001_s80_a04.png, ...',
        ),
        Part('train', 'gt', NOT_TEST_1 + r'/gt/im_(?P<key>\d+)\.png', 'train/gt/im_0001.png, ...'),
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
        'background, angle and level is used.'
    ),
)
TEST_1 = (
    Part(
        'test',
        'lq',
        r'/(?i:test1)/(?:in|input)/(?P<name>im_(?P<key>\d+)_s\d+_a\d+)\.png',
        'test1/in/im_0301_s80_a04.png, ...',
    ),
    Part('test', 'gt', r'/(?i:test1)/gt/im_(?P<key>\d+)\.png', 'test1/gt/im_0301.png, ...'),
)

Attributes = tuple[str, str, str]  # background, angle, haze level


def _pair_with_layers(source: Source, files: list[File]) -> list[Scene]:
    """Pair by background; assign layers by those of background, angle and level that are in their names."""
    matched = {part.role: match_files(part, files) for part in source.parts if part.split == 'train'}
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


def _pair_with_test_1(source: Source, files: list[File]) -> list[Scene]:
    """Pair the training set with its layers, and Test 1, which has none and may be missing."""
    lq, gt = (match_files(part, files) for part in TEST_1)
    check_partners('test', lq, {'gt': gt})
    scenes = _pair_with_layers(source, files)
    for key, group in lq.by_key.items():
        clean = gt.by_key[key][0][1]
        scenes += [Scene('test', name, {'test/lq': file, 'test/gt': clean}, key[0]) for name, file in group]
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


def _hold_out(source: Source, scenes: list[Scene], seed: int) -> Selection:
    """Move the training pictures of Test 1's backgrounds to the split 'val'."""
    return Selection(
        [_with_split(s, 'val') if s.split == 'train' and int(s.background) in HELD_OUT else s for s in scenes]
    )


def _split_by_picture(source: Source, scenes: list[Scene], seed: int) -> Selection:
    train = set(draw([s.name for s in scenes], round(TRAIN_FRACTION * len(scenes)), seed))
    return Selection([_with_split(s, 'train' if s.name in train else 'test') for s in scenes])


def _split_by_background(source: Source, scenes: list[Scene], seed: int) -> Selection:
    backgrounds = sorted({s.background for s in scenes})
    train = set(draw(backgrounds, round(TRAIN_FRACTION * len(backgrounds)), seed))
    return Selection([_with_split(s, 'train' if s.background in train else 'test') for s in scenes])


def _outdoor_8_2(
    name: str, title: str, select: Callable[[Source, list[Scene], int], Selection], exclusions: str = ''
) -> Source:
    return Source(
        name=name,
        title=title,
        **OUTDOOR,
        counts={'train': 9_000},
        kept={'train': 7_200, 'test': 1_800},
        layout=f'{{train,test}}/{{lq,gt}}, {WITH_LAYERS}',
        pair=_pair_with_layers,
        select=select,
        drawn=True,
        exclusions=exclusions,
    )


@SOURCES.register_module()
def outdoor_rain() -> Source:
    """Outdoor-Rain: 8,250 training pictures of 550 backgrounds; 750 of 50 others twice: held out, and as Test 1."""
    facts = dict(OUTDOOR)
    facts['obtain'] += (
        ' Test 1 is no longer on the official page; the repositories TransWeather and Histoformer (issue 8) link to '
        'copies. Put its test1/ with in/ and gt/ beside train/. Without Test 1, add --allow-count: the split test is '
        'then missing.'
    )
    facts['parts'] += TEST_1
    facts['references'] += (
        "; for Test 1: datagen/ of the paper's repository (mode 'val': backgrounds 301 to 350, beta 2.6 to 4.6, "
        'airlight 0.25 to 0.95, instead of 3 to 4.2 and 0.3 to 0.9) and issue 3 of IGITUGraz/WeatherDiffusion (names '
        'im_0301_* to im_0350_*, other renders than those of the training set, same clean pictures)'
    )
    return Source(
        name='outdoor_rain',
        title='Outdoor-Rain',
        **facts,
        counts={'train': 9_000, 'test': 750},
        kept={'train': 8_250, 'val': 750, 'test': 750},
        layout=f'{{train,val,test}}/{{lq,gt}}, {WITH_LAYERS}: Test 1 has none',
        pair=_pair_with_test_1,
        select=_hold_out,
        exclusions=(
            'Test 1 is backgrounds 0301 to 0350, rendered again with wider ranges of veil. The 750 training pictures '
            'of these backgrounds are not trained on: they are the split val ("held-out backgrounds"), with their '
            'layers. val and test share their backgrounds: a checkpoint for Test 1 must not be selected by val.'
        ),
    )


@SOURCES.register_module()
def outdoor_rain_8_2_random() -> Source:
    """OutdoorRain-8-2 as published: 7,200 of 9,000 pictures drawn at random; both splits share backgrounds."""
    return _outdoor_8_2(
        'outdoor_rain_8_2_random',
        'OutdoorRain-8-2, random',
        _split_by_picture,
        exclusions='None: renders of one background are in both splits, also in the published scores of InfoAccum.',
    )


@SOURCES.register_module()
def outdoor_rain_8_2_by_background() -> Source:
    """OutdoorRain-8-2 without shared backgrounds: 480 backgrounds for training, 120 others for test."""
    return _outdoor_8_2('outdoor_rain_8_2_by_background', 'OutdoorRain-8-2, by background', _split_by_background)

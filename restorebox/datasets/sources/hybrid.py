"""Hybrid distortion: DIV2K-hybrid and DID-HY. Blur, noise and JPEG are drawn on the fly, see their configs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from restorebox.datasets.sources.base import Choice, Part, Scene, Source, find, none_found, pair_by_key
from restorebox.datasets.sources.files import File, Made
from restorebox.datasets.sources.rain import DID_MDN
from restorebox.registry import SOURCES

SCALES = {'': 1, '_s2': 2 / 3, '_s3': 1 / 3}  # name's end -> size of the picture


@SOURCES.register_module()
def div2k_hybrid() -> Source:
    """DIV2K-hybrid: 750 clean pictures in three sizes to damage on the fly, and RL-Restore's frozen test patches."""
    return Source(
        name='div2k_hybrid',
        title='DIV2K-hybrid',
        task='blur, noise and JPEG',
        paper='Yu et al., "Crafting a toolchain for image restoration by deep reinforcement learning", CVPR 2018',
        page='https://github.com/yuke93/RL-Restore',
        terms='DIV2K is for academic research only',
        obtain=(
            'The README of the official page links to the training images (down-sampled DIV2K, 800 PNG) and to the '
            'test sets (mild, moderate, severe; _in and _gt). Put the first into a folder DIV2K and the second beside '
            'it, packed or unpacked. The few test pictures inside of the repository itself are not the test set.'
        ),
        parts=(
            Part('train', 'gt', r'/[^/]*DIV2K[^/]*/(?:[^/]+/)*(?P<key>\d+)\.png', 'DIV2K/0001.png, ...'),
            *(
                Part(
                    split,
                    role,
                    rf'/{severity}_{end}/(?P<key>\d+)(?:_{end})?\.png',
                    f'{severity}_{end}/1_{end}.png, ...',
                    optional=severity != 'moderate',
                )
                for split, severity in (('test', 'moderate'), ('test_mild', 'mild'), ('test_severe', 'severe'))
                for role, end in (('lq', 'in'), ('gt', 'gt'))
            ),
        ),
        counts={'train': 800, 'test': 3_584},
        kept={'train': 2_250, 'val': 50},
        pairing='moderate_in/7_in.png with moderate_gt/7_gt.png; training pictures are clean ones only',
        layout=(
            'train/gt: 750 pictures in full, two thirds and a third of their size; val/gt: the last 50; '
            '{test,test_mild,test_severe}/{lq,gt}, partners of the same name'
        ),
        exclusions='The last 50 of the 800 pictures are kept from training.',
        facts="RL-Restore's README, its generator and its files' names; counts of the FDR-Net paper",
        unsure='How many test patches mild and severe have. The 249,344 frozen training patches are not published.',
        pair=_clean_and_patches,
        choose=_in_three_sizes,
    )


def _clean_and_patches(source: Source, files: list[File]) -> list[Scene]:
    part, *tests = source.parts
    clean = find(part, files)
    if not clean:
        raise none_found(source, part)
    scenes = [Scene('train', name, {'train/gt': file}) for group in clean.by_key.values() for name, file in group]
    present = {p.split for p in tests if not p.optional or find(p, files)}
    patches = replace(source, parts=tuple(p for p in tests if p.split in present), pair=None)
    return scenes + pair_by_key(patches, files)


def _in_three_sizes(source: Source, scenes: list[Scene], seed: int) -> Choice:
    """The first pictures of the training part, each in three sizes; the rest for validation."""
    clean = sorted((scene for scene in scenes if scene.split == 'train'), key=lambda scene: int(scene.name))
    trained = source.kept['train'] // len(SCALES)
    chosen = [
        Scene('train', scene.name + end, {'train/gt': _scaled(scene.files['train/gt'], scale)})
        for scene in clean[:trained]
        for end, scale in SCALES.items()
    ]
    chosen += [Scene('val', scene.name, {'val/gt': scene.files['train/gt']}) for scene in clean[trained:]]
    return Choice(chosen + [scene for scene in scenes if scene.split != 'train'])


def _scaled(file: File, scale: float) -> File | Made:
    if scale == 1:
        return file

    def resize() -> np.ndarray:
        picture = Image.fromarray(file.read())
        size = tuple(max(1, round(side * scale)) for side in picture.size)
        return np.asarray(picture.resize(size, Image.Resampling.BICUBIC))

    return Made(('scaled', file.path, scale), resize, (file,))


@SOURCES.register_module()
def did_hy() -> Source:
    """DID-HY: the pairs of DID-MDN, their rainy side damaged further on the fly; 12,000 and 1,200 pairs."""
    facts = f'{DID_MDN["facts"]}; the FDR-Net paper'
    unsure = f'{DID_MDN["unsure"]} The levels of blur, noise and JPEG, which the paper does not give: moderate ones.'
    return Source(
        name='did_hy',
        title='DID-HY',
        task='rain, blur, noise and JPEG',
        **{**DID_MDN, 'facts': facts, 'unsure': unsure},
    )

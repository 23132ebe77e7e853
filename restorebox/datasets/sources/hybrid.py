"""Data sets with hybrid distortion: DIV2K-hybrid and DID-HY. Their configs add blur, noise and JPEG during training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from restorebox.datasets.sources.base import Part, Scene, Selection, Source, match_files, no_files_error, pair_by_key
from restorebox.datasets.sources.files import ComputedPicture, File
from restorebox.datasets.sources.rain import DID_MDN
from restorebox.registry import SOURCES

SCALES = {'': 1, '_s2': 2 / 3, '_s3': 1 / 3}  # suffix of the name -> scale factor


@SOURCES.register_module()
def div2k_hybrid() -> Source:
    """DIV2K-hybrid: 750 clean training pictures in three sizes, and the degraded test patches of RL-Restore."""
    return Source(
        name='div2k_hybrid',
        title='DIV2K-hybrid',
        task='blur, noise and JPEG',
        paper='Yu et al., "Crafting a toolchain for image restoration by deep reinforcement learning", CVPR 2018',
        page='https://github.com/yuke93/RL-Restore',
        terms='DIV2K is for academic research only',
        obtain=(
            'The README of the official page links to the training images (down-sampled DIV2K, 800 PNG) and to the '
            'test sets (mild, moderate, severe; _in and _gt). Put the former into a folder called DIV2K and the latter '
            'next to it, packed or unpacked. The few test pictures in the repository itself are not the test set.'
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
        pairing='moderate_in/7_in.png with moderate_gt/7_gt.png; training pictures are clean',
        layout=(
            'train/gt: 750 pictures at full, two thirds and one third of their size; val/gt: the last 50; '
            '{test,test_mild,test_severe}/{lq,gt}, partners of the same name'
        ),
        exclusions='The last 50 of the 800 pictures are used for validation only.',
        references='README, data generator and file names of RL-Restore; counts of the FDR-Net paper',
        unconfirmed=(
            'The numbers of mild and severe test patches. The 249,344 degraded training patches of the paper are not '
            'published.'
        ),
        pair=_clean_and_patches,
        select=_in_three_sizes,
    )


def _clean_and_patches(source: Source, files: list[File]) -> list[Scene]:
    part, *tests = source.parts
    clean = match_files(part, files)
    if not clean:
        raise no_files_error(source, part)
    scenes = [Scene('train', name, {'train/gt': file}) for group in clean.by_key.values() for name, file in group]
    present = {p.split for p in tests if not p.optional or match_files(p, files)}
    patches = replace(source, parts=tuple(p for p in tests if p.split in present), pair=None)
    return scenes + pair_by_key(patches, files)


def _in_three_sizes(source: Source, scenes: list[Scene], seed: int) -> Selection:
    """Select the first clean pictures for training, each in three sizes, and the others for validation."""
    clean = sorted((scene for scene in scenes if scene.split == 'train'), key=lambda scene: int(scene.name))
    count = source.kept['train'] // len(SCALES)
    selected = [
        Scene('train', scene.name + suffix, {'train/gt': _scaled(scene.release_file('train/gt'), scale)})
        for scene in clean[:count]
        for suffix, scale in SCALES.items()
    ]
    selected += [Scene('val', scene.name, {'val/gt': scene.files['train/gt']}) for scene in clean[count:]]
    return Selection(selected + [scene for scene in scenes if scene.split != 'train'])


def _scaled(file: File, scale: float) -> File | ComputedPicture:
    if scale == 1:
        return file

    def resize() -> np.ndarray:
        picture = Image.fromarray(file.read())
        width, height = (max(1, round(side * scale)) for side in picture.size)
        return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))

    return ComputedPicture(('scaled', file.path, scale), resize, (file,))


@SOURCES.register_module()
def did_hy() -> Source:
    """DID-HY: 12,000 training and 1,200 test pairs of DID-MDN; the config degrades the rainy pictures further."""
    references = f'{DID_MDN["references"]}; the FDR-Net paper'
    unconfirmed = (
        f'{DID_MDN["unconfirmed"]} The levels of blur, noise and JPEG, which the paper does not give; the config uses '
        'moderate levels.'
    )
    return Source(
        name='did_hy',
        title='DID-HY',
        task='rain, blur, noise and JPEG',
        **{**DID_MDN, 'references': references, 'unconfirmed': unconfirmed},
    )

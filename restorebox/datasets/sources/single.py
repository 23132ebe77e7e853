"""Data sets with one degradation: camera noise (SIDD), indoor haze (RESIDE), motion blur (GoPro)."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from functools import partial

import numpy as np
from scipy.io import loadmat, whosmat

from restorebox.archives import LARGEST
from restorebox.datasets.sources.base import AnyFile, Part, Scene, Source, match_files, no_files_error, pair_by_key
from restorebox.datasets.sources.files import ComputedPicture, File
from restorebox.errors import DataError
from restorebox.registry import SOURCES

BLOCKS = {'lq': 'ValidationNoisyBlocksSrgb', 'gt': 'ValidationGtBlocksSrgb'}  # name of both the file and the array


@SOURCES.register_module()
def sidd_small() -> Source:
    """SIDD-Small sRGB: 160 full-size training pairs; 1,280 validation blocks of 256x256 for test."""
    return Source(
        name='sidd_small',
        title='SIDD-Small sRGB',
        task='camera noise',
        paper='Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018',
        page='https://www.eecs.yorku.ca/~kamel/sidd/',
        terms='MIT licence according to third parties, not verified; read the official page first',
        obtain=(
            'From the official page: SIDD_Small_sRGB_Only (zip), and from the benchmark ValidationNoisyBlocksSrgb.mat '
            'and ValidationGtBlocksSrgb.mat, which must not be in an archive. Put all three into one folder.'
        ),
        parts=(
            Part(
                'train',
                'lq',
                r'/Data/(?P<name>(?P<key>[^/]+))/NOISY_SRGB_(?P<name2>(?P<key2>\d+))\.PNG',
                'SIDD_Small_sRGB_Only/Data/0001_001_S6_.../NOISY_SRGB_010.PNG, ...',
            ),
            Part(
                'train',
                'gt',
                r'/Data/(?P<key>[^/]+)/GT_SRGB_(?P<key2>\d+)\.PNG',
                'SIDD_Small_sRGB_Only/Data/0001_001_S6_.../GT_SRGB_010.PNG, ...',
            ),
            *(Part('test', role, rf'/(?P<key>{stem})\.mat', f'{stem}.mat') for role, stem in BLOCKS.items()),
        ),
        counts={'train': 160, 'test': 1_280},
        pairing='NOISY and GT of one folder; block (picture, number) of both arrays',
        layout='{train,test}/{lq,gt}, partners of the same name; blocks as PNG, PICTURE_BLOCK.png',
        references=(
            'data loaders of several public repositories (names, arrays of 40 x 32 blocks); counts in InfoAccum, Table '
            'IV'
        ),
        pair=_pair_sidd,
    )


def _pair_sidd(source: Source, files: list[File]) -> list[Scene]:
    """Pair the training files by name, and the test blocks by their index in the arrays."""
    train = tuple(part for part in source.parts if part.split == 'train')
    scenes = pair_by_key(replace(source, parts=train, pair=None), files)
    arrays = {}
    for part in source.parts[len(train) :]:
        matched = [file for group in match_files(part, files).by_key.values() for _, file in group]
        if not matched:
            raise no_files_error(source, part)
        if matched[0].disk is None:
            raise DataError(f'{matched[0].path.lstrip("/")} must not be in an archive; unpack it')
        arrays[part.role] = _read_blocks(matched[0])
    noisy, clean = arrays['lq'], arrays['gt']
    if noisy.shape != clean.shape:
        raise DataError(
            f"split 'test': {BLOCKS['lq']} has {noisy.shape[:2]} blocks and {BLOCKS['gt']} {clean.shape[:2]}"
        )
    for i, j in np.ndindex(noisy.shape[:2]):
        blocks: dict[str, AnyFile] = {
            f'test/{role}': ComputedPicture((role, i, j), partial(array.__getitem__, (i, j)))
            for role, array in (('lq', noisy), ('gt', clean))
        }
        scenes.append(Scene('test', f'{i + 1:02d}_{j + 1:02d}', blocks, str(i)))
    return scenes


def _read_blocks(file: File) -> np.ndarray:
    """Return an array of shape (pictures, blocks, height, width, 3), uint8.

    Raises:
        DataError: unreadable, or another shape or type.
    """
    name, stem = file.path.lstrip('/'), file.stem
    try:
        # the header first: a few kB may expand to any size
        shape, kind = {array: facts for array, *facts in whosmat(file.on_disk())}[stem]
        if len(shape) != 5 or shape[-1] != 3 or kind != 'uint8':
            raise DataError(f'{name}: expected pictures x blocks x height x width x 3 of uint8, found {kind} {shape}')
        if math.prod(shape) > LARGEST:
            raise DataError(f'{name}: {stem} has {math.prod(shape)} values; at most {LARGEST} are read')
        array = loadmat(file.on_disk(), variable_names=[stem])[stem]
    except DataError:
        raise
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error, EOFError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise DataError(f"{name}: can't be read as a .mat with {stem} ({reason})") from None
    except Exception as error:  # scipy raises several private exceptions for damaged files
        raise DataError(f"{name}: can't be read ({type(error).__name__}: {error})") from None
    if array.shape != shape or array.dtype != np.uint8:
        raise DataError(f'{name}: is damaged: its header says uint8 {shape}, its data {array.dtype} {array.shape}')
    return array


@SOURCES.register_module()
def reside_its() -> Source:
    """RESIDE: 13,990 hazy training pictures of ITS, ten per clear picture; 500 test pictures of SOTS indoor."""
    return Source(
        name='reside_its',
        title='RESIDE (ITS, SOTS indoor)',
        task='indoor haze',
        paper='Li et al., "Benchmarking single-image dehazing and beyond", TIP 2019',
        page='https://sites.google.com/view/reside-dehaze-datasets/',
        terms='not verified; read the official page first',
        obtain=(
            'From RESIDE-standard (or RESIDE-v0) on the official page: ITS and SOTS. Put both, packed or unpacked, '
            'into one folder, in folders called ITS and SOTS.'
        ),
        parts=(
            Part(
                'train',
                'lq',
                r'/ITS/(?:[^/]+/)*(?:hazy|haze|ITS_haze)/(?P<name>(?P<key>\d+)_\d+_[\d.]+)\.png',
                'ITS/hazy/1_1_0.90179.png, ...',
            ),
            Part(
                'train',
                'gt',
                r'/ITS/(?:[^/]+/)*(?:clear|ITS_clear)/(?P<key>\d+)\.png',
                'ITS/clear/1.png, ...',
                allow_unmatched=True,
            ),
            Part(
                'test',
                'lq',
                r'/SOTS/(?:[^/]+/)*indoor/(?:[^/]+/)*hazy/(?P<name>(?P<key>\d+)_\d+)\.png',
                'SOTS/indoor/hazy/1400_1.png, ...',
            ),
            Part(
                'test',
                'gt',
                r'/SOTS/(?:[^/]+/)*indoor/(?:[^/]+/)*(?:gt|clear)/(?P<key>\d+)\.png',
                'SOTS/indoor/gt/1400.png, ...',
            ),
        ),
        counts={'train': 13_990, 'test': 500},
        pairing='1400_1.png to 1400_10.png with 1400.png; the same for ITS, where the last number is the haze level',
        references=(
            'data loaders of several public repositories (names, crop about the centre); counts in InfoAccum, Table IV'
        ),
        unconfirmed=(
            'Whether the 13,990 pictures are in one folder or, in RESIDE-v0, in train/ and val/: both are read. '
            'Outdoor pictures and the folder trans/ are ignored.'
        ),
        crop_clean=True,
    )


@SOURCES.register_module()
def gopro() -> Source:
    """GoPro: motion blur as a mean of frames; 2,103 training pairs, 1,111 test pairs."""
    return Source(
        name='gopro',
        title='GoPro (GOPRO_Large)',
        task='motion blur',
        paper='Nah, Kim, Lee, "Deep multi-scale convolutional neural network for dynamic scene deblurring", CVPR 2017',
        page='https://seungjunnah.github.io/Datasets/gopro',
        terms='CC BY 4.0 according to third parties, not verified; read the official page first',
        obtain='GOPRO_Large (zip) from the official page. Put it, packed or unpacked, into a folder.',
        parts=tuple(
            Part(
                split,
                role,
                rf'/{split}/(?P<{group}>(?P<key>GOPR\w+))/{folder}/(?P<{group}2>(?P<key2>\d+))\.png',
                f'{split}/SEQUENCE/{folder}/000001.png, ...',
            )
            for split in ('train', 'test')
            for role, folder, group in (('lq', 'blur', 'name'), ('gt', 'sharp', 'name'))
        ),
        counts={'train': 2_103, 'test': 1_111},
        pairing='blur/ and sharp/ of the same sequence and number',
        references='folder trees in public repositories; counts of the FDR-Net paper',
        unconfirmed='Papers seldom state whether they use blur/ or blur_gamma/; blur/ is used here.',
    )

"""Data sets with one kind of degradation: camera noise (SIDD), indoor haze (RESIDE), motion blur (GoPro)."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
from scipy.io import loadmat

from restorebox.datasets.sources.base import Part, Scene, Source, find, none_found, pair_by_key
from restorebox.datasets.sources.files import File, Made
from restorebox.errors import DataError
from restorebox.registry import SOURCES

BLOCKS = {'lq': 'ValidationNoisyBlocksSrgb', 'gt': 'ValidationGtBlocksSrgb'}  # file and array are called alike


@SOURCES.register_module()
def sidd_small() -> Source:
    """SIDD-Small sRGB: 160 full-size training pairs; 1,280 validation blocks of 256x256 to test on."""
    return Source(
        name='sidd_small',
        title='SIDD-Small sRGB',
        task='camera noise',
        paper='Abdelhamed, Lin, Brown, "A high-quality denoising dataset for smartphone cameras", CVPR 2018',
        page='https://www.eecs.yorku.ca/~kamel/sidd/',
        terms='MIT licence as others quote it, not looked up at its source; read the official page first',
        obtain=(
            'From the official page: SIDD_Small_sRGB_Only (zip), and of the benchmark ValidationNoisyBlocksSrgb.mat '
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
        facts='loaders of several public repositories (names, arrays of 40 x 32 blocks); counts in InfoAccum, Table IV',
        pair=_sidd,
    )


def _sidd(source: Source, files: list[File]) -> list[Scene]:
    train = [part for part in source.parts if part.split == 'train']
    scenes = pair_by_key(_only(source, train), files)
    arrays = {}
    for part in source.parts[len(train) :]:
        found = [file for group in find(part, files).by_key.values() for _, file in group]
        if not found:
            raise none_found(source, part)
        if found[0].disk is None:
            raise DataError(f'{found[0].path.lstrip("/")} must not be in an archive; unpack it')
        arrays[part.role] = _blocks(found[0])
    (noisy, lq), (clean, gt) = arrays['lq'], arrays['gt']
    if noisy.shape != clean.shape:
        raise DataError(f"split 'test': {lq.stem} holds {noisy.shape[:2]} blocks and {gt.stem} {clean.shape[:2]}")
    for i, j in np.ndindex(noisy.shape[:2]):
        scenes.append(
            Scene(
                'test',
                f'{i + 1:02d}_{j + 1:02d}',
                {
                    f'test/{role}': Made((role, i, j), lambda array=array, i=i, j=j: array[i, j])
                    for role, array in (('lq', noisy), ('gt', clean))
                },
                str(i),
            )
        )
    return scenes


def _only(source: Source, parts: list[Part]) -> Source:
    return replace(source, parts=tuple(parts), pair=None)


def _blocks(file: File) -> tuple[np.ndarray, File]:
    """Pictures x blocks x height x width x 3, uint8."""
    try:
        array = loadmat(file.disk)[file.stem]
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, zlib.error, EOFError) as error:
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise DataError(f"{file.path.lstrip('/')}: can't be read as a .mat with {file.stem} ({reason})") from None
    except Exception as error:  # scipy's readers raise classes of their own for damaged files
        raise DataError(f"{file.path.lstrip('/')}: can't be read ({type(error).__name__}: {error})") from None
    if array.ndim != 5 or array.shape[-1] != 3 or array.dtype != np.uint8:
        raise DataError(
            f'{file.path.lstrip("/")}: expected pictures x blocks x height x width x 3 of uint8, found {array.dtype} '
            f'{array.shape}'
        )
    return array, file


@SOURCES.register_module()
def reside_its() -> Source:
    """RESIDE: 13,990 hazy training pictures of ITS, ten for each clear one; 500 test pictures of SOTS indoor."""
    return Source(
        name='reside_its',
        title='RESIDE (ITS, SOTS indoor)',
        task='indoor haze',
        paper='Li et al., "Benchmarking single-image dehazing and beyond", TIP 2019',
        page='https://sites.google.com/view/reside-dehaze-datasets/',
        terms='not looked up at its source; read the official page first',
        obtain=(
            'From RESIDE-standard (or RESIDE-v0) of the official page: ITS and SOTS. Put both, packed or unpacked, '
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
                spare=True,
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
        pairing='1400_1.png to 1400_10.png with 1400.png; for ITS likewise, the last number being the haze',
        facts='loaders of several public repositories (names, the cut about the centre); counts in InfoAccum, Table IV',
        unsure=(
            'Whether 13,990 lies in one folder or, in RESIDE-v0, in train/ and val/: both are read. Outdoor pictures '
            'and the folder trans/ are passed over.'
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
        terms='CC BY 4.0 as others quote it, not looked up at its source; read the official page first',
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
        pairing='blur/ and sharp/ of one sequence and number',
        facts='folder trees in public repositories; counts of the FDR-Net paper',
        unsure='Papers seldom say whether they use blur/ or blur_gamma/; blur/ is taken here.',
    )

"""Data sets with synthetic rain streaks: Rain100, Rain200, Rain800, Rain1200 and Rain1400."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from restorebox.datasets.sources.base import Part, Scene, Selection, Source, odd_width_error, pair_by_key
from restorebox.datasets.sources.files import ComputedPicture, File, unpack
from restorebox.registry import SOURCES

JORDER = 'Yang et al., "Deep joint rain detection and removal from a single image", CVPR 2017'
JORDER_PAGE = 'http://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html'
UNKNOWN_TERMS = 'none found; ask the authors before any use other than research'
PRENET = 'README and data loader of PReNet (csdwren/PReNet), which links to the files of the first release'
SIDE_BY_SIDE = '{train,test}/*.jpg, both pictures of a pair in one file as in the release'
MAX_DIFFERENCE = 4.0  # mean absolute difference of thumbnails, in grey levels, up to which the background is the same
THUMBNAIL = (24, 16)  # width and height


def _rain100(letter: str, train: int) -> dict[str, Any]:
    """Return the arguments that Rain100H and Rain100L share; ``letter`` is H or L."""
    folders = {'train': f'RainTrain{letter}', 'test': f'Rain100{letter}'}
    return dict(
        task='rain streaks',
        paper=JORDER,
        page=JORDER_PAGE,
        terms=UNKNOWN_TERMS,
        obtain=(
            f'Get RainTrain{letter}.zip and Rain100{letter}.zip of the first release from the copy that the README of '
            'github.com/csdwren/PReNet links to, or from the official page if they are available there. The page now '
            f'offers the second release, which is Rain200{letter}. Put both archives, packed or unpacked, into one '
            'folder.'
        ),
        parts=tuple(
            Part(
                split,
                role,
                rf'/{folder}/(?:[^/]+/)*{kind}-(?P<key>\d+)\.png',
                f'{folder}/{kind}-1.png, ...',
            )
            for split, folder in folders.items()
            for role, kind in (('lq', 'rain'), ('gt', 'norain'))
        ),
        counts={'train': train, 'test': 100},
        pairing='rain-7.png with norain-7.png; rainstreak- and rainregion- files are ignored',
        references=PRENET,
    )


@SOURCES.register_module()
def rain100l() -> Source:
    """Rain100L: light rain, 200 training pairs, 100 test pairs."""
    return Source(name='rain100l', title='Rain100L', **_rain100('L', 200))


@SOURCES.register_module()
def rain100h() -> Source:
    """Rain100H: heavy rain, 1,254 training pairs, 100 test pairs.

    Of the 1,800 published training pairs, 546 have a background of the test set and are left out.
    """
    return Source(
        name='rain100h',
        title='Rain100H',
        **_rain100('H', 1800),
        kept={'train': 1254},
        other_counts={'train': (1254,)},
        exclusions=(
            '546 training pictures have the background of a test picture and are left out, 1,254 are kept. They are '
            'found by comparing the clean pictures, and their number is checked.'
        ),
        unconfirmed=(
            'There is no published list of the 546. The comparison of thumbnails could not be tested on the real '
            'files; another number than 546 is an error.'
        ),
        select=_without_test_backgrounds,
    )


def _without_test_backgrounds(source: Source, scenes: list[Scene], seed: int) -> Selection:
    """Leave out training scenes whose clean picture is one of the test set."""
    with tempfile.TemporaryDirectory() as folder:
        clean = {id(s): s.release_file(f'{s.split}/gt') for s in scenes}
        unpack(clean.values(), Path(folder))
        thumbnails = {key: _thumbnail(file) for key, file in clean.items()}
    for file in clean.values():
        file.disk = None if file.archive is not None else file.disk
    test = np.stack([thumbnails[id(s)] for s in scenes if s.split == 'test'])
    kept: list[Scene] = []
    left_out: list[str] = []
    for scene in scenes:
        difference = np.abs(test - thumbnails[id(scene)]).mean(axis=(1, 2)).min()
        if scene.split == 'train' and difference <= MAX_DIFFERENCE:
            left_out.append(scene.name)
        else:
            kept.append(scene)
    return Selection(kept, {'train': left_out})


def _thumbnail(file: File) -> np.ndarray:
    """Return a grey thumbnail, float32 in [0, 255]; portraits are rotated, because releases may differ in that."""
    picture = Image.fromarray(np.asarray(file.read(), dtype=np.uint8)).convert('L')
    if picture.height > picture.width:
        picture = picture.transpose(Image.Transpose.ROTATE_90)
    return np.asarray(picture.resize(THUMBNAIL, Image.Resampling.BOX), dtype=np.float32)


def _rain200(letter: str, word: str) -> Source:
    folders = {'train': f'rain_data_train_{word}', 'test': f'rain_data_test_{word}'}
    return Source(
        name=f'rain200{letter.lower()}',
        title=f'Rain200{letter}',
        task='rain streaks',
        paper=f'{JORDER}; its second release',
        page=JORDER_PAGE,
        terms=UNKNOWN_TERMS,
        obtain=(
            f'From the official page, where it is called Rain100{letter}: rain_data_train_{word}.zip and '
            f'rain_data_test_{word}.gz (a tar archive). Put both, packed or unpacked, into one folder.'
        ),
        parts=tuple(
            part
            for split, folder in folders.items()
            for part in (
                Part(
                    split,
                    'lq',
                    rf'/{folder}/(?:[^/]+/)*rain/(?:X2/)?norain-(?P<key>\d+)(?:x2)?\.png',
                    f'{folder}/rain/X2/norain-1x2.png, ...',
                ),
                Part(
                    split,
                    'gt',
                    rf'/{folder}/(?:[^/]+/)*norain/norain-(?P<key>\d+)\.png',
                    f'{folder}/norain/norain-1.png, ...',
                ),
            )
        ),
        counts={'train': 1800, 'test': 200},
        pairing='norain-7x2.png with norain-7.png',
        references='data loaders of several public repositories; counts also in RainDiffusion, Table 1',
        unconfirmed='Whether backgrounds of the training set are also in the test set, as in the first release.',
    )


@SOURCES.register_module()
def rain200h() -> Source:
    """Rain200H: heavy rain, 1,800 training pairs, 200 test pairs."""
    return _rain200('H', 'Heavy')


@SOURCES.register_module()
def rain200l() -> Source:
    """Rain200L: light rain, 1,800 training pairs, 200 test pairs."""
    return _rain200('L', 'Light')


@SOURCES.register_module()
def rain800() -> Source:
    """Rain800: 700 training pairs, 100 test pairs, split into single pictures for unpaired training as well."""
    return Source(
        name='rain800',
        title='Rain800',
        task='rain streaks',
        paper='Zhang, Sindagi, Patel, "Image de-raining using a conditional generative adversarial network", 2017/2020',
        page='https://github.com/hezhangsprinter/ID-CGAN',
        terms=UNKNOWN_TERMS,
        obtain='The README of the official page links to the set. Put the archive, packed or unpacked, into a folder.',
        parts=(
            Part('train', 'pair', r'/(?:training|train)/(?P<key>[^/]+)\.(?:jpg|png)', 'training/1.jpg, ... or train/'),
            Part('test', 'pair', r'/(?:test_syn|test|val)/(?P<key>[^/]+)\.(?:jpg|png)', 'test_syn/1.jpg, ... or test/'),
        ),
        counts={'train': 700, 'test': 100},
        pairing='both in one file: clean left, rainy right',
        layout='{train,test}/{lq,gt}, partners of the same name: the halves, as PNG',
        references='README of ID-CGAN (which_direction=BtoA, so the input is the right half); counts in RainDiffusion',
        unconfirmed='The names of the folders: training, train, test_syn, test and val are accepted.',
        pair=_pair_halves,
    )


def _pair_halves(source: Source, files: list[File]) -> list[Scene]:
    """Split each file into its clean left half and its rainy right half."""
    scenes = pair_by_key(source, files)
    for scene in scenes:
        file = scene.release_file(scene.split)
        scene.files = {f'{scene.split}/{role}': _half(file, k) for role, k in (('lq', 1), ('gt', 0))}
    return scenes


def _half(file: File, k: int) -> ComputedPicture:
    """Return the left (k = 0) or right (k = 1) half of a file."""

    def crop() -> np.ndarray:
        picture = file.read()
        if picture.shape[1] % 2:
            raise odd_width_error(file.path.lstrip('/'), picture.shape[1])
        width = picture.shape[1] // 2
        return np.ascontiguousarray(picture[:, k * width : (k + 1) * width])

    return ComputedPicture(('half', file.path, k), crop, (file,))


DID_MDN: dict[str, Any] = dict(
    paper='Zhang, Patel, "Density-aware single image de-raining using a multi-stream dense network", CVPR 2018',
    page='https://github.com/hezhangsprinter/DID-MDN',
    terms=UNKNOWN_TERMS,
    obtain=(
        'The README of the official page links to one archive with DID-MDN-training and DID-MDN-test. Put it, packed '
        'or unpacked, into a folder.'
    ),
    parts=(
        Part(
            'train',
            'pair',
            r'/Rain_(?P<name>Heavy|Medium|Light)/train2018new/(?P<name2>\d+)\.jpg',
            'DID-MDN-training/Rain_{Heavy,Medium,Light}/train2018new/0.jpg, ...',
        ),
        Part('test', 'pair', r'/DID-MDN-test/(?:[^/]+/)*(?P<key>\d+)\.jpg', 'DID-MDN-test/0.jpg, ...'),
    ),
    counts={'train': 12_000, 'test': 1_200},
    pairing='both in one file: rainy left, clean right',
    layout=SIDE_BY_SIDE,
    references='README and data loader of DID-MDN (3 densities of 4,000, input left); counts in InfoAccum, Table IV',
    unconfirmed='The name of the test folder, which is taken from data loaders of other repositories.',
)


@SOURCES.register_module()
def rain1200() -> Source:
    """Rain1200, or DID-MDN: 12,000 training pairs in three densities, 1,200 test pairs."""
    return Source(name='rain1200', title='Rain1200 (DID-MDN)', task='rain streaks', **DID_MDN)


@SOURCES.register_module()
def rain1400() -> Source:
    """Rain1400, or DDN-Data: 900 training and 100 test backgrounds with 14 rainy pictures each."""
    folders = {'train': 'training', 'test': 'testing'}
    return Source(
        name='rain1400',
        title='Rain1400 (DDN-Data)',
        task='rain streaks',
        paper='Fu et al., "Removing rain from single images via a deep detail network", CVPR 2017',
        page='https://xueyangfu.github.io/projects/cvpr2017.html',
        terms=UNKNOWN_TERMS,
        obtain=(
            'The official page links to rainy_image_dataset. Put the archive, packed or unpacked, into a folder: it '
            'contains training/ and testing/, each with rainy_image/ and ground_truth/.'
        ),
        parts=tuple(
            part
            for split, folder in folders.items()
            for part in (
                Part(
                    split,
                    'lq',
                    rf'/{folder}/rainy_image/(?P<name>(?P<key>\d+)_\d+)\.jpg',
                    f'{folder}/rainy_image/1_1.jpg, ...',
                ),
                Part(split, 'gt', rf'/{folder}/ground_truth/(?P<key>\d+)\.jpg', f'{folder}/ground_truth/1.jpg, ...'),
            )
        ),
        counts={'train': 12_600, 'test': 1_400},
        pairing='1_1.jpg to 1_14.jpg with 1.jpg, which is linked under each of these names',
        references=f'{PRENET}; testing/ starts at 901_1.jpg in other repositories; counts in RainDiffusion, Table 1',
    )

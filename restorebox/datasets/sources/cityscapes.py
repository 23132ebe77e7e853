"""RainCityscapes, synthetic rain and fog on Cityscapes by its depth, and the CCLGAN subset of it."""

from __future__ import annotations

from typing import Any

from restorebox.datasets.sources.base import Part, Source
from restorebox.datasets.sources.unpaired import AB_LAYOUT, CCLGAN, select_ab
from restorebox.registry import SOURCES

_VIEW = r'(?P<key>[a-zA-Z-]+_\d+_\d+)'
RAIN_CITYSCAPES: dict[str, Any] = dict(
    task='rain and fog',
    page='https://www.cityscapes-dataset.com/downloads/',
    terms='licence of Cityscapes: non-commercial, after registration; pictures may not be redistributed',
    obtain=(
        'Register at the official page and download leftImg8bit_trainval_rain (rainy pictures) and '
        'leftImg8bit_trainvaltest (Cityscapes, the clean pictures). Put both into one folder, preferably unpacked. '
        'Depth maps are included if they are in a folder whose name contains "depth".'
    ),
    parts=tuple(
        part
        for split, folder in {'train': 'train', 'test': 'val'}.items()
        for part in (
            Part(
                split,
                'lq',
                rf'/leftImg8bit_rain/{folder}/[^/]+/(?P<name>{_VIEW}_leftImg8bit_rain[^/]*)\.png',
                f'leftImg8bit_rain/{folder}/CITY/CITY_000004_000019_leftImg8bit_rain_alpha_..._pattern_1.png, ...',
            ),
            Part(
                split,
                'gt',
                rf'/leftImg8bit/{folder}/[^/]+/{_VIEW}_leftImg8bit\.png',
                f'leftImg8bit/{folder}/CITY/CITY_000004_000019_leftImg8bit.png, ...',
                allow_unmatched=True,
            ),
            Part(
                split,
                'depth',
                rf'/[^/]*depth[^/]*/{folder}/[^/]+/{_VIEW}_[^/]*\.png',
                f'a folder with "depth" in its name, {folder}/CITY/CITY_000004_000019_*.png, ...',
                optional=True,
                allow_unmatched=True,
            ),
        )
    ),
    counts={'train': 9_432, 'test': 1_188},
    pairing='36 rainy pictures per clean view; the name of the view is the start of their names',
    references=(
        'counts from the CCLGAN and InfoAccum papers (262 and 33 views, 36 renders each); file names from data loaders '
        'of several public repositories'
    ),
    unconfirmed=(
        "Folder and names of the depth maps. Any folder with 'depth' in its name is accepted, with files whose names "
        'begin with the name of the view.'
    ),
)


@SOURCES.register_module()
def rain_cityscapes() -> Source:
    """RainCityscapes: 9,432 training pairs of 262 views, 1,188 test pairs of 33 others."""
    return Source(
        name='rain_cityscapes',
        title='RainCityscapes',
        paper='Hu et al., "Depth-attentional features for single-image rain removal", CVPR 2019',
        **RAIN_CITYSCAPES,
        layout='{train,test}/{lq,gt}, partners of the same name, and depth/ if the download has it',
    )


@SOURCES.register_module()
def cclgan_rain_cityscapes() -> Source:
    """CCLGAN subset of RainCityscapes: 1,400 rainy pictures, unpaired clean pictures, 175 test pairs."""
    unconfirmed = 'The lists of the paper were not published. trainB is smaller than trainA: there are only 262 views.'
    return Source(
        name='cclgan_rain_cityscapes',
        title='CCLGAN subset of RainCityscapes',
        paper=f'{CCLGAN}, from the set of Hu et al., CVPR 2019',
        **{**RAIN_CITYSCAPES, 'unconfirmed': unconfirmed},
        kept={'trainA': 1_400, 'trainB': 1_400, 'testA': 175},
        at_most=('trainB',),
        layout=AB_LAYOUT,
        drawn=True,
        select=select_ab,
    )

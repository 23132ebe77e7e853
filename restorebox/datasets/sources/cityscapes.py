"""RainCityscapes: rain and fog by measured depth over Cityscapes; and the subset of CCLGAN."""

from __future__ import annotations

from restorebox.datasets.sources.base import Part, Source
from restorebox.datasets.sources.unpaired import AB_LAYOUT, CCLGAN, choose_ab
from restorebox.registry import SOURCES

_VIEW = r'(?P<key>[a-zA-Z-]+_\d+_\d+)'
RAIN_CITYSCAPES = dict(
    task='rain and fog',
    page='https://www.cityscapes-dataset.com/downloads/',
    terms="Cityscapes' licence: non-commercial, after registration; pictures may not be passed on",
    obtain=(
        'Register at the official page and get leftImg8bit_trainval_rain (the rainy pictures) and '
        'leftImg8bit_trainvaltest (Cityscapes itself, the clean ones). Put both into one folder, better unpacked. '
        'Depth maps of the set are taken along where they are in a folder whose name holds "depth".'
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
                spare=True,
            ),
            Part(
                split,
                'depth',
                rf'/[^/]*depth[^/]*/{folder}/[^/]+/{_VIEW}_[^/]*\.png',
                f'a folder with "depth" in its name, {folder}/CITY/CITY_000004_000019_*.png, ...',
                optional=True,
                spare=True,
            ),
        )
    ),
    counts={'train': 9_432, 'test': 1_188},
    pairing='36 rainy pictures with the clean view whose name they begin with',
    facts=(
        'counts of the CCLGAN and InfoAccum papers (262 and 33 views, 36 renders each); names from loaders of several '
        'public repositories'
    ),
    unsure="The depth maps' folder and names: any folder with 'depth' in its name, files that begin with the view.",
)


@SOURCES.register_module()
def rain_cityscapes() -> Source:
    """RainCityscapes: 9,432 training pairs of 262 views, 1,188 test pairs of 33 others."""
    return Source(
        name='rain_cityscapes',
        title='RainCityscapes',
        paper='Hu et al., "Depth-attentional features for single-image rain removal", CVPR 2019',
        **RAIN_CITYSCAPES,
        layout='{train,test}/{lq,gt}, partners of the same name, and depth/ where the download has it',
    )


@SOURCES.register_module()
def cclgan_rain_cityscapes() -> Source:
    """CCLGAN's subset of RainCityscapes: 1,400 rainy pictures, unrelated clean ones, 175 test pairs."""
    unsure = 'The lists of the paper were never published. trainB is smaller than trainA: there are only 262 views.'
    return Source(
        name='cclgan_rain_cityscapes',
        title='CCLGAN subset of RainCityscapes',
        paper=f'{CCLGAN}, from the set of Hu et al., CVPR 2019',
        **{**RAIN_CITYSCAPES, 'unsure': unsure},
        kept={'trainA': 1_400, 'trainB': 1_400, 'testA': 175},
        at_most=('trainB',),
        layout=AB_LAYOUT,
        drawn=True,
        choose=choose_ab,
    )

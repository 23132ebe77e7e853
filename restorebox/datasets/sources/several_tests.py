"""Data sets of the multi-task protocols: several test sets beside one training set, or clean pictures only."""

from __future__ import annotations

from restorebox.datasets.sources.base import Part, Scene, Source, match_files, no_files_error
from restorebox.datasets.sources.files import File
from restorebox.registry import SOURCES

PICTURE = r'\.(?:png|jpg|jpeg|bmp)'
NOT_VERIFIED = 'not verified; read the official page first'
CDD_KINDS = (
    'low',
    'haze',
    'rain',
    'snow',
    'low_haze',
    'low_rain',
    'low_snow',
    'haze_rain',
    'haze_snow',
    'low_haze_rain',
    'low_haze_snow',
)


def _same_names(split: str, folder: str, lq: str, gt: str, example: str = '1.png') -> tuple[Part, Part]:
    """Return the parts of a split whose partners have the same name in two folders of ``folder``."""
    return tuple(  # type: ignore[return-value]
        Part(split, role, rf'/{folder}/(?:[^/]+/)*{name}/(?P<key>[^/]+){PICTURE}', f'{folder}/{name}/{example}, ...')
        for role, name in (('lq', lq), ('gt', gt))
    )


@SOURCES.register_module()
def rain13k() -> Source:
    """Rain13K: 13,712 training pairs of several sets, and five test sets, as MPRNet and Restormer use them."""
    tests = {'Rain100H': 100, 'Rain100L': 100, 'Test100': 98, 'Test1200': 1_200, 'Test2800': 2_800}
    return Source(
        name='rain13k',
        title='Rain13K',
        task='rain streaks',
        paper='Jiang et al., "Multi-scale progressive fusion network for single image deraining", CVPR 2020',
        page='https://github.com/swz30/MPRNet',
        terms='those of the sets it consists of; none found for the collection',
        obtain=(
            'The README of the official page (folder Deraining) links to the training set Rain13K and to the test sets '
            'Rain100H, Rain100L, Test100, Test1200 and Test2800, each with input/ and target/. Put them, packed or '
            'unpacked, into one folder.'
        ),
        parts=(
            *_same_names('train', 'Rain13K', 'input', 'target', '1.jpg'),
            *(part for name in tests for part in _same_names(f'test_{name.lower()}', name, 'input', 'target')),
        ),
        counts={'train': 13_712, **{f'test_{name.lower()}': count for name, count in tests.items()}},
        other_counts={'train': (13_711,), 'test_test100': (100,)},
        pairing='input/ and target/ of the same name',
        layout='{train,test_rain100h,test_rain100l,test_test100,test_test1200,test_test2800}/{lq,gt}, same names',
        references=(
            'counts of the MPRNet and Restormer papers; github.com/swz30/MPRNet issue 74: 13,711 pairs can be '
            'downloaded, since one had a wrong size; issue 23: Test100 has 98 pairs, as in MSPFN, and an earlier copy '
            'of Test2800 had 926_10(1).jpg twice'
        ),
        unconfirmed='Whether copies from other places have the same names.',
    )


@SOURCES.register_module()
def snow100k() -> Source:
    """Snow100K: 50,000 training pairs, and test sets with small, medium and large flakes."""
    tests = {'S': 16_611, 'M': 16_588, 'L': 16_801}
    return Source(
        name='snow100k',
        title='Snow100K',
        task='snow',
        paper='Liu et al., "DesnowNet: context-aware deep network for snow removal", TIP 2018',
        page='https://sites.google.com/view/yunfuliu/desnownet',
        terms=NOT_VERIFIED,
        obtain=(
            'From the official page: the training set (folder all/) and the test sets Snow100K-S, -M and -L, each with '
            'synthetic/, gt/ and mask/. Put them, packed or unpacked, into one folder.'
        ),
        parts=(
            *_same_names('train', 'all', 'synthetic', 'gt', 'beautiful_smile_00001.jpg'),
            *(
                part
                for name in tests
                for part in _same_names(
                    f'test_{name.lower()}', f'Snow100K-{name}', 'synthetic', 'gt', 'beautiful_smile_00003.jpg'
                )
            ),
        ),
        counts={'train': 50_000, **{f'test_{name.lower()}': count for name, count in tests.items()}},
        pairing='synthetic/ and gt/ of the same name; mask/ is ignored',
        layout='{train,test_s,test_m,test_l}/{lq,gt}, partners of the same name',
        references='counts of the paper; github.com/sunshangquan/Histoformer issue 9: 50,000 for training, M 16,588',
        unconfirmed='The name of the training folder.',
    )


@SOURCES.register_module()
def lol() -> Source:
    """LOL: 485 training pairs of low and normal light, 15 test pairs."""
    return Source(
        name='lol',
        title='LOL (version 1)',
        task='low light',
        paper='Wei et al., "Deep Retinex decomposition for low-light enhancement", BMVC 2018',
        page='https://daooshee.github.io/BMVC2018website/',
        terms=NOT_VERIFIED,
        obtain='LOLdataset.zip from the official page: our485/ and eval15/, each with low/ and high/.',
        parts=(
            *_same_names('train', 'our485', 'low', 'high', '2.png'),
            *_same_names('test', 'eval15', 'low', 'high'),
        ),
        counts={'train': 485, 'test': 15},
        pairing='low/ and high/ of the same name',
        references='paper, and data loaders of several public repositories',
    )


@SOURCES.register_module()
def reside_ots() -> Source:
    """RESIDE outdoor: 72,135 hazy training pictures of OTS as the all-in-one methods use them; SOTS outdoor."""
    return Source(
        name='reside_ots',
        title='RESIDE (OTS, SOTS outdoor)',
        task='outdoor haze',
        paper='Li et al., "Benchmarking single-image dehazing and beyond", TIP 2019',
        page='https://sites.google.com/view/reside-dehaze-datasets/',
        terms=NOT_VERIFIED,
        obtain=(
            'From RESIDE-beta on the official page: OTS, and SOTS of RESIDE-standard. Put both, packed or unpacked, '
            'into one folder, in folders called OTS and SOTS.'
        ),
        parts=(
            Part(
                'train',
                'lq',
                r'/OTS(?:_BETA)?/(?:[^/]+/)*(?:hazy|haze|synthetic)/(?:[^/]+/)*'
                r'(?P<name>(?P<key>\d+)_[\d.]+_[\d.]+)\.(?:jpg|png)',
                'OTS/hazy/part1/0005_0.8_0.04.jpg, ...',
            ),
            Part(
                'train',
                'gt',
                r'/OTS(?:_BETA)?/(?:[^/]+/)*(?:clear|original)/(?:[^/]+/)*(?P<key>\d+)\.(?:jpg|png)',
                'OTS/clear/0005.jpg, ...',
                allow_unmatched=True,
            ),
            Part(
                'test',
                'lq',
                r'/SOTS/(?:[^/]+/)*outdoor/hazy/(?P<name>(?P<key>\d+)_[\d.]+_[\d.]+)\.(?:jpg|png)',
                'SOTS/outdoor/hazy/0001_0.8_0.2.jpg, ...',
            ),
            Part(
                'test',
                'gt',
                r'/SOTS/(?:[^/]+/)*outdoor/(?:gt|clear)/(?P<key>\d+)\.(?:jpg|png)',
                'SOTS/outdoor/gt/0001.png, ...',
                allow_unmatched=True,
            ),
        ),
        counts={'train': 72_135, 'test': 500},
        other_counts={'train': (313_950,), 'test': (492,)},
        pairing='0005_0.8_0.04.jpg (scene, airlight, haze level) with 0005.jpg',
        references=(
            'the list hazy_outside.txt of PromptIR (va1shn9v/PromptIR), whose length AdaIR gives as 72,135; 492 test '
            'pairs in github.com/pwp1208/Domain_Translation_Multi-weather_Restoration issue 9'
        ),
        unconfirmed=(
            'Whether a copy contains the 72,135 pictures of the list or all 313,950; both are accepted, and the config '
            'keeps no list of its own.'
        ),
    )


@SOURCES.register_module()
def cdd11() -> Source:
    """CDD-11: 1,183 training and 200 test scenes, each with eleven single and composed degradations."""
    kinds = '|'.join(sorted(CDD_KINDS, key=len, reverse=True))
    return Source(
        name='cdd11',
        title='CDD-11',
        task='low light, haze, rain, snow and their compositions',
        paper='Guo et al., "OneRestore: a universal restoration framework for composite degradation", ECCV 2024',
        page='https://github.com/gy65896/OneRestore',
        terms=NOT_VERIFIED,
        obtain=(
            'The README of the official page links to CDD-11_train and CDD-11_test, each with clear/ and a folder for '
            'each degradation. Put both, packed or unpacked, into one folder.'
        ),
        parts=(
            Part(
                'train',
                'lq',
                rf'/CDD-11_train/(?P<name>{kinds})/(?P<name2>(?P<key>[^/]+)){PICTURE}',
                'CDD-11_train/haze_rain/00001.png, ...',
            ),
            Part('train', 'gt', rf'/CDD-11_train/clear/(?P<key>[^/]+){PICTURE}', 'CDD-11_train/clear/00001.png, ...'),
            *(
                Part(
                    f'test_{kind}',
                    role,
                    rf'/CDD-11_test/{folder}/(?P<key>[^/]+){PICTURE}',
                    f'CDD-11_test/{folder}/1.png',
                )
                for kind in CDD_KINDS
                for role, folder in (('lq', kind), ('gt', 'clear'))
            ),
        ),
        counts={'train': 13_013, **{f'test_{kind}': 200 for kind in CDD_KINDS}},
        pairing='each degradation of a scene with clear/ of the same name',
        layout='train/{lq,gt} with names DEGRADATION_SCENE; test_DEGRADATION/{lq,gt}, partners of the same name',
        references='paper and README of OneRestore: 1,383 scenes in high resolution, 1,183 of them for training',
        unconfirmed=(
            'The names of the files. Papers on all-in-one restoration select subsets: github.com/eduardzamfir/MoCE-IR '
            'issue 14.'
        ),
    )


@SOURCES.register_module()
def all_weather() -> Source:
    """All-Weather: the 18,069 training pairs of TransWeather, with tests on snow, rain with veil, and drops."""
    return Source(
        name='all_weather',
        title='All-Weather',
        task='snow, rain with veil, drops',
        paper='Valanarasu, Yasarla, Patel, "TransWeather: transformer-based restoration of images degraded by adverse '
        'weather conditions", CVPR 2022, from the sets of Liu et al. 2018, Li et al. 2019 and Qian et al. 2018',
        page='https://github.com/jeya-maria-jose/TransWeather',
        terms='those of the sets it consists of; none found for the collection',
        obtain=(
            'The README of the official page links to allweather (input/ and gt/), Test1 of Outdoor-Rain, RainDrop '
            '(test_a with data/ and gt/) and Snow100K-L (synthetic/ and gt/). Put them, packed or unpacked, into one '
            'folder.'
        ),
        parts=(
            *_same_names('train', 'allweather', 'input', 'gt', 'im_0001_s80_a04.png'),
            *_same_names('test_snow', 'Snow100K-L', 'synthetic', 'gt', 'beautiful_smile_00003.jpg'),
            Part(
                'test_rain',
                'lq',
                r'/(?i:test1)/input/(?P<name>im_(?P<key>\d+)_s\d+_a\d+)\.png',
                'test1/input/im_0301_s80_a04.png, ...',
            ),
            Part('test_rain', 'gt', r'/(?i:test1)/gt/im_(?P<key>\d+)[^/]*\.png', 'test1/gt/im_0301.png, ...'),
            Part('test_drops', 'lq', r'/test_a/data/(?P<key>\d+)_rain\.(?:png|jpg)', 'test_a/data/0_rain.png, ...'),
            Part('test_drops', 'gt', r'/test_a/gt/(?P<key>\d+)_clean\.(?:png|jpg)', 'test_a/gt/0_clean.png, ...'),
        ),
        counts={'train': 18_069, 'test_snow': 16_801, 'test_rain': 750, 'test_drops': 58},
        pairing='allweather and Snow100K-L: equal names; Test1: the background; test_a: the number',
        layout='{train,test_snow,test_rain,test_drops}/{lq,gt}, partners of the same name',
        references=(
            'github.com/fordevoted/UtilityIR issue 1: 818 pictures with drops, 9,001 with snow, 8,250 with rain; '
            'sunshangquan/Histoformer issue 24: papers state 1,069 with drops and 9,000 with rain; Histoformer issue '
            '10: test_a (58 pairs) is scored, since pairs of test_b (249) are not aligned'
        ),
        unconfirmed=(
            'Whether a copy has test pictures in its training set: github.com/fordevoted/UtilityIR issue 5 and '
            'IGITUGraz/WeatherDiffusion issue 3 report copies that do. `restorebox check-data` finds them.'
        ),
    )


@SOURCES.register_module()
def wed_bsd400() -> Source:
    """WED and BSD400: 5,144 clean training pictures for denoising; CBSD68 for the test."""
    return Source(
        name='wed_bsd400',
        title='WED and BSD400, CBSD68',
        task='clean pictures for Gaussian noise',
        paper=(
            'Ma et al., "Waterloo exploration database", TIP 2017; Arbelaez et al., "Contour detection and '
            'hierarchical image segmentation", TPAMI 2011'
        ),
        page='https://ece.uwaterloo.ca/~k29ma/exploration/',
        terms=NOT_VERIFIED,
        obtain=(
            'WED (4,744 pictures) from the official page, and BSD400 and CBSD68 from repositories of denoising '
            'methods. Put them into folders called WED, BSD400 and CBSD68 of one folder.'
        ),
        parts=(
            Part('train', 'gt', rf'/(?P<name>WED|BSD400)/(?:[^/]+/)*(?P<name2>[^/]+){PICTURE}', 'WED/00001.bmp, ...'),
            Part('test', 'gt', rf'/C?BSD68/(?:[^/]+/)*(?P<name>[^/]+){PICTURE}', 'CBSD68/101085.png, ...'),
        ),
        counts={'train': 5_144, 'test': 68},
        pairing='none: the config renders the noise',
        layout='{train,test}/gt; names of training pictures begin with WED_ or BSD400_',
        references='PromptIR: 400 pictures of BSD400 and 4,744 of WED (issue 4: in one folder); CBSD68 for the test',
        unconfirmed='Which 400 of the 500 pictures a copy of BSD400 has; `restorebox check-data` compares with CBSD68.',
        pair=_clean_only,
    )


def _clean_only(source: Source, files: list[File]) -> list[Scene]:
    """Return a scene per clean picture.

    Raises:
        DataError: a split has no pictures.
    """
    scenes = []
    for part in source.parts:
        matched = match_files(part, files)
        if not matched:
            raise no_files_error(source, part)
        scenes += [
            Scene(part.split, name, {f'{part.split}/gt': file})
            for group in matched.by_key.values()
            for name, file in group
        ]
    return scenes

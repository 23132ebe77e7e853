"""SPA-Data, real rain with clean pictures computed from neighbouring video frames, and the CCLGAN subset of it."""

from __future__ import annotations

from typing import Any

from restorebox.datasets.sources.base import Part, Source
from restorebox.datasets.sources.unpaired import AB_LAYOUT, CCLGAN, select_ab
from restorebox.registry import SOURCES

SPA: dict[str, Any] = dict(
    task='real rain',
    page='https://stevewongv.github.io/derain-project.html',
    terms='see License.txt of the repository github.com/stevewongv/SPANet',
    obtain=(
        'From the official page: real_world.zip.00 to .11 (44 GB), joined by `cat real_world.zip.* > real_world.zip`, '
        'and real_test_1000.zip. Put both into one folder, preferably unpacked: 44 GB are then linked and not copied.'
    ),
    parts=(
        Part(
            'train',
            'lq',
            r'/real_world/(?:[^/]+/)*(?P<name>(?P<key>\d+)-\d+_(?P<key2>\d+)_(?P<key3>\d+))\.png',
            'real_world/000/000-1/000-1_0_0.png, ... (video-frame_x_y)',
        ),
        Part(
            'train',
            'gt',
            r'/real_world_gt/(?:[^/]+/)*(?P<key>\d+)_(?P<key2>\d+)_(?P<key3>\d+)\.png',
            'real_world_gt/000/000_0_0.png, ... (video_x_y)',
        ),
        Part('test', 'lq', r'/real_test_1000/(?:[^/]+/)*rain/(?P<key>\d+)\.png', 'real_test_1000/rain/000.png, ...'),
        Part(
            'test', 'gt', r'/real_test_1000/(?:[^/]+/)*gt/(?P<key>\d+)(?:gt)?\.png', 'real_test_1000/gt/000gt.png, ...'
        ),
    ),
    counts={'train': 28_500, 'test': 1_000},
    other_counts={'train': (638_492,)},
    pairing='all frames of a video at a position (x, y) with the one clean picture of that position',
    references=(
        'README files of SPANet and a data loader that describes real_world_gt; 28,500/1,000 in RainDiffusion, '
        '638,492/1,000 in DRSformer (cschenxiang/DRSformer)'
    ),
    unconfirmed=(
        'What 28,500 counts: other papers count 638,492 crops in the same archive. Both are accepted, and names in '
        'real_test_1000/gt with and without gt at the end.'
    ),
)


@SOURCES.register_module()
def spa() -> Source:
    """SPA-Data: 28,500 training pairs (638,492 as crops), 1,000 test pairs."""
    return Source(
        name='spa',
        title='SPA-Data',
        paper='Wang et al., "Spatial attentive single-image deraining with a ... real rain dataset", CVPR 2019',
        **SPA,
    )


@SOURCES.register_module()
def cclgan_spa() -> Source:
    """CCLGAN subset of SPA-Data: 2,000 rainy pictures, 2,000 unpaired clean pictures, 200 test pairs."""
    return Source(
        name='cclgan_spa',
        title='CCLGAN subset of SPA-Data',
        paper=f'{CCLGAN}, from the set of Wang et al., CVPR 2019',
        **{**SPA, 'unconfirmed': f'{SPA["unconfirmed"]} The lists of the paper were not published.'},
        kept={'trainA': 2_000, 'trainB': 2_000, 'testA': 200},
        at_most=('trainB',),
        layout=AB_LAYOUT,
        drawn=True,
        select=select_ab,
    )

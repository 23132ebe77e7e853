"""Measure what FDR-Net's disentanglement makes of each kind of distortion.

Li et al. (ECCV 2020, Fig 8) say that it makes channels less alike, and that each kind of distortion excites channels of
its own, the level scaling the response only. The clean pictures of the test set are degraded by noise, blur, JPEG and
rain, each at three levels, and of the features around the FD layers (or the residual blocks in their place) are given:

1. correlation: mean absolute correlation of two channels over the pixels, before and after, per phase.
2. response: how much each channel's mean magnitude after the last FD layer changes from the clean picture to the
   degraded one; and the mean cosine between the responses to two levels of one kind, and to two kinds.

Writes distortions.json and distortions.png into the work directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, positive, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``analyze-distortions``."""
    parser = argparse.ArgumentParser(
        prog='restorebox analyze-distortions', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='of a restorer with FDR-Net as generator')
    parser.add_argument('checkpoint', help='a training checkpoint or a published file')
    parser.add_argument('--pictures', type=positive, default=10, help='of the test set, from its beginning')
    parser.add_argument('--side', type=positive, default=192, help='of the window in their middle, in pixels')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measure, draw, write."""
    args = parse(argv)
    from restorebox.claims.analyses.distortions import analyze_distortions
    from restorebox.engine.running import keep_test

    cfg = keep_test(prepare(args), args.config, args.checkpoint)
    mean = analyze_distortions(cfg, args.config, args.pictures, args.side)['mean']
    alike, cosine = mean['correlation'], mean['cosine']
    print(f'correlation of channels   {alike["before"]:.3f} before, {alike["after"]:.3f} after')
    print(f'cosine of responses       {cosine["within"]:.3f} within a kind, {cosine["across"]:.3f} across')
    print(Path(cfg.work_dir) / 'distortions.png')

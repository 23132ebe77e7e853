"""Measure FDR-Net's feature disentanglement per distortion.

Li et al. (ECCV 2020, Fig 8) report that FD layers decorrelate channels, and that each distortion activates its own
channels, with a response that scales with the level. The clean pictures of the test set are degraded by noise, blur,
JPEG and rain at three levels each. From the features around the FD layers (or residual blocks) are computed:

1. correlation: mean absolute correlation of two channels over the pixels, before and after the layer, per phase.
2. response: change of each channel's mean magnitude after the last FD layer from the clean to the degraded picture,
   and the mean cosine between responses to two levels of one distortion, and to two distortions.

Writes distortions.json and distortions.png into the work directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, positive, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``analyze-distortions``."""
    parser = argparse.ArgumentParser(
        prog='restorebox analyze-distortions', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='config of a restorer with FDR-Net as generator')
    parser.add_argument('checkpoint', help='a training checkpoint, a published file or the name of a model')
    parser.add_argument('--pictures', type=positive, default=10, help='number of pictures of the test set')
    parser.add_argument('--side', type=positive, default=192, help='side of the centre crop in pixels')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measure, draw, write."""
    args = parse(argv)
    from restorebox.claims.analyses.distortions import analyze_distortions
    from restorebox.engine.running import keep_test
    from restorebox.inference.models import checkpoint_file

    cfg = keep_test(prepare(args), args.config, checkpoint_file(args.checkpoint))
    mean = analyze_distortions(cfg, args.config, args.pictures, args.side)['mean']
    print('correlation of channels   {before:.3f} before, {after:.3f} after'.format(**mean['correlation']))
    print('cosine of responses       {within:.3f} within a kind, {across:.3f} across'.format(**mean['cosine']))
    print(Path(cfg.work_dir) / 'distortions.png')

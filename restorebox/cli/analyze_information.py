"""Measure how much of its input a network can carry, and how much gradient its adversarial loss has left.

Kang, Xie, Qin, Wong (arXiv 2212.02198) blame three things for lost detail: a generator that abstracts too much, a
decoder that completes instead of keeping, and a loss whose gradient vanishes. For each there is a figure here:

1. reconstruction: PSNR of the network's output against its input when it is given the CLEAN pictures of the test set.
2. carried detail: share of the restored pictures' high-frequency energy that their inputs explain (R squared of a
   regression per picture and channel); the same for the clean pictures, as what would be right.
3. gradient: norm of the adversarial loss's gradient at the generator's output, for the cross entropy in its saturating
   and its usual form and for least squares, under the discriminators of all checkpoints beside the given one, on the
   first test picture. The discriminators come from a training with one of these losses; a claim about another needs a
   run with that one (--cfg-options model.gan_mode=vanilla, in training and here).

Writes information.json and information.png into the work directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, positive, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``analyze-information``."""
    parser = argparse.ArgumentParser(
        prog='restorebox analyze-information', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint', help='a training checkpoint; those of the same run beside it show the gradients')
    parser.add_argument('--pictures', type=positive, default=20, help='of the test set, from its beginning')
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measure, draw, write."""
    args = parse(argv)
    from restorebox.claims.analyses.information import analyze_information
    from restorebox.engine.running import keep_test

    cfg = keep_test(prepare(args), args.config, args.checkpoint)
    figures = analyze_information(cfg, args.config, args.pictures)
    kept = figures['carried']
    print(f'reconstruction of clean pictures   {kept["reconstruction_psnr_rgb"]:7.2f} dB psnr_rgb')
    print(f'detail explained by the input      {kept["restored_explained_by_input"]:7.3f} restored')
    print(f'                                   {kept["clean_explained_by_input"]:7.3f} clean')
    for row in figures['gradients']:
        norms = '  '.join(f'{name} {value:.3g}' for name, value in row['norms'].items())
        print(f'gradient at step {row["step"]:<8}          {norms}')
    print(Path(cfg.work_dir) / 'information.png')

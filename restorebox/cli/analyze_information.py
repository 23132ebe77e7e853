"""Measure how much input information a network preserves, and the gradient of its adversarial loss.

Kang, Xie, Qin, Wong (arXiv 2212.02198) give three causes of lost detail: a generator that abstracts too much, a decoder
that generates detail instead of preserving it, and a vanishing gradient of the loss. Each is measured:

1. reconstruction: PSNR between output and input for CLEAN pictures of the test set.
2. preserved detail: share of the restored pictures' high-frequency energy explained by their inputs (R squared of a
   regression per picture and channel), and the same for the clean pictures as a reference.
3. gradient: norm of the adversarial loss's gradient at the generator's output, with the discriminators of all
   checkpoints of the run, for the loss that they were trained with, as a mean over the test pictures. It is divided by
   the norm of an undecided discriminator (1; a sure one gives 2, a vanished gradient 0), and by the norm of the other
   losses. To compare losses, train a run with each (--cfg-options model.gan_mode=vanilla, in training and here),
   analyse one, and name its work directory for the other with --beside.

Writes information.json and information.png into the work directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, positive, prepare


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``analyze-information``."""
    parser = argparse.ArgumentParser(
        prog='restorebox analyze-information', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint', help='a training checkpoint; gradients use all checkpoints in its folder')
    parser.add_argument('--pictures', type=positive, default=20, help='number of pictures of the test set')
    beside = 'work directories of runs analysed before, drawn in the same figure'
    parser.add_argument('--beside', nargs='+', type=Path, default=[], metavar='WORK_DIR', help=beside)
    add_config_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Measure, draw, write."""
    args = parse(argv)
    from restorebox.claims.analyses.information import analyze_information
    from restorebox.engine.running import keep_test

    cfg = keep_test(prepare(args), args.config, args.checkpoint)
    figures = analyze_information(cfg, args.config, args.pictures, args.beside)
    kept = figures['carried']
    print(f'reconstruction of clean pictures   {kept["reconstruction_psnr_rgb"]:7.2f} dB psnr_rgb')
    print(f'detail explained by the input      {kept["restored_explained_by_input"]:7.3f} restored')
    print(f'                                   {kept["clean_explained_by_input"]:7.3f} clean')
    for row in figures['gradients']:
        for name, one in row['losses'].items():
            shown = '  '.join(f'{key} {one[key]:.3g}' for key in ('of_undecided', 'of_losses') if one[key] is not None)
            print(f'gradient at step {row["step"]:<8}          {name}: {shown}')
    print(Path(cfg.work_dir) / 'information.png')

"""Fit one and two exponentials and a power law to a training loss, and measure the balance of a GAN training.

Kang, Xie, Qin, Wong (arXiv 2212.02198, Fig 7) see two stages in the loss, and a discriminator whose loss approaches
zero. Two exponentials always fit better than one; so errors are those on points that were held out, and a power law,
which has no stages, is fitted as well. Only points before the learning rate decays count. The balance is the loss of
discriminator and generator at the end of the training, relative to an undecided discriminator.

Writes convergence.json and convergence.png into the work directory.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, prepare


def main(argv: list[str]) -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(
        prog='restorebox analyze-convergence', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    parser.add_argument('checkpoint', type=Path, help='a training checkpoint; the logs of its folder are read')
    parser.add_argument('--term', help='the logged loss (default: the first that is not adversarial)')
    add_config_options(parser)
    args = parser.parse_args(argv)
    from restorebox.claims.analyses.convergence import analyze_convergence
    from restorebox.engine.config import model_of

    cfg = prepare(args)
    model = model_of(cfg, args.config)
    out = Path(cfg.work_dir)
    mean = analyze_convergence(args.checkpoint.parent, model.get('gan_mode'), args.term, out)['mean']
    for group, values in mean.items():
        for name, value in values.items():
            print(f'{group}.{name:<14} ' + ('too few points' if value is None else f'{value:.4f}'))
    print(out / 'convergence.png')

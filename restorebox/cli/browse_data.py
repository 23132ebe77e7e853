"""Draw samples of a data set after its pipeline, with all roles and layers side by side.

Training samples are those of a training, with the config's seed and sampler; validation and test samples are sorted by
name. Layers that the pipeline generates but does not return are drawn and marked as well.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_row_option, not_negative, options_action, positive
from restorebox.errors import ConfigError, printable


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``browse-data``."""
    parser = argparse.ArgumentParser(
        prog='restorebox browse-data', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config', help='a config file, or its path below configs/')
    parser.add_argument('--split', choices=('train', 'val', 'test'), default='train')
    parser.add_argument('--samples', type=positive, default=8, help='rows of the sheet')
    parser.add_argument('--start', type=not_negative, default=0, help='number of samples to skip first')
    parser.add_argument('--seed', type=int, help="seed of the training, overrides the config's randomness.seed")
    parser.add_argument('--data-root', help="folder of the config's data sets: train, val and test together")
    parser.add_argument('--out', type=Path, default=Path('browse.png'), help='output PNG')
    add_row_option(parser)
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Draw the sheet."""
    args = parse(argv)
    from restorebox.datasets.browsing import draw_samples
    from restorebox.engine.check import check_types
    from restorebox.engine.config import load_config, set_data_root

    cfg = load_config(args.config, args.cfg_options, args.row)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    check_types(cfg)
    drawn, bad = draw_samples(cfg, args.split, args.out, args.samples, args.start, args.seed)
    for line in bad:
        print(f'skipped: {line}')
    if not drawn:
        what = 'could be read' if bad else f'from sample {args.start} on'
        raise ConfigError(f'{args.split}: there is no picture to draw, none {what}')
    print(f'{drawn} samples of {args.split}: {printable(args.out)}')

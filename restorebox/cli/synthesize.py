"""Make a training set: degraded pictures from a folder of clean ones, with a manifest of all parameters.

    synthesize CLEAN_DIR OUT_DIR --recipe heavy_rain
    synthesize --list

writes OUT_DIR/train/{lq,gt}/ and OUT_DIR/train/manifest.jsonl. The same command resumes an interrupted run; the result
depends only on the clean pictures, the recipe and the seed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from restorebox.cli.common import not_negative, positive
from restorebox.errors import ConfigError, printable


class _List(argparse.Action):
    """Option that prints the recipes and exits."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: object, values: object, option: str | None = None
    ) -> None:
        from restorebox.degradations.recipes import ABOUT

        width = max(map(len, ABOUT))
        print('\n'.join(f'{name:<{width}}  {text}' for name, text in ABOUT.items()))
        parser.exit()


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``synthesize``."""
    parser = argparse.ArgumentParser(
        prog='restorebox synthesize', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('clean', metavar='CLEAN_DIR', type=Path, help='folder of clean pictures')
    parser.add_argument('out', metavar='OUT_DIR', type=Path, help='folder of the new data set, or of one to resume')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--recipe', metavar='NAME', help='one of --list')
    what.add_argument('--config', metavar='FILE', help="a config with recipe = dict(type='HeavyRain', beta=(2, 3))")
    what.add_argument('--list', action=_List, nargs=0, help='print the recipes by name')
    parser.add_argument('--split', default='train', help='folder below OUT_DIR (default: train)')
    parser.add_argument('--recursive', action='store_true', help='include sub-folders, and keep them in lq/ and gt/')
    parser.add_argument(
        '--per-picture',
        type=positive,
        default=1,
        metavar='N',
        help='degraded pictures per clean one; with 2 or more they are named NAME_00, NAME_01, ...',
    )
    parser.add_argument('--layers', action='store_true', help='also write streak, transmission etc. as 16-bit PNG')
    parser.add_argument('--seed', type=not_negative, default=0, help='random seed (default: 0)')
    parser.add_argument('--workers', type=positive, help='number of processes (default: the available cores)')
    parser.add_argument(
        '--bad-picture', choices=('error', 'skip'), default='error', help='handling of unreadable pictures'
    )
    return parser.parse_args(argv)


def read_recipe(args: argparse.Namespace) -> str | dict:
    """Return the recipe of the options: a name or a config.

    Raises:
        ConfigError: unknown recipe, no recipe in the config, or an invalid key.
    """
    from restorebox.degradations import build_degradation
    from restorebox.registry import nearest

    recipe = args.recipe
    if recipe is None:
        from restorebox.engine.config import load_config

        cfg = load_config(args.config).to_dict()
        if not isinstance(cfg.get('recipe'), (dict, str)):
            raise ConfigError(f"config {args.config}: has no 'recipe = dict(type=...)'; {nearest('recipe', [*cfg])}")
        recipe = cfg['recipe']
    build_degradation(recipe)
    return recipe


def main(argv: list[str]) -> None:
    """Make or resume the data set."""
    args = parse(argv)
    from restorebox.datasets.formats import left_out
    from restorebox.datasets.synthesis import Job, make_set

    out_dir = args.out / args.split
    job = Job(args.clean, out_dir, read_recipe(args), args.seed, args.per_picture, args.layers)
    result = make_set(job, args.recursive, args.workers, skip=args.bad_picture == 'skip')
    read, skipped = result.sources - len(result.unreadable), result.skipped
    already = f'{result.existing} of {result.sources} were there already; ' if result.existing else ''
    made = read - result.existing
    rate = made / result.seconds
    print(f'{already}{made} made, {rate:.1f} clean pictures a second with {result.workers} workers')
    print(f'{result.count} degraded pictures of {read} clean ones in {printable(out_dir)}')
    if result.unreadable:
        print(f'{len(result.unreadable)} pictures were skipped:', file=sys.stderr)
    for _, reason in result.unreadable:
        print(f'  {printable(reason)}', file=sys.stderr)
    for line in left_out(skipped.suffixes):
        print(line, file=sys.stderr)
    for line in skipped.repeated:
        print(f'not entered: {printable(line)}', file=sys.stderr)
    if skipped.unreadable:
        print(
            'folders were skipped:', *(f'  {printable(line)}' for line in skipped.unreadable), sep='\n', file=sys.stderr
        )
        sys.exit(1)

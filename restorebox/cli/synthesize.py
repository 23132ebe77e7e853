"""Make a training set: degraded pictures from a folder of clean ones, with a manifest of all parameters.

    synthesize CLEAN_DIR OUT_DIR --recipe heavy_rain
    synthesize --list

writes OUT_DIR/train/{lq,gt}/ and OUT_DIR/train/manifest.jsonl. Killed at any moment, the same line goes on; what it
leaves in the end depends on the clean pictures, the recipe and the seed alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from restorebox.cli.common import positive
from restorebox.errors import ConfigError, printable


class _List(argparse.Action):
    """Prints the recipes and ends, whatever else is on the command line."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: object, option: str = '') -> None:
        from restorebox.degradations.recipes import ABOUT

        width = max(map(len, ABOUT))
        print('\n'.join(f'{name:<{width}}  {text}' for name, text in ABOUT.items()))
        parser.exit()


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``synthesize``."""
    parser = argparse.ArgumentParser(
        prog='restorebox synthesize', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('clean', metavar='CLEAN_DIR', type=Path, help='folder of clean pictures')
    parser.add_argument('out', metavar='OUT_DIR', type=Path, help='the data set to make, or to go on with')
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument('--recipe', metavar='NAME', help='one of --list')
    what.add_argument('--config', metavar='FILE', help="a config with recipe = dict(type='HeavyRain', beta=(2, 3))")
    what.add_argument('--list', action=_List, nargs=0, help='print the recipes by name')
    parser.add_argument('--split', default='train', help='folder below OUT_DIR (default: train)')
    parser.add_argument('--recursive', action='store_true', help='sub-folders too, which lq/ and gt/ then have as well')
    parser.add_argument(
        '--per-picture',
        type=positive,
        default=1,
        metavar='N',
        help='degraded pictures of each clean one; with 2 or more they are called NAME_00, NAME_01, ...',
    )
    parser.add_argument('--layers', action='store_true', help='streak, transmission, ... too, as 16-bit PNG')
    parser.add_argument('--seed', type=int, default=0, help='of all draws (default: 0)')
    parser.add_argument('--workers', type=positive, help='processes (default: the cores that this one may use)')
    parser.add_argument(
        '--bad-picture', choices=('error', 'skip'), default='error', help="what to do with one that can't be read"
    )
    return parser.parse_args(argv)


def read_recipe(args: argparse.Namespace) -> str | dict:
    """The recipe that the options name: a name or a config.

    Raises:
        ConfigError: there is none of that name, or none in the config, or a key is wrong.
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
    """Make the set, or go on with it."""
    args = parse(argv)
    from restorebox.datasets.formats import left_out
    from restorebox.datasets.synthesis import Job, make_set

    if args.seed < 0:
        raise ConfigError(f'--seed {args.seed}: it must be 0 or more')
    home = args.out / args.split
    job = Job(args.clean, home, read_recipe(args), args.seed, args.per_picture, args.layers)
    done = make_set(job, args.recursive, args.workers, skip=args.bad_picture == 'skip')
    read, passed = done.sources - len(done.bad), done.passed
    already = f'{done.kept} of {done.sources} were there already; ' if done.kept else ''
    made = read - done.kept
    rate = made / done.seconds
    print(f'{already}{made} made, {rate:.1f} clean pictures a second with {done.workers} workers')
    print(f'{done.count} degraded pictures of {read} clean ones in {printable(home)}')
    if done.bad:
        print(f'{len(done.bad)} pictures were skipped:', file=sys.stderr)
    for _, reason in done.bad:
        print(f'  {printable(reason)}', file=sys.stderr)
    for line in left_out(passed.kinds):
        print(line, file=sys.stderr)
    for line in passed.again:
        print(f'not entered: {printable(line)}', file=sys.stderr)
    if passed.unread:
        print('folders were skipped:', *(f'  {printable(line)}' for line in passed.unread), sep='\n', file=sys.stderr)
        sys.exit(1)

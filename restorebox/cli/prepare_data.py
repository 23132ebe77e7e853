"""Check a download of a public data set and arrange it for the configs, or show how to obtain it.

prepare-data --list
prepare-data rain100l                                      show how to obtain it
prepare-data rain100l --from DOWNLOAD --to data/rain100l   check and arrange
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import not_negative
from restorebox.errors import ConfigError


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``prepare-data``."""
    parser = argparse.ArgumentParser(
        prog='restorebox prepare-data', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('name', nargs='?', help='a data set; --list shows all')
    parser.add_argument('--from', dest='release', type=Path, metavar='DIR', help='folder with the download')
    parser.add_argument('--to', type=Path, metavar='DIR', help='folder to write, which must not exist yet')
    parser.add_argument('--seed', type=not_negative, help='seed of random splits (default: that of the set, 0)')
    parser.add_argument('--allow-count', action='store_true', help='accept another number of pictures than published')
    parser.add_argument('--list', action='store_true', help='show all data sets')
    parser.add_argument('--page', type=Path, metavar='FILE', help='write the documentation of all data sets')
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Prepare a data set; the output folder is written atomically."""
    args = parse(argv)
    from restorebox.datasets.sources import page
    from restorebox.datasets.sources.prepare import prepare

    if args.page:
        args.page.write_text(page.page(), encoding='utf-8')
        return print(args.page)
    if args.list or args.name is None:
        return print(page.overview())
    near = page.suggestion(args.name)
    if near:
        raise ConfigError(f"no data set is called '{args.name}'; {near}")
    source = page.get(args.name)
    if args.release is None and args.to is None:
        return print(page.how_to(source))
    if args.release is None or args.to is None:
        raise ConfigError(f'--from and --to go together; {"--to" if args.to is None else "--from"} is missing')
    if args.seed is not None and not source.drawn:
        raise ConfigError(f'--seed: nothing is drawn in {source.title}; leave it out')
    return print(prepare(source, args.release, args.to, args.seed, args.allow_count))

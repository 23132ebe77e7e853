"""Make a training set: degraded pictures from a folder of clean ones, with a manifest of all parameters.

    synthesize CLEAN_DIR OUT_DIR --recipe heavy_rain
    synthesize --list

writes OUT_DIR/train/{lq,gt}/ and OUT_DIR/train/manifest.jsonl. Killed at any moment, the same line goes on; what it
leaves in the end depends on the clean pictures, the recipe and the seed alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from restorebox.cli.common import positive
from restorebox.errors import DISK_ERRORS, ConfigError, DataError, printable

if TYPE_CHECKING:
    from restorebox.datasets.walking import Passed

AGAIN = 'what is complete stays, and the same command line goes on'


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


def find_sources(clean: Path, home: Path, recursive: bool, passed: Passed | None = None) -> list[str]:
    """Clean pictures as paths below their folder, with ``/`` between the parts.

    Args:
        clean: the folder.
        home: of the set that is to be made.
        recursive: whether to look into sub-folders.
        passed: see :func:`~restorebox.datasets.reading.list_pictures`.

    Raises:
        DataError: no folder or no pictures, two of one name, or one folder lies in the other.
    """
    from restorebox.datasets.reading import list_pictures

    paths = list_pictures(clean, recursive, passed=passed)
    if not paths:
        raise DataError(passed.unread[0])
    inside, outside = clean.resolve(), home.resolve()
    below = any(Path(os.path.realpath(each)).is_relative_to(outside) for each in {path.parent for path in paths})
    if below or inside.is_relative_to(outside) or (recursive and outside.is_relative_to(inside)):
        raise DataError(f'{home} and {clean} lie in each other, so degraded pictures would be taken for clean ones')
    by_name: dict[str, Path] = {}
    for path in paths:
        other = by_name.setdefault(str(path.with_suffix('')), path)
        if other != path:
            raise DataError(f'two pictures of one name in {path.parent}: {other.name} and {path.name}; rename one')
    return [path.relative_to(clean).as_posix() for path in paths]


def main(argv: list[str]) -> None:
    """Make the set, or go on with it."""
    args = parse(argv)
    from restorebox.cli.synthesize_folder import Folder
    from restorebox.cli.synthesize_work import Job
    from restorebox.datasets.formats import left_out
    from restorebox.datasets.walking import Passed

    if args.seed < 0:
        raise ConfigError(f'--seed {args.seed}: it must be 0 or more')
    home = args.out / args.split
    job = Job(args.clean, home, read_recipe(args), args.seed, args.per_picture, args.layers)
    passed = Passed(strict=args.bad_picture != 'skip')
    sources = find_sources(args.clean, home, args.recursive, passed)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    try:
        folder = Folder(job, sources)
        try:
            bad = make_all(folder, sources, min(args.workers or cores, len(sources)), skip=args.bad_picture == 'skip')
            if len(bad) == len(sources):
                raise DataError(f'none of {len(sources)} pictures of {args.clean} can be read; the first: {bad[0][1]}')
            count = folder.finish({source for source, _ in bad}, pairs=args.recursive)
        finally:
            folder.close()
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise DataError(f"can't write {error.filename or home}: {error.strerror}; {AGAIN}") from None
    print(f'{count} degraded pictures of {len(sources) - len(bad)} clean ones in {printable(home)}')
    if bad:
        print(
            f'{len(bad)} pictures were skipped:',
            *(f'  {printable(reason)}' for _, reason in bad),
            sep='\n',
            file=sys.stderr,
        )
    for line in left_out(passed.kinds):
        print(line, file=sys.stderr)
    for line in passed.again:
        print(f'not entered: {printable(line)}', file=sys.stderr)
    if passed.unread:
        print('folders were skipped:', *(f'  {printable(line)}' for line in passed.unread), sep='\n', file=sys.stderr)
        sys.exit(1)


def make_all(folder: object, sources: Sequence[str], workers: int, skip: bool) -> list[tuple[str, str]]:
    """Make what is not there -> the unreadable sources and why, by name.

    Raises:
        DataError: an unreadable picture, or one that kills its worker, that is not to be skipped; a full disk.
    """
    from restorebox.cli.synthesize_work import run_workers
    from restorebox.progress import Progress

    bad, kept, began = [], 0, time.perf_counter()
    answers = run_workers(folder.job, ((source, folder.known(source)) for source in sources), workers)
    with Progress(len(sources), 'synthesize') as progress:
        try:
            for done in answers:
                if done.crash and not skip:
                    raise RuntimeError(done.crash)
                if done.failure or (done.bad and not skip):
                    hint = '' if done.failure else ', or --bad-picture skip leaves such pictures out'
                    raise DataError(f'{done.failure or done.bad}; {AGAIN}{hint}')
                if done.bad or done.crash:
                    bad.append((done.source, done.bad or f'{done.source}: {done.crash.splitlines()[-1]}'))
                elif done.kept:
                    kept += 1
                else:
                    folder.note(done)
                progress.advance()
        finally:
            answers.close()
    seconds, made = time.perf_counter() - began, len(sources) - len(bad) - kept
    already = f'{kept} of {len(sources)} were there already; ' if kept else ''
    print(f'{already}{made} made, {made / seconds:.1f} clean pictures a second with {workers} workers')
    return sorted(bad)

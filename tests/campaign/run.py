"""Run the campaign: ``python tests/campaign/run.py --full --out docs/results/campaign.json``.

Each case is derived from its group and its seed alone: ``--pictures 1 --first 17`` repeats one. Prints counts and each
violation with its seed; exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from importlib import metadata
from pathlib import Path

os.environ['OMP_NUM_THREADS'] = '1'
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.campaign.cases import KINDS, OUTCOMES, Result, fork, run_case

GROUPS = ('pictures', 'checkpoints', 'configs', 'videos', 'kills')
FULL = {'pictures': 300, 'checkpoints': 250, 'configs': 150, 'videos': 40, 'kills': 40}


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for group in GROUPS:
        parser.add_argument(f'--{group}', type=int, default=0, metavar='N', help=f'cases; docs tell of {FULL[group]}')
    parser.add_argument('--full', action='store_true', help='all of them')
    parser.add_argument('--first', type=int, default=0, metavar='SEED', help='seed of the first case of each group')
    parser.add_argument('--out', type=Path, help='the file of results to write; a table goes beside it as .md')
    parser.add_argument('--verbose', action='store_true', help='print every case')
    return parser.parse_args(argv)


def import_all() -> None:
    """Everything that a command imports, once, so that a forked child has it."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    from restorebox import registry
    from restorebox.cli.main import COMMANDS

    for command in COMMANDS:
        importlib.import_module(f'restorebox.cli.{command.replace("-", "_")}')
    for each in vars(registry).values():
        if isinstance(each, registry.Registry):
            each.import_from_location()
    for name in (
        *('engine.build_check', 'engine.check', 'engine.checkpoint', 'engine.published', 'engine.runner'),
        *('inference', 'inference.exported', 'inference.exporting', 'inference.files', 'inference.models'),
        *('inference.inputs', 'inference.video', 'datasets.inspection', 'metrics.scores'),
    ):
        importlib.import_module(f'restorebox.{name}')
    for name in (
        'av',
        'onnx',
        'onnxruntime',
        'tifffile',
        'PIL.ImageCms',
        'matplotlib.pyplot',
        'torch.utils.tensorboard',
    ):
        try:
            importlib.import_module(name)
        except ImportError:
            print(f'without {name}', file=sys.stderr)
    from PIL import Image

    Image.init()


def run_group(group: str, seeds: range, work: Path, verbose: bool) -> list[Result]:
    """All cases of a group, one after the other."""
    module = importlib.import_module(f'tests.campaign.{group}')
    shared = work / f'shared-{group}'
    shared.mkdir()
    made = fork(lambda: module.prepare(shared), work / f'prepare-{group}')
    if made.code:
        raise SystemExit(f'{group}: could not be prepared: {made.err[-2000:]}')
    results = []
    for seed in seeds:
        results.append(result := run_case(group, module.play, seed, work, shared))
        if verbose or result.violations:
            print(f'{group} {seed}: {result.outcome}: {result.what}', flush=True)
        for kind, text in result.violations:
            print(f'  {kind}: {text}', flush=True)
    return results


def summary(results: list[Result]) -> dict:
    """Counts of each group, and the violations."""
    groups = {}
    for group in dict.fromkeys(result.group for result in results):
        mine = [result for result in results if result.group == group]
        outcomes = Counter(result.outcome for result in mine if not result.violations)
        kinds = Counter(kind for result in mine for kind in {kind for kind, _ in result.violations})
        groups[group] = {
            'cases': len(mine),
            **{outcome: outcomes[outcome] for outcome in OUTCOMES},
            'violations': {kind: kinds[kind] for kind in KINDS},
        }
    wrong = [vars(result) for result in results if result.violations]
    return {'groups': groups, 'violations': wrong}


def versions() -> dict[str, str]:
    """Of what the results depend on, where it is installed."""
    found = {'python': platform.python_version()}
    for name in ('torch', 'pillow', 'numpy', 'opencv-python-headless', 'av', 'tifffile', 'safetensors', 'onnxruntime'):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def table(told: dict) -> str:
    """The counts as Markdown."""
    lines = [
        '<!-- written by tests/campaign/run.py -->',
        '',
        '| group | cases | right | right, with a note | refused in a line | ' + ' | '.join(KINDS) + ' |',
        '|---' * (5 + len(KINDS)) + '|',
    ]
    for group, row in told['groups'].items():
        numbers = [row['cases'], *(row[outcome] for outcome in OUTCOMES), *row['violations'].values()]
        lines.append(f'| {group} | ' + ' | '.join(map(str, numbers)) + ' |')
    return '\n'.join(lines) + '\n'


def main(argv: list[str] | None = None) -> None:
    """Run, print, write."""
    args = parse(argv)
    counts = {group: FULL[group] if args.full else getattr(args, group) for group in GROUPS}
    import_all()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix='campaign-') as work:
        for group, count in counts.items():
            if count:
                results += run_group(group, range(args.first, args.first + count), Path(work), args.verbose)
    told = {'first_seed': args.first, 'versions': versions(), **summary(results)}
    print(table(told), end='')
    if args.out:
        args.out.write_text(json.dumps(told, indent=1, ensure_ascii=True) + '\n')
        args.out.with_suffix('.md').write_text(table(told))
    if told['violations']:
        sys.exit(1)


if __name__ == '__main__':
    main()

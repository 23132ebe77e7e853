"""Restore pictures and videos: files, folders with their structure, glob patterns; any size, never resized.

Pictures keep their names, bit depth, alpha, ICC profile and EXIF. One that is in the output folder already is not made
again, so that the same command goes on where a run was stopped. Under torchrun each process takes its share. Pictures
that could not be restored are named at the end, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from restorebox.cli.common import positive
from restorebox.errors import printable
from restorebox.files import READ_TIMEOUT, read_limit

PRECISIONS = ('auto', 'fp32', 'bf16')

if TYPE_CHECKING:
    from restorebox.inference import RestoreInferencer
    from restorebox.inference.folders import RestoreSummary


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``restore``."""
    parser = argparse.ArgumentParser(prog='restorebox restore', description=__doc__)
    parser.add_argument(
        'source', nargs='+', help="a picture, a video, a folder, or a pattern such as 'photos/**/*.jpg'"
    )
    parser.add_argument(
        '--model',
        default='weather',
        help='a name (`restorebox models` lists them), a file of weights, URL#sha256=DIGITS, or with --checkpoint a '
        'config (default: %(default)s)',
    )
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--out', default='restored', help='the folder to write into (default: %(default)s)')
    parser.add_argument('--device', help="such as cpu or cuda:1 (default: this process's GPU where there is one)")
    parser.add_argument(
        '--memory',
        type=positive,
        default=1024,
        metavar='MIB',
        help="what the network's work may take; larger pictures are restored in tiles (default: %(default)s)",
    )
    parser.add_argument(
        '--read-timeout',
        type=positive,
        metavar='SECONDS',
        help='for which a read may give nothing before the file is passed over, as on a network disk that is gone '
        '(default: 60)',
    )
    parser.add_argument(
        '--ensemble', action='store_true', help='the mean over eight flips and rotations: eight times the work'
    )
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='auto',
        help="of the network's numbers; auto: bf16 where the processor has it and the model bears it, else fp32",
    )
    parser.add_argument(
        '--backend',
        choices=('torch', 'onnxruntime'),
        help='onnxruntime for a --model that `restorebox export` made (default: what its suffix says)',
    )
    parser.add_argument(
        '--max-pixels',
        type=positive,
        metavar='N',
        help='that a file may have, all its pages together, since a small file may claim any number; 12 bytes of '
        'memory each, 32 with 16 bits (default: 178956970)',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Restore; prints what was done and the pictures that could not be restored."""
    args = parse(argv)
    from restorebox.inference.folders import restore_into

    if args.read_timeout is not None:
        os.environ[READ_TIMEOUT] = str(args.read_timeout)
    read_limit()  # what the environment says may be wrong
    if not restore_into(args.source, args.out, lambda: build(args), lambda done: report(done, args.out)):
        sys.exit(1)


def build(args: argparse.Namespace) -> RestoreInferencer:
    """The inferencer that the options describe; the first rank says what it is."""
    from restorebox.inference import RestoreInferencer

    options = {name: getattr(args, name) for name in ('device', 'memory', 'ensemble', 'precision', 'backend')}
    options |= {'max_pixels': args.max_pixels} if args.max_pixels else {}
    inferencer = RestoreInferencer(args.model, args.checkpoint, **options)
    if os.environ.get('RANK', '0') == '0':
        print(f'{args.model} in {inferencer.precision} on {inferencer.tiler.device}', flush=True)
    return inferencer


def report(done: RestoreSummary, out: str) -> None:
    """Print how many were restored, what was not kept or not taken, and a line for each picture and folder missed."""
    from restorebox.datasets.formats import left_out

    passed = done.passed
    there = f', {done.before} were there already' if done.before else ''
    failed = f', {len(done.bad)} could not be restored' if done.bad else ''
    folders = f'{len(passed.unread)} folder{"s" if len(passed.unread) > 1 else ""}'
    unread = f', {folders} could not be read' if passed.unread else ''
    print(f'{done.count} restored into {out}{there}{failed}{unread}')
    for line in (*done.notes, *left_out(passed.kinds)):
        print(printable(line), file=sys.stderr)
    for line in passed.again:
        print(f'not entered: {printable(line)}', file=sys.stderr)
    for line in (*passed.unread, *done.bad):
        print(f'not restored: {printable(line)}', file=sys.stderr)

"""Restore pictures and videos: files, folders with their structure, glob patterns; any size, never resized.

Names, bit depth, alpha channel, ICC profile and EXIF are kept. Pictures that exist in the output folder are skipped, so
that the same command resumes an interrupted run. Under torchrun the files are divided among the processes. Pictures
that could not be restored are listed at the end, and the exit code is 1.
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
    """Parse the options of ``restore``."""
    parser = argparse.ArgumentParser(prog='restorebox restore', description=__doc__)
    parser.add_argument(
        'source', nargs='+', help="a picture, a video, a folder, or a pattern such as 'photos/**/*.jpg'"
    )
    parser.add_argument(
        '--model',
        default='weather',
        help='a name (`restorebox models` lists them), a weights file, URL#sha256=DIGITS, or with --checkpoint a '
        'config (default: %(default)s)',
    )
    parser.add_argument('--checkpoint', help='weights for a config')
    parser.add_argument('--out', default='restored', help='output folder (default: %(default)s)')
    parser.add_argument('--device', help='such as cpu or cuda:1 (default: a GPU if available)')
    parser.add_argument(
        '--memory',
        type=positive,
        default=1024,
        metavar='MIB',
        help='memory of the network; larger pictures are restored in tiles (default: %(default)s)',
    )
    parser.add_argument(
        '--read-timeout',
        type=positive,
        metavar='SECONDS',
        help='skip a file if reading makes no progress for this time, as on a disconnected network disk (default: 60)',
    )
    parser.add_argument(
        '--ensemble', action='store_true', help='mean over eight flips and rotations, at eight times the cost'
    )
    parser.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='auto',
        help='numeric precision; auto: bf16 if device and model support it, else fp32',
    )
    parser.add_argument(
        '--strength',
        type=float,
        default=1.0,
        help='0 to 2: input + strength * (restored - input); 0 keeps the pixels, above 1 extrapolates (default: 1)',
    )
    parser.add_argument(
        '--only-if-damaged', action='store_true', help='copy pictures unchanged in which the model finds no damage'
    )
    parser.add_argument(
        '--backend',
        choices=('torch', 'onnxruntime'),
        help='onnxruntime for a --model written by `restorebox export` (default: by its suffix)',
    )
    parser.add_argument(
        '--max-pixels',
        type=positive,
        metavar='N',
        help='maximum number of pixels of a file over all pages; reading takes 12 bytes per pixel, 32 for 16 bits '
        '(default: 178956970)',
    )
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    """Restore pictures, and print a summary."""
    args = parse(argv)
    from restorebox.inference.folders import restore_into

    if args.read_timeout is not None:
        os.environ[READ_TIMEOUT] = str(args.read_timeout)
    read_limit()  # check the environment variable
    complete = restore_into(
        args.source, args.out, lambda: build(args), lambda done: report(done, args.out), args.only_if_damaged
    )
    if not complete:
        sys.exit(1)


def build(args: argparse.Namespace) -> RestoreInferencer:
    """Build the inferencer; rank 0 prints model, precision and device."""
    from restorebox.inference import RestoreInferencer

    names = ('device', 'memory', 'ensemble', 'precision', 'backend', 'strength')
    options = {name: getattr(args, name) for name in names}
    options |= {'max_pixels': args.max_pixels} if args.max_pixels else {}
    inferencer = RestoreInferencer(args.model, args.checkpoint, **options)
    if os.environ.get('RANK', '0') == '0':
        print(f'{args.model} in {inferencer.precision} on {inferencer.tiler.device}', flush=True)
    return inferencer


def report(done: RestoreSummary, out: str) -> None:
    """Print the numbers of files, then notes, ignored files, and a line for each file or folder that failed."""
    print(done.numbers(out))
    for line in done.remarks:
        print(printable(line), file=sys.stderr)

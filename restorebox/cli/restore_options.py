"""Options of ``restorebox restore``."""

from __future__ import annotations

import argparse

from restorebox.cli.common import positive
from restorebox.datasets.formats import FORMATS
from restorebox.files import DEFAULT_MODEL

PRECISIONS = ('auto', 'fp32', 'bf16')
ENGINES = ('local', 'ray')
BACKENDS = ('torch', 'onnxruntime')
KINDS = {kind.lower(): kind for kind, each in FORMATS.items() if each.written}

# An option takes one line of 80 columns, so that the help is read on one screen; docs/restoring.md has the details.
HELP = {
    'source': "file, folder, 'a/**/*.jpg', s3://..., FILE.zip",
    'list': 'file with a path per line; - is standard input',
    'include': 'only files of this name or path, as *.png, a/**/*.png',
    'exclude': 'leave such files out; both may be repeated',
    'out': 'folder, or s3://BUCKET/... (default: %(default)s)',
    'overwrite': 'replace existing outputs, whatever made them',
    'suffix': 'add to names: photo.jpg becomes photoTEXT.jpg',
    'format': 'write pictures as png, jpeg, webp, tiff, avif, ...',
    'quality': 'of JPEG, WebP and AVIF, 1 to 100 (default: %(default)s)',
    'report': 'write JSON, a line per file; continued if it exists',
    'dry_run': 'print what would be done, and write nothing',
    'only_if_damaged': 'copy files in which the model finds no damage',
    'model': 'name, file, URL or hf://... (default: %(default)s)',
    'checkpoint': 'weights, if the model is a config',
    'strength': '0 to 2: input + S (restored - input) (default: %(default)g)',
    'temporal': 'filter videos against flicker (default: %(default)s)',
    'ensemble': 'mean over eight flips and rotations, 8 times the cost',
    'device': 'as cpu, cuda:1; for ONNX openvino, coreml, directml',
    'precision': 'fp32 or bf16 (default: auto, by device and model)',
    'backend': 'torch or onnxruntime (default: by the model)',
    'batch_size': 'pictures of one size in one pass (default: %(default)s)',
    'memory': 'of the network, else in tiles (default: %(default)s)',
    'max_pixels': 'of a file, over its pages (default: 178956970)',
    'engine': 'local, or ray: a pool of processes (default: local)',
    'workers': 'processes of ray (default: one per GPU or core)',
    'verbose': 'show the messages of ray',
    'read_timeout': 'skip a file without data for so long (default: 60)',
}


def quality(text: str) -> int:
    """Parse a quality from 1 to 100, for argparse."""
    if (number := positive(text)) > 100:
        raise argparse.ArgumentTypeError(f'{text} is not a quality from 1 to 100')
    return number


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``restore``."""
    parser = argparse.ArgumentParser(
        prog='restorebox restore',
        usage='%(prog)s SOURCE ... [options]',
        description='Restore pictures and videos of any size; the same command again continues.',
        epilog='Exit codes: 0 all done, 1 could not start, 2 wrong options, 3 some failed.',
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=25),
        add_help=False,
    )
    group = parser.add_argument_group('options')

    def add(name: str, **how: object) -> None:
        group.add_argument(name, help=HELP[name.removeprefix('--').replace('-', '_')], **how)  # type: ignore[arg-type]

    add('source', nargs='*', metavar='SOURCE')
    add('--list', action='append', default=[], metavar='FILE')
    add('--include', action='append', default=[], metavar='PATTERN')
    add('--exclude', action='append', default=[], metavar='PATTERN')
    add('--out', default='restored', metavar='FOLDER')
    add('--overwrite', action='store_true')
    add('--suffix', default='', metavar='TEXT')
    add('--format', choices=KINDS, metavar='KIND')
    add('--quality', type=quality, default=95, metavar='N')
    add('--report', metavar='FILE.jsonl')
    add('--dry-run', action='store_true')
    add('--only-if-damaged', action='store_true')
    add('--model', default=DEFAULT_MODEL)
    add('--checkpoint', metavar='FILE')
    add('--strength', type=float, default=1.0, metavar='S')
    add('--temporal', choices=('on', 'off'), default='on')
    add('--ensemble', action='store_true')
    add('--device')
    add('--precision', choices=PRECISIONS, default='auto', metavar='NAME')
    add('--backend', choices=BACKENDS, metavar='NAME')
    add('--batch-size', type=positive, default=1, metavar='N')
    add('--memory', type=positive, default=1024, metavar='MIB')
    add('--max-pixels', type=positive, metavar='N')
    add('--read-timeout', type=positive, metavar='SEC')
    add('--engine', choices=ENGINES, default='local', metavar='NAME')
    add('--workers', type=positive, metavar='N')
    add('--verbose', action='store_true')
    group.add_argument('-h', '--help', action='help', help='show this help')
    args = parser.parse_args(argv)
    if '-' in args.source:
        args.source = [each for each in args.source if each != '-']
        args.list.append('-')
    if not args.source and not args.list:
        parser.error('name a SOURCE, or --list FILE')
    if args.dry_run and args.report:
        parser.error('--dry-run writes nothing, so it takes no --report')
    if args.engine == 'local' and (args.workers or args.verbose):
        parser.error('--workers and --verbose are for --engine ray')
    if args.engine == 'ray' and ':' in (args.device or ''):
        parser.error(f'--device {args.device}: --engine ray divides the GPUs itself; give the kind alone, such as cuda')
    return args

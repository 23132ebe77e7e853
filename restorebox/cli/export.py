"""Make one file of a model for other runtimes: ONNX, TorchScript or PyTorch's pt2, for pictures of any size.

The file is compared with PyTorch on three sizes before it is put in place. With --int8 an ONNX file is quantised after
that, and what this costs and gains is printed and written beside it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.errors import ExportError
from restorebox.files import json_bytes


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``export``."""
    parser = argparse.ArgumentParser(prog='restorebox export', description=__doc__)
    parser.add_argument('config', help='a config, a file of weights, or the name of a model')
    parser.add_argument(
        'checkpoint', nargs='?', help='the weights, where the config is one; a name or a file has its own'
    )
    parser.add_argument('--to', required=True, choices=('onnx', 'torchscript', 'pt2'), help='the kind of file')
    parser.add_argument('--out', help="the file to write (default: the config's name with .onnx, .ts or .pt2)")
    parser.add_argument('--int8', action='store_true', help='quantise the convolutions of an ONNX file to 8 bits')
    parser.add_argument(
        '--calibrate',
        metavar='FOLDER',
        help='for --int8, pictures as the model will get them; lq and gt in the folder give the cost in dB as well',
    )
    args = parser.parse_args(argv)
    if args.int8 and (args.to != 'onnx' or not args.calibrate):
        parser.error('--int8 needs --to onnx and --calibrate FOLDER')
    if args.calibrate and not args.int8:
        parser.error('--calibrate is for --int8')
    return args


def main(argv: list[str]) -> None:
    """Export; prints the file's size and how near it comes to PyTorch."""
    args = parse(argv)
    from restorebox.engine.checkpoint import load_file, sha256, write_bytes
    from restorebox.inference.exporting import KINDS, export_restorer, file_facts
    from restorebox.inference.models import find_weights, is_url, load_model
    from restorebox.inference.quantising import find_pairs, quantise

    out = Path(args.out or Path(args.config).stem + ('_int8' if args.int8 else '') + KINDS[args.to])
    if out.suffix != KINDS[args.to]:
        raise ExportError(f'{out}: a file of the kind {args.to} is named *{KINDS[args.to]}')
    if not out.parent.is_dir():
        raise ExportError(f'{out}: there is no folder {out.parent} to write it into')
    if args.int8:
        find_pairs(args.calibrate)  # before the work
    restorer = load_model(args.config, args.checkpoint)
    weights = args.checkpoint if args.checkpoint and not is_url(args.checkpoint) else None
    weights = weights or find_weights(args.checkpoint or args.config)
    facts = file_facts(restorer, Path(args.config).stem)
    facts['source_sha256'] = sha256(weights)
    meta = load_file(weights)['meta']
    facts |= {name: meta[name] for name in ('licence', 'limits') if meta.get(name)}
    data, worst = export_restorer(restorer, args.to, facts)
    near = f'within {worst:.1e} of PyTorch on three sizes'
    if args.int8:
        data, report = quantise(data, facts, args.calibrate)
        near = f'fp32 {near}, int8 {report["agreement_db"]:.1f} dB from it'
    write_bytes(data, out)
    print(f'{out}: {len(data) / 2**20:.2f} MiB, {near}, sha256 {sha256(out)}')
    if args.int8:
        write_bytes(json_bytes(report, indent=2), out.with_suffix('.json'))
        print_report(report)


def print_report(report: dict) -> None:
    """Cost and gain of quantising, a line each."""
    seconds = report['seconds']
    if 'cost_db' in report:
        before, after = report['psnr_rgb']['fp32'], report['psnr_rgb']['int8']
        print(f'costs {report["cost_db"]:.2f} dB: psnr_rgb {before:.2f} -> {after:.2f} on {report["measured"]} pairs')
    else:
        print(
            'costs: not known against clean pictures; --calibrate got none (they lie in gt, beside the pictures in lq)'
        )
    print(f'gains {report["gain"]:.2f} times: {seconds["fp32"]:.3f} -> {seconds["int8"]:.3f} s a picture')

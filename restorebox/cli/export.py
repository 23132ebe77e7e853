"""Make one file of a model for other runtimes: ONNX, TorchScript or PyTorch's pt2, for pictures of any size.

The file is compared with PyTorch on three sizes before it is put in place. With --int8 an ONNX file is quantised after
that, and what this costs and gains is printed and written beside it.
"""

from __future__ import annotations

import argparse


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
    from restorebox.engine.checkpoint import sha256
    from restorebox.inference.export_file import export_file

    made = export_file(args.config, args.checkpoint, args.to, args.out, args.calibrate)
    near = f'within {made.worst:.1e} of PyTorch on three sizes'
    if made.report:
        near = f'fp32 {near}, int8 {made.report["agreement_db"]:.1f} dB from it'
    print(f'{made.path}: {made.size / 2**20:.2f} MiB, {near}, sha256 {sha256(made.path)}')
    if made.report:
        print_report(made.report)


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

"""Export a model to ONNX, TorchScript or PyTorch's pt2, for pictures of any size.

The output is compared with PyTorch on three sizes before the file is written. With --int8 an ONNX file is then
quantised, and the loss of quality and the speed-up are printed and written next to it.
"""

from __future__ import annotations

import argparse


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``export``."""
    parser = argparse.ArgumentParser(prog='restorebox export', description=__doc__)
    parser.add_argument('config', help='a config, a weights file, or the name of a model')
    parser.add_argument(
        'checkpoint', nargs='?', help='weights for a config; not for a weights file or the name of a model'
    )
    parser.add_argument('--to', required=True, choices=('onnx', 'torchscript', 'pt2'), help='format')
    parser.add_argument('--out', help="output file (default: the config's name with .onnx, .ts or .pt2)")
    parser.add_argument('--int8', action='store_true', help='quantise the convolutions of an ONNX file to 8 bits')
    parser.add_argument(
        '--calibrate',
        metavar='FOLDER',
        help='for --int8, folder of typical pictures; with sub-folders lq and gt the loss in dB is measured as well',
    )
    args = parser.parse_args(argv)
    if args.int8 and (args.to != 'onnx' or not args.calibrate):
        parser.error('--int8 needs --to onnx and --calibrate FOLDER')
    if args.calibrate and not args.int8:
        parser.error('--calibrate is for --int8')
    return args


def main(argv: list[str]) -> None:
    """Export a model; prints the file's size and its difference from PyTorch."""
    args = parse(argv)
    from restorebox.engine.checkpoint import sha256
    from restorebox.inference.export_file import export_file

    exported = export_file(args.config, args.checkpoint, args.to, args.out, args.calibrate)
    difference = f'within {exported.worst:.1e} of PyTorch on three sizes'
    if exported.report:
        difference = f'fp32 {difference}, int8 {exported.report["agreement_db"]:.1f} dB from it'
    print(f'{exported.path}: {exported.size / 2**20:.2f} MiB, {difference}, sha256 {sha256(exported.path)}')
    if exported.report:
        print_report(exported.report)


def print_report(report: dict) -> None:
    """Print the loss of quality and the speed-up of quantisation."""
    seconds = report['seconds']
    if 'cost_db' in report:
        before, after = report['psnr_rgb']['fp32'], report['psnr_rgb']['int8']
        print(f'costs {report["cost_db"]:.2f} dB: psnr_rgb {before:.2f} -> {after:.2f} on {report["measured"]} pairs')
    else:
        print('costs: not measured; --calibrate needs sub-folders lq and gt with degraded and clean pictures')
    print(f'gains {report["gain"]:.2f} times: {seconds["fp32"]:.3f} -> {seconds["int8"]:.3f} s a picture')

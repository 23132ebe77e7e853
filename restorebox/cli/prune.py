"""Remove channels of a model, fine-tune it, and report the loss of quality and the speed-up.

--cfg-options gives the smaller widths; the channels with the largest effect on the training loss are kept. The original
model, the pruned one and the fine-tuned one are scored on the test set of the config.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from restorebox.cli.common import add_config_options, not_negative, prepare, run_name


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``prune``."""
    parser = argparse.ArgumentParser(prog='restorebox prune', description=__doc__)
    parser.add_argument('config', help='a config file, its path below configs/, or the name of a model with weights')
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='its weights: a training checkpoint or a published file; not for the name of a model',
    )
    parser.add_argument(
        '--samples', type=not_negative, required=True, help='training samples of fine-tuning, 0 for none'
    )
    add_config_options(parser, work_dir='work_dirs/CONFIG_pruned')
    args = parser.parse_args(argv)
    if args.launcher != 'none':
        parser.error('--launcher: prune runs in one process; train the narrow network further with `restorebox train`')
    return args


def main(argv: list[str]) -> None:
    """Prune, fine-tune and measure; prints a table and writes ``pruned.json`` into the work directory."""
    args = parse(argv)
    from restorebox.inference.models import model_files
    from restorebox.inference.prune_model import prune_model

    args.config, args.checkpoint = model_files(args.config, args.checkpoint)
    args.work_dir = args.work_dir or str(Path('work_dirs') / f'{run_name(args.config, args.row)}_pruned')
    cfg = prepare(args)
    args.cfg_options = {key: value for key, value in args.cfg_options.items() if not key.startswith('model.generator.')}
    report, last = prune_model(cfg, prepare(args), args.config, args.checkpoint, args.samples)
    print(f'{show(report)}\ncheckpoint: {last}')


def show(report: dict) -> str:
    """Format the report."""
    score, (wide, narrow), (slow, fast) = report['psnr_y'], report['weights'], report['seconds']
    trained = f', trained on {report["samples"]} samples {score["trained"]:.2f}' if 'trained' in score else ''
    return (
        f'\npsnr_y on {report["pictures"]} pictures: input {report["input"]:.2f}, before {score["before"]:.2f}, cut '
        f'{score["cut"]:.2f}{trained}\n'
        f'costs {report["cost_db"]:.2f} dB; {wide:,} -> {narrow:,} weights\n'
        f'gains {report["gain"]:.2f} times: {slow:.3f} -> {fast:.3f} s a picture'
    )

"""Train several configs in sequence, each from the last checkpoint of the previous one.

    train-stages configs/heavy_rain/heavy_rain_demo_residue.py configs/heavy_rain/heavy_rain_demo_stage2.py

A stage is a config, or CONFIG@ROW for a row of it, with the work directory WORK_DIR/CONFIG[_ROW]. The command resumes
an interrupted run; complete stages are skipped. Options of `train` after `--` apply to every stage. With several ranks,
train the stages one by one with tools/dist_train.sh and --cfg-options load_from=...
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from restorebox.cli.common import run_name
from restorebox.errors import ConfigError, RestoreboxError


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse the options of ``train-stages``."""
    parser = argparse.ArgumentParser(
        prog='restorebox train-stages', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='+', metavar='CONFIG[@ROW]', help='the stages in order')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs'), help='(default: work_dirs)')
    at = argv.index('--') if '--' in argv else len(argv)
    args = parser.parse_args(argv[:at])
    args.train_options = argv[at + 1 :]
    return args


def main(argv: list[str]) -> None:
    """Train all stages.

    Raises:
        ConfigError: a config occurs twice.
        RestoreboxError: a stage failed; its own output has the reason.
    """
    args = parse(argv)
    from restorebox.files import find_checkpoints

    stages = [stage.partition('@')[::2] for stage in args.configs]
    names = [run_name(config, row or None) for config, row in stages]
    if len(set(names)) < len(names):
        raise ConfigError('train-stages: two configs of one name would share a work directory')
    previous: list[str] = []
    for (config, row), name in zip(stages, names, strict=True):
        folder = args.work_dir / name
        command = [sys.executable, '-m', 'restorebox', 'train', config, '--work-dir', str(folder), '--resume']
        command += ['--row', row] if row else []
        code = subprocess.run([*command, *args.train_options, *previous], check=False).returncode
        if code:
            raise RestoreboxError(f'{name} ended with exit code {code}; later stages were not started')
        previous = ['--cfg-options', f'load_from={find_checkpoints(folder)[-1]}']

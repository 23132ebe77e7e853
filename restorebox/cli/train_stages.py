"""Train several configs in sequence, each from the last checkpoint of the previous one.

    train-stages configs/heavy_rain/heavy_rain_demo_residue.py configs/heavy_rain/heavy_rain_demo_stage2.py

A stage is a config, or CONFIG@ROW for a row of it, with the work directory WORK_DIR/CONFIG[_ROW]. The command resumes
an interrupted run; complete stages are skipped. Options of `train` after `--` apply to every stage. With several ranks,
train the stages one by one with tools/dist_train.sh and --cfg-options load_from=...
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

from restorebox.cli.common import run_name
from restorebox.errors import ConfigError, RestoreboxError
from restorebox.processes import own_command, own_environment

OWN_OPTIONS = ('--work-dir', '--row', '--resume')  # of each stage


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
    for option in args.train_options:
        if option.partition('=')[0] in OWN_OPTIONS:
            parser.error(f'{option} after --: train-stages sets it for each stage; give --work-dir before --')
    return args


def main(argv: list[str]) -> None:
    """Train all stages.

    Raises:
        ConfigError: a config or row does not exist, or occurs twice.
        RestoreboxError: a stage failed; its own output has the reason.
    """
    args = parse(argv)
    from restorebox.engine.config import load_config
    from restorebox.files import find_checkpoints

    stages = [stage.partition('@')[::2] for stage in args.configs]
    names = [run_name(config, row or None) for config, row in stages]
    if len(set(names)) < len(names):
        raise ConfigError('train-stages: two configs of one name would share a work directory')
    for config, row in stages:  # before the first is trained
        load_config(config, None, row or None)
    previous: list[str] = []
    for (config, row), name in zip(stages, names, strict=True):
        folder = args.work_dir / name
        command = own_command('train', config, '--work-dir', str(folder), '--resume', *(['--row', row] if row else []))
        command += [*args.train_options, *previous]
        code = subprocess.run(command, env=own_environment(), check=False).returncode
        if code:
            raise RestoreboxError(f'{name} ended with exit code {code}; later stages were not started')
        previous = ['--cfg-options', f'load_from={find_checkpoints(folder)[-1]}']

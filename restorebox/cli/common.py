"""Helpers shared by the commands: error handling and config options."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from restorebox.errors import DISK_ERRORS, ConfigError, RestoreboxError, lost_peer, one_line, out_of_memory, printable
from restorebox.processes import end_process

if TYPE_CHECKING:
    from mmengine.config import Config


def guarded(run: Callable[[], None]) -> None:
    """Run a command; user errors end it with one line and exit code 1, bugs with a traceback."""
    try:
        run()
    except Exception as error:
        line = one_line(error)
        if out_of_memory(error) and 'not enough memory' not in line:
            _fail(f'not enough memory: {line[:300] or type(error).__name__}; close other programs')
        if isinstance(error, RestoreboxError) or lost_peer(error):
            _fail(line)
        if not isinstance(error, OSError) or (error.errno not in DISK_ERRORS and error.filename is None):
            raise
        _fail(f'{error.filename or "standard output, or a file that was written"}: {error.strerror or error}')
    except KeyboardInterrupt as stop:
        print(printable(stop) or 'interrupted', file=sys.stderr)
        end_process(128 + getattr(stop, 'signal', signal.SIGINT))


def _fail(message: str) -> None:
    rank = os.environ.get('RANK')
    print(f'error{f" (rank {rank})" if rank else ""}: {printable(message)}', file=sys.stderr, flush=True)
    end_process(1)


def positive(text: str) -> int:
    """Parse a positive integer, for argparse."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a positive integer')
    return int(text)


def not_negative(text: str) -> int:
    """Parse an integer of 0 or more, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f'{text} is no whole number; it must be 0 or more')
    return int(text)


def options_action() -> type[argparse.Action]:
    """Return MMEngine's action for KEY=VALUE options, with one-line errors for invalid values."""
    from mmengine.config import DictAction

    class Options(DictAction):
        def __call__(self, parser: argparse.ArgumentParser, namespace: object, values: list, option: str = '') -> None:
            for value in values:
                if '=' not in value:
                    parser.error(f'{option} {value}: it must be KEY=VALUE')
                try:
                    super().__call__(parser, namespace, [value], option)
                except (RecursionError, ValueError, AssertionError):
                    parser.error(f"{option} {value}: can't be read; write lists in brackets: [1,2] or [[1,2],[3,4]]")
                merged = {**getattr(self, 'seen', {}), **getattr(namespace, self.dest)}
                self.seen = merged
                setattr(namespace, self.dest, merged)

    return Options


def add_row_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--row``."""
    parser.add_argument('--row', help="a row of the config in its folder's rows.yml, see `restorebox models --all`")


def run_name(config: str, row: str | None) -> str:
    """Return the name of a run, CONFIG or CONFIG_ROW, so that each row has its own folder."""
    return Path(config).stem + (f'_{row}' if row else '')


def add_config_options(parser: argparse.ArgumentParser, work_dir: str = 'work_dirs/CONFIG[_ROW]') -> None:
    """Add the config options; ``work_dir`` describes the default of ``--work-dir`` in the help text."""
    add_row_option(parser)
    text = 'override keys of the config, dotted: train_dataloader.batch_size=4; lists in brackets: a.b=[1,2]'
    parser.add_argument('--cfg-options', nargs='+', action=options_action(), default={}, metavar='KEY=VALUE', help=text)
    parser.add_argument('--data-root', help="folder of the config's data sets: train, val and test together")
    parser.add_argument('--work-dir', help=f'folder for logs and checkpoints (default: {work_dir})')
    ranks = "'pytorch' under torchrun or srun"
    parser.add_argument('--launcher', choices=('none', 'pytorch'), default='none', help=ranks)


def prepare(args: argparse.Namespace) -> Config:
    """Read the config of a command and apply the common options."""
    from restorebox.engine.config import TOP_KEYS, check_top_level, load_config, set_data_root

    if any(key.split('.')[0] == 'custom_imports' for key in args.cfg_options):
        raise ConfigError('--cfg-options custom_imports is read too late to import anything; write it in a config')
    if 'launcher' in args.cfg_options:
        raise ConfigError('--cfg-options launcher has no effect; use the option --launcher')
    cfg = load_config(args.config, args.cfg_options, args.row)
    check_top_level(cfg)
    if args.data_root:
        set_data_root(cfg, args.data_root)
    cfg.launcher = args.launcher
    if args.row and cfg.get('work_dir'):  # the config's work_dir is for the run without a row
        cfg.work_dir = f'{cfg.work_dir}_{args.row}'
    cfg.work_dir = args.work_dir or cfg.get('work_dir') or str(Path('work_dirs') / run_name(args.config, args.row))
    cfg.setdefault('runner_type', 'RestorationRunner')
    cfg.setdefault('default_scope', 'restorebox')
    cfg.overrides = dict(args.cfg_options)  # scores record them
    for name in [key for key in cfg if key not in TOP_KEYS]:
        cfg.pop(name)  # helper variables of config files: the dumped config has only keys that are read
    return cfg

"""Entry point of the console script: ``restorebox COMMAND ...``."""

from __future__ import annotations

import logging
import os
import select
import sys
from collections.abc import Callable
from importlib import import_module

from restorebox.cli.common import guarded
from restorebox.errors import RestoreboxError, tell_of_lost_log
from restorebox.processes import prepare_streams
from restorebox.version import __version__

COMMANDS = {
    'restore': 'restore pictures: files, folders, patterns; any size',
    'web': 'serve a web page that restores uploaded pictures',
    'serve': 'serve restoration by HTTP for other programs',
    'models': 'list the models and their weights',
    'info': 'show information about a model or a weights file',
    'train': 'train a model from a config',
    'train-stages': 'train several configs in sequence, each from the last checkpoint of the previous one',
    'test': 'score a checkpoint on the test set of its config',
    'score': 'score a folder of results in all variants of PSNR and SSIM; find those of a published number',
    'compare': 'compare runs: scores, pictures, training curves and configs',
    'prepare-data': 'check a download of a public data set and arrange it for the configs, or show how to obtain it',
    'check-config': 'check a config by building all its components without data or memory',
    'check-data': 'find unreadable files, wrong pairs, and near-duplicates between training and test',
    'browse-data': 'draw samples of a data set after its pipeline',
    'analyze-information': 'measure how much input information a network preserves, and the gradient of its GAN loss',
    'analyze-convergence': 'fit the stages of a training loss, and measure the balance of a GAN training',
    'analyze-distortions': 'measure correlation and response of the channels of FDR-Net per distortion',
    'sweep': 'train a config over the values of a key or over rows, with seeds, and draw the curves',
    'reproduce': "check the papers' claims: train both sides of each, compare, write docs/claims",
    'publish': 'make a small file for publication from a training checkpoint',
    'export': 'export a model to ONNX, TorchScript or pt2, compared with PyTorch; optional int8',
    'prune': 'remove channels of a model, fine-tune it, and report the loss of quality and the speed-up',
    'convert-weights': 'convert public CycleGAN, CUT, pix2pix, OWAN or heavy-rain weights to a checkpoint',
    'synthesize': 'make a training set of degraded and clean pictures, with a manifest',
    'demo': 'train and score a small model on real photographs, in minutes on a laptop',
}


def command(name: str) -> Callable[[list[str]], None]:
    """Return the function of a command.

    Raises:
        RestoreboxError: there is no such command; the message suggests similar names.
    """
    if name == 'benchmark':
        raise RestoreboxError(
            "restorebox has no command 'benchmark'; benchmarks are scripts of the repository: python "
            'tools/benchmarks/train.py, step.py, data.py or restore.py'
        )
    if name not in COMMANDS:
        from restorebox.registry import nearest  # imports torch, see main

        raise RestoreboxError(f"restorebox has no command '{name}'; {nearest(name, tuple(COMMANDS))}")
    return import_module(f'restorebox.cli.{name.replace("-", "_")}').main


def main(argv: list[str] | None = None) -> None:
    """Run a command; a user error exits with code 1 and one line."""
    # Spinning OpenMP threads take CPU time from other processes: with one busy process on two cores the demo trains at
    # half the speed. The variable is read when torch loads OpenMP, so it is set before torch is imported.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    prepare_streams()
    logging.Handler.handleError = tell_of_lost_log  # type: ignore[assignment, method-assign]
    argv = sys.argv[1:] if argv is None else argv
    try:
        run(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        if not reader_ended():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        sys.exit(128 + 13)  # as of a program that SIGPIPE ends


def run(argv: list[str]) -> None:
    """Run a command with its options, or print the list of commands."""
    if not argv or argv[0] in ('-h', '--help'):
        width = max(map(len, COMMANDS))
        print('usage: restorebox COMMAND ... (restorebox COMMAND --help says more)\n')
        print('\n'.join(f'  {name:<{width}}  {text}' for name, text in COMMANDS.items()))
    elif argv[0] in ('-V', '--version'):
        print(f'restorebox {__version__}')
    else:
        guarded(lambda: command(argv[0])(argv[1:]))


def reader_ended() -> bool:
    """Return whether standard output is a pipe whose reader has ended, as in ``restorebox models | head``."""
    poll = getattr(select, 'poll', None)
    if poll is None:  # Windows
        return True
    waiting = poll()
    waiting.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in waiting.poll(0))

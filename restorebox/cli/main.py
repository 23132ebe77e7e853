"""``restorebox VERB ...``: the tools without a clone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module

from restorebox.cli.common import guarded
from restorebox.errors import RestoreboxError
from restorebox.version import __version__

VERBS = {
    'restore': 'restore pictures: files, folders, patterns; any size',
    'web': 'serve a page: drop a picture, see it before and after, download it',
    'models': 'list the models by name, and which have weights',
    'info': 'say what is known about a model or a file of weights',
    'train': 'train a model from a config',
    'train-stages': 'train several configs in a row, each from the last checkpoint of the one before',
    'test': 'score a checkpoint on the test set of its config',
    'prepare-data': 'check a download of a public data set and lay it out, or say how to obtain it',
    'check-config': 'build everything a config names without data or memory, and name what is wrong',
    'check-data': 'look for unreadable files, wrong pairs, near-duplicates between training and test',
    'browse-data': 'draw what the network will see, as training hands it over',
    'analyze-information': 'measure how much of its input a network carries, and what gradient its GAN loss has left',
    'analyze-distortions': 'measure what FDR-Net makes of each distortion: correlation and response of its channels',
    'reproduce': "check the papers' claims: train both sides of each, compare, write docs/claims",
    'publish': 'make a small file to hand on from a training checkpoint',
    'export': 'make an ONNX, TorchScript or pt2 file of a model, checked against it; int8 where wanted',
    'prune': 'take channels out of a model, train it a little, and say what that cost and gained',
    'convert-weights': 'make a checkpoint from public CycleGAN, CUT, pix2pix, OWAN or heavy-rain weights',
    'synthesize': 'make a training set: degraded pictures from clean ones, with a manifest',
    'demo': 'train and score a small model on real photographs, in minutes on a laptop',
}


def verb(name: str) -> Callable[[list[str]], None]:
    """The function behind a verb.

    Raises:
        RestoreboxError: there is no such verb; names the nearest.
    """
    if name == 'benchmark':
        raise RestoreboxError(
            "restorebox has no verb 'benchmark'; benchmarks are scripts of the repository: python "
            'tools/benchmarks/train.py, step.py, data.py or restore.py'
        )
    if name not in VERBS:
        from restorebox.registry import nearest  # imports torch, see main

        raise RestoreboxError(f"restorebox has no verb '{name}'; {nearest(name, tuple(VERBS))}")
    return import_module(f'restorebox.cli.{name.replace("-", "_")}').main


def main(argv: list[str] | None = None) -> None:
    """Run a verb. Exits with 1 and one line on a user's mistake."""
    # OpenMP threads that spin while they wait take the core from whoever has work: with one busy neighbour on two cores
    # the demo trains at half the speed. Read when torch loads OpenMP, so it is set before anything imports torch.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    for stream in (sys.stdout, sys.stderr):  # a name or a terminal's encoding must not end a run
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] in ('-h', '--help'):
        width = max(map(len, VERBS))
        print('usage: restorebox VERB ... (restorebox VERB --help says more)\n')
        print('\n'.join(f'  {name:<{width}}  {text}' for name, text in VERBS.items()))
        return
    if argv[0] in ('-V', '--version'):
        print(f'restorebox {__version__}')
        return
    guarded(lambda: verb(argv[0])(argv[1:]))

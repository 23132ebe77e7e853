"""Measure NAFNet and Restormer against references with the same weights: processor seconds in turn, and their ratio.

    python docs/studies/network_speed.py [--pairs 15]

The reference of NAFNet (width 32, layout of the authors' GoPro model) is spandrel's module. spandrel has Restormer only
in its package of restrictive licences, so its reference is the function of tests/twins.py, written from the equations.
Prints and writes docs/results/network_speed.json. The seconds are
those of one machine, on one thread; the ratio is ours / reference, with the interval of its median.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from restorebox.cli.common import guarded  # noqa: E402
from restorebox.engine.conversion_networks import convert_by_rules  # noqa: E402
from restorebox.engine.measuring import compare_pairs  # noqa: E402
from restorebox.restorers import Network  # noqa: E402
from tests import twins  # noqa: E402

OUT = REPO / 'docs' / 'results' / 'network_speed.json'
Run = Callable[[Tensor], Tensor]


def nafnet() -> tuple[nn.Module, nn.Module, Run]:
    """Return our NAFNet, and the module and the function of the reference with the same weights."""
    from spandrel.architectures.NAFNet import NAFNet

    theirs = NAFNet(width=32, enc_blk_nums=[1, 1, 1, 28], middle_blk_num=1, dec_blk_nums=[1, 1, 1, 1])
    head = dict(type='PictureHead', residual=True, activation=False)
    ours = Network(dict(type='NAFNet'), head, channels_last=True)
    state = twins.drawn({name: tuple(value.shape) for name, value in theirs.state_dict().items()})
    state = {name: value * 0.1 if name.endswith(('beta', 'gamma')) else value for name, value in state.items()}
    theirs.load_state_dict(state)
    ours.load_state_dict(convert_by_rules(state, ours, 'nafnet'))
    return ours, theirs, theirs


def restormer() -> tuple[nn.Module, nn.Module, Run]:
    """As :func:`nafnet`."""
    state = twins.drawn(twins.restormer_shapes())
    head = dict(type='PictureHead', residual=True, activation=False, bias=False)
    ours = Network(dict(type='Restormer'), head)
    ours.load_state_dict(convert_by_rules(state, ours, 'restormer'))
    values = {name: nn.Parameter(value) for name, value in state.items()}
    module = nn.ParameterList(values.values())
    return ours, module, lambda x: twins.restormer(values, x)


def seconds(run: Run, module: nn.Module, x: Tensor, train: bool) -> float:
    """Return the processor seconds of one pass; with ``train`` forward and backward to all weights."""
    module.zero_grad(set_to_none=True)
    start = time.process_time()
    with torch.set_grad_enabled(train):
        y = run(x)
        if train:
            y.square().mean().backward()
    return time.process_time() - start


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pairs', type=int, default=15)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict = {'torch': torch.__version__, 'threads': 1, 'pairs': args.pairs}
    for name, build, side in (('nafnet', nafnet, 128), ('restormer', restormer, 64)):
        ours, module, reference = build()

        def own(x: Tensor, network: nn.Module = ours) -> Tensor:
            return network(x)['picture']

        x = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0))
        entry = {'pixels': f'{side}x{side}', 'weights': sum(p.numel() for p in ours.parameters())}
        with torch.no_grad():
            expected = reference(x)
            entry['largest_difference'] = float((own(x) - expected).abs().max() / expected.abs().max())
        for mode, train in (('forward', False), ('forward_backward', True)):
            ours.train(train)
            module.train(train)
            seconds(own, ours, x, train), seconds(reference, module, x, train)  # warm up
            took = [(seconds(reference, module, x, train), seconds(own, ours, x, train)) for _ in range(args.pairs)]
            entry[mode] = compare_pairs(took)  # reference, ours
        entry['load_average'] = round(os.getloadavg()[0], 2)
        result[name] = entry
    OUT.write_text(json.dumps(result, indent=2) + '\n')
    print(json.dumps(result, indent=2))


if __name__ == '__main__':
    guarded(main)

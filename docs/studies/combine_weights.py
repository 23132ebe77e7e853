"""Average the weights of several checkpoints, or load the weights of one checkpoint into a deeper network.

    python docs/studies/combine_weights.py CONFIG OUT CHECKPOINT[=SHARE] [CHECKPOINT[=SHARE] ...]

The network is that of CONFIG, initialised with seed 0. Weights that a checkpoint lacks keep their initial value. The
last convolution of a new residual block is zero initially, so that a deeper network first computes the same as the
shallower one. SHARE is the weight of a checkpoint in the average; the default is equal shares. OUT (.pth) can be used
for inference, publishing or further training. It records the training cost of the last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence

import torch

from restorebox.cli.common import guarded
from restorebox.engine.checkpoint import deployed_state, load_file, save_file
from restorebox.engine.config import load_config
from restorebox.errors import CheckpointError
from restorebox.registry import RESTORERS


def combined(
    built: dict[str, torch.Tensor], states: Sequence[dict[str, torch.Tensor]], shares: Sequence[float]
) -> dict[str, torch.Tensor]:
    """Return the weighted mean of ``states``, each completed by the weights of ``built``; ``shares`` sum to 1.

    Raises:
        CheckpointError: weights that ``built`` lacks or has in another shape.
    """
    for state in states:
        odd = [key for key, value in state.items() if key not in built or built[key].shape != value.shape]
        if odd:
            raise CheckpointError(f"{len(odd)} weights don't fit the config's network, {odd[0]} first")
    filled = [{**built, **state} for state in states]
    return {
        key: sum(share * state[key].double() for share, state in zip(shares, filled, strict=True)).to(value.dtype)
        for key, value in built.items()
    }


def main() -> None:
    """Combine the weights and write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('out')
    parser.add_argument('checkpoints', nargs='+', metavar='CHECKPOINT[=SHARE]')
    args = parser.parse_args()
    named = [text.partition('=')[::2] for text in args.checkpoints]
    shares = [float(share) if share else 1 / len(named) for _, share in named]
    if not math.isclose(sum(shares), 1):
        parser.error(f'shares sum to {sum(shares):g}; they must sum to 1')
    checkpoints = [load_file(path) for path, _ in named]
    cfg = load_config(args.config)
    torch.manual_seed(0)
    restorer = RESTORERS.build(cfg.model)
    state = combined(restorer.state_dict(), [deployed_state(each) for each in checkpoints], shares)
    meta = {'cfg_json': json.dumps(cfg.to_dict(), default=str), 'compute': checkpoints[-1]['meta'].get('compute')}
    save_file({'meta': meta, 'state_dict': state}, args.out)
    print(f'{args.out}: {sum(value.numel() for value in state.values()):,} weights of {len(named)} checkpoints')


if __name__ == '__main__':
    guarded(main)

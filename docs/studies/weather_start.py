"""Make the initial weights of the included model's version 2 from the weights of version 1.

    python docs/studies/weather_start.py --data-root FOLDER --out FILE.pth [--samples 400]

The network of ``weather2.py`` contains that of ``weather.py`` and computes the same at first, with one exception: its
channel attention estimates the means of features from statistics of the whole image, so that tiles of a large image
agree. The estimate is a linear function of the embedding of these statistics. It is fitted by ridge regression to the
means that version 1 computes on training samples, with the embedding as it was initialised (seed 0). Training improves
it further.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from restorebox.cli.common import guarded
from restorebox.datasets.keys import SampleKey
from restorebox.engine.checkpoint import save_file
from restorebox.engine.config import load_config, set_data_root
from restorebox.engine.published import load_restorer
from restorebox.files import configs_dir
from restorebox.layers.disentangle import ChannelAttention
from restorebox.registry import DATASETS, RESTORERS

DEEPEST = 'generator.backbone.process.'  # FDR blocks of version 1 are the third encoder level of version 2
THIRD = 'generator.backbone.before.2.'
NEW_LEVEL = 'generator.backbone.up.2.'  # zero: the new level adds nothing at first
RIDGE = 1e-3


def transferred(old: dict[str, Tensor], new: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy the weights of version 1 into those of version 2.

    A tensor with more channels keeps the old one at the lowest indices; weights from new to old channels are zero.

    Raises:
        KeyError: version 2 lacks a weight of version 1.
    """
    state = {key: value.clone() for key, value in new.items()}
    for key, value in old.items():
        key = key.replace(DEEPEST, THIRD)
        target = state[key]
        target[: value.shape[0]] = 0
        target[tuple(slice(0, side) for side in value.shape)] = value
    for key in state:
        if key.startswith(NEW_LEVEL):
            state[key].zero_()
    return state


def attentions(module: nn.Module) -> list[ChannelAttention]:
    """Channel attention layers in the order of computation."""
    return [each for each in module.modules() if isinstance(each, ChannelAttention)]


def fit(old: nn.Module, new: nn.Module, samples: list[dict]) -> list[float]:
    """Fit the estimated means of ``new`` to the means in ``old``; return the explained variance of each layer."""
    means: list[list[Tensor]] = [[] for _ in attentions(old)]
    hooks = [
        layer.register_forward_pre_hook(lambda _, given, store=store: store.append(given[0].mean((-2, -1))))
        for layer, store in zip(attentions(old), means, strict=True)
    ]
    embeddings = []
    with torch.no_grad():
        for each in samples:
            lq, scene = each['inputs']['lq'][None] / 255, each['inputs']['scene'][None]
            old(lq)
            embeddings.append(new.backbone.scene(scene).flatten(1))
    for hook in hooks:
        hook.remove()
    x = torch.cat(embeddings).double()
    x = torch.cat((x, torch.ones(len(x), 1)), 1)
    explained = []
    for layer, store in zip(attentions(new), means, strict=False):
        y = torch.cat(store).double()
        penalty = RIDGE * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
        penalty[-1, -1] = 0
        solution = torch.linalg.solve(x.T @ x + penalty, x.T @ y)
        explained.append(float(1 - (y - x @ solution).square().sum() / (y - y.mean(0)).square().sum()))
        with torch.no_grad():
            layer.estimated.weight.copy_(solution[:-1].T[..., None, None])
            layer.estimated.bias.copy_(solution[-1])
    return explained


def main() -> None:
    """Transfer, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True, help='folder with {train,test}/gt, see weather_data.py')
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--samples', type=int, default=400)
    args = parser.parse_args()
    cfg = load_config('fdrnet/weather2.py')
    set_data_root(cfg, args.data_root)
    old = load_restorer(str(configs_dir() / 'fdrnet/weather.safetensors'))
    torch.manual_seed(0)
    new = RESTORERS.build(cfg.model).eval()
    new.load_state_dict(transferred(old.state_dict(), new.state_dict()))
    data = DATASETS.build(dict(cfg.train_dataloader.dataset, seed=0))
    samples = [data[SampleKey(i % len(data), position=i)] for i in range(args.samples)]
    explained = fit(old.generator, new.generator, samples)
    save_file({'meta': {'cfg_json': json.dumps(cfg.to_dict(), default=str)}, 'state_dict': new.state_dict()}, args.out)
    print(f'{args.out}: explained variance of the means {", ".join(f"{each:.2f}" for each in explained)}')


if __name__ == '__main__':
    guarded(main)

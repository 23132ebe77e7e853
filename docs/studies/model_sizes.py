"""Count the weights and the multiplications of every model of the zoo; writes docs/results/models.json.

    python docs/studies/model_sizes.py

Networks are built on the meta device, so this takes a minute and no memory for weights. The page of the model zoo
(docs/models.md) reads the result.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from restorebox.cli.common import guarded
from restorebox.engine.config import load_config
from restorebox.files import replacing
from restorebox.inference import known_models
from restorebox.registry import RESTORERS

OUT = Path(__file__).resolve().parents[1] / 'results' / 'models.json'
SIDE = 256  # pixels of the square picture


def measure(config: str) -> dict:
    """Return the sizes of one config's model.

    Args:
        config: path of the config, beginning with ``configs/``.

    Returns:
        ``weights``: network of inference -> number of its weights; ``gmac``: 10^9 multiply-add operations of
        convolutions, matrix products and attention to restore a picture of 256x256, with all steps of a sampler;
        ``samples``: length of the training.
    """
    cfg = load_config(config)
    with torch.device('meta'):
        restorer = RESTORERS.build(cfg.model).eval()
    weights = {role: sum(p.numel() for p in restorer.role(role).parameters()) for role in restorer.deployed}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        restorer.restore(torch.zeros(1, 3, SIDE, SIDE, device='meta'))
    gmac = round(counter.get_total_flops() / 2e9, 3)
    return {'weights': weights, 'gmac': gmac, 'samples': cfg.train_cfg.max_samples}


def main() -> None:
    """Measure all models and write the result."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    models = {name: measure(entry.config) for name, entry in sorted(known_models().items())}
    with replacing(OUT) as beside:
        beside.write_text(json.dumps({'side': SIDE, 'models': models}, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)

"""State of a rank as plain values, so that a resumed run draws what an uninterrupted one would have drawn."""

from __future__ import annotations

import random

import numpy as np
import torch
from mmengine.dist import get_world_size, is_distributed, is_main_process


def get_random_state() -> dict:
    """State of the generators that layers such as dropout draw from: torch (CPU, this rank's GPU), numpy, Python."""
    name, keys, position, has_gauss, cached = np.random.get_state()
    return {
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        'numpy': (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        'python': random.getstate(),
    }


def set_random_state(state: dict) -> None:
    """Undo of :func:`get_random_state`; takes states that went through a checkpoint on any device."""
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())
    name, keys, position, has_gauss, cached = state['numpy']
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))


def gather_on_first(state: dict) -> list[dict] | None:
    """Each rank's own on the first rank, None on the others: image pools are too large to hand to all."""
    if not is_distributed():
        return [state]
    gathered = [None] * get_world_size() if is_main_process() else None
    torch.distributed.gather_object(state, gathered)
    return gathered

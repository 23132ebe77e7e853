"""Random state of a rank as plain values, for an exact resume."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size, is_distributed, is_main_process

from restorebox.errors import CheckpointError


def get_random_state() -> dict:
    """Return the states of the global generators: torch (CPU, this rank's GPU), numpy, Python."""
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert not isinstance(keys, str)  # the legacy form is a tuple of name, array and numbers
    return {
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        'numpy': (name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        'python': random.getstate(),
    }


def set_random_state(state: dict) -> None:
    """Restore the states of :func:`get_random_state`, which may have been loaded onto any device.

    Raises:
        CheckpointError: they are no such states.
    """
    try:
        torch.set_rng_state(state['torch'].cpu())
        if state['cuda'] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(state['cuda'].cpu())
        name, keys, position, has_gauss, cached = state['numpy']
        np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
        version, internal, gauss = state['python']
        random.setstate((version, tuple(internal), gauss))
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        reason = f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
        raise CheckpointError(f"the random states of the checkpoint that is resumed can't be used: {reason}") from error


def gather_on_first(state: dict) -> list[dict] | None:
    """Gather the state of each rank on the first rank; None on the others, since image pools are large."""
    if not is_distributed():
        return [state]
    gathered: list[Any] | None = [None] * get_world_size() if is_main_process() else None
    torch.distributed.gather_object(state, gathered)
    return gathered

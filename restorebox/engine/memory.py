"""Estimate of the memory that a training on a CPU needs, compared with the free memory before the first step."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from torch import Tensor

from restorebox.engine.config import log_level
from restorebox.engine.recompute import recompute
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs, training_inputs

GIB = 2**30
PARTS = (8, 4)  # the two trial crops are these fractions of the training crop
SMALL = 128 * 128  # pixels of a crop below which no estimate is needed
OPTIMISER = 2  # numbers per trained weight, as in Adam
WORKSPACE = 1.15  # the backward pass allocates gradients of activations, and the allocator keeps freed blocks


def free_memory() -> int | None:
    """Return the bytes that new processes may use: of the machine or of the control group; None if unknown."""
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
        found = [next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:'))]
    except (OSError, StopIteration, ValueError):
        return None
    try:
        group = Path('/sys/fs/cgroup')
        limit = (group / 'memory.max').read_text().strip()
        if limit != 'max':
            # of the memory in use, the cache of files can be reclaimed
            facts = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines())
            used = int((group / 'memory.current').read_text()) - int(facts.get('inactive_file', 0))
            found.append(max(int(limit) - used, 0))
    except (OSError, ValueError):
        pass
    return min(found)


def activation_bytes(restorer: BaseRestorer, inputs: Inputs) -> int:
    """Run the passes of one iteration and count what autograd stores for the backward pass."""
    weights = {p.untyped_storage().data_ptr() for p in restorer.parameters()}
    stored: dict[int, Tensor] = {}  # holding the tensors keeps their addresses unique

    def count(x: Tensor) -> Tensor:
        stored[x.untyped_storage().data_ptr()] = x
        return x

    with torch.autograd.graph.saved_tensors_hooks(count, lambda x: x):
        prepared = restorer.prepare(inputs)
        for step, roles in restorer.steps.items():
            with restorer.updating(roles):
                restorer.losses(step, inputs, prepared)
    return sum(x.untyped_storage().nbytes() for address, x in stored.items() if address not in weights)


def training_bytes(restorer: BaseRestorer, model: dict, batch: dict, patterns: Any = None) -> int | None:
    """Estimate the memory of one training process, without that of the interpreter and of the weights.

    A restorer with random weights runs on the middle of the batch's pictures at two small sizes. The memory of
    activations is extrapolated linearly in the number of pixels. The training's random numbers are not used.

    Args:
        restorer: the restorer to be trained; only its requirements are read.
        model: its config.
        batch: a batch of the data loader.
        patterns: ``activation_checkpointing`` of the config.

    Returns:
        Bytes; None for pictures that are too small to be cut, whose training needs little.
    """
    inputs = training_inputs(restorer, batch)
    full = tuple(next(iter(inputs.values())).shape[-2:])
    stride = restorer.needs.stride
    least = -(-restorer.smallest_crop // stride) * stride
    sizes = [tuple(max(side // part // stride * stride, least) for side in full) for part in PARTS]
    if full[0] * full[1] < SMALL or sizes[0] == sizes[1] or any(2 * a > b for a, b in zip(sizes[1], full, strict=True)):
        return None
    with (
        DefaultScope.overwrite_default_scope('restorebox'),
        torch.random.fork_rng(devices=[]),
        log_level(logging.ERROR),  # the run logs the warnings of its own restorer
    ):
        trial = RESTORERS.build(dict(model)).train()
        if patterns:
            recompute(trial, patterns)
        small, large = (activation_bytes(trial, _middle(inputs, full, size)) for size in sizes)
    areas = [rows * columns for rows, columns in sizes]
    slope = (large - small) / (areas[1] - areas[0])
    activations = small + slope * (full[0] * full[1] - areas[0])
    trained = {name for roles in trial.steps.values() for name in roles}
    weights = sum(p.nbytes for name in trained for p in trial.role(name).parameters() if p.requires_grad)
    return int(WORKSPACE * activations + (1 + OPTIMISER) * weights)


def _middle(inputs: Inputs, full: tuple[int, ...], size: tuple[int, ...]) -> Inputs:
    """Cut pictures of the full size; other inputs, such as statistics, stay as they are."""
    top, left = (full[0] - size[0]) // 2, (full[1] - size[1]) // 2
    return {
        role: x[..., top : top + size[0], left : left + size[1]] if tuple(x.shape[-2:]) == full else x
        for role, x in inputs.items()
    }


def memory_line(restorer: BaseRestorer, model: dict, batch: dict, patterns: Any, ranks: int) -> tuple[str, bool] | None:
    """Return a line on needed and free memory, and whether it is short; None if either is unknown.

    Args:
        restorer: see :func:`training_bytes`, as are ``model``, ``batch`` and ``patterns``.
        ranks: ranks on this machine.
    """
    free = free_memory()
    need = None if free is None else training_bytes(restorer, model, batch, patterns)
    if free is None or need is None:
        return None
    line = (
        f'memory: training needs about {ranks * need / GIB:.1f} GiB more ({ranks} rank(s)), {free / GIB:.1f} are free'
    )
    if ranks * need <= free:
        return line, False
    how = '' if patterns else ', activation_checkpointing'
    return f'{line}: the kernel may kill it; use fewer ranks, a smaller crop or batch{how}', True

"""Inputs of a training step: selection of candidates and checks."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from restorebox.errors import ConfigError

Inputs = dict[str, Tensor]  # of a training step
Batch = dict[str, Tensor | list[Tensor]]  # of the preprocessor: lists where sizes differ


def training_inputs(restorer: Any, batch: dict) -> Inputs:
    """Preprocess and check a batch of the data loader for a training step.

    Raises:
        ConfigError: see :func:`check_training_inputs`.
    """
    inputs = take_hardest(restorer, restorer.data_preprocessor(batch, True)['inputs'])
    check_training_inputs(restorer, inputs)
    return cast(Inputs, inputs)  # the check refuses lists


def check_training_inputs(restorer: Any, inputs: Batch) -> None:
    """Check roles and sizes before a network fails on them.

    Raises:
        ConfigError: a role is missing, or sizes differ within it or do not fit the networks.
    """
    stride, smallest = restorer.needs.stride, restorer.smallest_crop
    sizes = {}
    for role in (*restorer.picture_roles, *(role for role in restorer.optional_roles if role in inputs)):
        if role not in inputs:
            raise ConfigError(
                f'train_dataloader: the pipeline gives {", ".join(inputs) or "nothing"}, but {type(restorer).__name__} '
                f"needs '{role}'; add its folder, or a Degrade that makes it"
            )
        pictures = inputs[role]
        if isinstance(pictures, list):
            raise ConfigError(
                f"train_dataloader: pictures of '{role}' in one batch differ in size; add RandomWindow to the "
                'pipeline or use batch_size=1'
            )
        height, width = pictures.shape[-2:]
        if height % stride or width % stride:
            raise ConfigError(
                f"train_dataloader: '{role}' is {height}x{width} (height x width), the networks need multiples of "
                f'{stride}; set RandomWindow to one'
            )
        if min(height, width) < smallest:
            raise ConfigError(
                f"train_dataloader: '{role}' is {height}x{width} (height x width), the networks that are trained need "
                f'at least {smallest}; set RandomWindow to more'
            )
        sizes[role] = f'{height}x{width}'
    if len(set(sizes.values())) > 1:
        each = ', '.join(f"'{role}' {size}" for role, size in sizes.items())
        raise ConfigError(
            f'train_dataloader: pictures of one batch differ in size (height x width): {each}; set RandomWindow, for '
            'all roles'
        )


@torch.no_grad()
def take_hardest(restorer: Any, inputs: Batch) -> Batch:
    """Select, of several degradations of each picture, the one with the largest restoration error.

    The error is the mean absolute error against ``gt`` per picture, in evaluation mode. Inputs without candidates are
    returned unchanged.

    Args:
        restorer: the restorer in its present state of training.
        inputs: ``lq`` and layers ``(N, K, C, H, W)`` of K candidates, the others ``(N, C, H, W)``, all in [0, 1].

    Returns:
        All ``(N, C, H, W)``.

    Raises:
        ConfigError: candidates without clean pictures, or a method that does not train on them.
    """
    several = [role for role, x in inputs.items() if isinstance(x, Tensor) and x.dim() == 5]
    if not several:
        return inputs
    if 'gt' not in restorer.picture_roles or 'lq' not in several:
        raise ConfigError(
            f'train_dataloader: Degrade with candidates needs lq and a method that trains on gt; '
            f'{type(restorer).__name__} trains on {", ".join(restorer.picture_roles)}; set candidates=1'
        )
    lq, gt = cast(Inputs, inputs)['lq'], cast(Inputs, inputs)['gt']
    training = restorer.training
    restorer.eval()  # disables dropout, and updates of batch norm statistics
    errors = [(restorer.restore(lq[:, k])['pred'] - gt).abs().flatten(1).mean(1) for k in range(lq.shape[1])]
    restorer.train(training)
    worst = torch.stack(errors, 1).argmax(1)
    rows = torch.arange(len(worst), device=worst.device)
    return {role: x[rows, worst] if isinstance(x, Tensor) and role in several else x for role, x in inputs.items()}

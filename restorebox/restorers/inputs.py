"""What a training step is given."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from restorebox.errors import ConfigError

Inputs = dict[str, Tensor | list[Tensor]]


def check_training_inputs(restorer: Any, inputs: Inputs) -> None:
    """Say what is wrong with the pipeline before a network fails on it.

    Raises:
        ConfigError: a role is absent, sizes within it differ, or don't fit the networks.
    """
    stride = restorer.needs.stride
    networks = [restorer.role(name) for roles in restorer.steps.values() for name in roles]
    smallest = max(network.needs.min_size for network in networks if hasattr(network, 'needs'))
    for role in restorer.picture_roles:
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

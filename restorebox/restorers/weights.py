"""Names of weights, and the check whether weights fit networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from restorebox.errors import CheckpointError


def without_wrapper(network: nn.Module) -> nn.Module:
    """Return the network that DDP wraps, or the network itself."""
    return network.module if isinstance(network, DistributedDataParallel) else network


def fitting_weights(networks: dict[str, nn.Module], state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return each network's part of a state dict, after checking every weight.

    Args:
        networks: role -> network, which may be on the meta device.
        state: weights with the role and a dot as prefix. Those of other roles are ignored.

    Returns:
        role -> name within the network -> weight.

    Raises:
        CheckpointError: weights are missing, unknown, of another shape or kind, NaN or infinite.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    other: list[str] = []
    odd: list[str] = []
    for role, network in networks.items():
        prefix = role + '.'
        part = parts[role] = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
        own = network.state_dict()
        other += [f'{prefix}{key} is missing' for key in own if key not in part]
        other += [f'{prefix}{key} is not in the model' for key in part if key not in own]
        for key in (key for key in own if key in part):
            value = part[key]
            if value.shape != own[key].shape:
                other.append(f'{prefix}{key} is {tuple(value.shape)}, the model has {tuple(own[key].shape)}')
            elif fault := number_fault(value, own[key]):
                odd.append(f'{prefix}{key} holds {fault}')
    if other:
        raise CheckpointError(f'it is of another model: {_first(other)}')
    if odd:
        raise CheckpointError(_first(odd))
    return parts


def _first(lines: list[str]) -> str:
    more = f' and {len(lines) - 3} more' if len(lines) > 3 else ''
    return '; '.join(lines[:3]) + more


def number_fault(value: Tensor, own: Tensor) -> str | None:
    """Return why the values of a weight are invalid; None if they are valid."""
    if value.is_floating_point() != own.is_floating_point() or value.is_complex() != own.is_complex():
        return f'numbers of kind {str(value.dtype).removeprefix("torch.")}, not {str(own.dtype).removeprefix("torch.")}'
    if not torch.isfinite(value.float() if value.element_size() == 1 else value).all():
        return 'NaN or infinite numbers'
    return None


def names_without_wrappers(module: nn.Module, state: dict, prefix: str, _metadata: dict) -> None:
    """Remove DDP prefixes from the names of weights, so that a checkpoint of several ranks loads on one."""
    for name, child in module.named_children():
        if isinstance(child, DistributedDataParallel):
            wrapped = f'{prefix}{name}.module.'
            for key in [key for key in state if key.startswith(wrapped)]:
                state[f'{prefix}{name}.{key[len(wrapped) :]}'] = state.pop(key)

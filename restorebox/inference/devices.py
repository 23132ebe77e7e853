"""Choice of the computing device for inference."""

from __future__ import annotations

import os

import torch

from restorebox.errors import ConfigError

KINDS = ('cuda', 'xpu', 'mps', 'cpu')  # in the order of preference; AMD's GPUs are 'cuda' in PyTorch


def device_count(kind: str) -> int:
    """Return how many devices of a kind there are: NVIDIA or AMD GPUs, Intel GPUs (xpu), Apple's GPU (mps), or CPU."""
    if kind == 'cpu':
        return 1
    if kind == 'mps':
        return int(torch.backends.mps.is_available())
    module = torch.cuda if kind == 'cuda' else torch.xpu
    return module.device_count() if module.is_available() else 0


def default_device() -> torch.device:
    """Return a GPU if there is one, otherwise the CPU; of several GPUs under torchrun the one of this rank."""
    kind = next(kind for kind in KINDS if device_count(kind))
    if kind not in ('cuda', 'xpu'):
        return torch.device(kind)
    return torch.device(kind, int(os.environ.get('LOCAL_RANK', 0)) % device_count(kind))


def find_device(device: str | torch.device | None) -> torch.device:
    """Return a device that exists.

    Args:
        device: such as ``'cuda:1'``; None for :func:`default_device`.

    Raises:
        ConfigError: there is no such device; the message says which there are.
    """
    if device is None:
        return default_device()
    kind, _, index = str(device).partition(':')
    there = [f'{each}:{i}' for each in ('cuda', 'xpu') for i in range(device_count(each))]
    there += [each for each in ('mps', 'cpu') if device_count(each)]
    if kind not in KINDS:
        raise ConfigError(f"device '{device}': is not one of {', '.join(KINDS)}; here are: {', '.join(there)}")
    if (index or ':' in str(device)) and not (index.isascii() and index.isdigit() and int(index) < device_count(kind)):
        raise ConfigError(f"device '{device}': no such device; here are: {', '.join(there)}")
    if not device_count(kind):
        raise ConfigError(f"device '{device}': PyTorch finds none on this machine; here are: {', '.join(there)}")
    found = torch.device(str(device))
    try:
        torch.empty(0, device=found)
    except RuntimeError as error:  # such as a GPU that another program holds alone
        raise ConfigError(f"device '{device}': {str(error).splitlines()[0]}; 'cpu' is always there") from None
    return found

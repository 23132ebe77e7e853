"""Distributed training of a restorer: each role is wrapped by DDP separately."""

from __future__ import annotations

import logging
import os
from typing import Any

import torch
from mmengine.model import MMSeparateDistributedDataParallel, convert_sync_batchnorm
from torch import nn

from restorebox.errors import ConfigError


def wrap_roles(
    model: nn.Module, sync_bn: str | None, find_unused_parameters: bool, logger: logging.Logger
) -> MMSeparateDistributedDataParallel:
    """Wrap each role, on this rank's GPU or on the CPU.

    Args:
        model: a restorer.
        sync_bn: ``'torch'`` synchronises the statistics of batch norm between GPUs.
        find_unused_parameters: for roles of which a step uses only a part.
        logger: receives a warning about unsynchronised batch norm.

    Raises:
        ConfigError: ``sync_bn`` without a GPU.
    """
    has_bn = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    kwargs: dict[str, Any] = {'find_unused_parameters': find_unused_parameters}
    if torch.cuda.is_available():
        device = int(os.environ['LOCAL_RANK'])
        model = model.to(torch.device('cuda', device))
        kwargs['device_ids'] = [device]
        if sync_bn:
            model = convert_sync_batchnorm(model, sync_bn)
    elif sync_bn and has_bn:
        raise ConfigError(
            "sync_bn: batch norm can't be synchronised between ranks on a CPU; use norm='instance', one rank or GPUs"
        )
    if has_bn and not sync_bn:
        logger.warning("batch norm uses each rank's own batch: set sync_bn='torch' to synchronise its statistics")
    # buffers are not broadcast: with unequal numbers of test pictures the other ranks would wait for ever
    return MMSeparateDistributedDataParallel(model, broadcast_buffers=False, **kwargs)

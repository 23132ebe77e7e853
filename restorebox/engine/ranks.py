"""Distributed training of a restorer: each role is wrapped by DDP separately."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import is_distributed
from mmengine.model import MMSeparateDistributedDataParallel, convert_sync_batchnorm
from torch import nn

from restorebox.errors import ConfigError

OPTIONS = ('find_unused_parameters', 'gradient_as_bucket_view', 'static_graph')  # of DDP, top-level keys of a config


def join_cpu_ranks(distributed: bool) -> None:
    """Check the number of ranks, and join them through gloo where there is no GPU; MMEngine joins those on GPUs.

    Raises:
        ConfigError: more ranks on this machine than GPUs, or ranks without a launcher.
    """
    if not distributed or is_distributed():
        return
    if 'RANK' not in os.environ:
        raise ConfigError('--launcher pytorch: start it through torchrun (tools/dist_train.sh) or srun')
    gpus, rank = torch.cuda.device_count(), int(os.environ.get('LOCAL_RANK', 0))
    if gpus and rank >= gpus:
        raise ConfigError(f'{rank + 1} or more ranks on this machine, but it has {gpus} GPU(s)')
    if not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo')


def wrap_roles(model: nn.Module, cfg: Mapping[str, Any], logger: logging.Logger) -> MMSeparateDistributedDataParallel:
    """Wrap each role, on this rank's GPU or on the CPU.

    Args:
        model: a restorer.
        cfg: the run's config, of which it reads ``sync_bn`` (``'torch'`` synchronises the statistics of batch norm
            between GPUs) and the options of DDP: ``find_unused_parameters`` for roles of which a step uses only a part,
            ``gradient_as_bucket_view`` to save the memory of a copy of the gradients, ``static_graph`` for a method
            with one step, whose every pass uses the same weights.
        logger: receives a warning about unsynchronised batch norm.

    Raises:
        ConfigError: ``sync_bn`` without a GPU, or ``static_graph`` with several steps.
    """
    has_bn = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    kwargs: dict[str, Any] = {name: cfg.get(name, False) for name in OPTIONS}
    sync_bn = cfg.get('sync_bn')
    steps = getattr(model, 'steps', {})
    if kwargs['static_graph'] and len(steps) > 1:
        raise ConfigError(
            f'static_graph=True: {type(model).__name__} has the steps {", ".join(steps)}, each of which freezes the '
            'networks of the others, so the graph is not the same in each pass; leave it out'
        )
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

"""What a checkpoint says about the run that made it, and whether another run may go on from it."""

from __future__ import annotations

import json
import time
from typing import Any

import mmengine
import torch
from mmengine.optim import OptimWrapperDict

from restorebox.engine.config import leaves
from restorebox.engine.optim import AutocastOptimWrapper
from restorebox.engine.resumed import check_optimiser
from restorebox.errors import CheckpointError, printable
from restorebox.untrusted import read_json
from restorebox.version import __version__

# parts of a model's config that don't change what the deployed networks compute from their weights
TRAINING_ONLY = ('losses', 'feature_losses', 'statistics_window', 'data_preprocessor', 'sampling')


def precision(runner: Any) -> str:
    """``'bf16'`` or ``'fp32'``, of the forward passes."""
    wrapper = runner.optim_wrapper
    each = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    device = next(runner.model.parameters()).device
    return 'bf16' if any(isinstance(w, AutocastOptimWrapper) and w.reduces(device) for w in each) else 'fp32'


def compute(runner: Any, meta: dict) -> dict:
    """What a training has cost so far: every stored result carries it."""
    loop = runner._train_loop
    steps = meta.get('iter', runner.iter + 1)
    return {
        'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        'ranks': runner.world_size,
        'threads': torch.get_num_threads(),
        'minutes': round(getattr(loop, 'seconds', 0.0) / 60, 2),
        'steps': steps,
        'samples': steps * getattr(loop, 'total_batch', 0),
        'seed': runner.seed,
        'precision': precision(runner),
        **(runner.restorer.provenance() if hasattr(runner.restorer, 'provenance') else {}),
    }


def checkpoint_meta(runner: Any, meta: dict) -> dict:
    """What a checkpoint says about its run.

    Args:
        runner: that saves it.
        meta: what is said besides, or instead.
    """
    loop = runner._train_loop
    return {
        'epoch': runner.epoch,
        'iter': runner.iter + 1,
        'seed': runner.seed,
        'total_batch': getattr(loop, 'total_batch', None),
        'max_samples': getattr(loop, 'max_samples', None),
        'schedule_samples': runner.schedule_samples or getattr(loop, 'max_samples', None),
        'compute': compute(runner, meta),
        'cfg': runner._cfg_text,  # for people; what reads it back takes the JSON, which can't be executed
        'cfg_json': json.dumps(runner.cfg.to_dict(), default=str),
        'experiment_name': runner.experiment_name,
        'time': time.strftime('%Y%m%d_%H%M%S', time.localtime()),
        'dataset_meta': getattr(runner.train_dataloader.dataset, 'metainfo', None),
        'mmengine_version': mmengine.__version__,
        'restorebox_version': __version__,
        **meta,
    }


def warn_of_another_model(runner: Any, checkpoint: dict, filename: str) -> None:
    """Log what of the model differs from the checkpoint's: weights fit by shape, a residual head shows in none."""
    try:
        trained = read_json(checkpoint['meta'].get('cfg_json'))['model']
    except (KeyError, TypeError, ValueError):
        return
    if not isinstance(trained, dict):
        return
    now = json.loads(json.dumps(runner.cfg.to_dict(), default=str)).get('model') or {}
    was, has = (
        dict(leaves({key: value for key, value in model.items() if key not in TRAINING_ONLY}))
        for model in (trained, now)
    )
    keys = sorted(key for key in {*was, *has} if was.get(key) != has.get(key))
    if keys:
        other = printable('; '.join(f'{key} {was.get(key)} -> {has.get(key)}' for key in keys))
        runner.logger.warning(f'{filename} was trained with another model than this config has: {other}')


def check_resumable(runner: Any, checkpoint: dict, filename: str) -> list[dict] | None:
    """See whether a run can go on from a checkpoint, and log what will differ from the run that made it.

    Returns:
        The random state of each rank.

    Raises:
        CheckpointError: it holds weights only, or was trained with another total batch or kind of optimiser.
    """
    meta, loop = checkpoint['meta'], runner.train_loop
    instead = 'start from its weights with --cfg-options load_from=...'
    for key in ('optimizer', 'message_hub', 'iter', 'epoch'):
        if key not in checkpoint and key not in meta:
            raise CheckpointError(f"checkpoint {filename}: has no '{key}', so it can't be resumed; {instead}")
    was, now = meta.get('total_batch'), getattr(loop, 'total_batch', None)
    if was is not None and now is not None and was != now:
        raise CheckpointError(
            f'checkpoint {filename}: was trained with {was} samples a step over all ranks, this run has {now}; '
            f'resume with the same, or {instead}'
        )
    states = checkpoint.get('random_states')
    if states and len(states) != runner.world_size:
        runner.logger.warning(
            f'resumed {len(states)} rank(s) on {runner.world_size}: dropout and image pools differ from those of an '
            'uninterrupted run'
        )
    budget, planned = meta.get('max_samples'), getattr(loop, 'max_samples', None)
    if budget is not None and budget != planned:
        runner.logger.warning(f'this run was planned for {budget} samples and now for {planned}')
    check_optimiser(runner, meta, filename)
    recorded = getattr(runner.restorer, 'provenance', dict)()
    for key, value in recorded.items():
        before = meta.get('compute', {}).get(key, value)
        if before != value:
            raise CheckpointError(
                f"checkpoint {filename}: was trained with {key} '{before}', this run has '{value}'; its scores would "
                'name one of them only'
            )
    trained_in = meta.get('compute', {}).get('precision', precision(runner))
    if trained_in != precision(runner):
        runner.logger.warning(f'this run trained in {trained_in} and goes on in {precision(runner)}: give --amp again?')
    loop.seconds_before = 60 * meta.get('compute', {}).get('minutes', 0.0)
    return states

"""Metadata of a run in its checkpoints, and the check whether a run can be resumed from a checkpoint."""

from __future__ import annotations

import json
import time
from typing import Any

import mmengine
import torch
from mmengine.dist import all_gather_object
from mmengine.optim import OptimWrapperDict
from torch import nn

from restorebox.encoders import semantic_encoders
from restorebox.engine.checkpoint import EMA_KEY
from restorebox.engine.config import leaves
from restorebox.engine.optim import AutocastOptimWrapper
from restorebox.engine.resumed import check_optimiser
from restorebox.errors import CheckpointError, ConfigError, WeightsError, printable
from restorebox.untrusted import read_json
from restorebox.values import short
from restorebox.version import __version__

# parts of a model's config that do not change the output of the deployed networks for given weights
TRAINING_ONLY = (
    'losses',
    'feature_losses',
    'physics_losses',
    'objective',
    'statistics_window',
    'data_preprocessor',
    'sampling',
)
# differences between a run and its continuation that are no change of the training, or that other messages name: those
# of the deployed networks, the length of the run and the schedules
NO_CHANGE = (
    'work_dir', 'resume', 'launcher', 'overrides', 'experiment_name', 'log_level', 'env_cfg', 'visualizer', 'compile',
    'cudnn_benchmark', 'randomness', 'param_scheduler', 'auto_scale_lr', 'train_cfg.max_samples',
    'train_cfg.val_samples', 'default_hooks.logger', 'default_hooks.checkpoint', 'log_processor',
    'activation_checkpointing', 'test_dataloader', 'test_evaluator', 'test_cfg',
)  # fmt: skip
NO_CHANGE_ENDS = ('.num_workers', '.persistent_workers', '.prefetch_factor', '.pin_memory', '.lr', '.optimizer.type')
NAMED = 10  # changes in a message


def precision(runner: Any) -> str:
    """Return the precision of the forward passes, ``'bf16'`` or ``'fp32'``."""
    wrapper = runner.optim_wrapper
    each = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
    device = next(runner.model.parameters()).device
    return 'bf16' if any(isinstance(w, AutocastOptimWrapper) and w.reduces(device) for w in each) else 'fp32'


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def check_encoders(runner: Any) -> None:
    """Log the semantic encoders of a training, and refuse it if one has no weights or differs between ranks.

    Called before the first step by all ranks, since it waits for the others.

    Raises:
        WeightsError: an encoder's weights are missing on some rank.
        ConfigError: ranks have different weights files, so that they would use different encoders.
    """
    encoders = semantic_encoders(runner.restorer)
    reasons = [reason for encoder in encoders if (reason := encoder.missing())]
    found = '; '.join(encoder.describe() for encoder in encoders)
    ranks = all_gather_object((reasons, found))
    for rank, (missing, _) in enumerate(ranks):
        if missing:
            where = f'rank {rank}: ' if len(ranks) > 1 else ''
            raise WeightsError(where + missing[0])
    if len({each for _, each in ranks}) > 1:
        used = ', '.join(f'rank {rank} {each}' for rank, (_, each) in enumerate(ranks))
        raise ConfigError(f'the ranks do not find the same weights of semantic encoders and would use: {used}')
    for encoder in encoders:
        runner.logger.info(f'semantic encoder: {encoder.describe()}')


def recorded(model: nn.Module) -> dict:
    """Return what stored scores record about a training besides its config: encoders, and a restorer's own entries."""
    names = dict.fromkeys(encoder.describe() for encoder in semantic_encoders(model))
    encoders = {'semantic_encoder': '; '.join(names)} if names else {}
    return encoders | getattr(model, 'provenance', dict)()


def compute(runner: Any, meta: dict) -> dict:
    """Return device, time, steps, seed and precision of a training so far; stored with every result."""
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
        **recorded(runner.restorer),
    }


def train_set(runner: Any) -> dict[str, Any] | None:
    """Return number and hash of the records of the training set; None for one that is not of this package."""
    dataset = runner.train_dataloader.dataset
    digest = getattr(dataset, 'digest', None)
    return None if digest is None else {'records': len(dataset), 'digest': digest}


def checkpoint_meta(runner: Any, meta: dict) -> dict:
    """Return the metadata of a checkpoint.

    Args:
        runner: the runner that saves it.
        meta: further entries; they take precedence.
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
        'cfg': runner._cfg_text,  # for reading by people; programs read cfg_json, which can't be executed
        'cfg_json': json.dumps(runner.cfg.to_dict(), default=str),
        'experiment_name': runner.experiment_name,
        'time': time.strftime('%Y%m%d_%H%M%S', time.localtime()),
        'train_set': train_set(runner),
        'dataset_meta': getattr(runner.train_dataloader.dataset, 'metainfo', None),
        'mmengine_version': mmengine.__version__,
        'restorebox_version': __version__,
        **meta,
    }


def warn_of_model_differences(
    runner: Any, checkpoint: dict, filename: str, roles: tuple[str, ...] | None = None
) -> None:
    """Log differences from the checkpoint's model: weights may fit although e.g. the head's residual differs.

    Args:
        runner: the runner that loaded it.
        checkpoint: a checkpoint.
        filename: its name in the message.
        roles: loaded at the start of a training. Other networks are those of another stage and are not compared; of
            another type of restorer, only the networks are.
    """
    try:
        trained = read_json(checkpoint['meta'].get('cfg_json'))['model']
    except (KeyError, TypeError, ValueError):
        return
    if not isinstance(trained, dict):
        return
    now = json.loads(json.dumps(runner.cfg.to_dict(), default=str)).get('model') or {}

    def is_compared(key: str) -> bool:
        if key in TRAINING_ONLY or roles is None:
            return key not in TRAINING_ONLY
        if any(isinstance(model.get(key), dict) and 'backbone' in model[key] for model in (trained, now)):
            return key in roles and key in trained and key in now
        return trained.get('type') == now.get('type')

    was, has = (
        dict(leaves({key: value for key, value in model.items() if is_compared(key)})) for model in (trained, now)
    )
    keys = sorted(key for key in {*was, *has} if was.get(key) != has.get(key))
    if keys:
        other = printable('; '.join(f'{key} {was.get(key)} -> {has.get(key)}' for key in keys))
        runner.logger.warning(f'{filename} was trained with another model than this config has: {other}')


def changed_settings(runner: Any, meta: dict) -> list[str]:
    """Return ``KEY OLD -> NEW`` for each setting of a training that a resumed run changes without another message.

    Args:
        runner: the runner that resumes.
        meta: metadata of the checkpoint; without a readable config nothing is compared.
    """
    try:
        was = dict(leaves(read_json(meta.get('cfg_json'))))
    except (TypeError, ValueError):
        return []
    now = dict(leaves(json.loads(json.dumps(runner.cfg.to_dict(), default=str))))

    def counts(key: str) -> bool:
        parts = key.split('.')
        own = parts[0] == 'model' and not {*parts[1:2], *parts[2:3]} & {*TRAINING_ONLY}
        apart = any(key == name or key.startswith(f'{name}.') for name in NO_CHANGE)
        return not (own or apart or key.endswith(NO_CHANGE_ENDS))

    keys = sorted(key for key in {*was, *now} if was.get(key) != now.get(key) and counts(key))
    return [f'{key} {short(was.get(key), 40)} -> {short(now.get(key), 40)}' for key in keys]


def check_resumable(runner: Any, checkpoint: dict, filename: str) -> list[dict] | None:
    """Check whether a run can be resumed from a checkpoint, and log the differences from the run that saved it.

    Returns:
        The random state of each rank.

    Raises:
        CheckpointError: it contains weights only, or another total batch or type of optimiser was used.
    """
    meta, loop = checkpoint['meta'], runner.train_loop
    instead = 'start from its weights with --cfg-options load_from=...'
    for key in ('optimizer', 'message_hub', 'iter', 'epoch'):
        if key not in checkpoint and key not in meta:
            raise CheckpointError(f"checkpoint {filename}: has no '{key}', so it can't be resumed; {instead}")
    step, longest = meta.get('iter'), max(_number(meta.get('max_samples')), _number(getattr(loop, 'max_samples', 0)))
    per_step = _number(meta.get('total_batch')) or 1
    # resuming replays the schedules step by step, so that an absurd number would not end
    if not isinstance(step, int) or step < 0 or (longest and step * per_step > 2 * longest + 1000 * per_step):
        raise CheckpointError(
            f'checkpoint {filename}: is of step {short(step)} of a run of {longest} samples, {per_step} a step; it is '
            'damaged'
        )
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
    if changes := changed_settings(runner, meta):
        more = f' and {len(changes) - NAMED} more' if len(changes) > NAMED else ''
        text = printable('; '.join(changes[:NAMED]))
        runner.logger.warning(f'settings differ from those of the run that is resumed: {text}{more}')
    before, present = meta.get('train_set'), train_set(runner)
    if isinstance(before, dict) and present is not None and before != present:
        how = f'{short(before.get("records"))} -> {present["records"]} samples'
        how = how if before.get('records') != present['records'] else 'files of other names'
        runner.logger.warning(f'the training set has changed ({how}): the run goes on in another order of samples')
    if EMA_KEY in checkpoint and not any(type(hook).__name__ == 'RoleEMAHook' for hook in runner.hooks):
        runner.logger.warning(
            f'{filename} has a moving average of the weights, which this run neither continues nor stores: it has no '
            'RoleEMAHook'
        )
    for key, value in recorded(runner.restorer).items():
        before = meta.get('compute', {}).get(key, value)
        if before != value:
            raise CheckpointError(
                f"checkpoint {filename}: was trained with {key} '{before}', this run has '{value}'; its scores would "
                'record one of them only'
            )
    trained_in = meta.get('compute', {}).get('precision', precision(runner))
    if trained_in != precision(runner):
        runner.logger.warning(
            f'this run trained in {trained_in} and goes on in {precision(runner)}; --amp selects bf16'
        )
    loop.seconds_before = 60 * meta.get('compute', {}).get('minutes', 0.0)
    return states

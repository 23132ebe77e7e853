"""Build what a config names on the meta device, to find what only a constructor knows."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import torch
from mmengine import registry as mm
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from torch.utils.data import DataLoader

from restorebox import registry as own
from restorebox.datasets import CentreWindow, RandomWindow
from restorebox.engine.check import check_roles
from restorebox.engine.loops import SampleTrainLoop, scale_schedule
from restorebox.errors import ConfigError
from restorebox.registry import constructor_keys, nearest

LOADER_KEYS = {
    *inspect.signature(DataLoader.__init__).parameters,
    *('num_batch_per_epoch', 'disable_subprocess_warning'),
} - {'self'}
# dicts that the Runner reads key by key, so that no constructor refuses a misspelt one
PLAIN = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'randomness': ('seed', 'deterministic'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
}


def _is_count(value: Any, lowest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _build(where: str, make: Callable[[], Any]) -> Any:
    """Run a constructor; what it refuses is the config's mistake."""
    try:
        return make()
    except ConfigError as error:
        raise ConfigError(f'config, {where}: {error}') from None
    except Exception as error:
        line = ' '.join(str(error).split())[:300]
        raise ConfigError(f'config, {where}: {type(error).__name__}: {line}') from error


def build_all(cfg: Config) -> None:
    """Build what a config names on the meta device: no data is read, no memory taken.

    Raises:
        ConfigError: a constructor refuses its values, or parts don't fit each other; says where in the config.
    """
    plain = cfg.to_dict()
    _check_plain(plain)
    with mm.DefaultScope.overwrite_default_scope('restorebox'), torch.device('meta'):
        model = _build('model', lambda: mm.MODELS.build(dict(plain['model'])))
        needs = getattr(model, 'needs', None)
        if needs is not None:
            side = -(-needs.min_size // needs.stride) * needs.stride
            picture = torch.zeros(1, needs.in_channels, side, side)
            _build('model', lambda: model.eval().restore(picture))
        for part in ('train', 'val', 'test'):
            if plain.get(f'{part}_dataloader') is not None:
                _check_loader(plain, part, model)
        _check_optimisers(plain, model)
        hooks = [*(plain.get('default_hooks') or {}).values(), *(plain.get('custom_hooks') or [])]
        for hook in hooks:
            if hook is not None:
                hook = {key: value for key, value in hook.items() if key != 'priority'}
                where = f'hook {hook.get("type")}'
                if not _is_count(hook.get('interval', 1), -1) or hook.get('interval') == 0:
                    raise ConfigError(
                        f'config, {where}: interval is {hook["interval"]!r}; it must be a positive number'
                    )
                _build(where, lambda hook=hook: mm.HOOKS.build(hook))


def _check_plain(plain: dict) -> None:
    """Values and keys that no constructor looks at."""
    if not plain.get('model'):
        raise ConfigError("config, top level: needs the key 'model'")
    for name, known in PLAIN.items():
        for key in plain.get(name) or {}:
            if key not in known:
                raise ConfigError(f"config, {name} has no key '{key}'; {nearest(key, known)}")
    seed = (plain.get('randomness') or {}).get('seed')
    if seed is not None and not _is_count(seed, 0):
        raise ConfigError(f'config, randomness: seed is {seed!r}; it must be a whole number from 0, or None')
    if not isinstance(plain.get('compile') or {}, (dict, bool)):
        raise ConfigError(
            f'config: compile is {plain["compile"]!r}; it must be True, False or options of torch.compile'
        )
    level = plain.get('log_level', 'INFO')
    levels = logging.getLevelNamesMapping() if hasattr(logging, 'getLevelNamesMapping') else logging._nameToLevel
    if isinstance(level, str) and level not in levels:
        raise ConfigError(f"config: there is no log_level '{level}'; {nearest(level, tuple(levels))}")
    for part, others in (('train', ('train_cfg', 'optim_wrapper')), ('val', ('val_cfg', 'val_evaluator')),
                         ('test', ('test_cfg', 'test_evaluator'))):  # fmt: skip
        keys = (f'{part}_dataloader', *others)
        absent = [key for key in keys if plain.get(key) is None]
        if absent and len(absent) < len(keys):
            raise ConfigError(f"config: {', '.join(keys)} go together; '{absent[0]}' is missing")


def _check_loader(plain: dict, part: str, model: Any) -> None:
    where = f'{part}_dataloader'
    loader = plain[where]
    for key in loader:
        if key not in LOADER_KEYS:
            raise ConfigError(f"config, {where} has no key '{key}'; {nearest(key, tuple(LOADER_KEYS))}")
    for key in ('dataset', 'sampler', 'batch_size'):
        if key not in loader:
            raise ConfigError(f"config, {where}: needs the key '{key}'")
    for key, lowest in (('batch_size', 1), ('num_workers', 0)):
        if not _is_count(loader.get(key, 1), lowest):
            raise ConfigError(f'config, {where}: {key} is {loader[key]!r}; it must be a whole number from {lowest}')
    dataset = _build(f'{where}.dataset', lambda: mm.DATASETS.build({**loader['dataset'], 'lazy_init': True}))
    _check_loop_keys(plain, part)
    if part == 'train':
        _build(f'{where}.dataset', lambda: check_roles(model, dataset))
        if plain['train_cfg'].get('type') == 'SampleTrainLoop':
            sampler = own.DATA_SAMPLERS.get(loader['sampler']['type'])
            _build(f'{where}.sampler', lambda: SampleTrainLoop.check_sampler(sampler))
        for transform in dataset.pipeline.transforms:
            stride, least = model.needs.stride, model.smallest_crop
            if isinstance(transform, (RandomWindow, CentreWindow)) and min(transform.size) < least:
                raise ConfigError(
                    f'config, {where}.dataset.pipeline: a window of {transform.size[0]}x{transform.size[1]} is too '
                    f'small for the networks that are trained; they need at least {least}'
                )
            if isinstance(transform, (RandomWindow, CentreWindow)) and any(side % stride for side in transform.size):
                raise ConfigError(
                    f'config, {where}.dataset.pipeline: a window of {transform.size[0]}x{transform.size[1]} does not '
                    f'fit the networks; they need multiples of {stride}'
                )
        return
    sampler = own.DATA_SAMPLERS.get(loader['sampler']['type'])
    if hasattr(sampler, 'skip') or sampler is InfiniteSampler:
        raise ConfigError(f"config, {where}.sampler: it has no end; use dict(type='DefaultSampler', shuffle=False)")
    for key in ('drop_last', 'num_batch_per_epoch'):
        if loader.get(key):
            raise ConfigError(
                f'config, {where}: {key}={loader[key]!r} leaves pictures out, and scores are of all of the set; leave '
                'it out, or take a smaller set by limit=N in the data set'
            )
    evaluators = plain[f'{part}_evaluator']
    if isinstance(evaluators, dict):
        evaluators = evaluators.get('metrics', evaluators)  # MMEngine's dict(type='Evaluator', metrics=...)
    scores: set[str] = set()
    for each in evaluators if isinstance(evaluators, list) else [evaluators]:
        metric = _build(f'{part}_evaluator', lambda each=each: mm.METRICS.build(dict(each)))
        names = getattr(metric, 'protocols', (type(metric).__name__,))
        twice = sorted(scores.intersection(names))
        if twice:  # MMEngine would notice when all is scored
            raise ConfigError(f'config, {part}_evaluator: two metrics give {twice[0]}; leave one of them out')
        scores.update(names)


def _check_loop_keys(plain: dict, part: str) -> None:
    """The keys that a loop needs from the config; the Runner gives the rest."""
    loop = plain[f'{part}_cfg']
    kind = loop.get('type', {'val': 'RestorationValLoop', 'test': 'RestorationTestLoop'}.get(part))
    if not isinstance(kind, str):
        return
    given = {*loop, 'runner', 'dataloader', 'evaluator'}
    _, needed = constructor_keys(own.LOOPS.get(kind)) or ((), ())
    missing = [key for key in needed if key not in given]
    if missing:
        raise ConfigError(f"config, {part}_cfg: {kind} needs the key '{missing[0]}'")
    if kind == 'SampleTrainLoop':
        _build(f'{part}_cfg', lambda: SampleTrainLoop.check_numbers(loop['max_samples'], loop.get('val_samples', 0)))


def _check_optimisers(plain: dict, model: Any) -> None:
    if not plain.get('optim_wrapper'):
        return
    if 'constructor' not in plain['optim_wrapper'] and 'optimizer' not in plain['optim_wrapper']:
        raise ConfigError(
            "config, optim_wrapper: needs the key 'optimizer', or constructor='RoleOptimWrapperConstructor' and an "
            'optimiser for each step'
        )
    wrapper = _build('optim_wrapper', lambda: build_optim_wrapper(model, dict(plain['optim_wrapper'])))
    several = isinstance(wrapper, OptimWrapperDict)
    schedulers = plain.get('param_scheduler') or []
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        for step in schedulers:
            if not several or step not in wrapper.keys():  # noqa: SIM118 (no mapping)
                known = tuple(wrapper.keys()) if several else ()
                raise ConfigError(f"config, param_scheduler: there is no step '{step}'; {nearest(step, known)}")
        schedulers = [each for part in schedulers.values() for each in (part if isinstance(part, list) else [part])]
    elif isinstance(schedulers, dict):
        schedulers = [schedulers]
    one = next(iter(wrapper.values())) if several else wrapper
    for each in schedulers:
        if plain['train_cfg'].get('type') == 'SampleTrainLoop':
            each = _build('param_scheduler', lambda each=each: scale_schedule(each, 1))
        extra = dict(optimizer=one, epoch_length=1)
        _build('param_scheduler', lambda each=each, extra=extra: mm.PARAM_SCHEDULERS.build(each, default_args=extra))

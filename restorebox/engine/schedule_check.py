"""Check of optimisers and learning rate schedules: invalid values, and schedules that train nothing."""

from __future__ import annotations

import itertools
import logging
import math
import os
import warnings
from functools import partial
from typing import Any

import torch
from mmengine import registry as mm
from mmengine.optim import OptimWrapperDict, build_optim_wrapper

from restorebox import registry as own
from restorebox.engine.check import build_part
from restorebox.engine.config import log_level
from restorebox.engine.loops import check_schedule, scale_schedule
from restorebox.errors import ConfigError
from restorebox.registry import constructor_keys, nearest

POINTS = 400  # number of points at which a schedule is evaluated
NEGLIGIBLE = 1e-6  # relative to the highest learning rate: float32 weights do not change
NO_EFFECT = 'it never changes the rate; give param_scheduler of that length, or param_scheduler = []'
RUNAWAY = 1e3  # upper limit relative to the optimiser's learning rate


def check_optimisers(plain: dict, model: Any) -> list[str]:
    """Build the optimisers and schedules of a config.

    Args:
        plain: the config as a dict.
        model: the restorer, which may be on the meta device.

    Returns:
        Warnings: schedules that end early or are cut off.

    Raises:
        ConfigError: an invalid value, a schedule that never begins, or one that trains nothing.
    """
    if not plain.get('optim_wrapper'):
        return []
    cfg = plain['optim_wrapper']
    if 'constructor' not in cfg and 'optimizer' not in cfg:
        raise ConfigError(
            "config, optim_wrapper: needs the key 'optimizer', or constructor='RoleOptimWrapperConstructor' and an "
            'optimiser for each step'
        )
    for name, part in {'': cfg, **{f'.{key}': each for key, each in cfg.items() if key != 'optimizer'}}.items():
        if isinstance(part, dict) and isinstance(part.get('clip_grad'), dict):
            _check_clipping(part['clip_grad'], f'optim_wrapper{name}.clip_grad')
    keys = (cfg.get('paramwise_cfg') or {}).get('custom_keys') or {}
    weights = [name for name, _ in model.named_parameters()]
    for key in keys:
        if not any(key in name for name in weights):
            parts = dict.fromkeys(part for name in weights for part in (name, name.rsplit('.', 1)[0]))
            raise ConfigError(
                f"config, optim_wrapper.paramwise_cfg.custom_keys: no weight's name contains '{key}'; "
                f'{nearest(key, tuple(parts))}'
            )
    with log_level(logging.WARNING):  # paramwise_cfg prints two lines per weight; the run itself prints them as well
        wrapper = build_part('optim_wrapper', lambda: build_optim_wrapper(model, dict(cfg)))
    several = isinstance(wrapper, OptimWrapperDict)
    schedulers = plain.get('param_scheduler') or []
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        for step in schedulers:
            if not several or step not in wrapper.keys():  # noqa: SIM118 (no mapping)
                known = tuple(wrapper.keys()) if several else ()
                raise ConfigError(f"config, param_scheduler: there is no step '{step}'; {nearest(step, known)}")
        groups = {step: _as_list(each) for step, each in schedulers.items()}
    else:
        groups = dict.fromkeys(wrapper.keys() if several else ('',), _as_list(schedulers))
    found = []
    for step, each in groups.items():
        one = wrapper[step] if several else wrapper
        found += _check_schedules(plain, each, one, f'param_scheduler{step and f".{step}"}')
    for step, one in wrapper.items() if several else [('', wrapper)]:
        where = f'optim_wrapper{step and f".{step}"}'
        if all(group.get('initial_lr', group['lr']) == 0 for group in one.param_groups):
            raise ConfigError(f'config, {where}: lr is 0: nothing would be trained')
    return list(dict.fromkeys(found))


def _as_list(schedulers: Any) -> list:
    return list(schedulers) if isinstance(schedulers, (list, tuple)) else [schedulers]


def _check_clipping(clip: dict, where: str) -> None:
    by_value = clip.get('type') == 'value'
    needed, others = ('clip_value', {'max_norm', 'norm_type', 'error_if_nonfinite'}) if by_value else (
        'max_norm', {'clip_value'})  # fmt: skip
    if needed not in clip:
        raise ConfigError(f"config, {where}: needs the key '{needed}'")
    for key in others & clip.keys():
        raise ConfigError(f"config, {where}: '{key}' does not go with type='{clip.get('type', 'norm')}'")


def _check_schedules(plain: dict, schedulers: list, wrapper: Any, where: str) -> list[str]:
    """Check the schedules of one optimiser, each separately and all together."""
    loop = plain['train_cfg']
    batch = plain['train_dataloader']['batch_size'] * int(os.environ.get('WORLD_SIZE', 1))
    for number, each in enumerate(schedulers):
        at = f'{where}.{number}'
        if not isinstance(each, dict):
            raise ConfigError(f'config, {at}: it is {each!r}; it must be a dict with a type')
        if isinstance(each.get('type'), str):
            _, needed = constructor_keys(own.PARAM_SCHEDULERS.get(each['type'])) or ((), ())
            missing = [key for key in needed if key not in {*each, 'optimizer', 'param_name'}]  # these MMEngine gives
            if missing:
                raise ConfigError(f"config, {at}: {each['type']} needs the key '{missing[0]}'")
        build_part(at, partial(check_schedule, each))
        scaled = build_part(at, partial(scale_schedule, each, batch))
        extra = dict(optimizer=wrapper, epoch_length=1)
        build_part(at, partial(mm.PARAM_SCHEDULERS.build, dict(scaled), default_args=extra))
    rates = [each for each in schedulers if not str(each.get('type')).endswith('Momentum')]
    if 'max_samples' not in loop or not rates:  # a class derived from SampleTrainLoop may determine it
        return []
    # a run shortened on the command line is a trial; a resumed one adapts its schedule to the new length
    lenient = 'train_cfg.max_samples' in (plain.get('overrides') or {}) or bool(plain.get('resume'))
    # building a schedule sets lr to the value of its first step
    bases = {group.get('initial_lr', group['lr']) for group in wrapper.param_groups}
    total = loop['max_samples']
    if 0 in bases and any(rate_curve(rates, total, batch, 0)):
        raise ConfigError(
            f'config, {where}: eta_min raises the rate of weights that lr_mult=0 fixes; use eta_min_ratio (of the lr)'
        )
    return _check_rates(rates, total, batch, max(bases), where, lenient)


def _check_rates(schedulers: list[dict], total: int, batch: int, rate: float, where: str, lenient: bool) -> list[str]:
    found = []

    def refuse(line: str) -> None:
        if not lenient:
            raise ConfigError(f'config, {line}')
        found.append(line)

    for number, each in enumerate(schedulers):
        name, end = f'{where}.{number}, {each["type"]}', each.get('end', math.inf)
        begin = each.get('begin', 0)
        first = begin + (min(each['milestones']) if each.get('milestones') else each.get('step_size') or 0)
        if begin >= total:
            refuse(f'{name}: it begins at {begin:,g}, but max_samples is {total:,}: {NO_EFFECT}')
        elif first > total:
            found.append(f'{name}: its first step is at {first:,g}, but max_samples is {total:,}: {NO_EFFECT}')
        elif each.get('eta_min') is not None and each['eta_min'] > rate:
            raise ConfigError(f'config, {name}: eta_min is {each["eta_min"]:g}, above the lr of {rate:g}')
        elif total < end < 1e9 or each.get('T_max', 0) > total:
            last = end if total < end < 1e9 else each['T_max']
            found.append(f'{name}: it is for {last:,g} samples, but max_samples is {total:,}: it is cut off')
    curve = build_part(where, lambda: rate_curve(schedulers, total, batch, rate))
    if not curve or rate == 0:
        return found
    highest = max(curve)
    if not all(0 <= value <= RUNAWAY * rate for value in curve):  # NaN is neither
        wrong = next(i for i, value in enumerate(curve) if not 0 <= value <= RUNAWAY * rate)
        at = wrong * total // len(curve)
        raise ConfigError(f'config, {where}: the rate becomes {curve[wrong]:g} at sample {at:,}; lr is {rate:g}')
    ending = len(list(itertools.takewhile(lambda value: value <= NEGLIGIBLE * highest, reversed(curve))))
    if ending > 1 + 0.05 * len(curve):  # MMEngine's schedules reach their end one step early
        from_sample = total - ending * total // len(curve)
        refuse(
            f'{where}: the rate is {curve[-1]:.2g} from sample {from_sample:,} of {total:,} on, which trains nothing; '
            f'let the schedule end at {total} (max_samples)'
        )
        return found
    ends = [each.get('end', math.inf) for each in schedulers]
    if max(ends) < 0.95 * total and curve[-1] < highest / 2:
        found.append(
            f'{where}: it ends at sample {max(ends):,g} of {total:,}; the rate stays at {curve[-1]:.2g} from there on'
        )
    return found


def rate_curve(schedulers: list[dict], total: int, batch: int, rate: float) -> list[float]:
    """Return the learning rate at evenly spaced samples of a training.

    Args:
        schedulers: configs with numbers in samples.
        total: samples of the training.
        batch: samples per step.
        rate: learning rate of the optimiser.

    Returns:
        One number per point; empty where a schedule is too short for this spacing.
    """
    optimiser = torch.optim.SGD([torch.zeros(1)], lr=rate)
    spacing = max(batch, total / POINTS)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's, about scheduler steps without optimiser steps
        try:
            scaled = [scale_schedule(each, spacing) for each in schedulers]
            for each in scaled:
                if str(each['type']).startswith('Exponential'):  # counts steps, not samples
                    each['gamma'] = each['gamma'] ** (spacing / batch)
        except ConfigError:
            return []
        built = [mm.PARAM_SCHEDULERS.build(each, default_args=dict(optimizer=optimiser)) for each in scaled]
        curve = []
        for _ in range(math.ceil(total / spacing)):
            curve.append(float(optimiser.param_groups[0]['lr']))
            for each in built:
                each.step()
    return curve

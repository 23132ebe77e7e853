"""Differences between a resumed run's config and the config of its checkpoint.

Weights, optimiser state and thus the learning rate come from the checkpoint. The schedules come from the config: if
they or ``max_samples`` changed, the learning rate is set as if they had been used from the start.
"""

from __future__ import annotations

import json
import math
import warnings
from typing import Any

from mmengine.optim import OptimWrapperDict

from restorebox.engine.check import SCHEDULE_KEYS
from restorebox.engine.config import leaves
from restorebox.errors import CheckpointError, printable
from restorebox.untrusted import read_json


def _config_of(meta: dict) -> dict | None:
    try:
        return read_json(meta['cfg_json'])
    except (KeyError, TypeError, ValueError):
        return None


def _plain(cfg: Any) -> dict:
    return json.loads(json.dumps(cfg.to_dict(), default=str))


def check_optimiser(runner: Any, meta: dict, filename: str) -> None:
    """Log the optimiser settings of the config that are not applied, since the checkpoint's are used.

    Raises:
        CheckpointError: another type of optimiser, which can't load the checkpoint's state.
    """
    was = _config_of(meta)
    if was is None:
        return
    now = _plain(runner.cfg)
    before, after = (dict(leaves(_kept(cfg))) for cfg in (was, now))
    changed = {key: (before.get(key), after.get(key)) for key in {*before, *after} if before.get(key) != after.get(key)}
    for key, (old, new) in sorted(changed.items()):
        if key.endswith('optimizer.type'):
            raise CheckpointError(
                f'checkpoint {filename}: was trained with {key} {printable(old)}, this run has {new}; resume with the '
                f'same, or start from its weights with --cfg-options load_from={filename} and another --work-dir'
            )
    if changed:
        ignored = printable(
            '; '.join(f'{key} {new} (the checkpoint has {old})' for key, (old, new) in sorted(changed.items()))
        )
        runner.logger.warning(
            f"--resume: not applied: {ignored}. The checkpoint's optimiser and its learning rate are kept; to start a "
            f'new run with other settings: --cfg-options load_from={filename} and another --work-dir'
        )


def _kept(cfg: dict) -> dict:
    """Return the settings that a saved optimiser state determines."""
    wrapper = cfg.get('optim_wrapper') or {}
    steps = {'': wrapper} if 'optimizer' in wrapper else {k: v for k, v in wrapper.items() if isinstance(v, dict)}
    kept = {}
    for name, step in steps.items():
        for key in ('optimizer', 'paramwise_cfg'):
            if step.get(key) is not None:
                kept[f'optim_wrapper{name and f".{name}"}.{key}'] = step[key]
    if (cfg.get('auto_scale_lr') or {}).get('enable'):
        kept['auto_scale_lr'] = cfg['auto_scale_lr']
    return kept


def apply_schedule(runner: Any) -> None:
    """Apply the config's schedules if they, or the length of the run, differ from the checkpoint's.

    A schedule that ended with the run it was written for is stretched if the run is longer now. Otherwise the added
    samples would be trained at its final learning rate, usually 0.
    """
    meta, loop = runner.loaded_meta, runner.train_loop
    was, planned = _config_of(meta), getattr(loop, 'max_samples', None)
    runner.schedule_samples = meta.get('schedule_samples') or meta.get('max_samples')
    if was is None or planned is None or runner.param_schedulers is None:
        return
    schedulers = _plain(runner.cfg).get('param_scheduler')
    same = _without_epochs(was.get('param_scheduler') or []) == _without_epochs(schedulers or [])
    if same and planned == meta.get('max_samples'):
        return
    written_for = runner.schedule_samples
    note = 'follows the config'
    if not same:
        runner.schedule_samples = planned
    elif written_for and planned > written_for and any(_ends_at(each, written_for) for each in _each(schedulers)):
        schedulers = _stretched(schedulers, planned / written_for)
        note = f'was written for {written_for:,} samples and is stretched to {planned:,}'
    before = _rates(runner.optim_wrapper)
    _replay(runner, schedulers)
    after = _rates(runner.optim_wrapper)
    moved = '' if before == after else f': lr {", ".join(before)} -> {", ".join(after)}'
    runner.logger.warning(f'--resume: the schedule {note}{moved}')


def _without_epochs(node: Any) -> Any:
    """Remove ``by_epoch=False``, the default, from schedules."""
    if isinstance(node, list):
        return [_without_epochs(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: _without_epochs(value) for key, value in node.items() if (key, value) != ('by_epoch', False)}


def _each(schedulers: Any) -> list[dict]:
    if isinstance(schedulers, dict) and 'type' not in schedulers:
        return [each for part in schedulers.values() for each in _each(part)]
    return schedulers if isinstance(schedulers, list) else [schedulers] if schedulers else []


def _ends_at(cfg: dict, samples: int) -> bool:
    begin, last = cfg.get('begin', 0), cfg.get('end', math.inf)
    if last > samples:
        last = begin + (cfg.get('T_max') or cfg.get('total_iters') or cfg.get('total_steps') or math.inf)
        last = begin + sum(cfg['periods']) if cfg.get('periods') else last
    return abs(last - samples) <= 0.01 * samples


def _stretched(node: Any, factor: float) -> Any:
    """Multiply all sample numbers of schedules by a factor."""
    if isinstance(node, list):
        return [_stretched(each, factor) for each in node]
    if not isinstance(node, dict):
        return node
    if 'type' not in node:
        return {key: _stretched(each, factor) for key, each in node.items()}
    longer = dict(node)
    for key in SCHEDULE_KEYS:
        value = node.get(key)
        if isinstance(value, list):
            longer[key] = [each * factor for each in value]
        elif value is not None:
            longer[key] = value * factor
    return longer


def _wrappers(wrapper: Any) -> list:
    return list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]


def _rates(wrapper: Any) -> list[str]:
    return list(dict.fromkeys(f'{group["lr"]:.3g}' for each in _wrappers(wrapper) for group in each.param_groups))


def _replay(runner: Any, schedulers: Any) -> None:
    """Rebuild the schedules and step them to the current step of the run."""
    for wrapper in _wrappers(runner.optim_wrapper):
        for group in wrapper.param_groups:
            for key in [key for key in group if key.startswith('initial_')]:
                group[key.removeprefix('initial_')] = group[key]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch's, about scheduler steps without optimiser steps
        runner.param_schedulers = runner.build_param_scheduler(schedulers or [])
        built = runner.param_schedulers
        each = [one for part in built.values() for one in part] if isinstance(built, dict) else built
        for _ in range(runner.iter):
            for one in each:
                one.step()

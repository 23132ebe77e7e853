"""Check of a config by building its components on the meta device, which runs the constructors' own checks."""

from __future__ import annotations

import logging
from functools import partial
from importlib.util import find_spec

import torch
from mmengine import registry as mm
from mmengine.config import Config
from mmengine.runner.priority import Priority, get_priority
from torch import Tensor

from restorebox import registry as own
from restorebox.aliases import ALIASES
from restorebox.engine.check import DEFAULTS, GIVEN_TO_LOOPS, build_part
from restorebox.engine.initial_weights import check_init_from, freeze
from restorebox.engine.loader_check import check_loader
from restorebox.engine.loops import RestorationTestLoop, RestorationValLoop, SampleTrainLoop
from restorebox.engine.recompute import matching_modules
from restorebox.engine.runner import RestorationRunner
from restorebox.engine.schedule_check import check_optimisers
from restorebox.engine.trial import try_metric, try_on_meta, try_restoring, try_training
from restorebox.errors import ConfigError
from restorebox.metrics.fid import FID
from restorebox.registry import constructor_keys, nearest
from restorebox.values import short

# packages that MMEngine's visualiser backends import at the first log call; one package of each group suffices
BACKEND_PACKAGES = {
    'TensorboardVisBackend': (('tensorboard', 'tensorboardX'),),
    'WandbVisBackend': (('wandb',),),
    'MLflowVisBackend': (('mlflow',),),
    'ClearMLVisBackend': (('clearml',),),
    'NeptuneVisBackend': (('neptune',),),
    'DVCLiveVisBackend': (('dvclive',), ('pygit2',)),
    'AimVisBackend': (('aim',),),
}

# part -> the class that its loop must be or be derived from, and why
LOOPS = {
    'train': (
        SampleTrainLoop,
        'which counts samples and resumes exactly; max_samples = iterations x batch x ranks',
    ),
    'val': (RestorationValLoop, 'which scores every picture of the set exactly once'),
    'test': (RestorationTestLoop, 'which scores every picture of the set exactly once'),
}


def build_all(cfg: Config) -> list[str]:
    """Build all components of a config on the meta device, and run its networks, losses and metrics once.

    No data is read and no memory for weights is allocated; see :mod:`restorebox.engine.trial`.

    Returns:
        Warnings, one line each: valid settings that are probably unintended.

    Raises:
        ConfigError: a constructor refuses its values, or components are incompatible; names the place in the config.
    """
    plain = cfg.to_dict()
    _check_plain(plain)
    _check_packages(plain)
    _check_epochs(plain)
    with mm.DefaultScope.overwrite_default_scope('restorebox'), torch.device('meta'):
        build = partial(own.RESTORERS.build, plain['model'])
        model = build_part('model', build)
        if hasattr(model, 'needs'):
            try_on_meta(model, try_restoring, build)
        if plain.get('activation_checkpointing') is not None:
            matching_modules(model, plain['activation_checkpointing'])
        if plain.get('init_from'):
            check_init_from(model, plain['init_from'])
        if plain.get('freeze'):
            freeze(model, plain['freeze'])
        warnings = []
        for part in ('train', 'val', 'test'):
            if plain.get(f'{part}_dataloader') is not None:
                _check_loop(plain, part)
                noted, sample = check_loader(plain, part, model)
                warnings += noted
                if part != 'train':
                    _check_evaluators(plain, part, sample)
                elif sample and hasattr(model, 'needs'):
                    size = plain['train_dataloader']['batch_size']
                    try_on_meta(model, partial(try_training, sample, size), build)
        warnings += check_optimisers(plain, model)
        _check_hooks(plain)
        if plain.get('log_processor'):
            logs = {'type': 'LogProcessor', **plain['log_processor']}
            build_part('log_processor', lambda: own.LOG_PROCESSORS.build(logs))
    return list(dict.fromkeys(warnings))


def _check_plain(plain: dict) -> None:
    """Check values and keys that no constructor checks."""
    if not plain.get('model'):
        raise ConfigError("config, top level: needs the key 'model'")
    runner = build_part('runner_type', lambda: own.RUNNERS.get(plain.get('runner_type', 'RestorationRunner')))
    if not issubclass(runner, RestorationRunner):
        raise ConfigError(
            f'config, runner_type: {runner.__name__} is not derived from RestorationRunner, whose loops are used'
        )
    scope = plain.get('default_scope', 'restorebox')
    if scope != 'restorebox':
        raise ConfigError(
            f"config: default_scope is '{scope}'; it must be 'restorebox', whose components are named here"
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


def _check_loop(plain: dict, part: str) -> None:
    """Check the keys that a loop needs from the config; the Runner provides the others."""
    loop = plain[f'{part}_cfg']
    kind = loop.get('type', DEFAULTS[f'{part}_cfg'])
    kind = own.LOOPS.get(kind) if isinstance(kind, str) else kind
    base, reason = LOOPS[part]
    if not (isinstance(kind, type) and issubclass(kind, base)):
        name = getattr(kind, '__name__', short(kind))
        raise ConfigError(f'config, {part}_cfg: {name} is not derived from {base.__name__}, {reason}')
    _, needed = constructor_keys(kind) or ((), ())
    missing = [key for key in needed if key not in {*loop, *GIVEN_TO_LOOPS}]
    if missing:
        raise ConfigError(f"config, {part}_cfg: {kind.__name__} needs the key '{missing[0]}'")
    if 'max_samples' in loop:
        build_part(
            f'{part}_cfg', lambda: SampleTrainLoop.check_numbers(loop['max_samples'], loop.get('val_samples', 0))
        )


def known_scores(plain: dict, part: str, sample: dict[str, Tensor] | None = None) -> list[str] | None:
    """Return the names of the scores that a part measures; None if a metric does not tell them.

    Args:
        plain: a resolved config.
        part: ``'val'`` or ``'test'``.
        sample: pictures of the part's pipeline, with which metrics of other packages are tried; None: they are not.

    Raises:
        ConfigError: the metrics are invalid.
    """
    evaluators = plain[f'{part}_evaluator']
    if isinstance(evaluators, dict) and 'metrics' in evaluators:  # MMEngine would build its Evaluator
        raise ConfigError(f'config, {part}_evaluator: restorebox has {ALIASES["Evaluator"]}')
    evaluators = evaluators if isinstance(evaluators, list) else [evaluators]
    if not evaluators:
        raise ConfigError(f'config, {part}_evaluator: it is empty; give at least one metric')
    given: list[str] | None = []
    for each in evaluators:
        if not isinstance(each, dict) or 'type' not in each:
            raise ConfigError(f'config, {part}_evaluator: {short(each)} must be a dict with a type')
        metric = build_part(f'{part}_evaluator', partial(own.METRICS.build, dict(each)))
        if sample:
            try_metric(
                build_part(f'{part}_evaluator', partial(own.METRICS.build, dict(each))), sample, f'{part}_evaluator'
            )
        names = ['fid'] if isinstance(metric, FID) else getattr(metric, 'protocols', None)
        twice = sorted(set(given or ()).intersection(names or ()))
        if twice:  # MMEngine would raise only after everything has been scored
            raise ConfigError(f'config, {part}_evaluator: two metrics give {twice[0]}; leave one of them out')
        given = None if given is None or names is None else [*given, *names]  # other classes: scores are unknown
    sets = plain[f'{part}_dataloader']['dataset'].get('datasets') or ()
    return None if given is None else [*given, *(f'{name}/{score}' for name in sets for score in given)]


def _check_evaluators(plain: dict, part: str, sample: dict[str, Tensor] | None) -> None:
    known = known_scores(plain, part, sample)
    hook = (plain.get('default_hooks') or {}).get('checkpoint') or {}
    best = hook.get('save_best')
    if part == 'val' and known is not None and best is not None and best.replace('input/', '') not in known:
        raise ConfigError(f"config, default_hooks.checkpoint: save_best is '{best}'; {nearest(best, known)}")


def _check_hooks(plain: dict) -> None:
    named = {f'default_hooks.{name}': hook for name, hook in (plain.get('default_hooks') or {}).items() if hook}
    hooks = {**named, **{f'custom_hooks.{i}': hook for i, hook in enumerate(plain.get('custom_hooks') or [])}}
    for where, hook in hooks.items():
        if not isinstance(hook, dict):
            raise ConfigError(f'config, {where}: it is {short(hook)}; it must be a dict with a type')
        hook = dict(hook)
        priority, interval = hook.pop('priority', None), hook.get('interval', 1)
        if priority is not None:
            if isinstance(priority, str) and priority not in Priority.__members__:
                known = nearest(priority, [*Priority.__members__])
                raise ConfigError(f"config, {where}: there is no priority '{priority}'; {known}")
            build_part(f'{where}.priority', partial(get_priority, priority))
        if not isinstance(interval, int) or interval < -1 or interval == 0:
            raise ConfigError(f'config, {where}: interval is {interval!r}; it must be a positive number')
        built = build_part(where, partial(own.HOOKS.build, hook))
        kind = type(built)
        if kind.__module__.startswith('mmengine.') and kind.__name__ in ALIASES:  # given as a class, not as a name
            raise ConfigError(f'config, {where}: restorebox has {ALIASES[kind.__name__]}')


def _check_epochs(plain: dict) -> None:
    """Refuse a log processor or a hook that counts epochs: a loop that counts samples has none."""
    if not plain.get('train_cfg'):
        return
    named = {f'default_hooks.{name}': hook for name, hook in (plain.get('default_hooks') or {}).items()}
    named |= {f'custom_hooks.{i}': hook for i, hook in enumerate(plain.get('custom_hooks') or [])}
    for where, part in {'log_processor': plain.get('log_processor'), **named}.items():
        for key in ('by_epoch', 'log_metric_by_epoch'):
            if isinstance(part, dict) and part.get(key):
                raise ConfigError(f'config, {where}: {key}=True, but train_cfg counts samples; leave it out')


def _check_packages(plain: dict) -> None:
    """Check that the package of a visualiser backend is installed; MMEngine imports it only at the first log call."""
    backends = (plain.get('visualizer') or {}).get('vis_backends') or []
    for number, backend in enumerate([backends] if isinstance(backends, dict) else backends):
        kind = backend.get('type') if isinstance(backend, dict) else None
        for names in BACKEND_PACKAGES.get(kind, ()) if isinstance(kind, str) else ():
            if not any(find_spec(name) for name in names):
                raise ConfigError(
                    f'config, visualizer.vis_backends.{number}: {kind} needs the package {names[0]}, which is not '
                    f'installed: pip install {names[0]}'
                )

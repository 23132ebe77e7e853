"""Checks of a config before anything expensive starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mmengine import registry as mm
from mmengine.config import Config
from mmengine.optim import OptimWrapperDict

from restorebox import registry as own
from restorebox.errors import ConfigError
from restorebox.registry import RegistryKeyError, check_keys

# a config key -> the registry of what stands there; other places are looked up in all of them
PLACES: dict[str, own.Registry] = {
    'model': own.RESTORERS,
    'backbone': own.BACKBONES,
    'head': own.HEADS,
    'losses': own.LOSSES,
    'recipe': own.DEGRADATIONS,
    'dataset': own.DATASETS,
    'sampler': own.DATA_SAMPLERS,
    'pipeline': own.TRANSFORMS,
    'collate_fn': own.FUNCTIONS,
    'val_evaluator': own.METRICS,
    'test_evaluator': own.METRICS,
    'default_hooks': own.HOOKS,
    'custom_hooks': own.HOOKS,
    'train_cfg': own.LOOPS,
    'val_cfg': own.LOOPS,
    'test_cfg': own.LOOPS,
    'optim_wrapper': own.OPTIM_WRAPPERS,
    'optimizer': own.OPTIMIZERS,
    'param_scheduler': own.PARAM_SCHEDULERS,
    'visualizer': own.VISUALIZERS,
    'vis_backends': own.VISBACKENDS,
    'log_processor': own.LOG_PROCESSORS,
    'data_preprocessor': own.RESTORERS,
}
# places that hold several by name
COLLECTIONS = ('losses', 'default_hooks')
# keys beside ``type`` that MMEngine takes out before it calls the constructor
TAKEN_OUT = {'_scope_', '_delete_', 'constructor', 'priority', 'convert_to_iter_based', 'paramwise_cfg'}


def _find(kind: str, registry: own.Registry | None) -> Any:
    """The class that a name means at its place."""
    if registry is not None:
        return registry.get(kind)
    everywhere = [r for r in vars(own).values() if isinstance(r, own.Registry)]
    for each in everywhere:
        if kind in each.known():
            return each.get(kind)
    raise RegistryKeyError('component', kind, sorted({name for each in everywhere for name in each.known()}))


def check_types(cfg: Config | dict) -> None:
    """Look up every ``type`` in a config and check the keys beside it, without building anything.

    Raises:
        ConfigError: an unknown name or key; says where in the config, and what is nearest.
    """
    _walk(cfg._cfg_dict if isinstance(cfg, Config) else cfg, '', None)


def _walk(node: Any, path: str, registry: own.Registry | None) -> None:
    if isinstance(node, dict):
        kind = node.get('type')
        if isinstance(kind, str) and '.' not in kind:
            try:
                build = _find(kind, registry)
                keys = [key for key in node if key not in TAKEN_OUT and key != 'type']
                check_keys(build, keys, kind, complete=False)
            except ConfigError as error:
                raise ConfigError(f'config, {path or "top level"}: {error}') from None
        for key, value in node.items():
            inside = f'{path}.{key}' if path else key
            in_collection = not isinstance(kind, str) and path.split('.')[-1] in COLLECTIONS
            _walk(value, inside, registry if in_collection else PLACES.get(key))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            _walk(value, f'{path}.{i}', registry)


def check_roles(restorer: Any, dataset: Any) -> None:
    """Refuse a data set that does not give what the restorer trains on.

    Raises:
        ConfigError: an unpaired method with a paired set, the other way round, or nothing that makes a role.
    """
    wants, gives = getattr(restorer, 'picture_roles', ()), getattr(dataset, 'roles', None)
    if gives is None:  # another library's data set
        return
    transforms = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    made = [role for transform in transforms for role in getattr(transform, 'gives', ())]
    remedy = {'gt': 'use PairedPictures', 'hq': 'use UnpairedPictures', 'lq': 'give its folder, or a Degrade'}
    for role in wants:
        if role not in gives and role not in made:
            raise ConfigError(
                f"{type(restorer).__name__} trains on {', '.join(wants)}, but train_dataloader's "
                f'{type(dataset).__name__} gives {", ".join((*gives, *made))}; '
                f'{remedy.get(role, f"nothing makes {role}")}'
            )


def build_all(cfg: Config) -> None:
    """Build what a config names on the meta device: no data is read, no memory taken.

    Raises:
        ConfigError: a constructor refuses its values; says where in the config.
    """
    import torch
    from mmengine.optim import build_optim_wrapper

    from restorebox.engine.loops import scale_schedule

    def build(where: str, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except ConfigError as error:
            raise ConfigError(f'config, {where}: {error}') from None
        except (TypeError, ValueError, KeyError, AssertionError, AttributeError) as error:
            raise ConfigError(f'config, {where}: {type(error).__name__}: {error}') from error

    plain = cfg.to_dict()
    if not plain.get('model'):
        raise ConfigError("config, top level: needs the key 'model'")
    with mm.DefaultScope.overwrite_default_scope('restorebox'), torch.device('meta'):
        model = build('model', lambda: mm.MODELS.build(dict(plain['model'])))
        build('model', lambda: model.needs)
        for part in ('train', 'val', 'test'):
            loader = plain.get(f'{part}_dataloader')
            if loader is None:
                continue
            for key in ('dataset', 'sampler', 'batch_size'):
                if key not in loader:
                    raise ConfigError(f"config, {part}_dataloader: needs the key '{key}'")
            where = f'{part}_dataloader.dataset'
            dataset = build(where, lambda cfg=loader: mm.DATASETS.build({**cfg['dataset'], 'lazy_init': True}))
            if part == 'train':
                check_roles(model, dataset)
            _loop_keys(plain, part)
            evaluators = plain.get(f'{part}_evaluator') or []
            for each in evaluators if isinstance(evaluators, list) else [evaluators]:
                build(f'{part}_evaluator', lambda each=each: mm.METRICS.build(dict(each)))
        if plain.get('optim_wrapper'):
            wrapper = build('optim_wrapper', lambda: build_optim_wrapper(model, dict(plain['optim_wrapper'])))
            several = isinstance(wrapper, OptimWrapperDict)
            one = next(iter(wrapper.values())) if several else wrapper
            for each in _schedulers(plain.get('param_scheduler'), several):
                if plain['train_cfg'].get('type') == 'SampleTrainLoop':
                    each = build('param_scheduler', lambda each=each: scale_schedule(each, 1))
                extra = dict(optimizer=one, epoch_length=1)
                build(
                    'param_scheduler',
                    lambda each=each, extra=extra: mm.PARAM_SCHEDULERS.build(each, default_args=extra),
                )
        hooks = [*(plain.get('default_hooks') or {}).values(), *(plain.get('custom_hooks') or [])]
        for hook in hooks:
            if hook is not None:
                hook = {key: value for key, value in hook.items() if key != 'priority'}
                build(f'hook {hook.get("type")}', lambda hook=hook: mm.HOOKS.build(hook))


def _schedulers(cfg: Any, several: bool) -> list[dict]:
    """All parameter schedulers of a config; with several optimisers they may be given by step."""
    if cfg is None:
        return []
    if isinstance(cfg, dict):
        if several and 'type' not in cfg:
            return [each for part in cfg.values() for each in _schedulers(part, False)]
        return [cfg]
    return list(cfg)


def _loop_keys(plain: dict, part: str) -> None:
    """The keys that a loop needs from the config; the Runner gives the rest."""
    loop = plain.get(f'{part}_cfg')
    if loop is None:
        raise ConfigError(f'config: {part}_dataloader is given, {part}_cfg is not')
    kind = loop.get('type', {'val': 'RestorationValLoop', 'test': 'RestorationTestLoop'}.get(part))
    if kind is None or not isinstance(kind, str):
        return
    given = {**loop, 'runner': None, 'dataloader': None, 'evaluator': None}
    given.pop('type', None)
    _, needed = own.constructor_keys(_find(kind, own.LOOPS)) or ((), ())
    missing = [key for key in needed if key not in given]
    if missing:
        raise ConfigError(f"config, {part}_cfg: {kind} needs the key '{missing[0]}'")

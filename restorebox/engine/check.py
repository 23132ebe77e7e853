"""Checks of a config before anything expensive starts."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from restorebox import registry as own
from restorebox.errors import ConfigError
from restorebox.registry import RegistryKeyError, check_keys

# a config key -> the registry of what stands there; other places are looked up in all of them
PLACES: dict[str, own.Registry] = {
    'model': own.RESTORERS,
    'backbone': own.BACKBONES,
    'head': own.HEADS,
    'losses': own.LOSSES,
    'loss': own.LOSSES,
    'recipe': own.DEGRADATIONS,
    'encoder': own.ENCODERS,
    'encoders': own.ENCODERS,
    'semantic_encoder': own.ENCODERS,
    'stems': own.STEMS,
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
COLLECTIONS = ('losses', 'default_hooks', 'stems')
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
    if gives is None:
        raise ConfigError(
            f'train_dataloader.dataset: {type(dataset).__name__} does not declare its roles, and so does not take the '
            'keys that random draws depend on; use or derive from PairedPictures or UnpairedPictures'
        )
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

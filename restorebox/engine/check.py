"""Check of a config's names, keys and values without building anything."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import DataLoader

from restorebox import registry as own
from restorebox.datasets.base import BasePictures, no_base
from restorebox.datasets.mixture import leaf_sets
from restorebox.errors import ConfigError, PluginError, RestoreboxError
from restorebox.registry import RegistryKeyError, constructor_keys, nearest_key
from restorebox.restorers.preprocessor import RestorationPreprocessor
from restorebox.values import (
    Count,
    NotEmpty,
    NotNegative,
    Pixels,
    Positive,
    Range,
    Samples,
    Whole,
    check_value,
    hints,
    short,
)

# keys of parameter schedulers that are numbers of samples
SCHEDULE_KEYS = ('begin', 'end', 'T_max', 'step_size', 'total_iters', 'total_steps', 'milestones', 'periods')

# config key -> registry of the component below it; other keys are looked up in all registries
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
    'datasets': own.DATASETS,
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
# keys that hold several components by name
COLLECTIONS = ('losses', 'default_hooks', 'stems', 'datasets')
# keys that hold one component, which needs the key 'type'
TYPED = (
    'model',
    'backbone',
    'head',
    'loss',
    'dataset',
    'sampler',
    'optimizer',
    'recipe',
    'encoder',
    'semantic_encoder',
    'vis_backends',
)
# types that MMEngine or our Runner uses where a config gives none
DEFAULTS = {
    'visualizer': 'Visualizer',
    'log_processor': 'LogProcessor',
    'train_cfg': 'SampleTrainLoop',
    'val_cfg': 'RestorationValLoop',
    'test_cfg': 'RestorationTestLoop',
}
# keys beside ``type`` that MMEngine removes before it calls the constructor
TAKEN_OUT = {'_scope_', '_delete_', 'constructor', 'priority', 'convert_to_iter_based', 'paramwise_cfg'}
GIVEN_TO_LOOPS = ('runner', 'dataloader', 'evaluator')  # arguments of a loop that the Runner passes
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
LOADER: dict[str, Any] = {
    **dict.fromkeys(inspect.signature(DataLoader.__init__).parameters, Any),
    'dataset': dict,
    'sampler': dict,
    'batch_sampler': dict | None,
    'collate_fn': dict | None,
    'worker_init_fn': dict | None,
    'batch_size': Pixels,
    'num_workers': Annotated[int, Range(0, 1024)],
    'prefetch_factor': Count | None,
    'timeout': NotNegative,
    'multiprocessing_context': str | None,
    'pin_memory_device': str,
    'shuffle': bool | None,
    **dict.fromkeys(('pin_memory', 'drop_last', 'persistent_workers', 'in_order'), bool),
    'num_batch_per_epoch': Samples,
    'disable_subprocess_warning': bool,
}
LOADER.pop('self')
# dicts without a type that the Runner reads key by key; no constructor checks them
PLAIN: dict[str, dict[str, Any]] = {
    **dict.fromkeys(LOADERS, LOADER),
    'env_cfg': {
        'cudnn_benchmark': bool,
        'tf32': bool | None,
        'mp_cfg': dict | None,
        'dist_cfg': dict | None,
        'resource_limit': Samples,
    },
    'env_cfg.mp_cfg': {'mp_start_method': Literal['fork', 'spawn', 'forkserver'], 'opencv_num_threads': Whole},
    'randomness': {'seed': Annotated[int, Range(0, 2**32 - 1)] | None, 'deterministic': bool},
    'compile': {
        'roles': Annotated[Sequence[str], NotEmpty()],
        'mode': Literal['default', 'reduce-overhead', 'max-autotune', 'max-autotune-no-cudagraphs'] | None,
        'backend': str,
        'options': dict | None,
        'dynamic': bool | None,
        **dict.fromkeys(('fullgraph', 'disable'), bool),
    },
    'auto_scale_lr': {'enable': bool, 'base_batch_size': Samples},
}
# passed on by OptimWrapper to torch; 'type' is not a component here
CLIP_GRAD: dict[str, Any] = {
    'type': Literal['norm', 'value'],
    'max_norm': Positive,
    'norm_type': Positive,
    'error_if_nonfinite': bool,
    'clip_value': Positive,
    'foreach': bool | None,
}
# ranges that MMEngine's type hints do not contain
RANGES: dict[str, dict[str, Any]] = {
    'LogProcessor': {'window_size': Samples, 'num_digits': Annotated[int, Range(0, 20)]},
    'Visualizer': {'vis_backends': list[dict] | dict | None},
    'OptimWrapper': {'accumulative_counts': Samples},
    'AutocastOptimWrapper': {'accumulative_counts': Samples},
}
# top-level keys of MMEngine's Runner and ours
TOP: dict[str, Any] = {
    **hints(Runner),
    'model': dict,
    'default_hooks': dict[str, dict | None] | None,
    'custom_hooks': list[dict] | None,
    'compile': bool | dict | None,
    'log_level': str | int,
    'sync_bn': Literal['torch', 'mmcv'] | bool | None,
    **dict.fromkeys(('find_unused_parameters', 'gradient_as_bucket_view', 'static_graph'), bool),
    'runner_type': str,
    'overrides': dict | None,
    'init_from': dict | None,
    'freeze': Sequence[str] | str | None,
    'row': str | None,
}
for _name in LOADERS:
    TOP[_name] = dict | None


def _find(kind: str, registry: own.Registry | None) -> Any:
    """Return the class registered under a name; without a registry, search all of them."""
    if registry is not None:
        return registry.get(kind)
    everywhere = [r for r in vars(own).values() if isinstance(r, own.Registry)]
    for each in everywhere:
        if kind in each.known():
            return each.get(kind)
    raise RegistryKeyError('component', kind, sorted({name for each in everywhere for name in each.known()}))


@dataclass(frozen=True)
class Place:
    """Position in a config.

    Attributes:
        path: dotted, from the top of the config.
        registry: registry in which a ``type`` here is looked up; None for all.
        hint: type hint of the enclosing constructor's argument.
    """

    path: str = ''
    registry: own.Registry | None = None
    hint: Any = Any

    def takes(self, node: dict) -> tuple[str, dict[str, Any] | None] | None:
        """Return what a dict at this position may contain.

        Returns:
            The component's name ('' if there is none), and key -> type hint; None where they can't be determined.

        Raises:
            ConfigError: its ``type`` is unknown or not a name.
        """
        if self.path.startswith('optim_wrapper') and self.path.endswith('.clip_grad'):
            return '', CLIP_GRAD
        kind = node.get('type', DEFAULTS.get(self.path))
        if isinstance(kind, str):
            if '.' in kind:
                return None
            try:
                return kind, _arguments(_find(kind, self.registry))
            except RegistryKeyError:
                if self.path.split('.')[-1] != 'data_preprocessor':
                    raise
                each = {name: own.RESTORERS.get(name) for name in own.RESTORERS.known()}  # they share this registry
                known = [n for n, c in each.items() if isinstance(c, type) and issubclass(c, RestorationPreprocessor)]
                raise RegistryKeyError('data preprocessor', kind, known) from None
        if 'type' in node and not callable(kind):
            raise ConfigError(f'type is {short(kind)}; it must be the name of a component')
        if kind is not None:
            return getattr(kind, '__name__', 'type'), _arguments(kind)
        if not self.path:
            return '', TOP
        if self.path in PLAIN:
            return '', PLAIN[self.path]
        if self.path == 'optim_wrapper' and 'constructor' in node:  # an optimiser for each step of a restorer
            return None
        for each in typing.get_args(self.hint):  # ``Network | dict``: a dict with the arguments of the class
            if isinstance(each, type) and (each.__module__.startswith('restorebox.') or each is OptimWrapper):
                return each.__name__, _arguments(each)
        return None

    def lacks_type(self, node: dict) -> bool:
        """Whether a component at this position needs the key ``type`` and lacks it."""
        *_, around, last = ('', *self.path.split('.'))
        needed = last in TYPED or around in COLLECTIONS or (self.registry is not None and last.isdigit())
        # other top-level names are variables of the config files
        return needed and 'type' not in node and self.path.split('.')[0] in TOP

    def inside(self, node: dict, key: str, takes: tuple[str, dict[str, Any] | None] | None) -> Place:
        """Return the position of the value under a key."""
        path = f'{self.path}.{key}' if self.path else key
        if self.path == 'optim_wrapper' and 'constructor' in node and key not in TAKEN_OUT:
            return Place(path, None, OptimWrapper | dict)
        known = (takes[1] if takes is not None else None) or {}
        in_collection = not isinstance(node.get('type'), str) and self.path.split('.')[-1] in COLLECTIONS
        return Place(path, self.registry if in_collection else PLACES.get(key), known.get(key, Any))


def _arguments(build: Any) -> dict[str, Any] | None:
    keys = constructor_keys(build)
    if keys is None:
        return None
    known = {**dict.fromkeys(keys[0], Any), **hints(build), **RANGES.get(getattr(build, '__name__', ''), {})}
    if isinstance(build, type) and issubclass(build, BaseLoop):
        return {key: hint for key, hint in known.items() if key not in GIVEN_TO_LOOPS}
    return known


def check_types(cfg: Config | dict) -> None:
    """Look up every ``type`` in a config and check the keys and values beside it, without building anything.

    Raises:
        ConfigError: an unknown name or key, or an invalid value; names the position in the config and what is allowed.
    """
    try:
        _walk(cfg._cfg_dict if isinstance(cfg, Config) else cfg, Place())
    except RecursionError:
        raise ConfigError('config: it is nested too deeply to be read') from None


def known_keys(cfg: Config, path: str) -> list[str] | None:
    """Return the keys that are read from the dict at a dotted path; None where they can't be determined."""
    node, place = cfg._cfg_dict, Place()
    try:
        for key in path.split('.') if path else ():
            if isinstance(node, dict):
                place, node = place.inside(node, key, place.takes(node)), node[key]
            else:
                place, node = dataclasses.replace(place, path=f'{place.path}.{key}', hint=Any), node[int(key)]
        takes = place.takes(node)
    except ConfigError:  # the whole config is checked later
        return None
    return None if takes is None or takes[1] is None else list(takes[1])


def _walk(node: Any, place: Place) -> None:
    if isinstance(node, dict):
        where = place.path or 'top level'
        for key in node:
            if not isinstance(key, str):
                raise ConfigError(f'config, {where}: the key {short(key)} is no string')
        takes = None
        try:
            takes = place.takes(node)
            _check_given(node, place, takes)
        except PluginError:
            raise
        except ConfigError as error:
            raise ConfigError(f'config, {where}: {error}') from None
        if takes is not None and takes[1] is None:
            takes = None
        for key, value in node.items():
            # keys of paramwise_cfg are parts of the names of weights, such as 'backbone'; overrides have been merged
            if key != 'paramwise_cfg' and (place.path or key != 'overrides'):
                _walk(value, place.inside(node, key, takes))
        if place.lacks_type(node):
            raise ConfigError(f"config, {where}: needs the key 'type'")
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            _walk(value, dataclasses.replace(place, path=f'{place.path}.{i}'))


def _check_given(node: dict, place: Place, takes: tuple[str, dict[str, Any] | None] | None) -> None:
    name, known = takes or ('', None)
    if known is None:
        return
    for key, value in node.items():
        if (key == 'type' and known is not CLIP_GRAD) or key in TAKEN_OUT or (key not in known and not place.path):
            continue
        if key not in known:
            raise ConfigError(f"{name or 'it'} has no key '{key}'; {nearest_key(key, [*known])}")
        if not (place.path.startswith('param_scheduler') and key in SCHEDULE_KEYS):  # samples: see scale_schedule
            check_value(value, known[key], f'{name}: {key}' if name else key)


def build_part(where: str, make: Callable[[], Any]) -> Any:
    """Call a constructor and report its exceptions as errors of the config.

    Raises:
        ConfigError: names the position in the config.
    """
    try:
        return make()
    except PluginError:
        raise
    except RestoreboxError as error:
        raise ConfigError(f'config, {where}: {error}') from error
    except Exception as error:
        line = ' '.join(str(error).split())[:300]
        raise ConfigError(f'config, {where}: {type(error).__name__}: {line}') from error


def check_roles(restorer: Any, dataset: Any) -> None:
    """Refuse a data set that does not provide the picture roles the restorer trains on.

    Raises:
        ConfigError: an unpaired method with a paired set or the reverse, a role that nothing provides, or a data set
            without sample keys.
    """
    for name, leaf in leaf_sets(dataset):
        _check_roles(restorer, leaf, f"the set '{name}', a " if name else '')


def _check_roles(restorer: Any, dataset: Any, which: str) -> None:
    if not isinstance(dataset, BasePictures):
        raise ConfigError(no_base(type(dataset)))
    wants, gives = getattr(restorer, 'picture_roles', ()), dataset.roles
    transforms = getattr(dataset.pipeline, 'transforms', ())
    made = [role for transform in transforms for role in getattr(transform, 'gives', ())]
    remedy = {'gt': 'use PairedPictures', 'hq': 'use UnpairedPictures', 'lq': 'give its folder, or a Degrade'}
    for role in wants:
        if role not in gives and role not in made:
            raise ConfigError(
                f"{type(restorer).__name__} trains on {', '.join(wants)}, but train_dataloader's "
                f'{which}{type(dataset).__name__} gives {", ".join((*gives, *made))}; '
                f'{remedy.get(role, f"nothing makes {role}")}'
            )

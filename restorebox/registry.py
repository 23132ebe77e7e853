"""All registries of restorebox, and the import of plugins.

Most registries are children of MMEngine's, so that a Runner builds our classes by name. The others have no parent:
MMEngine allows one child per parent and scope, so backbones and restorers can't both be children of MODELS. mmcv's
transforms, which MMEngine's TRANSFORMS would include, expect another sample format.

A registry is filled at its first lookup. It imports the modules of its subpackage (all modules where the location ends
with ``.*``), then every plugin of the entry-point group ``restorebox.plugins`` (see ``docs/add_a_method.md``).
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from mmengine import registry as mm
from mmengine.registry import build_from_cfg, build_model_from_cfg

from restorebox.aliases import ALIASES, alias, component_key_alias
from restorebox.errors import ConfigError, PluginError, one_line, source_line
from restorebox.values import check_values, layers, short

PLUGIN_GROUP = 'restorebox.plugins'
LISTED = 10  # maximum number of names in an error message
LETTERS = 160  # maximum total length of these names
_plugins: dict[str, str] = {}
_plugins_loaded = False


def load_plugins() -> dict[str, str]:
    """Import the installed plugins once.

    Returns:
        Entry-point name -> module of each loaded plugin.

    Raises:
        PluginError: a plugin can't be imported; the message has the entry point, its distribution, the cause and its
            line.
    """
    global _plugins_loaded
    if not _plugins_loaded:
        _plugins_loaded = True  # set first, since a plugin's imports call this function again
        for point in sorted(entry_points(group=PLUGIN_GROUP), key=lambda p: p.name):
            try:
                point.load()
            except (Exception, SystemExit) as error:
                _plugins_loaded = False  # so that the next lookup fails as well
                dist = point.dist.name if point.dist else 'unknown distribution'
                place = source_line(error)
                raise PluginError(
                    f"plugin '{point.name}' ({point.value}, from {dist}) can't be imported: "
                    f'{type(error).__name__}: {one_line(error)}{place and f" ({place})"}'
                ) from error
            _plugins[point.name] = point.value
    return dict(_plugins)


def remember_imports(modules: Iterable[str]) -> None:
    """Record the modules of a config's ``custom_imports``, for error messages."""
    _plugins.update({f'custom_imports {i}': module for i, module in enumerate(modules)})


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Suggest known names similar to a misspelt one.

    Returns:
        ``"did you mean 'x'?"``; without a similar name ``'known: a, b, c'`` with up to :data:`LISTED` closest names.
    """
    lower = {name.lower(): name for name in known}
    match = difflib.SequenceMatcher(b=word.lower())
    similarity: dict[str, float] = {}
    for name in lower:
        match.set_seq1(name)
        similarity[name] = match.ratio()
    best = max(similarity.values(), default=0)
    # relative to the best match, since many class names share a suffix
    floor = max(0.6, best - 0.12)
    ranked = sorted(similarity, key=similarity.__getitem__, reverse=True)
    close = [lower[name] for name in ranked if similarity[name] >= floor][:3]
    if close:
        return 'did you mean ' + ' or '.join(f"'{name}'" for name in close) + '?'
    if not ranked:
        return 'known: nothing'
    shown = [lower[name] for name in ranked[:LISTED]]
    while len(shown) > 1 and sum(map(len, shown)) > LETTERS:
        shown.pop()
    more = f' and {len(ranked) - len(shown)} more' if len(ranked) > len(shown) else ''
    return f'known: {", ".join(sorted(shown))}{more}'


def nearest_key(key: str, known: list[str]) -> str:
    """Return the equivalent of a key of MMEngine or MMagic, else the result of :func:`nearest`."""
    return component_key_alias(key, known) or nearest(key, known)


def constructor_keys(build: Callable) -> tuple[list[str], list[str]] | None:
    """Return the names of a constructor's arguments and of its required arguments.

    For a class that passes ``**kwargs`` on, as MMEngine's schedulers do, the parents' arguments are included.

    Returns:
        ``(known, needed)``, or None without a signature.
    """
    known: list[str] = []
    needed: list[str] = []
    for layer in layers(build):
        try:
            parameters = list(inspect.signature(layer).parameters.values())
        except (TypeError, ValueError):  # a few C-implemented callables have no signature
            return None
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self']
        known += [p.name for p in named if p.name not in known]
        needed += [p.name for p in named if p.default is p.empty and p.name not in needed]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return known, needed
    return None


def check_keys(build: Callable, given: Iterable[str], where: str, complete: bool = True) -> None:
    """Check the keys of a config against a constructor's arguments, and its values against their type hints.

    Args:
        build: class or function.
        given: keys of its config, without ``type``; values are checked if it is a dict.
        where: name used in the message.
        complete: also check that required keys are present.

    Raises:
        ConfigError: a key is unknown or missing, or a value does not match its type hint.
    """
    keys = constructor_keys(build)
    if keys is None:
        return
    known, needed = keys
    for key in given:
        if key not in known and key != '_scope_':
            raise ConfigError(f"{where} has no key '{key}'; {nearest_key(key, known)}")
    for key in needed if complete else ():
        if key not in given:
            raise ConfigError(f"{where} needs the key '{key}'")
    if isinstance(given, dict):
        check_values(build, given, where)


def modules_of(location: str) -> list[str]:
    """Return the names of the modules at a registry location without importing them.

    Args:
        location: a module, or a package followed by ``.*``: the package and its modules, without subpackages.
    """
    package = location.removesuffix('.*')
    if package == location:
        return [location]
    spec = find_spec(package)
    assert spec is not None  # locations are ours, see the end of this file
    found = pkgutil.iter_modules(spec.submodule_search_locations, f'{package}.')
    return [package, *sorted(module.name for module in found if not module.ispkg)]


class RegistryKeyError(ConfigError, KeyError):
    """An unregistered name. The message has similar names and the loaded plugins."""

    def __init__(self, registry: str, key: str, known: list[str]):
        loaded = [f'{name} ({short(module, 40)[1:-1]})' for name, module in load_plugins().items()]
        plugins = ', '.join(loaded[:3]) + (f' and {len(loaded) - 3} more' if len(loaded) > 3 else '')
        other = alias(key.split('.')[-1])
        ours = f'restorebox has {other}' if other else nearest(key, known)
        self.message = f'no {registry} is called {short(key)}; {ours}'
        if plugins:
            self.message += f' (plugins loaded: {plugins})'
        super().__init__(self.message)

    def __str__(self) -> str:  # KeyError would print the repr
        return self.message


def build_checked(cfg: dict, registry: mm.Registry, default_args: dict | None = None) -> Any:
    """Build like MMEngine's ``build_from_cfg``, after checking the type's name, the keys and the values.

    Raises:
        RegistryKeyError: the type is not registered; the message has similar names and the loaded plugins.
        ConfigError: a key is unknown or missing, a value does not match its type hint, or the constructor of a torch
            module does not call that of its base class.
    """
    merged = {**(default_args or {}), **cfg}
    kind = merged.pop('type', None)
    if isinstance(kind, str):
        kind, name = registry.get(kind), kind
        check_keys(kind, merged, name)
    elif callable(kind):
        check_keys(kind, merged, getattr(kind, '__name__', 'type'))
    built = build_from_cfg(cfg, registry, default_args)
    if hasattr(type(built), 'named_parameters') and '_parameters' not in vars(built):  # a torch module
        raise ConfigError(f'{type(built).__name__}.__init__ does not call super().__init__()')
    return built


class Registry(mm.Registry):
    """MMEngine's registry with plugins and with errors that suggest similar names."""

    _locations: list[str]

    def import_from_location(self) -> None:
        """Import this registry's modules, then the plugins."""
        if not self._imported:
            self._locations = [module for location in self._locations for module in modules_of(location)]
        super().import_from_location()
        load_plugins()

    def _register_module(
        self, module: Any, module_name: str | Sequence[str] | None = None, force: bool = False
    ) -> None:
        """Register a class or function.

        Raises:
            ConfigError: the name is taken, by restorebox or another module.
        """
        names = [module_name] if isinstance(module_name, str) else module_name or [module.__name__]
        for name in names:
            there = self._module_dict.get(name)
            if there is not None and not force:
                both = f'{there.__module__} and {module.__module__}'
                raise ConfigError(f"{self.name} '{name}' is registered by {both}; give one of them another name")
        super()._register_module(module, module_name, force)

    def known(self) -> list[str]:
        """Return the names that :meth:`get` finds without a scope, including those of plugins and MMEngine."""
        self.import_from_location()
        names = list(self._module_dict)
        if self.parent is not None:
            names += [name for name in self.parent.module_dict if name not in ALIASES]
        return names

    def own_names(self) -> list[str]:
        """Return the names registered by restorebox and plugins, without MMEngine's."""
        self.import_from_location()
        return list(self._module_dict)

    def get(self, key: str) -> Any:
        """Return the class registered under a name.

        Raises:
            RegistryKeyError: the name is neither in this registry nor in its MMEngine parent, or restorebox replaces
                MMEngine's component.
        """
        self.import_from_location()
        scope, bare = self.split_scope_key(key)
        replaced = scope == 'mmengine' and bare.split('.')[-1] in ALIASES
        if replaced or (scope is None and bare not in self.known()):
            raise RegistryKeyError(self.name, key, self.known())
        try:
            found = super().get(key)
        except RuntimeError:  # MMEngine cannot import the scope
            found = None
        if found is None:
            raise RegistryKeyError(self.name, key, self.known())
        return found


def _child(name: str, parent: mm.Registry, *rooms: str) -> Registry:
    """Create a child of an MMEngine registry; ``rooms`` are its locations, see :func:`modules_of`."""
    build = build_checked if parent.build_func in (build_from_cfg, build_model_from_cfg) else None
    return Registry(name, parent=parent, scope='restorebox', locations=list(rooms), build_func=build)


def _own(name: str, room: str) -> Registry:
    """Create a registry without a parent."""
    return Registry(name, scope='restorebox', locations=[room], build_func=build_checked)


BACKBONES = _own('backbone', 'restorebox.backbones.*')
HEADS = _own('head', 'restorebox.heads.*')
LOSSES = _own('loss', 'restorebox.losses.*')
DEGRADATIONS = _own('degradation', 'restorebox.degradations.*')
ENCODERS = _own('encoder', 'restorebox.encoders.*')
STEMS = _own('stem', 'restorebox.layers.*')
TRANSFORMS = _own('transform', 'restorebox.datasets.*')  # mmcv's transforms expect another sample format
SOURCES = _own('data source', 'restorebox.datasets.sources.*')  # functions that return a Source

RESTORERS = _child('restorer', mm.MODELS, 'restorebox.restorers.*')
DATASETS = _child('dataset', mm.DATASETS, 'restorebox.datasets.*')
DATA_SAMPLERS = _child('data sampler', mm.DATA_SAMPLERS, 'mmengine.dataset', 'restorebox.datasets.*')
FUNCTIONS = _child('function', mm.FUNCTIONS, 'mmengine.dataset', 'restorebox.datasets.*')
METRICS = _child('metric', mm.METRICS, 'restorebox.metrics.*')
HOOKS = _child('hook', mm.HOOKS, 'mmengine.hooks', 'restorebox.hooks.*')
RUNNERS = _child('runner', mm.RUNNERS, 'restorebox.engine.runner')
LOOPS = _child('loop', mm.LOOPS, 'mmengine.runner', 'restorebox.engine.loops')
OPTIM_WRAPPERS = _child('optimiser wrapper', mm.OPTIM_WRAPPERS, 'mmengine.optim', 'restorebox.engine.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'optimiser wrapper constructor', mm.OPTIM_WRAPPER_CONSTRUCTORS, 'mmengine.optim', 'restorebox.engine.optim'
)
# no classes of ours: these only improve the errors for MMEngine's names
OPTIMIZERS = _child('optimiser', mm.OPTIMIZERS, 'mmengine.optim')
PARAM_SCHEDULERS = _child('parameter scheduler', mm.PARAM_SCHEDULERS, 'mmengine.optim')
VISUALIZERS = _child('visualiser', mm.VISUALIZERS, 'mmengine.visualization')
VISBACKENDS = _child('visualisation backend', mm.VISBACKENDS, 'mmengine.visualization')
LOG_PROCESSORS = _child('log processor', mm.LOG_PROCESSORS, 'mmengine.runner')
MODEL_WRAPPERS = _child('model wrapper', mm.MODEL_WRAPPERS, 'mmengine.model')

"""Initial weights of a training by role (``init_from``), and weights that stay as they are (``freeze``)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from torch import Tensor, nn

from restorebox.engine.checkpoint import deployed_state, load_any
from restorebox.errors import CheckpointError, ConfigError, printable
from restorebox.files import write_whole
from restorebox.registry import nearest
from restorebox.restorers.weights import fitting_weights, number_fault

NAMED = 5  # weights that a log line names; the file of the work directory has all of them
KEYS = {'checkpoint': str, 'role': str, 'keys': list, 'partial': bool}
REPORT = 'initial_weights.txt'


def matches(name: str, pattern: str) -> bool:
    """Return whether a pattern names a weight, or a module that contains it; ``*`` matches dots too."""
    return fnmatchcase(name, pattern) or fnmatchcase(name, f'{pattern}.*')


def check_patterns(patterns: Iterable[str], names: Iterable[str], where: str) -> None:
    """Refuse a pattern that matches no weight.

    Raises:
        ConfigError: names the pattern and the nearest module.
    """
    names = list(names)
    modules = dict.fromkeys(name.rsplit('.', depth)[0] for depth in (1, 2, 3) for name in names)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            raise ConfigError(
                f"config, {where}: no weight matches '{pattern}'; {nearest(pattern, tuple(modules))} "
                "(patterns as 'generator.backbone.down*')"
            )


def freeze(model: nn.Module, patterns: Iterable[str], logger: logging.Logger | None = None) -> None:
    """Disable the gradients of the matching weights, before the optimisers are built.

    Normalisation layers whose weights are all frozen keep their running statistics as well.

    Args:
        model: the restorer without DDP.
        patterns: see :func:`matches`; names begin with the role.
        logger: says how many weights are frozen.

    Raises:
        ConfigError: a pattern matches no weight, or nothing is left to train.
    """
    patterns = [patterns] if isinstance(patterns, str) else list(patterns)
    named = dict(model.named_parameters())
    check_patterns(patterns, named, 'freeze')
    chosen = {name for name in named if any(matches(name, pattern) for pattern in patterns)}
    if not any(weight.requires_grad for name, weight in named.items() if name not in chosen):
        raise ConfigError('config, freeze: it matches every weight: nothing would be trained')
    for name in chosen:
        named[name].requires_grad_(False)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.track_running_stats:
            own = list(module.parameters(recurse=False))
            if own and not any(weight.requires_grad for weight in own):
                module.momentum = 0.0
    if logger is not None:
        values = sum(named[name].numel() for name in chosen)
        logger.info(f'freeze: {len(chosen)} of {len(named)} weights ({values:,} values) stay as they are')


def check_init_from(model: Any, init_from: Mapping[str, Any]) -> None:
    """Check the keys of ``init_from`` without reading a file.

    Raises:
        ConfigError: names the role or key.
    """
    roles = [name for name, child in model.named_children() if child.state_dict()]
    for role, given in init_from.items():
        where = f'config, init_from.{role}'
        if role not in roles:
            raise ConfigError(f"config, init_from: there is no role '{role}'; {nearest(role, roles)}")
        source = _source(role, given)
        for key, value in source.items():
            if key not in KEYS:
                raise ConfigError(f"{where} has no key '{key}'; {nearest(key, tuple(KEYS))}")
            if not isinstance(value, (list, tuple) if key == 'keys' else KEYS[key]):
                raise ConfigError(f'{where}: {key} is {value!r}; it must be a {KEYS[key].__name__}')
        if 'checkpoint' not in source:
            raise ConfigError(f"{where}: needs the key 'checkpoint'")
        names = [f'{role}.{name}' for name in model.role(role).state_dict()]
        check_patterns([f'{role}.{key}' for key in source.get('keys', ())], names, f'init_from.{role}.keys')


def load_init_from(model: Any, init_from: Mapping[str, Any], logger: logging.Logger, folder: Path) -> None:
    """Load the initial weights of roles, each from its own file.

    Args:
        model: the restorer without DDP.
        init_from: role -> path, or dict with ``checkpoint`` (path, URL), ``role`` (role in that file; default: the
            same), ``keys`` (patterns of the weights to load, without the role; default: all) and ``partial`` (load the
            weights that fit and keep the others; default: every weight must fit).
        logger: says how many weights are loaded, and the first of those that are not.
        folder: work directory, in which the first rank writes ``initial_weights.txt`` with a line for every weight.

    Raises:
        CheckpointError: a file is unreadable, has no such role, or its weights don't fit; no weight of the role is
            loaded then.
    """
    lines = []
    for role, given in init_from.items():
        source = _source(role, given)
        filename, other = source['checkpoint'], source.get('role', role)
        state = deployed_state(load_any(filename, 'cpu'))
        own = {key: value for key, value in state.items() if key.startswith(f'{other}.')}
        state = {f'{role}{key[len(other) :]}': value for key, value in own.items()}
        try:
            if not state:
                raise CheckpointError(f"it has no role '{other}'")
            chosen, kept = _fitting(model, role, state, source)
        except CheckpointError as error:
            raise CheckpointError(f'init_from.{role}: checkpoint {filename}: {error}') from None
        model.role(role).load_state_dict(chosen, strict=False)
        total = len(chosen) + len(kept)
        first = '; '.join(f'{name} {reason}' for name, reason in list(kept.items())[:NAMED])
        more = f' and {len(kept) - NAMED} more, see {REPORT}' if len(kept) > NAMED else ''
        rest = f'; not loaded: {printable(first)}{more}' if kept else ''
        logger.info(f'init_from: {len(chosen)} of {total} weights of {role} from {printable(filename)}{rest}')
        lines += [f'{role}.{name}: {printable(filename)}' for name in chosen]
        lines += [f'{role}.{name}: initial value, {printable(reason)}' for name, reason in kept.items()]
    if is_main_process():
        write_whole(folder / REPORT, ('\n'.join(lines) + '\n').encode())


def _source(role: str, given: Any) -> dict[str, Any]:
    if isinstance(given, str):
        return {'checkpoint': given}
    if not isinstance(given, Mapping):
        raise ConfigError(f'config, init_from.{role} is {given!r}; it must be a path, or a dict with a checkpoint')
    return dict(given)


def _fitting(
    model: Any, role: str, state: dict[str, Tensor], source: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the weights to load, and the reason for each weight of the role that is not loaded."""
    network = model.role(role)
    if not source.get('partial') and 'keys' not in source:
        return fitting_weights({role: network}, state)[role], {}
    chosen: dict[str, Tensor] = {}
    kept: dict[str, str] = {}
    misfits = []
    for name, own in network.state_dict().items():
        value = state.get(f'{role}.{name}')
        if 'keys' in source and not any(matches(name, key) for key in source['keys']):
            kept[name] = 'is not named by keys'
            continue
        if value is None:
            reason: str | None = 'is not in the file'
        elif value.shape != own.shape:
            reason = f'is {tuple(value.shape)} there and {tuple(own.shape)} here'
        else:
            reason = number_fault(value, own)
            if reason:
                raise CheckpointError(f'{role}.{name} holds {reason}')
        if reason is None and value is not None:
            chosen[name] = value
        elif reason is not None:
            kept[name] = reason
            misfits.append(f'{role}.{name} {reason}')
    if misfits and not source.get('partial'):
        raise CheckpointError(f'{misfits[0]}; partial=True loads those that fit')
    if not chosen:
        raise CheckpointError(f'none of its weights fits {role}: {(misfits or ["keys names none of them"])[0]}')
    return chosen, kept

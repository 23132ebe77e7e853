"""Reading of config files, their rows and command-line overrides."""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import MMLogger

from restorebox.aliases import key_alias
from restorebox.datasets.base import named_leaves
from restorebox.engine.check import known_keys
from restorebox.errors import ConfigError, source_line
from restorebox.files import configs_dir
from restorebox.registry import nearest, remember_imports
from restorebox.rows import find_row

# top-level keys of a config that the Runner reads
TOP_KEYS = [
    'model',
    'work_dir',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'auto_scale_lr',
    'optim_wrapper',
    'param_scheduler',
    'val_evaluator',
    'test_evaluator',
    'default_hooks',
    'custom_hooks',
    'data_preprocessor',
    'load_from',
    'init_from',
    'freeze',
    'resume',
    'launcher',
    'env_cfg',
    'log_processor',
    'log_level',
    'visualizer',
    'default_scope',
    'randomness',
    'experiment_name',
    'runner_type',
    'custom_imports',
    'compile',
    'sync_bn',
    'find_unused_parameters',
    'gradient_as_bucket_view',
    'static_graph',
    'model_wrapper_cfg',
    'activation_checkpointing',
    'efficient_conv_bn_eval',
    'overrides',
    'row',
]
FREE_FORM = ('env_cfg', 'env_cfg.mp_cfg', 'env_cfg.dist_cfg', 'randomness', 'compile')


def find_config(path: str | Path) -> Path:
    """Return the path of a config file; a path below ``configs/`` is also found in the installed package.

    Raises:
        ConfigError: there is none; names the nearest.
    """
    given = Path(path)
    if given.is_file():
        return given
    if given.exists():
        raise ConfigError(f'config {path}: it is {"a folder" if given.is_dir() else "no regular file"}')
    parts = given.parts[1:] if given.parts[:1] == ('configs',) else given.parts
    packaged = configs_dir().joinpath(*parts)
    if packaged.is_file():
        return packaged
    known = [
        str(p.relative_to(configs_dir().parent)) for p in configs_dir().glob('*/*.py') if p.parent.name != '_base_'
    ]
    raise ConfigError(f'config {path}: no such file; {nearest(str(path), known)}')


def without_yapf(cfg: Config) -> Config:
    """Return a config whose text is written without yapf, which takes seconds for a large one, several times a run."""
    return Config(
        cfg.to_dict(),
        cfg_text=cfg.text,
        filename=cfg.filename,
        env_variables=cfg.env_variables,
        format_python_code=False,
    )


def load_config(path: str | Path, overrides: dict | None = None, row: str | None = None) -> Config:
    """Read a config with its bases, and merge a row's differences and the overrides into it.

    Args:
        path: see :func:`find_config`.
        overrides: dotted key -> value, as ``--cfg-options`` gives them.
        row: name of a row of the config, see :mod:`restorebox.rows`; stored under the config's key ``row``.

    Raises:
        ConfigError: the file is absent or invalid (names file and line), there is no such row, or an override changes
            a key that is not read.
    """
    file = find_config(path)
    differences = find_row(file, row).differences if row else {}
    try:
        # lets a config in another folder inherit '{{$RESTOREBOX_CONFIGS:}}/_base_/default_runtime.py'
        os.environ.setdefault('RESTOREBOX_CONFIGS', str(configs_dir()))
        config_files(file)  # reports a syntax error under the name of its file, which MMEngine's message lacks
        with log_level(logging.WARNING):  # MMEngine logs each environment variable that it reads
            # MMEngine takes an import above _base_ for a sign of its other kind of config
            cfg = without_yapf(Config.fromfile(str(file), lazy_import=False))
    except SyntaxError as error:
        line = f', line {error.lineno}' if error.lineno else ''
        raise ConfigError(f'config {error.filename or file}{line}: {error.msg}') from error
    except ConfigError:
        raise
    except SystemExit as error:
        raise ConfigError(f'config {source_line(error) or file}: it ends the program (sys.exit)') from error
    except FileNotFoundError as error:
        raise ConfigError(f'config {file}: {error}') from error
    except UnicodeDecodeError as error:
        raise ConfigError(f'config {file}: it is no text in UTF-8: {error}') from error
    except RecursionError as error:
        raise ConfigError(f'config {file}: its _base_ leads back to itself, or it is nested too deeply') from error
    except Exception as error:
        if 'import_modules_from_strings() argument' in str(error):
            raise ConfigError(f"config {file}: custom_imports must be dict(imports=['MODULE', ...])") from error
        if 'read_base' in file.read_text('utf-8'):
            raise ConfigError(
                f'config {file}: read_base() is not supported; name its bases by _base_ = [...]'
            ) from error
        cause = error.__cause__ or error  # custom_imports: the module's own error, not the list of folders searched
        line = ' '.join(str(cause).split())[:300]
        if isinstance(cause, ImportError):  # MMEngine's message has only the module's name
            reason = '' if cause.__context__ is None else f' ({" ".join(str(cause.__context__).split())[:150]})'
            line += f'{reason}; the folder of a module must be in PYTHONPATH'
        place = source_line(cause.__context__ or cause) or str(file)
        raise ConfigError(f'config {place}: {type(cause).__name__}: {line}') from error
    imports = (cfg.get('custom_imports') or {}).get('imports') or ()
    remember_imports([imports] if isinstance(imports, str) else imports)
    _merge(cfg, differences, f'row {row}: ')
    if row:
        cfg.row = row
    _merge(cfg, overrides or {}, '--cfg-options ')
    return cfg


@contextmanager
def log_level(least: int) -> Iterator[None]:
    """Keep MMEngine's logger from logging below a level."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(least)
    try:
        yield
    finally:
        logger.setLevel(level)


def _merge(cfg: Config, values: dict, where: str) -> None:
    for key, value in [(key, value) for given, value in values.items() for key in transform_keys(cfg, given, where)]:
        check_override(cfg, key, where)
        try:
            cfg.merge_from_dict({key: value})
        except (TypeError, KeyError, IndexError, AssertionError, AttributeError) as error:
            raise ConfigError(f'{where}{key}={value}: {error}') from error


def transform_keys(cfg: Config, dotted: str, origin: str = '--cfg-options ') -> list[str]:
    """Return the keys that an override with the name of a transform means.

    ``PATH.pipeline.NAME.KEY`` means the transforms called NAME in that pipeline; ``pipeline.NAME.KEY`` those in all
    pipelines of the config's data loaders. Other keys are returned as they are.

    Raises:
        ConfigError: there is no such transform, or PATH is given and the pipeline has several.
    """
    before, found, rest = dotted.partition('pipeline.')
    name, _, key = rest.partition('.')
    if not found or not key or not name[:1].isalpha() or not (before == '' or before.endswith('.')):
        return [dotted]
    pipelines: dict[str, list[str]] = {}
    for path, value in leaves(cfg._cfg_dict):
        pipeline, inside, end = path.rpartition('.pipeline.')
        number, _, last = end.partition('.')
        of_loader = bool(inside) and last == 'type' and pipeline.split('.')[0].endswith('_dataloader')
        if of_loader and before in ('', f'{pipeline}.'):
            pipelines.setdefault(value, []).append(f'{pipeline}.pipeline.{number}.{key}')
    if name not in pipelines:
        raise ConfigError(f"{origin}{dotted}: no pipeline there has a '{name}'; {nearest(name, tuple(pipelines))}")
    if before and len(pipelines[name]) > 1:
        raise ConfigError(
            f'{origin}{dotted}: the pipeline has {len(pipelines[name])} of them; give the number of one: '
            + ', '.join(pipelines[name])
        )
    return pipelines[name]


def check_override(cfg: Config, dotted: str, origin: str = '--cfg-options ') -> None:
    """Refuse an override of a key that is not read.

    An existing key may be overridden. A new key is accepted if a constructor or the Runner reads it.

    Raises:
        ConfigError: names the part that does not exist and the nearest existing one.
    """
    here = cfg._cfg_dict
    parts = dotted.split('.')
    if parts[0] in here and parts[0] not in TOP_KEYS:
        arrived = [path for path, value in leaves(here) if path != dotted and value == here[parts[0]]]
        more = f' and {len(arrived) - 3} more' if len(arrived) > 3 else ''
        no_reader = 'nothing reads it afterwards'
        raise ConfigError(
            f"{origin}{dotted}: '{parts[0]}' is only a name that the config's files use while they are read; "
            + (f'override where its value arrived: {", ".join(arrived[:3])}{more}' if arrived else no_reader)
        )
    for depth, part in enumerate(parts):
        done = '.'.join(parts[:depth])
        where = f'{origin}{dotted}: ' + (f"'{done}' has" if done else 'the config has')
        if isinstance(here, (list, tuple)):
            if not part.isdigit() or int(part) >= len(here):
                raise ConfigError(f"{where} {len(here)} items, counted from 0; there is no '{part}'")
            here = here[int(part)]
        elif isinstance(here, dict):
            if part not in here:
                read = TOP_KEYS if not done else known_keys(cfg, done)
                if depth == len(parts) - 1 and (part in (read or ()) or 'type' in here or done in FREE_FORM):
                    return
                if part in (read or ()):
                    whole = '.'.join(parts[: depth + 1])
                    given = '.'.join(parts[depth + 1 :])
                    raise ConfigError(f'{where} no \'{part}\' yet; give it whole: {whole}="dict({given}=...)"')
                known = list(dict.fromkeys([*here, *(read or ())]))
                raise ConfigError(f"{where} no '{part}', the override would reach nothing; {nearest(part, known)}")
            here = here[part]
        else:
            raise ConfigError(f"{where} the value {here!r}, it has no '{part}'")


def leaves(node: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Yield the dotted path and the value of every leaf of a config."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, (list, tuple)) else None
    if items is None:
        yield path, node
        return
    for key, value in items:
        yield from leaves(value, f'{path}.{key}' if path else str(key))


def model_of(cfg: Config, name: object) -> ConfigDict:
    """Return a config's model.

    Args:
        cfg: result of :func:`load_config`.
        name: of the config, for the message.

    Raises:
        ConfigError: there is none, as in the files of ``configs/_base_``.
    """
    if not isinstance(cfg.get('model'), dict):
        raise ConfigError(f"config {name}, top level: needs the key 'model'")
    return cfg.model


def config_digest(cfg: Config) -> str:
    """Return the hash of all that the Runner reads of a config as :func:`load_config` returns it, but for its row."""
    read = {key: _plain(value) for key, value in cfg._cfg_dict.items() if key in TOP_KEYS and key != 'row'}
    return hashlib.sha256(json.dumps(read, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def _plain(node: Any) -> Any:
    """Return a config's values as JSON has them: tuples are lists."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return [_plain(value) for value in node] if isinstance(node, (list, tuple)) else node


def set_data_root(cfg: Config, root: str) -> None:
    """Set the folder of the training, validation and test data sets.

    If the sets have several folders, as in a mixture, ``root`` replaces the folder that all of them are in.

    Raises:
        ConfigError: a data set has no ``data_root``, or the folders have no folder in common.
    """
    leaves_of = {}
    for part in ('train', 'val', 'test'):
        loader = cfg.get(f'{part}_dataloader')
        for name, leaf in named_leaves(loader.dataset) if loader else ():
            where = f'{part}_dataloader.dataset' + (f'.datasets.{name}' if name else '')
            if 'data_root' not in leaf:
                raise ConfigError(f"--data-root: {where} has no key 'data_root'")
            leaves_of[where] = leaf
    folders = {os.path.normpath(leaf['data_root']) for leaf in leaves_of.values()}
    try:
        common = os.path.commonpath(folders) if folders else ''
    except ValueError:
        common = ''
    if len(folders) > 1 and not common:
        raise ConfigError(
            f'--data-root: the data sets are in {" and ".join(sorted(folders)[:2])}, which have no folder in common; '
            'set data_root of each with --cfg-options'
        )
    for leaf in leaves_of.values():
        leaf['data_root'] = os.path.normpath(os.path.join(root, os.path.relpath(leaf['data_root'], common)))


def check_top_level(cfg: Config) -> None:
    """Refuse a top-level key that neither the Runner nor a file of the config reads.

    Raises:
        ConfigError: names the key and the nearest valid one.
    """
    if cfg.filename is None:
        return
    read: set[str] = set()
    for file in [f for f in config_files(Path(cfg.filename)) if f.suffix == '.py']:
        text = file.read_text('utf-8')
        read |= set(re.findall(r'_base_\.(\w+)', text))
        read |= {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    for key in cfg:
        if key not in TOP_KEYS and key not in read:
            ours = key_alias(key)
            answer = f'restorebox has {ours}, see docs/coming_from.md' if ours else nearest(key, TOP_KEYS)
            raise ConfigError(f"config {cfg.filename}: nothing reads '{key}'; {answer}")


def config_files(file: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """Return a config file and all its bases; environment variables are substituted as MMEngine does.

    Raises:
        ConfigError: ``_base_`` is computed, is not a path or list of paths, or forms a cycle.
    """
    if file.resolve() in above:
        raise ConfigError(f'config {above[-1]}: its _base_ leads back to {file}')
    found = [file]
    if file.suffix != '.py':
        return found
    text = re.sub(r'{{\s*\$(\w+)\s*:\s*(\S*?)\s*}}', lambda m: os.environ.get(m[1], m[2]), file.read_text('utf-8'))
    for node in ast.parse(text, filename=str(file)).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            try:
                bases = ast.literal_eval(node.value)
            except ValueError:
                raise ConfigError(
                    f'config {file}, line {node.lineno}: _base_ must be written out, not computed; '
                    "ours are below '{{$RESTOREBOX_CONFIGS:}}'"
                ) from None
            bases = [bases] if isinstance(bases, str) else bases
            if not isinstance(bases, (list, tuple)) or not all(isinstance(base, str) for base in bases):
                raise ConfigError(f'config {file}, line {node.lineno}: _base_ must be a path or a list of paths')
            for base in [base for base in bases if '::' not in base]:  # '::' marks a config of another package
                below = file.parent / base
                if not below.is_file():
                    raise ConfigError(f'config {file}, line {node.lineno}: its _base_ {base} is no file')
                found += config_files(below.resolve(), (*above, file.resolve()))
    return found

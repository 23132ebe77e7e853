"""Identity of a stored run: config, commit, source files, data and checkpoint; and what has changed since it was made.

A record made before these entries existed lacks them; pages and ``reproduce --status`` call them unknown. One without
source files is stale: nothing shows that the present code computes the same.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from restorebox.errors import ConfigError, RestoreboxError
from restorebox.files import configs_dir, json_bytes, write_whole

IDENTITY = ('config_digest', 'commit', 'sources', 'data', 'checkpoint_sha256', 'per_picture')
"""Entries of a complete record besides scores and cost."""
NO_SOURCES = 'no source files recorded'
PACKAGE = Path(__file__).resolve().parents[1]
# packages whose code decides what a training computes, and files that every training runs; of the data sets only the
# components that a config names count, since the files that reading needs change often and the data have their hashes
ROOMS = (
    'layers',
    'encoders',
    'backbones',
    'heads',
    'losses',
    'diffusion',
    'degradations',
    'metrics',
    'restorers',
)
ALWAYS = ('pixels.py', 'datasets/keys.py', 'datasets/sampler.py', 'engine/loops.py', 'engine/optim.py')


def root_dir() -> Path:
    """Return the checkout if the program runs in one, else the current folder: the place of docs and work_dirs."""
    beside = configs_dir().parent
    return beside if (beside / 'docs' / 'claims').is_dir() else Path.cwd()


@functools.cache
def source_digest(file: Path) -> str:
    """Return the hash of a Python file's code; comments, docstrings and layout don't count."""
    tree = ast.parse(file.read_text('utf-8'))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:12]


def sources(config: Path, content: Mapping, *more: str) -> dict[str, str]:
    """Return file -> hash of the config files of a run and of the code that its components are made of.

    Of a plugin with one of the components, every file of its package counts.

    Args:
        config: file of the config.
        content: the resolved config; its ``type`` entries name the components.
        more: further files below the package.
    """
    from restorebox.engine.config import config_files

    code = _imported([PACKAGE / name for name in (*ALWAYS, *more)] + [*_components(set(_types(content)))])
    names = {f'restorebox/{file.relative_to(PACKAGE).as_posix()}': file for file in code}
    names |= _plugin_files(set(_types(content)))
    for file in config_files(config):
        if file.resolve().is_relative_to(configs_dir().resolve()):
            names[f'configs/{file.resolve().relative_to(configs_dir().resolve()).as_posix()}'] = file
    return {name: source_digest(file.resolve()) for name, file in sorted(names.items())}


def changed(record: Mapping[str, Any], docs: Path, checkout: Path | None = None) -> list[str]:
    """Return the files of a stored run whose code is not what it was, or ``[NO_SOURCES]``; of a failed one nothing.

    Args:
        record: the stored run.
        docs: folder of the stored results.
        checkout: folder with ``restorebox`` and ``configs`` to compare with; None for the running program.
    """
    if record.get('sources') is None:
        return [] if 'failed' in record else [NO_SOURCES]
    found = []
    package, configs = (PACKAGE, configs_dir()) if checkout is None else (checkout / 'restorebox', checkout / 'configs')
    for name, digest in _listed(docs / 'sources' / f'{record["sources"]}.json').items():
        top, _, rest = name.partition('/')
        if top == 'plugins':
            file = _package_files(rest.partition('/')[0].removesuffix('.py')).get(name, Path())
        else:
            file = (package if top == 'restorebox' else configs.resolve()) / rest
        if not file.is_file() or source_digest(file) != digest:
            found.append(name)
    return found


def unknown(record: Mapping[str, Any]) -> list[str]:
    """Return the entries of a complete record that this one lacks."""
    return [key for key in IDENTITY if record.get(key) is None]


def commit() -> str | None:
    """Return the commit of the checkout, with ``+changes`` if package or configs differ from it; None without git."""
    place = configs_dir().parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ['git', '-C', str(place), *arguments], capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()

    try:
        changes = git('status', '--porcelain', '--', 'restorebox', 'configs')
        return git('rev-parse', 'HEAD') + ('+changes' if changes else '')
    except (OSError, subprocess.SubprocessError):
        return None


@functools.cache
def data_names(root: Path) -> dict[str, str]:
    """Return relative name -> SHA-256 of all files of a data set.

    Raises:
        ConfigError: there is no such folder.
    """
    if not root.is_dir():
        raise ConfigError(f'data {root}: no such folder')
    names = {}
    for file in sorted(path for path in root.rglob('*') if path.is_file()):
        with open(file, 'rb') as opened:
            names[file.relative_to(root).as_posix()] = hashlib.file_digest(opened, 'sha256').hexdigest()
    return names


def names_digest(names: dict[str, str]) -> str:
    """Return 16 hexadecimal digits that identify names with their hashes."""
    return hashlib.sha256(json_bytes(names)).hexdigest()[:16]


def store_names(names: dict[str, str], folder: Path) -> str:
    """Write names with their hashes to ``folder/DIGEST.json``, which runs share; return the digest."""
    digest = names_digest(names)
    file = folder / f'{digest}.json'
    if not file.is_file():
        write_whole(file, json_bytes(names))
    return digest


def code_identity(
    config: str, row: str | None, overrides: Mapping[str, Any], docs: Path, *, analysis: str | None = None
) -> dict[str, Any]:
    """Return config hash, commit and source files of a run; arguments as in :func:`identity`."""
    from restorebox.engine.config import config_digest, find_config, load_config

    cfg = load_config(config, dict(overrides), row)
    more = () if analysis is None else (f'claims/analyses/{analysis.removeprefix("analyze-")}.py',)
    return {
        'config_digest': config_digest(cfg),
        'commit': commit(),
        'sources': store_names(sources(find_config(config), cfg.to_dict(), *more), docs / 'sources'),
    }


def identity(
    config: str,
    row: str | None,
    overrides: Mapping[str, Any],
    docs: Path,
    *,
    data_root: str | None = None,
    analysis: str | None = None,
) -> dict[str, Any]:
    """Return config hash, commit, source files and data of a run.

    Source files and data are digests of lists in ``docs/sources`` and ``docs/data``, see :func:`store_names`.

    Args:
        config: the config.
        row: its row.
        overrides: dotted key -> value, without paths of this machine.
        docs: folder of the pages of claims.
        data_root: folder of all data sets; None for those of the config.
        analysis: an analysis command run after the test.
    """
    data: dict[str, str] = {}
    for root in data_roots(config, row, overrides, data_root):
        data |= data_names(root)
    code = code_identity(config, row, overrides, docs, analysis=analysis)
    return {**code, 'data': store_names(data, docs / 'data')}


def data_roots(config: str, row: str | None, overrides: Mapping[str, Any], data_root: str | None) -> list[Path]:
    """Return the folders of a run's pictures; arguments as in :func:`identity`."""
    from restorebox.engine.config import leaves, load_config

    if data_root:
        return [Path(data_root)]
    content = load_config(config, dict(overrides), row).to_dict()
    return [Path(root) for root in sorted({str(v) for path, v in leaves(content) if path.endswith('.data_root')})]


def _listed(file: Path) -> dict[str, str]:
    """Return the content of a list of names and hashes.

    Raises:
        RestoreboxError: it is absent or invalid.
    """
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise RestoreboxError(f'{file}: the list of files that a stored run names is unreadable: {error}') from error


def _types(node: Any) -> Iterator[str]:
    """Yield all names of components in a config."""
    if isinstance(node, Mapping):
        if isinstance(node.get('type'), str):
            yield node['type']
        for value in node.values():
            yield from _types(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _types(value)


def _components(names: set[str]) -> Iterator[Path]:
    """Yield the files that define the classes with these names."""
    for room in (*ROOMS, 'datasets'):
        for file in sorted((PACKAGE / room).rglob('*.py')):
            if names & set(re.findall(r'^class (\w+)', file.read_text('utf-8'), re.MULTILINE)):
                yield file


def _plugin_files(names: set[str]) -> dict[str, Path]:
    """Return plugins/NAME -> file of each package outside restorebox that registers a component with these names."""
    from restorebox import registry as own

    found: dict[str, Path] = {}
    for registry in [each for each in vars(own).values() if isinstance(each, own.Registry)]:
        for name in names & {*registry.own_names()}:
            top = registry.get(name).__module__.partition('.')[0]
            found |= _package_files(top) if top not in ('restorebox', 'mmengine', 'torch') else {}
    return found


def _package_files(top: str) -> dict[str, Path]:
    """Return plugins/NAME -> Python file of an importable package or module; empty without one."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return {}
    if spec is None:
        return {}
    if spec.submodule_search_locations is None:
        return {f'plugins/{top}.py': Path(spec.origin)} if spec.origin else {}
    roots = [Path(each) for each in spec.submodule_search_locations]
    return {f'plugins/{top}/{file.relative_to(root).as_posix()}': file for root in roots for file in root.rglob('*.py')}


def _imported(files: list[Path]) -> set[Path]:
    """Return the files, and all files of the ROOMS that they import directly or indirectly."""
    found: set[Path] = set()
    while files:
        file = files.pop()
        if file in found:
            continue
        found.add(file)
        for node in ast.walk(ast.parse(file.read_text('utf-8'))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith('restorebox.'):
                files += _modules(node.module, [alias.name for alias in node.names])
    return found


def _modules(module: str, names: list[str]) -> Iterator[Path]:
    """Yield the files of the ROOMS that ``from module import names`` reads."""
    place = PACKAGE.joinpath(*module.split('.')[1:])
    if place == PACKAGE or place.relative_to(PACKAGE).parts[0] not in ROOMS:
        return
    for file in (place.with_suffix('.py'), place / '__init__.py', *(place / f'{name}.py' for name in names)):
        if file.is_file():
            yield file

"""Measure the structure of checkouts of restorebox, and compare the values.

    python docs/studies/house.py before=PATH_OF_A_CHECKOUT after=. [--json docs/results/house.json]

The sources are parsed with ``ast``; no code of a checkout is run. It counts files and lines of the package and of its
largest sub-package, imports and import cycles, and configs. It also counts the files that determine one config (itself
and all its bases, each once), the depth of inheritance, and the arguments of the largest constructors. Then it adds a
backbone, a loss, a data set and a restorer to a copy of the checkout, each as one new file, and counts the existing
files that must be edited before the registry finds it.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from restorebox.cli.common import guarded

# a new component of each kind, as its author would begin: room, registry, source of the file
ADDED = {
    'backbone': ('backbones', 'BACKBONES', 'from torch import nn\n', 'class Added(nn.Module):\n    pass\n'),
    'loss': ('losses', 'LOSSES', 'from torch import nn\n', 'class Added(nn.Module):\n    pass\n'),
    'data set': ('datasets', 'DATASETS', '', 'class Added:\n    pass\n'),
    'restorer': ('restorers', 'RESTORERS', 'from torch import nn\n', 'class Added(nn.Module):\n    pass\n'),
}


def module_name(file: Path, root: Path) -> str:
    """Convert ``restorebox/a/b.py`` to ``restorebox.a.b``; ``__init__.py`` gives the name of the package."""
    parts = file.relative_to(root).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(tree: ast.AST, known: set[str]) -> set[str]:
    """Return the modules of ``known`` that a file imports, also inside functions, but not only for type hints."""
    hints = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in hints:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f'{node.module}.{alias.name}'
                found.add(inner if inner in known else node.module)
    return found & known


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the import cycles: strongly connected components of several modules (Tarjan, SIAM J. Comput. 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            component = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def constructors(trees: dict[str, ast.AST]) -> list[tuple[int, str]]:
    """Return (number of arguments without ``self``, class) of all explicit constructors, in descending order."""
    found = []
    for tree in trees.values():
        for node in ast.walk(tree):
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and method.name == '__init__':
                    args = method.args
                    found.append((len(args.posonlyargs) + len(args.args) + len(args.kwonlyargs) - 1, node.name))
    return sorted(found, reverse=True)


def bases(config: Path) -> list[Path]:
    """Return the files in ``_base_`` of a config."""
    for node in ast.parse(config.read_text('utf-8')).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            named = ast.literal_eval(node.value)
            return [(config.parent / base).resolve() for base in ([named] if isinstance(named, str) else named)]
    return []


def files_of(config: Path) -> set[Path]:
    """Return the file of a config and all files it inherits from."""
    return {config.resolve()}.union(*(files_of(base) for base in bases(config)))


def depth(config: Path) -> int:
    """Return the depth of inheritance; 1 for a config without bases."""
    return 1 + max((depth(base) for base in bases(config)), default=0)


def edits(checkout: Path) -> dict[str, int]:
    """Return kind of component -> existing files to edit before the registry finds a new file."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(checkout / 'restorebox', copy / 'restorebox')
        for kind, (room, registry, imports, body) in ADDED.items():
            added = copy / 'restorebox' / room / 'added.py'
            added.write_text(
                f'{imports}from restorebox.registry import {registry}\n\n\n@{registry}.register_module()\n{body}'
            )
            ask = f'from restorebox.registry import {registry}; print("Added" in {registry}.known())'
            environment = os.environ | {'PYTHONPATH': str(copy)}

            def known(ask: str = ask, environment: dict = environment) -> bool:
                out = subprocess.run(
                    [sys.executable, '-c', ask],
                    env=environment,
                    cwd=copy,
                    stdout=subprocess.PIPE,
                    text=True,
                    check=True,
                )
                return out.stdout.strip().endswith('True')

            found[kind] = 0
            if not known():
                init = copy / 'restorebox' / room / '__init__.py'
                before = init.read_text()
                init.write_text(before + f'from restorebox.{room}.added import Added\n')
                found[kind] = 1
                if not known():
                    raise SystemExit(f'house: a new {kind} in {room}/ is not found even after an import in __init__.py')
                init.write_text(before)
            added.unlink()
    return found


def measure(checkout: Path) -> dict:
    """Return all values of one checkout."""
    root = checkout.resolve()
    package = root / 'restorebox'
    files = sorted(package.rglob('*.py'))
    lines = {file: len(file.read_text('utf-8').splitlines()) for file in files}
    rooms: dict[str, int] = defaultdict(int)
    for file, count in lines.items():
        below = file.relative_to(package).parts
        rooms[below[0] if len(below) > 1 else '(root)'] += count
    trees = {module_name(file, root): ast.parse(file.read_text('utf-8')) for file in files}
    graph = {name: imported(tree, set(trees)) - {name} for name, tree in trees.items()}

    def room(name: str) -> str:
        parts = name.split('.')
        return parts[1] if len(parts) > 1 and (package / parts[1]).is_dir() else '(root)'

    between = {(room(a), room(b)) for a, others in graph.items() for b in others if room(a) != room(b)}
    configs = [file for file in (root / 'configs').rglob('*.py') if '_base_' not in file.parts]
    counts = [len(files_of(config)) for config in configs]
    ledgers = [
        file.read_text('utf-8') for name in ('claims', 'rows') for file in (root / 'configs').glob(f'*/{name}.yml')
    ]
    return {
        'package files': len(files),
        'package lines': sum(lines.values()),
        'largest file': max(lines.values()),
        'lines of cli': rooms.get('cli', 0),
        'largest room': max(rooms, key=rooms.get),
        'arrows between files': sum(len(others) for others in graph.values()),
        'arrows between rooms': len(between),
        'circles': len(circles(graph)),
        'configs': len(configs),
        'base files': len(list((root / 'configs' / '_base_').rglob('*.py'))),
        'config lines': sum(len(file.read_text('utf-8').splitlines()) for file in (root / 'configs').rglob('*.py')),
        'lines of claims and rows': sum(len(text.splitlines()) for text in ledgers),
        'files to read per config, median': statistics.median(counts),
        'files to read per config, most': max(counts),
        'depth of bases, most': max(depth(config) for config in configs),
        'largest constructors': [f'{name} {count}' for count, name in constructors(trees)[:5]],
        'edits for a new component': edits(root),
        'tests, lines': sum(len(file.read_text('utf-8').splitlines()) for file in (root / 'tests').rglob('*.py')),
    }


def table(measured: dict[str, dict]) -> str:
    """Return the values as Markdown, one column per checkout."""

    def cell(value: object) -> str:
        if isinstance(value, dict):
            return ', '.join(f'{key} {number}' for key, number in value.items())
        return ', '.join(value) if isinstance(value, list) else f'{value:,}' if isinstance(value, int) else str(value)

    names = list(measured)
    out = ['| | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|']
    for key in next(iter(measured.values())):
        out.append(f'| {key} | ' + ' | '.join(cell(measured[name][key]) for name in names) + ' |')
    return '\n'.join(out)


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkouts', nargs='+', metavar='NAME=PATH')
    parser.add_argument('--json', type=Path, help='store the figures here, and the table next to it as .md')
    args = parser.parse_args()
    measured = {}
    for given in args.checkouts:
        name, separator, path = given.partition('=')
        if not separator or not (Path(path) / 'restorebox').is_dir():
            raise SystemExit(f'house: {given} is not NAME=PATH of a checkout')
        measured[name] = measure(Path(path))
    print(table(measured))
    if args.json:
        args.json.write_text(json.dumps(measured, indent=1) + '\n')
        written = '<!-- written by docs/studies/house.py -->'
        args.json.with_suffix('.md').write_text(f'{written}\n\n{table(measured)}\n')


if __name__ == '__main__':
    guarded(main)

"""The house's own rules: imports run downwards, files stay small, everything public says what it is."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPO

PACKAGE = REPO / 'restorebox'
FLOORS = [  # a room imports from its own floor's lower neighbours and from below, never from above
    {'errors', 'version', 'sample', 'registry', 'files', 'figures', 'untrusted', 'aliases', 'values', 'pixels'},
    {'layers', 'encoders'},
    {'backbones', 'heads', 'losses', 'degradations', 'diffusion'},
    {'restorers', 'datasets', 'metrics'},
    {'engine'},
    {'hooks', 'inference', 'claims'},
    {'web'},
    {'cli', '__main__', '__init__'},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob('*.py'))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports(path: Path) -> set[str]:
    """Rooms of restorebox that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split('.')[1] for name in names if name.startswith('restorebox.')}
    return found


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    own = room(path)
    for other in imports(path) - {own}:
        if other in FLOOR_OF:
            assert FLOOR_OF[other] <= FLOOR_OF[own], f'{path.relative_to(REPO)} imports from {other}, which is above it'


def test_rooms_of_one_floor_make_no_circle():
    edges = {own: set() for own in FLOOR_OF}
    for path in FILES:
        edges[room(path)] |= {other for other in imports(path) - {room(path)} if other in FLOOR_OF}
    seen: list[str] = []

    def visit(own, trail):
        assert own not in trail, f'a circle of rooms: {" -> ".join([*trail, own])}'
        if own not in seen:
            for other in sorted(edges[own]):
                visit(other, [*trail, own])
            seen.append(own)

    for own in edges:
        visit(own, [])


@pytest.mark.parametrize('path', FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_are_one_room_and_documented(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400, 'a file past 400 lines is two rooms'
    tree = ast.parse(text)
    assert ast.get_docstring(tree), 'a module says what it is for'
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith('_'):
            assert ast.get_docstring(node), f'{node.name} has no docstring'


def test_tests_mirror_the_package():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob('*.py'))}
    tested = {p.name for p in (REPO / 'tests').iterdir() if p.is_dir()}
    assert rooms <= tested


def test_stored_results_name_no_path_of_a_machine():
    for path in sorted((REPO / 'docs').rglob('*.json')):
        found = re.search(r'"/\w+/[^"]*"', path.read_text())
        assert not found, f'{path.relative_to(REPO)}: {found[0]}'

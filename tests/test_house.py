"""The house's own rules: imports run downwards, files stay small, everything public says what it is."""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPO

PACKAGE = REPO / 'restorebox'
FLOORS = [  # a room imports from its own floor's lower neighbours and from below, never from above
    {
        'errors',
        'version',
        'sample',
        'registry',
        'files',
        'drawing',
        'untrusted',
        'aliases',
        'values',
        'processes',
        'progress',
    },
    {'layers'},
    {'backbones', 'heads', 'losses', 'degradations', 'diffusion'},
    {'restorers', 'datasets', 'metrics'},
    {'engine'},
    {'hooks', 'inference', 'claims'},
    {'web', 'demo'},
    {'cli', '__main__', '__init__'},
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = sorted(PACKAGE.rglob('*.py'))
TOOLS = sorted((REPO / 'tools').rglob('*.py'))


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


def private_of_others(path: Path) -> list[str]:
    """Private names of our modules that a file imports, and private methods that it calls on others than self."""
    tree, found, theirs = ast.parse(path.read_text()), [], set()
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        module = (getattr(node, 'module', None) or '').split('.')[0]
        if module == 'restorebox':
            found += [f'{node.lineno}: {alias.name}' for alias in node.names if is_private(alias.name)]
        else:
            theirs |= {(alias.asname or alias.name).split('.')[0] for alias in node.names}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not is_private(node.func.attr):
            continue
        holder = root = node.func.value
        while isinstance(root, ast.Attribute):
            root = root.value
        other_package = isinstance(root, ast.Name) and root.id in theirs - {'restorebox'}
        of_itself = isinstance(holder, ast.Name) and holder.id in {'self', 'cls'} | own
        of_its_base = isinstance(holder, ast.Call) and ast.unparse(holder.func) == 'super'
        if not (other_package or of_itself or of_its_base):
            found.append(f'{node.lineno}: {ast.unparse(node.func)}')
    return found


def is_private(name: str) -> bool:
    return name.startswith('_') and not name.startswith('__')


def test_no_private_name_crosses_a_file():
    found = {str(path.relative_to(REPO)): private_of_others(path) for path in (*FILES, *TOOLS)}
    assert not {name: names for name, names in found.items() if names}


@pytest.mark.parametrize(
    ('code', 'found'),
    [
        ('from restorebox.files import _locked', 1),
        ('from restorebox import files\nfiles._locked()', 1),
        ('import restorebox.files\nrestorebox.files._locked()', 1),
        ('def f(restorer):\n    with restorer._only(1):\n        pass', 1),
        ('class A:\n    def f(self):\n        self.other._g()', 1),
        ('class A:\n    def f(self):\n        self._g()\n        super()._g()\n        A._h()', 0),
        ('import os\nos._exit(0)', 0),
        ('from torchvision.models import inception\ninception._make()', 0),
    ],
)
def test_private_names_are_seen(code, found, tmp_path):
    (tmp_path / 'a.py').write_text(code)
    assert len(private_of_others(tmp_path / 'a.py')) == found


def test_a_verb_parses_calls_and_prints():
    """What works stands in a room below."""
    lengths = {path.name: len(path.read_text().splitlines()) for path in (PACKAGE / 'cli').glob('*.py')}
    assert 'restore.py' in lengths
    assert not {name: length for name, length in lengths.items() if length > 120}
    assert sum(lengths.values()) < 2000


def test_tests_mirror_the_package():
    rooms = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob('*.py'))}
    tested = {p.name for p in (REPO / 'tests').iterdir() if p.is_dir()}
    assert rooms <= tested


def test_stored_results_name_no_path_of_a_machine():
    for path in sorted((REPO / 'docs').rglob('*.json')):
        found = re.search(r'"/\w+/[^"]*"', path.read_text())
        assert not found, f'{path.relative_to(REPO)}: {found[0]}'

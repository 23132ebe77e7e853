"""The house's own rules: files stay small, everything public says what it is, tests mirror the package.

That imports run downwards is a contract of import-linter's, in pyproject.toml; ``make test`` checks it.
"""

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPO

PACKAGE = REPO / 'restorebox'
FILES = sorted(PACKAGE.rglob('*.py'))
TOOLS = sorted((REPO / 'tools').rglob('*.py'))
LONGEST = 400  # lines; a file past them is two rooms


def test_no_file_is_too_long():
    assert len(FILES) > 100, 'the walk over the package has lost its way'
    lengths = {str(path.relative_to(REPO)): len(path.read_text().splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_every_module_and_every_public_class_and_function_is_documented():
    bare = []
    for path in FILES:
        tree = ast.parse(path.read_text())
        public = [node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
        bare += [
            f'{path.relative_to(REPO)}: {getattr(node, "name", "the module")}'
            for node in (tree, *(node for node in public if not node.name.startswith('_')))
            if not ast.get_docstring(node)
        ]
    assert not bare


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
    assert not rooms - tested


def test_stored_results_name_no_path_of_a_machine():
    found = {
        str(path.relative_to(REPO)): re.search(r'"/\w+/[^"]*"', path.read_text())
        for path in sorted((REPO / 'docs').rglob('*.json'))
    }
    assert found
    assert not {name: match[0] for name, match in found.items() if match}

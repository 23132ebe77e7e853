"""The house's own rules: files stay small, everything public says what it is, tests mirror the package.

That imports run downwards is a contract of import-linter's, in pyproject.toml; ``make test`` checks it.
"""

import ast
import re

from tests.conftest import REPO

PACKAGE = REPO / 'restorebox'
FILES = sorted(PACKAGE.rglob('*.py'))
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

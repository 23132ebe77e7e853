"""Scripts outside of the package: what they import exists, and they print help instead of starting a measurement."""

import ast
import importlib
import re

import pytest

from tests.conftest import REPO
from tests.processes import one_line_error, run

STUDIES = sorted((REPO / 'docs' / 'studies').glob('*.py'))
SCRIPTS = [*STUDIES, *sorted((REPO / 'tools').rglob('*.py'))]


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.stem)
def test_imported_names_exist(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or '').partition('.')[0] == 'restorebox':
            module = importlib.import_module(node.module)
            for each in node.names:
                if not hasattr(module, each.name):
                    importlib.import_module(f'{node.module}.{each.name}')


@pytest.mark.parametrize('path', STUDIES, ids=lambda path: path.stem)
def test_a_study_parses_its_arguments(path):
    """Otherwise ``--help`` would run it and overwrite stored results."""
    text = path.read_text()
    assert "if __name__ == '__main__'" not in text or 'parse_args()' in text


@pytest.mark.parametrize(
    'path', [*STUDIES, *sorted((REPO / 'tools/benchmarks').glob('*.py'))], ids=lambda path: path.stem
)
def test_a_script_reports_errors_as_the_commands_do(path):
    main = re.search(r"if __name__ == '__main__':\n((?: +.*\n)+)", path.read_text())
    assert main is None or 'guarded(' in main[1]


def test_a_missing_checkpoint_of_a_study_is_one_line(tmp_path):
    script = REPO / 'docs/studies/combine_weights.py'
    result = run(script, 'fdrnet/fdrnet_demo.py', 'out.pth', 'missing.pth', cwd=tmp_path)
    assert 'missing.pth' in one_line_error(result)
    assert not (tmp_path / 'out.pth').exists()

"""A wheel works without the repository."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox.files import DEFAULT_MODEL
from tests.conftest import REPO
from tests.processes import environment, succeed

MOST_MIB = 32  # of the wheel, most of it weights: three of weather, five of laptop size; PyPI takes 100
LEFT_OUT = ('.git', '.venv', 'build', 'work_dirs', '_build', 'api', '*.egg-info', '__pycache__', '.*_cache')
pytestmark = pytest.mark.slow


def can_build() -> bool:
    """A pip that installs into other environments, and a setuptools that makes wheels by itself."""
    least = {'pip': (22, 3), 'setuptools': (70, 1)}
    try:
        return all(tuple(map(int, version(name).split('.')[:2])) >= least[name] for name in least)
    except PackageNotFoundError:
        return False


def call(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess:
    """Run a program without the repository on its path."""
    env = environment()
    del env['PYTHONPATH']
    result = subprocess.run(list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return succeed(result) if code == 0 else result


def build(folder: Path) -> Path:
    """The wheel, from a copy, so that nothing of an earlier build gets in and none stays behind."""
    shutil.copytree(REPO, folder / 'source', ignore=shutil.ignore_patterns(*LEFT_OUT))
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'wheel', '--no-deps', '--no-build-isolation']
    call(*pip, '--wheel-dir', folder / 'dist', folder / 'source', cwd=folder)
    (made,) = (folder / 'dist').iterdir()
    return made


def install(wheel: Path, home: Path) -> Path:
    """The ``bin`` of an empty environment with the wheel, and with this one's packages behind it."""
    call(sys.executable, '-m', 'venv', '--without-pip', home, cwd=home.parent)
    scripts = home / ('Scripts' if sys.platform == 'win32' else 'bin')
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', '--python', scripts / 'python']
    call(*pip, 'install', '--no-deps', '--no-index', wheel, cwd=home.parent)
    # a path is all that a line of a .pth adds: an editable restorebox among the packages is not put in the way
    own = call(scripts / 'python', '-c', "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home.parent)
    folders = dict.fromkeys((sysconfig.get_path('purelib'), sysconfig.get_path('platlib')))
    Path(own.stdout.strip(), 'packages.pth').write_text('\n'.join(folders) + '\n')
    return scripts


def check_contents(wheel: Path) -> None:
    """Assert that it contains code, configs, metafiles, claims and weights, and nothing else."""
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    ours = {path for path in (REPO / 'configs').rglob('*') if path.is_file() and '__pycache__' not in path.parts}
    assert {f'restorebox/{path.relative_to(REPO).as_posix()}' for path in ours} <= names
    code = {path for path in (REPO / 'restorebox').rglob('*.py')}
    assert {path.relative_to(REPO).as_posix() for path in code} <= names
    schemas = {path.relative_to(REPO).as_posix() for path in (REPO / 'restorebox/schemas').iterdir()}
    assert {'restorebox/py.typed', 'restorebox/schemas/report-1.json', *schemas} <= names
    parameters = {path.relative_to(REPO).as_posix() for path in (REPO / 'restorebox/metrics/parameters').iterdir()}
    assert {'restorebox/metrics/parameters/LICENSE.md', *parameters} <= names
    assert not [name for name in names if name.startswith(('tests', 'tools', 'docs'))]
    assert wheel.stat().st_size < MOST_MIB * 2**20


def check_verbs(installed: Path, tmp_path: Path) -> None:
    """As a user types them."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / 'photo.png')
    where = call(installed / 'python', '-c', 'import restorebox; print(restorebox.__file__)', cwd=tmp_path).stdout
    assert Path(where.strip()).is_relative_to(installed.parent)
    restored = call(installed / 'restorebox', 'restore', 'photo.png', '--device', 'cpu', cwd=tmp_path).stdout
    assert '1 restored into restored' in restored
    assert Image.open(tmp_path / 'restored/photo.png').size == (60, 40)
    models = call(installed / 'restorebox', 'models', cwd=tmp_path).stdout
    assert models.splitlines()[1].split()[:2] == [DEFAULT_MODEL, 'there']
    facts = call(installed / 'restorebox', 'info', 'weather', cwd=tmp_path).stdout
    assert 'non-commercial' in facts
    assert str(installed.parent) in facts
    claims = call(installed / 'restorebox', 'reproduce', '--list', cwd=tmp_path).stdout
    assert 'fdrnet/C2' in claims
    mistake = call(installed / 'restorebox', 'restore', 'photo.png', '--model', 'wether', cwd=tmp_path, code=1)
    assert "did you mean 'weather'" in mistake.stderr
    assert len(mistake.stderr.splitlines()) == 1


@pytest.mark.skipif(
    not can_build(), reason='needs pip from 22.3 and setuptools from 70.1: pip install --upgrade pip setuptools'
)
def test_a_wheel_restores_and_knows_its_models_elsewhere(tmp_path):
    wheel = build(tmp_path)
    check_contents(wheel)
    installed = install(wheel, tmp_path / 'elsewhere')
    (tmp_path / 'work').mkdir()
    check_verbs(installed, tmp_path / 'work')

"""The programs of docs/examples, run as they stand on an exported model, give what ``restorebox restore`` gives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebox import RestoreInferencer
from restorebox.files import DEFAULT_MODEL
from restorebox.inference.export_file import export_file
from tests.conftest import REPO, long
from tests.factories import publish_small
from tests.inference.test_exporting import drawn, exported_file
from tests.processes import environment

onnxruntime = pytest.importorskip('onnxruntime', reason='onnxruntime (requirements/export.txt) is not installed')
pytest.importorskip('onnxscript', reason='onnxscript (requirements/export.txt) is not installed')
pytestmark = pytest.mark.slow
EXAMPLES = REPO / 'docs' / 'examples'
# of Debian's libonnxruntime-dev, which Debian 12 lacks; ONNXRUNTIME_INCLUDE names another folder
INCLUDE = Path(os.environ.get('ONNXRUNTIME_INCLUDE', '/usr/include/onnxruntime'))
SIZES = [(301, 403), (7, 5)]  # in tiles, and smaller than the least size


def write(folder: Path, shape: tuple[int, int]) -> Path:
    """A smooth picture with noise, as a PNG file."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 120 + 80 * np.sin(y / 37)[..., None] * np.cos(x[..., None] / (23, 31, 41))
    path = folder / f'{shape[0]}.png'
    Image.fromarray((waves + rng.normal(0, 15, waves.shape)).clip(0, 255).astype(np.uint8)).save(path)
    return path


def check(run, model: Path, folder: Path, sizes: list[tuple[int, int]]) -> str:
    """Compare what a program restores with ``restore``; returns what the program printed."""
    expected, printed = RestoreInferencer(model), ''
    for shape in sizes:
        source, target = write(folder, shape), folder / 'out.png'
        printed = run(model, source, target)
        made, right = np.asarray(Image.open(target), np.int16), np.asarray(expected(source), np.int16)
        assert made.shape == (*shape, 3)
        assert np.abs(right - np.asarray(Image.open(source), np.int16)).mean() > 0.2, 'nothing would be compared'
        assert np.abs(made - right).max() <= 1
    return printed


def python(*words: object) -> str:
    env = {**environment(), 'PYTHONPATH': ''}  # it needs no restorebox
    done = subprocess.run(
        [sys.executable, EXAMPLES / 'restore_onnx.py', *map(str, words)], env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def small(tmp_path_factory) -> Path:
    """A small exported model."""
    folder = tmp_path_factory.mktemp('examples')
    published = publish_small(folder)
    return export_file(str(published), None, 'onnx', str(folder / 'small.onnx')).path


@pytest.fixture(scope='module')
def statistics(tmp_path_factory) -> Path:
    """An exported model that reads statistics of the whole picture."""
    return exported_file(drawn('global statistics'), tmp_path_factory.mktemp('statistics'))


@pytest.fixture(scope='module')
def means(tmp_path_factory) -> Path:
    """An exported model that reads means of features over the whole picture."""
    return exported_file(drawn('feature means'), tmp_path_factory.mktemp('means'))


@pytest.fixture(scope='module')
def weather(tmp_path_factory) -> Path:
    """The included model, exported."""
    return export_file(DEFAULT_MODEL, None, 'onnx', str(tmp_path_factory.mktemp('weather') / 'weather.onnx')).path


@pytest.fixture(scope='module')
def program(tmp_path_factory):
    """The C++ example, built with the headers of the machine and the library of Python's package."""
    if shutil.which('g++') is None or not Path('/usr/include/png.h').exists():
        pytest.skip('no g++, or no libpng (apt: g++, libpng-dev)')
    if not (INCLUDE / 'onnxruntime_cxx_api.h').exists():
        pytest.skip(f'no headers of onnxruntime in {INCLUDE} (apt: libonnxruntime-dev, or ONNXRUNTIME_INCLUDE)')
    folder = tmp_path_factory.mktemp('build')
    library = next(Path(onnxruntime.__file__).parent.glob('capi/libonnxruntime.so.*'), None)
    if library is None:
        pytest.skip("Python's onnxruntime has no library to link with on this system")
    for name in ('libonnxruntime.so', 'libonnxruntime.so.1'):
        (folder / name).symlink_to(library)
    built = folder / 'restore_onnx'
    command = ['g++', '-std=c++17', '-O2', f'-I{INCLUDE}', EXAMPLES / 'restore_onnx.cpp', '-o', built, f'-L{folder}']
    subprocess.run([*command, '-lonnxruntime', '-lpng', f'-Wl,-rpath,{folder}'], check=True)
    return built


@pytest.mark.parametrize('kind', ['small', 'statistics', 'means'])
def test_python_example(kind, request, tmp_path):
    assert len((EXAMPLES / 'restore_onnx.py').read_text().splitlines()) <= 60  # 40 before the means of features
    printed = check(
        lambda *files: python(*files, '--core', 64, '--batch', 3), request.getfixturevalue(kind), tmp_path, SIZES
    )
    assert 'CPUExecutionProvider' in printed


@long
def test_python_example_with_the_included_model(weather, tmp_path):
    check(lambda *files: python(*files, '--core', 256, '--batch', 2), weather, tmp_path, [(520, 1001)])


def run_program(program: Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True)


def cpp(program: Path, core: int):
    def run(*files: Path) -> str:
        done = run_program(program, *files, core, 3)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize('kind', ['small', 'statistics'])
def test_cpp_example(kind, request, program, tmp_path):
    model = request.getfixturevalue(kind)
    assert 'CPUExecutionProvider ran nodes' in check(cpp(program, 64), model, tmp_path, SIZES)


def test_cpp_example_ends_with_a_line(small, program, tmp_path):
    write(tmp_path, SIZES[0])
    lacking = run_program(program, small, tmp_path / '301.png', tmp_path / 'no.png', 64, 1, 'Nothing')
    assert lacking.returncode == 1
    assert len(lacking.stderr.splitlines()) == 1
    assert not (tmp_path / 'no.png').exists()


@long
def test_cpp_example_with_the_included_model(weather, program, tmp_path):
    check(cpp(program, 256), weather, tmp_path, [(520, 1001)])

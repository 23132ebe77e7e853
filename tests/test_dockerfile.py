"""The Dockerfile: its properties, and its build steps run in an empty virtual environment."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import LONG, REPO

END = 120  # seconds for the server's end on a busy machine
COMPILERS = ('cc', 'gcc', 'c++', 'g++', 'clang', 'make')


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of each line of the Dockerfile, continued lines joined."""
    lines = [line for line in (REPO / 'Dockerfile').read_text().splitlines() if not line.startswith('#')]
    joined = re.sub(r'\s*\\\n\s*', ' ', '\n'.join(lines)).splitlines()
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(' ') for line in joined if line)]


def stages() -> list[list[tuple[str, str]]]:
    """Instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == 'FROM':
            found.append([])
        found[-1].append((word, rest))
    return found


def values(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for each, rest in stage if each == word]


def sources() -> list[str]:
    """Paths of the repository that the first stage copies."""
    return [path for rest in values(stages()[0], 'COPY') for path in rest.split()[:-1]]


def ignored(path: str) -> bool:
    """Whether .dockerignore leaves a path out: the last pattern that matches it or a folder above it decides."""
    result = False
    parts = Path(path).parts
    heads = ['/'.join(parts[: n + 1]) for n in range(len(parts))]
    for line in (REPO / '.dockerignore').read_text().splitlines():
        if line and not line.startswith('#'):
            pattern = line.removeprefix('!')
            names = parts if pattern.startswith('**/') else heads
            if any(fnmatch(name, pattern.removeprefix('**/')) for name in names):
                result = not line.startswith('!')
    return result


def test_the_image_runs_without_privileges_and_compilers():
    build, final = stages()
    for stage in (build, final):
        assert re.fullmatch(r'python:3\.\d+-slim-[a-z]+( AS build)?', stage[0][1]), 'a tag with version and release'
    (user,) = values(final, 'USER')
    assert user.isdigit()
    assert int(user) > 0
    assert not [word for word, _ in instructions() if word == 'ADD']
    assert not [rest for rest in values(final, 'RUN') if re.search(r'\bpip\b|\bapt', rest)]
    assert not any(re.search(r'build-essential|\bgcc\b|libgl', rest, re.IGNORECASE) for _, rest in instructions())


def test_hadolint_finds_nothing():
    program = shutil.which('hadolint', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    if program is None:
        pytest.skip('hadolint is not installed')
    done = subprocess.run([program, REPO / 'Dockerfile'], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '')


def test_health_check_and_port_agree_with_the_server():
    final = stages()[-1]
    (check,) = values(final, 'HEALTHCHECK')
    program = json.loads(check.partition('CMD ')[2])
    assert program[:2] == ['python', '-c']
    assert values(final, 'EXPOSE') == ['8000']
    assert "'127.0.0.1', 8000" in program[2]
    assert "'/health'" in program[2]
    from restorebox.cli.serve import parse

    args = parse(json.loads(values(final, 'CMD')[0])[1:])
    assert (args.host, args.port) == ('0.0.0.0', 8000)
    assert args.allow_host == ['localhost:8000', '127.0.0.1:8000']


def test_every_copied_path_exists_and_passes_dockerignore():
    assert {'restorebox', 'configs', 'requirements', 'setup.py'} <= set(sources())
    for path in (*sources(), 'configs/fdrnet/weather.safetensors', 'restorebox/schemas/report-1.json'):
        assert (REPO / path).exists(), path
        assert not ignored(path), path
    for path in ('.git/config', 'tests/conftest.py', 'data/a.png', 'restorebox/cli/__pycache__/main.pyc'):
        assert ignored(path), path


def link_torch(folder: Path) -> None:
    """Link the installed torch, torchvision and what they bring, so that the test downloads none of them."""
    for each in distributions():
        name = each.metadata['Name'].lower()
        if name in ('torch', 'torchvision', 'triton') or name.startswith(('nvidia', 'cuda')):
            root = Path(each.locate_file(''))
            for top in {path.parts[0] for path in each.files or () if path.parts[0] not in ('..', '__pycache__')}:
                if not (folder / top).exists():
                    (folder / top).symlink_to(root / top)


def build_image(folder: Path) -> Path:
    """Run the steps of the first stage with its absolute paths in ``folder``; returns the environment's ``bin``."""
    build = stages()[0]
    (folder / 'src').mkdir()
    (folder / 'packages').mkdir()
    link_torch(folder / 'packages')
    home = folder / 'restorebox'
    env = {**os.environ, 'PATH': f'{home}/bin:{Path(sys.base_prefix)}/bin:/usr/bin:/bin'}
    env.pop('PYTHONPATH', None)
    for word, rest in build:
        if word == 'COPY':
            for path in rest.split()[:-1]:
                copy(path, folder / 'src')
        elif word == 'RUN' and 'download.pytorch.org' in rest:
            site = sysconfig.get_path('purelib', vars={'base': str(home), 'platbase': str(home)})
            Path(site, 'torch.pth').write_text(f'{folder / "packages"}\n')
        elif word == 'RUN':
            step = rest.replace('/opt/restorebox', shlex.quote(str(home)))
            done = subprocess.run(
                step, shell=True, cwd=folder / 'src', env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f'{rest}\n{done.stdout[-2000:]}{done.stderr[-2000:]}'
    return home / 'bin'


def copy(path: str, target: Path) -> None:
    """Copy as COPY does, without what .dockerignore leaves out."""
    for file in [REPO / path] if (REPO / path).is_file() else sorted((REPO / path).rglob('*')):
        name = file.relative_to(REPO)
        if file.is_file() and not ignored(name.as_posix()):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target / name)


def registry_is_reachable() -> bool:
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check', 'install', '--dry-run', '--no-deps']
    call = [*pip, '--ignore-installed', '--retries', '0', 'addict']
    return subprocess.run(call, capture_output=True, check=False).returncode == 0


def start(programs: Path, work: Path, env: dict[str, str]) -> tuple[subprocess.Popen, str]:
    """Start the image's command on a free port; returns the process and the port."""
    (command,) = values(stages()[-1], 'CMD')
    words = [programs / 'restorebox', *json.loads(command), '--port', '0']
    with open(work / 'errors.txt', 'w') as errors:
        server = subprocess.Popen(words, cwd=work, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
    line = server.stdout.readline()
    found = re.search(r'http://[^/ ]+:(\d+)', line)
    if not found:
        server.kill()
        server.wait()
    assert found, line + (work / 'errors.txt').read_text()
    return server, found[1]


@pytest.mark.slow
def test_the_build_steps_make_an_environment_that_restores_and_serves(tmp_path):
    if not LONG:
        pytest.skip('takes two minutes: RESTOREBOX_LONG=1 runs it')
    if not registry_is_reachable():
        pytest.skip('the package registry is not reachable')
    programs = build_image(tmp_path)
    env = {'PATH': str(programs), 'HOME': str(tmp_path), 'OMP_NUM_THREADS': '1', 'TMPDIR': str(tmp_path)}
    assert not [name for name in COMPILERS if shutil.which(name, path=env['PATH'])]

    def call(*words: str) -> str:
        done = subprocess.run(
            [programs / words[0], *words[1:]], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    names = call('python', '-m', 'pip', 'list', '--format', 'freeze')
    assert re.findall(r'(?m)^opencv[^=]*', names) == ['opencv-python-headless']
    assert re.search(r'GUI:\s+NONE', call('python', '-c', 'import cv2; print(cv2.getBuildInformation())'))
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / 'photo.png')
    assert '1 restored into restored' in call('restorebox', 'restore', 'photo.png', '--device', 'cpu')
    assert Image.open(tmp_path / 'restored/photo.png').size == (60, 40)

    server, port = start(programs, tmp_path, env)
    try:
        (check,) = values(stages()[-1], 'HEALTHCHECK')
        python, option, program = json.loads(check.partition('CMD ')[2])
        call(python, option, program.replace('8000', port))
    finally:
        server.terminate()
        code = server.wait(END)
    assert code == 0
    assert 'Traceback' not in (tmp_path / 'errors.txt').read_text()

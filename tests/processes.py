"""Running of tools as a user does, in their own process and folder, or by calling their functions."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from restorebox.cli.main import main
from tests.conftest import REPO
from tests.forked import run_forked

CONFIG = """
_base_ = {base!r}
root = {root!r}
model = dict(
    type='SupervisedRestorer',
    generator=dict(
        backbone=dict(type='UNet', levels=4, base_width=4, max_width=8, dropout=0.5),
        head=dict(type='PictureHead'),
    ),
    losses=dict(l1=dict(type='L1Loss')),
    statistics_window=32,
)
train_dataloader = dict(
    batch_size=2,
    num_workers={workers},
    sampler=dict(type='KeyedSampler', shuffle=True),
    dataset=dict(
        type='PairedPictures',
        data_root=root,
        split='train',
        pipeline=[
            dict(type='LoadPictures'),
            dict(type='RandomWindow', size=32),
            dict(type='Flip', p=0.5),
            dict(type='Pack'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PairedPictures',
        data_root=root,
        split='test',
        test_mode=True,
        pipeline=[dict(type='LoadPictures'), dict(type='Pack')],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PictureScores', protocols=('psnr_y', 'ssim_y'))
test_evaluator = val_evaluator
train_cfg = dict(type='SampleTrainLoop', max_samples={samples}, val_samples={samples})
val_cfg = dict(type='RestorationValLoop')
test_cfg = dict(type='RestorationTestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3), accumulative_counts={accumulate})
param_scheduler = [dict(type='CosineAnnealingLR', T_max={samples})]
auto_scale_lr = dict(enable=False, base_batch_size=2)
default_hooks = dict(
    logger=dict(interval=5), checkpoint=dict(every_samples={samples} // 2, max_keep=2, save_best='psnr_y')
)
"""


def write_config(path: Path, root: Path, *, samples: int = 40, workers: int = 0, accumulate: int = 1) -> Path:
    """A small but whole config over pairs below ``root``."""
    base = str(REPO / 'configs' / '_base_' / 'default_runtime.py')
    path.write_text(CONFIG.format(base=base, root=str(root), samples=samples, workers=workers, accumulate=accumulate))
    return path


def environment(**extra: str) -> dict[str, str]:
    """The environment of a tool's process: this interpreter first, few threads, the repository importable."""
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPO), 'PATH': path, **extra}


def run(*args: object, cwd: Path, timeout: float = 900, **env: str) -> subprocess.CompletedProcess:
    """Run ``tools/NAME`` with arguments; returns its exit code and output."""
    tool, *rest = map(str, args)
    command = [str(REPO / 'tools' / tool), *rest]
    if tool.endswith('.py') and not any(key.startswith(('PYTHON', 'OMP', 'LD_')) for key in env):
        return run_forked(command, cwd, environment(**env), timeout)
    if tool.endswith('.py'):  # read when an interpreter starts
        command = [sys.executable, *command]
    return subprocess.run(
        command, cwd=cwd, env=environment(**env), capture_output=True, text=True, timeout=timeout, check=False
    )


def run_ranks(tool: str, *args: object, ranks: int, cwd: Path, timeout: float = 600, **env: str) -> list:
    """Run ``tools/TOOL`` as several ranks with the environment that torchrun sets; return exit codes and output.

    Raises:
        subprocess.TimeoutExpired: a rank did not end, for example because another one failed before a collective call.
    """
    group = {'WORLD_SIZE': str(ranks), 'LOCAL_WORLD_SIZE': str(ranks), 'MASTER_ADDR': '127.0.0.1'}
    command = [str(REPO / 'tools' / tool), *map(str, args), '--launcher', 'pytorch']
    everywhere = environment(**group, MASTER_PORT=free_port(), **env)

    def one(rank: int) -> subprocess.CompletedProcess:
        return run_forked(command, cwd, {**everywhere, 'RANK': str(rank), 'LOCAL_RANK': str(rank)}, timeout)

    with ThreadPoolExecutor(ranks) as pool:
        return list(pool.map(one, range(ranks)))


def call(*args: object, cwd: Path) -> subprocess.CompletedProcess:
    """The same as :func:`run` for a verb, in this process, which saves seconds of imports."""
    tool, *rest = map(str, args)
    MMLogger._instance_dict.clear()  # MMEngine gives two runs of one name and second one log
    before, out, err = os.getcwd(), io.StringIO(), io.StringIO()
    os.chdir(cwd)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([tool.removesuffix('.py').replace('_', '-'), *rest])
        code = 0
    except SystemExit as end:
        code = end.code or 0
    finally:
        os.chdir(before)
    return subprocess.CompletedProcess([tool, *rest], code, out.getvalue(), err.getvalue())


def restore(*words: object) -> int | str | None:
    """The exit code of ``restorebox restore`` on the CPU in full precision, in this process."""
    try:
        main(['restore', *map(str, words), '--device', 'cpu', '--precision', 'fp32'])
    except SystemExit as end:
        return end.code
    return 0


def start(*args: object, cwd: Path, **env: str) -> subprocess.Popen:
    """Start ``tools/NAME`` and return at once; its output goes into ``cwd/output.txt``."""
    tool, *rest = map(str, args)
    with open(cwd / 'output.txt', 'w') as out:
        return subprocess.Popen(
            [str(REPO / 'tools' / tool), *rest], cwd=cwd, env=environment(**env), stdout=out, stderr=subprocess.STDOUT
        )


def succeed(result: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
    """Assert exit code 0, showing what was printed otherwise."""
    assert result.returncode == 0, f'{result.stdout[-3000:]}\n{result.stderr[-3000:]}'
    return result


def messages(stderr: str) -> list[str]:
    """The lines of stderr; those of :class:`restorebox.progress.Progress`, of which a slow run has more, left out."""
    return [
        line for line in stderr.splitlines() if not re.match(r'[^:]+: \d+ of \d+, [\d.]+ a (second|minute), ', line)
    ]


def one_line_error(result: subprocess.CompletedProcess) -> str:
    """Assert that a user error ended in one line and a non-zero exit code; return the line."""
    assert result.returncode not in (0, None), 'it should have failed'
    assert 'Traceback' not in result.stderr + result.stdout, result.stderr[-3000:]
    lines = [line for line in result.stderr.splitlines() if line.startswith(('error', 'wrong'))]
    assert len(lines) == 1, result.stderr[-3000:]
    return lines[0]


def refused(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> str:
    """Assert that a call ends with exit code 1 and one line, as for a user error; return the line."""
    with pytest.raises(SystemExit) as caught:
        call()
    assert caught.value.code == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith('error: ')
    return lines[0]


def free_port() -> str:
    """Return a free port."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return str(s.getsockname()[1])

"""Fork server for the processes of tools, so that a tool starts in a tenth of a second.

The fork server of the standard library imports PyTorch and MMEngine once per test process, and nothing of restorebox.
Each tool runs in a fork of it, with its own folder, environment, output and exit code.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

# imported before anything is forked; none of them starts threads
PRELOADED = [
    'torch',
    'torch._dynamo',
    'torchvision',
    'mmengine.runner',
    'mmcv.transforms',
    'cv2',
    'scipy.ndimage',
    'safetensors.torch',
    'matplotlib.backends.backend_agg',
]
_context = multiprocessing.get_context('forkserver')
_context.set_forkserver_preload([*PRELOADED, __name__])


def _begin(argv: list[str], cwd: str, environment: dict[str, str], out: str, err: str) -> None:
    """In the fork: take over folder, environment and output, then run the script as the interpreter would."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[:0] = [str(Path(argv[0]).parent)]
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, 'w', encoding='utf-8', closefd=False)
    sys.stderr = os.fdopen(2, 'w', 1, encoding='utf-8', closefd=False)
    sys.argv = argv
    try:
        runpy.run_path(argv[0], run_name='__main__')
    finally:  # multiprocessing leaves these out
        atexit._run_exitfuncs()
        sys.stdout.flush()


def run_forked(
    argv: list[str], cwd: Path, environment: dict[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """``subprocess.run`` of a Python script, its output captured as text.

    Raises:
        subprocess.TimeoutExpired: it was ended after ``timeout`` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, 'out'), Path(folder, 'err')
        for file in (out, err):
            file.touch()
        process = _context.Process(target=_begin, args=(argv, str(cwd), environment, str(out), str(err)))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(argv, timeout, out.read_bytes(), err.read_bytes())
        text = [file.read_text('utf-8', errors='replace') for file in (out, err)]
        return subprocess.CompletedProcess(argv, process.exitcode, *text)

"""Commands in new processes, usable CPU cores, memory kept by a process, its end at once or with its parent."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from restorebox.errors import ConfigError

PR_SET_PDEATHSIG = 1  # of Linux's prctl
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # options of mallopt(3) in malloc.h
KEPT_BYTES = 32 * 2**20  # the most that MMAP_THRESHOLD accepts on 64 bits


def own_command(*arguments: str) -> list[str]:
    """Return the command line of a verb in a new process.

    Like the installed program it imports nothing from the current folder: a ``cv2.py`` there would be executed.
    """
    return [sys.executable, '-P', '-m', 'restorebox', *arguments]


def own_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment, by default that of this process, in which :func:`own_command` finds this package.

    Also where it is not installed, only imported from a checkout.
    """
    given = os.environ if given is None else given
    place = str(Path(__file__).resolve().parents[1])
    paths = [path for path in given.get('PYTHONPATH', '').split(os.pathsep) if path]
    return {**given, 'PYTHONPATH': os.pathsep.join(dict.fromkeys([*paths, place]))}


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends for any reason; on Linux only, elsewhere nothing."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def usable_cores() -> int:
    """Return the number of CPU cores available to this process, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def environment_number(name: str, default: int) -> int:
    """Return an environment variable, such as torchrun's RANK, as a number.

    Raises:
        ConfigError: it is none.
    """
    text = os.environ.get(name, '')
    try:
        return int(text) if text else default
    except ValueError:
        raise ConfigError(f'environment variable {name} is {text!r}; it must be a whole number') from None


def keep_freed_memory() -> None:
    """Let this process keep up to 32 MiB of freed memory for its next arrays instead of returning it to the system.

    Rendering a picture allocates and frees a dozen arrays. By default glibc returns each to the system, which provides
    new zeroed pages for the next; that can take longer than the arithmetic. Without glibc nothing is changed.
    """
    if not sys.platform.startswith('linux'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        for option in (TRIM_THRESHOLD, MMAP_THRESHOLD):
            mallopt(option, KEPT_BYTES)


def end_process(code: int) -> NoReturn:
    """End a command with an exit code; one of several ranks ends at once, see :func:`exit_at_once`."""
    if os.environ.get('RANK'):
        exit_at_once(code)
    sys.exit(code)


def exit_at_once(code: int) -> NoReturn:
    """Exit at once, without waiting for threads or other ranks; logs and standard streams are flushed.

    A regular interpreter exit may wait for other ranks in a collective. With gloo it aborted 3 of 38 ranks that had
    finished ("terminate called without an active exception").
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def prepare_streams() -> None:
    """Make standard output and error safe to write to: closed ones are discarded, no character is an error."""
    for name in ('stdin', 'stdout', 'stderr'):
        if getattr(sys, name) is None:  # the next opened file would get its descriptor, and what is printed
            setattr(sys, name, open(os.devnull, 'r' if name == 'stdin' else 'w', encoding='utf-8'))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):  # a character that the terminal can't encode must not end a run
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors='backslashreplace')

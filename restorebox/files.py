"""Files of every room: written whole or not at all, and found where an installation or a run keeps them.

Nothing here needs torch, whose import takes longer than most verbs.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import restorebox
from restorebox.errors import ConfigError


@contextmanager
def replacing(path: str | Path, temporary: str | None = None) -> Iterator[Path]:
    """A name to write under, which takes the place of ``path`` when the block ends without an error.

    Args:
        path: the place; its folder is made where it is missing. A file that is there stays until the new one is
            complete, and for good where it never is.
        temporary: the name to write under, in the same folder. None for one of this process's own, ``.NAME.PID.tmp``,
            so that processes which write one place don't meet.

    Raises:
        OSError: the disk is full or not writable; its ``filename`` is ``path``. The temporary file is gone.
    """
    path = Path(path)
    beside = path.with_name(temporary or f'.{path.name}.{os.getpid()}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        os.replace(beside, path)
    except BaseException as error:
        with suppress(OSError):
            beside.unlink()
        if isinstance(error, OSError):  # of the temporary name, which the user never gave
            raise OSError(error.errno, error.strerror or str(error), str(path)) from error
        raise


def write_whole(path: str | Path, data: bytes | memoryview, temporary: str | None = None, flush: bool = False) -> None:
    """Write a file whole or not at all, see :func:`replacing`.

    Args:
        path: see there.
        data: all of it.
        temporary: see there.
        flush: whether the bytes must be on the disk before the name is: for what a crash of the machine may not cost.

    Raises:
        OSError: see there.
    """
    with replacing(path, temporary) as beside, open(beside, 'wb') as file:
        file.write(data)
        if flush:
            file.flush()
            os.fsync(file.fileno())


def json_bytes(value: object, indent: int = 1) -> bytes:
    r"""A value as a JSON file: nan and infinity, for which JSON has no word, are null; every name reads back as it was.

    The bytes of a name that are not UTF-8 stand there as ``\udcXX``, Python's form of them.

    Args:
        value: dicts, lists, texts, numbers.
        indent: spaces a level.

    Raises:
        TypeError: something else is inside.
    """
    text = json.dumps(_finite(value), indent=indent, allow_nan=False, ensure_ascii=False) + '\n'
    return text.encode(errors='backslashreplace')


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def configs_dir() -> Path:
    """Where the configs are: inside an installed package, or beside it in a checkout.

    Raises:
        ConfigError: neither is there.
    """
    package = Path(restorebox.__file__).parent
    for folder in (package / 'configs', package.parent / 'configs'):
        if (folder / '_base_' / 'default_runtime.py').is_file():
            return folder
    raise ConfigError(f'the configs are neither in {package / "configs"} nor in {package.parent / "configs"}')


def find_checkpoints(work_dir: str | Path) -> list[Path]:
    """Checkpoints of a run, oldest first: ``iter_N.pth``. They are renamed into place when complete."""
    files = [path for path in Path(work_dir).glob('iter_*.pth') if path.is_file()]
    found = [(int(match.group(1)), path) for path in files if (match := re.match(r'iter_(\d+)\.', path.name))]
    return [path for _, path in sorted(found)]

"""Reading checkpoints without running what is in them, and writing them whole or not at all.

A pickle can run code. Everything here is loaded with ``weights_only=True``; the few classes that MMEngine puts into its
own checkpoints are allowed by name. :func:`install` puts these loaders in place of MMEngine's, whose http loader runs
pickled code.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import URLError

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from restorebox.errors import CheckpointError

EMA_KEY = 'ema_state_dict'


def _history_method(owner: Any, name: str) -> Callable:
    """Stand-in for ``getattr`` in pickles: serves the statistics methods of HistoryBuffer and nothing else."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'getattr of {owner!r} is not allowed')


def _allowed() -> list:
    """What MMEngine's own checkpoints hold besides tensors and plain values."""
    scalar = np.core.multiarray.scalar if not hasattr(np, '_core') else np._core.multiarray.scalar
    reconstruct = np.empty(0).__reduce__()[0]
    numpy = [(scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')]
    numpy += [(reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')]
    dtypes = [type(np.dtype(kind)) for kind in ('f8', 'f4', 'i8', 'i4', 'u1', '?')]
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *numpy, (_history_method, 'builtins.getattr')]


def load_file(path: str | Path, map_location: Any = 'cpu') -> dict:
    """Load a checkpoint from disk.

    Args:
        path: ``.pth`` (a training checkpoint, or a bare state dict) or ``.safetensors`` (a published one).
        map_location: as in :func:`torch.load`.

    Returns:
        A dict with ``state_dict``, and whatever else the file holds; a published file's metadata under ``meta``.

    Raises:
        CheckpointError: no such file, damaged, or holding pickled objects other than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'checkpoint {path}: no such file')
    if path.suffix == '.safetensors':
        return _load_safetensors(path)
    try:
        with torch.serialization.safe_globals(_allowed()):
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        blocked = [line for line in str(error).splitlines() if 'nsupported' in line or 'not allowed' in line]
        reason = blocked[0].strip() if blocked else 'not a checkpoint'
        raise CheckpointError(
            f'checkpoint {path} is refused: it holds more than weights or is damaged ({reason[:200]}); nothing was run'
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"checkpoint {path} can't be read: {line[:200]}") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'checkpoint {path} holds a {type(checkpoint).__name__}, not a dict of weights')
    if 'state_dict' not in checkpoint:
        if not checkpoint or not all(isinstance(v, torch.Tensor) for v in checkpoint.values()):
            raise CheckpointError(f"checkpoint {path} has no 'state_dict' and is no bare dict of weights either")
        checkpoint = {'state_dict': checkpoint, 'meta': {}}
    return checkpoint


def _load_safetensors(path: Path) -> dict:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            meta = {key: json.loads(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"checkpoint {path} can't be read: {error}") from error
    return {'state_dict': state, 'meta': meta}


def deployed_state(checkpoint: dict) -> dict[str, torch.Tensor]:
    """The weights to restore with: the moving average where there is one, over the live weights."""
    return {**checkpoint['state_dict'], **checkpoint.get(EMA_KEY, {})}


def _load_local(filename: str, map_location: Any = None) -> dict:
    return load_file(filename, map_location)


def _load_http(filename: str, map_location: Any = None, model_dir: str | None = None, progress: bool = True) -> dict:
    """Download once (rank 0 first), then load like a local file. A hash in the file name is checked."""
    name = filename.split('?')[0].rsplit('/', 1)[-1]
    target = Path(model_dir or Path(torch.hub.get_dir()) / 'checkpoints') / name
    failure = None
    if is_main_process() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        stem_hash = Path(name).stem.rsplit('-', 1)[-1] if '-' in Path(name).stem else ''
        digest = stem_hash if len(stem_hash) >= 8 and all(c in '0123456789abcdef' for c in stem_hash) else None
        try:
            torch.hub.download_url_to_file(filename, str(target), hash_prefix=digest, progress=progress)
        except (URLError, OSError, RuntimeError) as error:
            failure = error
    barrier()
    if not target.exists():
        raise CheckpointError(f"checkpoint {filename} can't be downloaded: {failure or 'rank 0 failed'}")
    return load_file(target, map_location)


def _refuse(filename: str, map_location: Any = None) -> NoReturn:
    scheme = filename.split('://')[0]
    raise CheckpointError(
        f'checkpoint {filename}: {scheme}:// goes through a loader that runs pickled code; download the file and give '
        'its path'
    )


def install() -> None:
    """Replace all of MMEngine's checkpoint loaders."""
    for scheme in list(CheckpointLoader._schemes):
        CheckpointLoader.register_scheme(scheme, _refuse, force=True)
    CheckpointLoader.register_scheme('', _load_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), _load_http, force=True)


def write_bytes(data: bytes, path: str | Path) -> None:
    """Write a file whole or not at all: a temporary name beside it, flushed to disk, then renamed.

    Raises:
        CheckpointError: the disk is full or not writable. The temporary file is gone, an older ``path`` untouched.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
    try:
        with open(temporary, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        size = len(data) / 2**20
        raise CheckpointError(f"can't save {path} ({size:.0f} MiB): {error.strerror or error}") from error


def save_file(checkpoint: dict, path: str | Path) -> None:
    """Save a training checkpoint whole or not at all, see :func:`write_bytes`."""
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    write_bytes(buffer.getvalue(), path)


def sha256(path: str | Path) -> str:
    """Hash of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


install()

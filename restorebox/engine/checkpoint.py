"""Reading of checkpoints without running pickled code, and atomic writing of files.

A pickle can run code. Everything is loaded with ``weights_only=True``; the few classes in MMEngine's own checkpoints
are allowed by name. Most of MMEngine's loaders run pickled code. They are not modified for other programs; while our
Runner works, :func:`safe_loaders` replaces them by :func:`load_any`.
"""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from mmengine.dist import barrier
from mmengine.logging import HistoryBuffer, MessageHub, print_log

from restorebox.engine.download import download
from restorebox.errors import CheckpointError, RestoreboxError, one_line
from restorebox.files import packaged, write_whole
from restorebox.untrusted import check_plain, read_json

EMA_KEY = 'ema_state_dict'
# keys under which other projects store a network's weights, the moving average first
PUBLIC_KEYS = ('params_ema', 'params', 'model_state_dict', 'model', 'net')


def _history_method(owner: Any, name: str) -> Callable:
    """Replacement for ``getattr`` in pickles: returns the statistics methods of HistoryBuffer only."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise pickle.UnpicklingError(f'getattr of {owner!r} is not allowed')


def _allowed() -> list:
    """Return the classes in MMEngine's own checkpoints besides tensors and plain values."""
    numpy_core: Any = getattr(np, '_core', None) or np.core  # numpy 2 renamed it
    scalar = numpy_core.multiarray.scalar
    reconstruct = np.empty(0).__reduce__()[0]
    numpy = [(scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')]
    numpy += [(reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')]
    dtypes = [type(np.dtype(kind)) for kind in ('f8', 'f4', 'i8', 'i4', 'u1', '?')]
    return [HistoryBuffer, np.ndarray, np.dtype, *dtypes, *numpy, (_history_method, 'builtins.getattr')]


def load_file(path: str | Path, map_location: Any = 'cpu', key: str = 'state_dict') -> dict:
    """Load a checkpoint from disk.

    Args:
        path: ``.pth`` (a training checkpoint, a bare state dict, or one under a key of :data:`PUBLIC_KEYS`) or
            ``.safetensors`` (a published one).
        map_location: as in :func:`torch.load`.
        key: key of the weights in the file; other projects store several networks in one file.

    Returns:
        A dict with ``state_dict`` and the other entries of the file; a published file's metadata under ``meta``.

    Raises:
        CheckpointError: the file is absent, damaged, or contains pickled objects other than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f'checkpoint {path}: no such file')
    if path.suffix == '.safetensors':
        return _load_safetensors(path)
    try:
        _refuse_expanding(path)
        with torch.serialization.safe_globals(_allowed()), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # torch's, about files that are refused below
            checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        _refuse_non_numeric_arrays(checkpoint)
    except pickle.UnpicklingError as error:
        blocked = [line for line in str(error).splitlines() if 'nsupported' in line or 'not allowed' in line]
        reason = blocked[0].strip() if blocked else 'not a checkpoint'
        raise CheckpointError(
            f'checkpoint {path} is refused: it holds more than weights or is damaged ({reason[:200]}); nothing was run'
        ) from error
    except Exception as error:  # a damaged or forged file can make the reader raise anything
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"checkpoint {path} can't be read: {line[:200]}") from error
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f'checkpoint {path} holds a {type(checkpoint).__name__}, not a dict of weights')
    if key == 'state_dict' and key not in checkpoint:
        key = next((each for each in PUBLIC_KEYS if isinstance(checkpoint.get(each), dict)), key)
    if key not in checkpoint:
        if not checkpoint or not all(isinstance(v, torch.Tensor) for v in checkpoint.values()):
            raise CheckpointError(f"checkpoint {path} has no '{key}' and is no bare dict of weights either")
        checkpoint = {key: checkpoint}
    checkpoint['state_dict'] = checkpoint.pop(key)
    state, meta = checkpoint['state_dict'], checkpoint.setdefault('meta', {})
    if not isinstance(state, dict) or not all(isinstance(k, str) for k in state) or not isinstance(meta, dict):
        raise CheckpointError(f"checkpoint {path}: '{key}' must map names to weights, and 'meta' be a dict")
    average = checkpoint.get(EMA_KEY)
    if not (average is None or (isinstance(average, dict) and all(isinstance(k, str) for k in average))):
        raise CheckpointError(f"checkpoint {path}: '{EMA_KEY}' must map names to weights")
    for name, value in (*state.items(), *(average or {}).items()):
        if fault := _weight_fault(value):
            raise CheckpointError(f'checkpoint {path}: weight {name} {fault}')
    _check_meta(meta, path)
    meta.pop('config', None)  # MMEngine would execute it when it resumes
    return checkpoint


def _check_meta(meta: dict, path: Path) -> None:
    """Check that metadata which is printed or extended is plain data."""
    for name in ('compute', 'scores', 'licence', 'limits', 'average', 'plugins'):
        try:
            check_plain(meta.get(name))
        except ValueError as error:
            raise CheckpointError(f"checkpoint {path}: its '{name}': {error}") from None
    if not isinstance(meta.get('compute') or {}, dict):
        raise CheckpointError(f"checkpoint {path}: its 'compute' is no dict")


def _weight_fault(value: Any) -> str | None:
    """Return why a value is not a plain tensor with all its elements in the file; None if it is one."""
    if not isinstance(value, torch.Tensor):
        return f'is a {type(value).__name__}, not a tensor'
    if value.is_nested or value.layout is not torch.strided or value.is_quantized or value.is_meta:
        return 'is sparse, nested, quantised or without data; it must be a plain tensor'
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f'is {tuple(value.shape)}, more numbers than the file holds'
    return None


def _refuse_expanding(path: Path) -> None:
    """Refuse a zip archive that torch does not write and whose some KB may expand to many GB.

    These have compressed members, members that share bytes, or two directories: Python reads the one in front of the
    end record, torch the one whose offset stands in it.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive, open(path, 'rb') as file:
        members = archive.infolist()
        odd = [each.filename for each in members if each.compress_type != zipfile.ZIP_STORED]
        if odd:
            raise pickle.UnpicklingError(f'its member {odd[0]} is compressed, which is not allowed')
        if sum(each.file_size for each in members) > path.stat().st_size:
            raise pickle.UnpicklingError('its members share bytes, which is not allowed')
        if archive.comment or archive.start_dir != _directory_offset(file):
            raise pickle.UnpicklingError('its directory is not where its end record says, which is not allowed')


def _directory_offset(file: BinaryIO) -> int:
    """Return the offset of the directory as stored in the end record of a zip archive without a comment."""
    end = file.seek(-22, os.SEEK_END)
    (offset,) = struct.unpack_from('<I', file.read(22), 16)
    if end >= 20:  # of more than 4 GB: a locator before the end record has the offset of a longer record
        file.seek(end - 20)
        signature, _, record, _ = struct.unpack('<4sIQI', file.read(20))
        if signature == b'PK\6\7':
            file.seek(record)
            (offset,) = struct.unpack_from('<Q', file.read(56), 48)
    return offset


def _refuse_non_numeric_arrays(value: Any) -> None:
    """Refuse arrays that are not numeric: a forged dtype can make bytes be read as pointers to objects."""
    # an object may occur several times, and may contain itself
    waiting: list = [value]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, np.ndarray):
            if item.dtype.kind not in 'biufc':
                raise pickle.UnpicklingError(f'an array of {item.dtype} is not allowed')
        elif isinstance(item, (dict, list, tuple, HistoryBuffer)) and id(item) not in seen:
            seen.add(id(item))
            inside = vars(item) if isinstance(item, HistoryBuffer) else item
            waiting += inside.values() if isinstance(inside, dict) else inside


def _load_safetensors(path: Path) -> dict:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            meta = {key: _from_json(value) for key, value in (file.metadata() or {}).items()}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"checkpoint {path} can't be read: {error}") from error
    _check_meta(meta, path)
    return {'state_dict': state, 'meta': meta}


def _from_json(text: str) -> Any:
    """Decode a metadata entry: ours are JSON, those of other projects are plain text."""
    try:
        return read_json(text)
    except ValueError:
        return text


def deployed_state(checkpoint: dict) -> dict[str, torch.Tensor]:
    """Return the deployed weights: the current weights, replaced by the moving average where there is one."""
    return {**checkpoint['state_dict'], **(checkpoint.get(EMA_KEY) or {})}


def _load_http(filename: str, map_location: Any) -> dict:
    """Download a file once per machine and load it. The hash in the file name, if any, is checked."""
    name = filename.split('?')[0].rsplit('/', 1)[-1]
    digest = hashlib.sha256(filename.encode()).hexdigest()[:12]  # many files are called iter_N.pth
    target = Path(torch.hub.get_dir(), 'checkpoints', 'restorebox', digest, name)
    failure = None
    if int(os.environ.get('LOCAL_RANK', 0)) == 0 and not target.exists():
        stem_hash = Path(name).stem.rsplit('-', 1)[-1] if '-' in Path(name).stem else ''
        expected = stem_hash if len(stem_hash) >= 8 and all(c in '0123456789abcdef' for c in stem_hash) else None
        try:
            download(filename, target, expected)
        except CheckpointError as error:
            failure = str(error)
    barrier()
    if not target.exists():
        reason = failure or f"{filename} can't be downloaded: this machine's first rank failed"
        raise CheckpointError(f'checkpoint {reason}')
    try:
        return load_file(target, map_location)
    except CheckpointError as error:
        target.unlink(missing_ok=True)  # a damaged file must not be used next time
        raise CheckpointError(f'{error} (downloaded from {filename})') from None


def local_file(filename: str) -> Path:
    """Return the local path of a checkpoint: a path, a path below ``configs/``, or a file on the Hub, which is fetched.

    The first rank of each machine fetches it, the others wait.

    Raises:
        ConfigError, CheckpointError, MissingPackageError: see :func:`~restorebox.engine.hub.fetch_from_hub`.
    """
    from restorebox.engine.hub import fetch_from_hub, is_hub_name  # imported late: hub.py imports this module

    if not is_hub_name(filename):
        return packaged(filename)
    failure = None
    if int(os.environ.get('LOCAL_RANK', 0)) == 0:
        try:
            fetch_from_hub(filename)
        except RestoreboxError as error:
            failure = error
    barrier()
    if failure is not None:
        raise failure
    return fetch_from_hub(filename)


def load_any(filename: str, map_location: Any = None) -> dict:
    """Load a checkpoint from a path, a path below ``configs/``, an http(s) URL or ``hf://``, see :func:`load_file`.

    Raises:
        CheckpointError: unreadable or refused; also for MMEngine's other schemes (``openmmlab://``, ``s3://`` ...).
    """
    filename = str(filename)
    if filename.startswith(('http://', 'https://')):
        return _load_http(filename, map_location)
    if '://' in filename and not filename.startswith('hf://'):
        scheme = filename.split('://')[0]
        raise CheckpointError(
            f'checkpoint {filename}: {scheme}:// goes through a loader that runs pickled code; download the file and '
            'give its path'
        )
    return load_file(local_file(filename), map_location)


@contextmanager
def safe_loaders() -> Iterator[None]:
    """Make MMEngine load through :func:`load_any` inside the context (``init_cfg``, hooks of other packages)."""
    from mmengine.runner.checkpoint import CheckpointLoader  # imports the training side of MMEngine

    held = CheckpointLoader._schemes
    CheckpointLoader._schemes = {'': load_any}  # the empty prefix matches every name
    try:
        yield
    finally:
        CheckpointLoader._schemes = held


def write_bytes(data: bytes | memoryview, path: str | Path) -> None:
    """Write a file atomically and flush it to disk, see :func:`restorebox.files.replacing`.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    try:
        write_whole(path, data, flush=True)
    except OSError as error:
        size = len(data) / 2**20
        raise CheckpointError(f"can't save {path} ({size:.0f} MiB): {error.strerror}") from error


def save_file(checkpoint: dict, path: str | Path) -> None:
    """Save a training checkpoint atomically, see :func:`write_bytes`.

    Raises:
        CheckpointError: the disk is full or not writable, or an entry can't be pickled (names it).
    """
    buffer = io.BytesIO()
    try:
        torch.save(checkpoint, buffer)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        entry = next((key for key, value in checkpoint.items() if why_unreadable(value)), '')
        raise CheckpointError(f"can't save {path}: {entry}: {one_line(error)}") from error
    write_bytes(buffer.getbuffer(), path)


def why_unreadable(value: Any) -> str:
    """Return why a value can't be stored in a checkpoint and read back; '' if it can."""
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        with torch.serialization.safe_globals(_allowed()):
            torch.load(buffer, weights_only=True)
    except Exception as error:
        return type(error).__name__
    return ''


def hub_state(hub: MessageHub) -> dict:
    """Return the state of the message hub for a checkpoint, without what could not be read back, which is logged."""
    state = hub.state_dict()
    for name, value in [*state['runtime_info'].items()]:
        if why_unreadable(value):
            del state['runtime_info'][name]
            _warn_of_lost_info(name, type(value).__name__)
    return state


@functools.cache
def _warn_of_lost_info(name: str, kind: str) -> None:
    text = (
        f"message_hub: '{name}' is a {kind}, no tensor or plain value; checkpoints leave it out, so a resume lacks it"
    )
    print_log(text, 'current', logging.WARNING)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()

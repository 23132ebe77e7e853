"""Publishing of a training checkpoint: the deployed weights and their metadata as safetensors."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save

from restorebox.engine.card import model_card
from restorebox.engine.checkpoint import EMA_KEY, deployed_state, load_file, sha256, write_bytes
from restorebox.engine.hub import parse_hub_name, upload
from restorebox.engine.plugins import used_plugins
from restorebox.engine.published import build_on_meta, check_deployed, stored_config
from restorebox.errors import CheckpointError, ConfigError
from restorebox.version import __version__


def publish_checkpoint(
    checkpoint: str, out: Path, licence: str, limits: str, scores: str | None = None, half: bool = False
) -> int:
    """Write a published file.

    Args:
        checkpoint: path of a training checkpoint (.pth).
        out: path of the published file (.safetensors).
        licence: terms of use of the weights.
        limits: intended use and known limits.
        scores: path of ``scores.json`` of a test of this checkpoint.
        half: store the weights in float16, in half the size; the restorer that loads them has float32 weights.

    Returns:
        Number of weights.

    Raises:
        CheckpointError: wrong suffix, a checkpoint that is unreadable or contains no config, or a weight that is no
            finite float16 number.
        ConfigError: licence or limits are empty, or the scores are unreadable or of another checkpoint.
    """
    if out.suffix != '.safetensors':
        raise CheckpointError(f'{out}: a published file is named *.safetensors')
    source = load_file(checkpoint)
    cfg = stored_config(source, checkpoint)
    restorer = build_on_meta(cfg['model'], checkpoint)
    check_deployed(source, restorer, checkpoint)
    if not licence.strip() or not limits.strip():
        raise ConfigError('--licence and --limits must not be empty: users rely on them')
    roles = tuple(f'{role}.' for role in restorer.deployed)
    state = {k: v.contiguous() for k, v in deployed_state(source).items() if k.startswith(roles)}
    if half:
        state = {key: _halved(key, value, checkpoint) for key, value in state.items()}
    metadata = {
        'format': 'restorebox 1',
        'cfg_json': json.dumps(without_folders(cfg)),
        'source_sha256': sha256(checkpoint),
        # a published file that is published again keeps what it says
        'average': source['meta'].get('average') or ('moving average' if EMA_KEY in source else 'live weights'),
        'compute': source['meta'].get('compute'),
        'licence': licence,
        'limits': limits,
        'scores': None if not scores else _scores(scores, checkpoint),
        'restorebox_version': __version__,
        'plugins': used_plugins(cfg['model']),
    }
    write_bytes(_ordered(save(state, {key: json.dumps(value) for key, value in metadata.items()})), out)
    return sum(v.numel() for v in state.values())


def _halved(key: str, value: torch.Tensor, checkpoint: str) -> torch.Tensor:
    """Return a weight in float16; integers, such as counts, stay as they are."""
    if not value.is_floating_point():
        return value
    half = value.to(torch.float16)
    if not half.isfinite().all():
        largest = torch.finfo(torch.float16).max
        raise CheckpointError(
            f'checkpoint {checkpoint}: {key} has values that are not finite or above {largest:g}, the largest of '
            'float16; publish it without --half'
        )
    return half


def _ordered(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file: the library writes them in random order, which changes the hash."""
    length = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8 : 8 + length])
    header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)  # tensors begin at multiples of eight bytes
    return len(text).to_bytes(8, 'little') + text + data[8 + length :]


def publish_to_hub(file: Path, to: str) -> str:
    """Upload a published file with its card as ``README.md``.

    Args:
        file: written by :func:`publish_checkpoint`.
        to: ``hf://OWNER/NAME[@BRANCH]``.

    Returns:
        The name under which it can be fetched.

    Raises:
        ConfigError, CheckpointError, MissingPackageError: see :func:`~restorebox.engine.hub.upload`.
    """
    content = load_file(file)
    name, count = parse_hub_name(to), sum(value.numel() for value in content['state_dict'].values())
    where = f'{name.repository}/{file.name}@{name.revision}'
    return upload(file, model_card(file, content['meta'], count, sha256(file), where), to)


def _scores(file: str, checkpoint: str) -> dict:
    """Read the scores of a checkpoint, without those of single pictures."""
    try:
        scores = json.loads(Path(file).read_bytes())
        tested = scores['checkpoint']['sha256']
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"scores {file}: can't be read as a scores.json: {error}") from error
    if tested != sha256(checkpoint):
        raise ConfigError(f'scores {file}: are of another checkpoint than {checkpoint}')
    scores.pop('per_picture', None)
    return scores


def without_folders(value: object) -> object:
    """Reduce absolute paths in a config to their last part: folders of this machine are not published."""
    if isinstance(value, dict):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

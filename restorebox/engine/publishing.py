"""A published file from a training checkpoint: the deployed weights and what is known about them, as safetensors."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save

from restorebox.engine.checkpoint import deployed_state, load_file, sha256, write_bytes
from restorebox.engine.published import build_on_meta, check_deployed, stored_config
from restorebox.errors import CheckpointError, ConfigError
from restorebox.version import __version__


def publish_checkpoint(checkpoint: str, out: Path, licence: str, limits: str, scores: str | None = None) -> int:
    """Write a published file.

    Args:
        checkpoint: of a training (.pth).
        out: the file to write (.safetensors).
        licence: what may be done with the weights.
        limits: what the model was not made for.
        scores: ``scores.json`` of a test of this checkpoint.

    Returns:
        How many weights.

    Raises:
        CheckpointError: another suffix, or a checkpoint that can't be read or has no config inside.
        ConfigError: licence or limits say nothing, or the scores can't be read or are of another checkpoint.
    """
    if out.suffix != '.safetensors':
        raise CheckpointError(f'{out}: a published file is named *.safetensors')
    source = load_file(checkpoint)
    cfg = stored_config(source, checkpoint)
    restorer = build_on_meta(cfg['model'], checkpoint)
    check_deployed(source, restorer, checkpoint)
    if not licence.strip() or not limits.strip():
        raise ConfigError('--licence and --limits must say something: people will rely on them')
    roles = tuple(f'{role}.' for role in restorer.deployed)
    state = {k: v.contiguous() for k, v in deployed_state(source).items() if k.startswith(roles)}
    facts = {
        'format': 'restorebox 1',
        'cfg_json': json.dumps(without_folders(cfg)),
        'source_sha256': sha256(checkpoint),
        'average': 'moving average' if 'ema_state_dict' in source else 'live weights',
        'compute': source['meta'].get('compute'),
        'licence': licence,
        'limits': limits,
        'scores': None if not scores else _scores(scores, checkpoint),
        'restorebox_version': __version__,
    }
    write_bytes(save(state, {key: json.dumps(value) for key, value in facts.items()}), out)
    return sum(v.numel() for v in state.values())


def _scores(file: str, checkpoint: str) -> dict:
    """The scores of a checkpoint, without those of each picture."""
    try:
        scores = json.loads(Path(file).read_bytes())
        tested = scores['checkpoint']['sha256']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"scores {file}: can't be read as a scores.json: {error}") from error
    if tested != sha256(checkpoint):
        raise ConfigError(f'scores {file}: are of another checkpoint than {checkpoint}')
    scores.pop('per_picture', None)
    return scores


def without_folders(value: object) -> object:
    """A config whose absolute paths are cut to their last part: those who get the file have no use for the rest."""
    if isinstance(value, dict):
        return {key: without_folders(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(each) for each in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

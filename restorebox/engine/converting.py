"""Conversion of files of public weights to a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from restorebox.engine.checkpoint import load_file, save_file, sha256, write_bytes
from restorebox.engine.config import load_config, model_of
from restorebox.engine.conversion import convert_by_order, convert_owan
from restorebox.engine.conversion_names import HEAVY_RAIN, convert_by_name
from restorebox.engine.conversion_networks import RULES, convert_by_rules
from restorebox.errors import CheckpointError, ConfigError
from restorebox.registry import RESTORERS, nearest


def convert_files(kind: str, files: Mapping[str, str], out: Path, config: str) -> int:
    """Convert public weights to a checkpoint, which is written atomically.

    Args:
        kind: 'owan', 'heavy_rain' and the keys of :data:`RULES` map layers by name, every other value by order.
        files: role of the restorer -> its weights file.
        out: the checkpoint, .pth or .safetensors.
        config: path of the config of the networks.

    Returns:
        Number of weights.

    Raises:
        ConfigError: the config is invalid or has no such role.
        CheckpointError: wrong suffix, or a file that is unreadable or does not fit the config's networks.
    """
    if out.suffix not in ('.pth', '.safetensors'):
        raise CheckpointError(f'{out}: give it the suffix .pth or .safetensors')
    cfg = load_config(config)
    with torch.device('meta'):
        restorer = RESTORERS.build(model_of(cfg, config).to_dict())
    roles = tuple(name for name, child in restorer.named_children() if child.state_dict())
    for role, file in files.items():
        if role not in roles:
            raise ConfigError(f"--weights {role}={file}: the config has no role '{role}'; {nearest(role, roles)}")
    convert = convert_owan if kind == 'owan' else convert_by_order
    state = {}
    for role, file in files.items():
        try:
            if kind == 'heavy_rain':
                state_of_file = load_file(file, key=HEAVY_RAIN[role][0])['state_dict']
                part = convert_by_name(state_of_file, restorer.role(role), role)
            elif kind in RULES:
                part = convert_by_rules(load_file(file)['state_dict'], restorer.role(role), kind)
            else:
                part = convert(load_file(file)['state_dict'], restorer.role(role))
        except CheckpointError as error:
            raise CheckpointError(f'{role}={file}: {error}') from None
        for key, value in part.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise CheckpointError(f'{role}={file}: weight {key} is NaN or infinite')
            state[f'{role}.{key}'] = value.contiguous()
    metadata = {
        'format': 'restorebox 1',
        'cfg_json': json.dumps(cfg.to_dict(), default=str),
        'converted_from': {role: {'kind': kind, 'sha256': sha256(file)} for role, file in files.items()},
    }
    if out.suffix == '.pth':
        save_file({'state_dict': state, 'meta': metadata}, out)
    else:
        write_bytes(save(state, {key: json.dumps(value) for key, value in metadata.items()}), out)
    return sum(value.numel() for value in state.values())

"""Contact sheets of data-loader samples: roles and layers after the pipeline, one sample per row."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from restorebox.datasets.mixture import leaf_sets
from restorebox.datasets.numbered import build_set
from restorebox.datasets.transforms import Pack
from restorebox.errors import ConfigError
from restorebox.figures import save_sheet
from restorebox.pixels import to_uint8
from restorebox.registry import DATA_SAMPLERS


def samples(cfg: dict, split: str, number: int, start: int = 0, seed: int | None = None) -> list[dict]:
    """Return the first samples of a data loader, as in training with one rank.

    Args:
        cfg: a config.
        split: 'train', 'val' or 'test'.
        number: number of samples.
        start: number of samples to skip first.
        seed: overrides the seed of the config.

    Returns:
        Per sample the result of :class:`~restorebox.datasets.transforms.Pack` with all arrays of the sample in
        ``inputs``, and under ``handed_on`` the roles that the network receives.

    Raises:
        ConfigError: the config has no such loader, or its pipeline has no Pack.
        DataError: folders or pictures are invalid.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ConfigError(f'the config has no {split}_dataloader')
    seed = (cfg.get('randomness') or {}).get('seed') if seed is None else seed
    seed = 0 if seed is None else seed  # a training run would draw one
    dataset = build_set(loader['dataset'], seed)
    roles = {}
    for name, leaf in leaf_sets(dataset):
        steps = getattr(getattr(leaf, 'pipeline', None), 'transforms', ())
        pack = steps[-1] if steps else None
        if not isinstance(pack, Pack):
            where = f'dataset.datasets.{name}' if name else 'dataset'
            raise ConfigError(f'{split}_dataloader.{where}: the pipeline does not end in a Pack')
        roles[name], pack.roles = pack.roles, None  # show all arrays; Pack is last, so this changes no random draws
    sampler = DATA_SAMPLERS.build({**loader['sampler'], 'dataset': dataset, 'seed': seed})
    found = []
    for key in islice(sampler, start, start + number):
        sample = dataset[key]
        sample['handed_on'] = tuple(roles[sample['data_samples'].get('set', '')] or sample['inputs'])
        found.append(sample)
    return found


def as_picture(tensor: torch.Tensor) -> tuple[np.ndarray, str]:
    """Convert a role or layer to an image for display.

    Args:
        tensor: CHW, uint8, or float of any range; 1 channel is shown as grey, other numbers than 3 are averaged.

    Returns:
        HWC uint8 RGB, and a note with the data type and, if not within [0, 1], the range.
    """
    array = tensor.numpy().transpose(1, 2, 0)
    note = 'uint8' if array.dtype == np.uint8 else 'float'
    if array.shape[2] not in (1, 3):
        note += f', mean of {array.shape[2]} channels'
        array = array.astype(np.float32).mean(axis=2, keepdims=True)
    if note.startswith('float'):
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        if low < 0 or high > 1:
            note += f' {low:.2g} to {high:.2g}'
            array = (array - low) / max(high - low, 1e-12)
        array = to_uint8(array)
    return np.ascontiguousarray(np.broadcast_to(array.astype(np.uint8), (*array.shape[:2], 3))), note


def row_of(sample: dict) -> list[tuple[str, np.ndarray]]:
    """Return a row of the sheet: lq, gt, hq, then the layers; empty for an unreadable sample."""
    order = {role: position for position, role in enumerate(('lq', 'gt', 'hq'))}
    row = []
    for role in sorted(sample['inputs'], key=lambda role: order.get(role, len(order))):
        picture, note = as_picture(sample['inputs'][role])
        name = f'{_name(sample, role)}: ' if role in order else ''
        unused = '' if role in sample['handed_on'] else ', not handed on'
        row.append((f'{name}{role} {picture.shape[1]}x{picture.shape[0]} {note}{unused}', picture))
    return row


def _name(sample: dict, role: str) -> str:
    facts = sample['data_samples']
    paths = facts.get('paths', {})
    stem = Path(paths[role]).stem if role in paths else facts.name
    return f'{facts.set}/{stem}' if 'set' in facts else stem


def draw_samples(
    cfg: dict, split: str, out: Path, number: int = 8, start: int = 0, seed: int | None = None
) -> tuple[int, list[str]]:
    """Save a sheet with the first samples of a data loader, one per row.

    Args:
        cfg: see :func:`samples`.
        split: see :func:`samples`.
        out: path of the PNG file.
        number: see :func:`samples`.
        start: see :func:`samples`.
        seed: see :func:`samples`.

    Returns:
        Number of rows (if 0, no file is written), and a message for each unreadable picture that was skipped.

    Raises:
        ConfigError, DataError: see :func:`samples`.
    """
    found = samples(cfg, split, number, start, seed)
    bad = [line for sample in found for line in sample['data_samples'].get('bad', [])]
    rows = [row for sample in found if (row := row_of(sample))]
    if rows:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_sheet(rows, out)
    return len(rows), bad

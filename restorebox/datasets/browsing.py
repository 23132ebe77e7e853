"""What the network will see: samples after the pipeline, roles and layers side by side on a sheet."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import torch

from restorebox.datasets.numbered import build_set
from restorebox.datasets.transforms import Pack
from restorebox.errors import ConfigError
from restorebox.figures import save_sheet
from restorebox.pixels import to_uint8
from restorebox.registry import DATA_SAMPLERS


def samples(cfg: dict, split: str, number: int, start: int = 0, seed: int | None = None) -> list[dict]:
    """The first samples of a loader, as a single rank's training would get them.

    Args:
        cfg: a config.
        split: 'train', 'val' or 'test'.
        number: how many.
        start: how many to pass over first.
        seed: overrides the config's.

    Returns:
        Per sample what :class:`~restorebox.datasets.transforms.Pack` gives, with every array of the sample in
        ``inputs``, and under ``handed_on`` the roles that the network is given.

    Raises:
        ConfigError: the config has no such loader, or its data set no Pack.
        DataError: folders or pictures are wrong.
    """
    loader = cfg.get(f'{split}_dataloader')
    if not loader:
        raise ConfigError(f'the config has no {split}_dataloader')
    seed = (cfg.get('randomness') or {}).get('seed') if seed is None else seed
    seed = 0 if seed is None else seed  # a run would draw one
    dataset = build_set(loader['dataset'], seed)
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', ())
    pack = steps[-1] if steps else None
    if not isinstance(pack, Pack):
        raise ConfigError(f'{split}_dataloader.dataset: the pipeline does not end in a Pack')
    roles, pack.roles = pack.roles, None  # all arrays: by now everything random has been drawn
    sampler = DATA_SAMPLERS.build({**loader['sampler'], 'dataset': dataset, 'seed': seed})
    found = []
    for key in islice(sampler, start, start + number):
        sample = dataset[key]
        sample['handed_on'] = tuple(roles or sample['inputs'])
        found.append(sample)
    return found


def as_picture(tensor: torch.Tensor) -> tuple[np.ndarray, str]:
    """A role or layer for the eye.

    Args:
        tensor: CHW, uint8, or float of any range; 1 channel is shown as grey, of other numbers but 3 the mean.

    Returns:
        HWC uint8 RGB, and in words what it was: kind, and range where it was not [0, 1].
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
    """A row of the sheet: degraded, clean, unrelated, then the layers; empty of a sample that could not be read."""
    order = {role: place for place, role in enumerate(('lq', 'gt', 'hq'))}
    row = []
    for role in sorted(sample['inputs'], key=lambda role: order.get(role, len(order))):
        picture, note = as_picture(sample['inputs'][role])
        name = f'{_name(sample, role)}: ' if role in order else ''
        aside = '' if role in sample['handed_on'] else ', not handed on'
        row.append((f'{name}{role} {picture.shape[1]}x{picture.shape[0]} {note}{aside}', picture))
    return row


def _name(sample: dict, role: str) -> str:
    facts = sample['data_samples']
    paths = facts.get('paths', {})
    return Path(paths[role]).stem if role in paths else facts.name


def draw_samples(
    cfg: dict, split: str, out: Path, number: int = 8, start: int = 0, seed: int | None = None
) -> tuple[int, list[str]]:
    """Draw the first samples of a loader, one a row.

    Args:
        cfg: see :func:`samples`.
        split: see there.
        out: the PNG.
        number: see there.
        start: see there.
        seed: see there.

    Returns:
        How many were drawn, 0 and no sheet where no sample is left or none can be read; and a line for each picture
        that can't be read and was skipped.

    Raises:
        ConfigError, DataError: see there.
    """
    found = samples(cfg, split, number, start, seed)
    bad = [line for sample in found for line in sample['data_samples'].get('bad', [])]
    rows = [row for sample in found if (row := row_of(sample))]
    if rows:
        out.parent.mkdir(parents=True, exist_ok=True)
        save_sheet(rows, out)
    return len(rows), bad

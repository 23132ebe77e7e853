"""A degraded picture as a record: what to write down so that the same bytes can be rendered again."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any

import numpy as np

from restorebox.degradations.base import BaseDegradation
from restorebox.degradations.compose import build_degradation
from restorebox.errors import ConfigError
from restorebox.pixels import to_float, to_uint8, to_uint16
from restorebox.registry import DEGRADATIONS
from restorebox.untrusted import checked_config

Record = dict[str, Any]


def record_rng(seed: int, source: str, copy: int = 0) -> np.random.Generator:
    """The random number generator of one picture's draws: of these three alone, whatever else is rendered beside it.

    Args:
        seed: of the whole set.
        source: the clean picture's name; for files the path below their folder, with ``/`` between its parts.
        copy: the how-manieth degraded picture of it, from 0.
    """
    digest = hashlib.sha256(f'{seed}\0{copy}\0'.encode() + os.fsencode(source)).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], 'big'))


def draw_record(
    degradation: BaseDegradation,
    recipe: str | dict,
    shape: tuple[int, ...],
    seed: int,
    source: str,
    copy: int = 0,
) -> Record:
    """Draw the parameters of one picture -> 'recipe', 'seed', 'copy', 'parameters', as JSON would give them back."""
    drawn = degradation.sample(record_rng(seed, source, copy), shape)
    return json.loads(json.dumps({'recipe': recipe, 'seed': seed, 'copy': copy, 'parameters': drawn}))


def render_again(record: Record, clean: np.ndarray, degradation: BaseDegradation | None = None) -> dict:
    """Render the picture of a record, e.g. of a line of ``manifest.jsonl``: the bytes that it had.

    That holds on the same kind of machine with the same versions of NumPy and OpenCV.

    Args:
        record: with 'recipe' (a name or a config) and 'parameters'; other keys are not read.
        clean: HWC RGB as :func:`~restorebox.datasets.reading.read_picture` gives it, of the source or of its 'gt'.
        degradation: the recipe, where it has been built already.

    Returns:
        'lq' HWC uint8, and the physics layers, float32 of the picture's height and width.

    Raises:
        ConfigError: the record lacks a key, or names no known recipe. A config in it may name registered degradations
            only, since a manifest may be anybody's.
    """
    missing = [key for key in ('recipe', 'parameters') if key not in record]
    if missing:
        raise ConfigError(f"a record needs the key '{missing[0]}'; this one has {', '.join(record) or 'none'}")
    if degradation is None:
        recipe = record['recipe']
        degradation = build_degradation(recipe if isinstance(recipe, str) else checked_config(recipe, (DEGRADATIONS,)))
    rendered = degradation.apply(as_stored(clean), record['parameters'])
    return {**rendered, 'lq': to_uint8(rendered['lq'])}


def as_stored(clean: np.ndarray) -> np.ndarray:
    """A clean picture as a file keeps it: uint8 as it is, floats in [0, 1] rounded to 16 bits.

    A second time changes nothing, so that a source and its 16-bit copy render the same.
    """
    return clean if clean.dtype == np.uint8 else to_float(to_uint16(clean))

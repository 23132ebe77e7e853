"""Records of degraded pictures, from which the same bytes can be rendered again."""

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
    """Return the generator for the parameters of one picture; it depends only on these three arguments.

    Args:
        seed: seed of the whole set.
        source: name of the clean picture; for files the path relative to the source folder, separated by ``/``.
        copy: index of the degraded copy of this picture, from 0.
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
    """Draw the parameters of one picture.

    Returns:
        'recipe', 'seed', 'copy' and 'parameters', after a JSON round trip (tuples become lists).
    """
    drawn = degradation.sample(record_rng(seed, source, copy), shape)
    return json.loads(json.dumps({'recipe': recipe, 'seed': seed, 'copy': copy, 'parameters': drawn}))


def render_again(record: Record, clean: np.ndarray, degradation: BaseDegradation | None = None) -> dict:
    """Render the picture of a record, e.g. a line of ``manifest.jsonl``.

    The bytes are reproduced on the same CPU architecture with the same versions of NumPy and OpenCV.

    Args:
        record: dict with 'recipe' (a name or a config) and 'parameters'; other keys are ignored.
        clean: HWC RGB as :func:`~restorebox.datasets.reading.read_picture` returns it, of the source or of its 'gt'.
        degradation: the built recipe, if available.

    Returns:
        'lq' HWC uint8, and the physics layers, float32 with the picture's height and width.

    Raises:
        ConfigError: a key is missing, or the recipe is unknown. A config may only name registered degradations, since
            a manifest is untrusted input.
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
    """Quantise a clean picture as a file stores it: uint8 unchanged, floats in [0, 1] rounded to 16 bits.

    The function is idempotent, so a source and its 16-bit copy give the same rendering.
    """
    return clean if clean.dtype == np.uint8 else to_float(to_uint16(clean))

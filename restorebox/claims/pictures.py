"""Synthetic pictures for the budget ``tiny``, which tests the program, not the claims."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def draw_pictures(root: Path) -> Path:
    """Write a few deterministic pictures for ``tiny``; returns ``root``."""
    for split, count, size in (('train', 4, 256), ('test', 2, 64)):  # 256: the largest crop
        folder = root / split / 'gt'
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(count):
            coarse = np.random.default_rng((split == 'test', i)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f'{i}.png')
    return root

"""Clean pictures for synthesis, and the content of the resulting sets."""

import json
from pathlib import Path

import numpy as np
from PIL import Image


def write_clean(folder: Path, count: int, size: tuple[int, int] = (24, 32)) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        picture = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f'{i:03d}.{"jpg" if i % 3 else "png"}')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder, including hidden ones."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob('*')) if p.is_file()}


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b'\n') if journal.exists() else 0


def manifest(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / 'manifest.jsonl').read_text().splitlines()]

"""Do resolved configs, the shipped model's outputs and stored results stay what they were?

    python docs/studies/unchanged.py --write    # before: stores the listing
    python docs/studies/unchanged.py            # after: compares, exits with 1 where anything differs
    python docs/studies/unchanged.py --accept fdrnet/weather2.py ...    # lists these configs anew, or drops them

For changes that must not change them. The listing, docs/results/unchanged.json, holds the SHA-256 of every stored
result and of every file of weights; the digest of every resolved config (all that the Runner reads; a config that
became a row of another stands under its old name); and what ``RestoreInferencer`` makes of drawn pictures: whole, in
tiles, grey, with alpha, 16 bits. Of each output it keeps the means of cells of 16x16 pixels, which may differ by 0.02
levels of 255, since processors round differently.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from restorebox import RestoreInferencer
from restorebox.cli.common import guarded
from restorebox.engine.config import config_digest, load_config

REPOSITORY = Path(__file__).resolve().parents[2]
LISTING = REPOSITORY / 'docs' / 'results' / 'unchanged.json'
CELL = 16
TOLERANCE = 0.02  # levels of 255


def pictures() -> Iterator[tuple[str, np.ndarray, float]]:
    """Name, picture and MiB for the network: gradients with streaks and noise, by seed."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:160, :200] / 200
    scene = np.stack([0.2 + 0.6 * x, 0.5 + 0.3 * np.sin(9 * y), 0.8 - 0.6 * y], -1)
    scene[rng.random(scene.shape[:2]) < 0.004] = 1
    noisy = np.clip(scene + 0.05 * rng.standard_normal(scene.shape), 0, 1)
    rgb = (noisy * 255).round().astype(np.uint8)
    yield 'whole', rgb, 4096
    yield 'veiled', (0.4 * rgb + 140).astype(np.uint8), 4096
    yield 'tiles', np.tile(rgb, (3, 3, 1)), 60
    yield 'grey', rgb[..., 1], 4096
    yield 'alpha', np.dstack([rgb, np.full(rgb.shape[:2], 77, np.uint8)]), 4096
    yield '16 bits', (noisy * 65535).round().astype(np.uint16), 4096


def cells(picture: np.ndarray) -> list[float]:
    """Means of cells, in levels of 255, rounded to a thousandth."""
    scaled = picture.astype(np.float64) / (65535 if picture.dtype == np.uint16 else 255) * 255
    scaled = scaled.reshape(*scaled.shape[:2], -1)
    height, width = (side // CELL * CELL for side in scaled.shape[:2])
    grid = scaled[:height, :width].reshape(height // CELL, CELL, width // CELL, CELL, -1)
    return np.round(grid.mean((1, 3)), 3).ravel().tolist()


def digest(config: str, row: str | None) -> str:
    """Of all that the Runner reads of a config below ``configs/``, but for the row's name."""
    return config_digest(load_config(f'configs/{config}', row=row))


def configs(names: dict[str, list]) -> dict[str, list]:
    """Old name -> (config, row or None, digest), of the names of a listing and of configs that are new since."""
    new = [path.relative_to(REPOSITORY / 'configs').as_posix() for path in (REPOSITORY / 'configs').glob('[a-z]*/*.py')]
    places = {**{name: [name, None] for name in sorted(new)}, **{name: entry[:2] for name, entry in names.items()}}
    return {name: [*place, digest(*place)] for name, place in places.items()}


def state(names: dict[str, list]) -> dict:
    """What must stay."""
    stored = [path for path in sorted((REPOSITORY / 'docs' / 'results').rglob('*.json')) if path != LISTING]
    weights = sorted((REPOSITORY / 'configs').rglob('*.safetensors'))
    outputs = {
        name: cells(RestoreInferencer('weather', device='cpu', precision='fp32', memory=memory)(picture))
        for name, picture, memory in pictures()
    }
    files = {
        path.relative_to(REPOSITORY).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in stored + weights
    }
    return {'files': files, 'configs': configs(names), 'outputs': outputs}


def differences(before: dict, after: dict) -> list[str]:
    """A line per difference; files that are new since are none."""
    found = [
        f'{name}: {"is gone" if name not in after["files"] else "has other bytes"}'
        for name, digest in before['files'].items()
        if after['files'].get(name) != digest
    ]
    found += [
        f'config {name}: differs from what it was'
        for name, entry in before['configs'].items()
        if after['configs'].get(name) != entry
    ]
    for name, values in before['outputs'].items():
        now = after['outputs'].get(name, [])
        off = max(abs(a - b) for a, b in zip(values, now, strict=True)) if len(now) == len(values) else float('inf')
        if off > TOLERANCE:
            found.append(f'output {name}: differs by {off:.3f} levels')
    return found


def accept(names: list[str], listing: dict[str, list]) -> None:
    """List configs anew after an intended change, and drop those whose file is gone."""
    for name in names:
        config, row = listing.get(name, [name, None])[:2]
        if (REPOSITORY / 'configs' / config).is_file():
            listing[name] = [config, row, digest(config, row)]
        else:
            listing.pop(name)


def main() -> int:
    """Write the listing, or compare with it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--write', action='store_true')
    parser.add_argument('--accept', nargs='+', metavar='CONFIG', help='names in the listing, or new configs')
    args = parser.parse_args()
    before = json.loads(LISTING.read_text()) if LISTING.is_file() else {'configs': {}}
    if args.accept:
        accept(args.accept, before['configs'])
        LISTING.write_text(json.dumps(before) + '\n')
        return 0
    now = state(before['configs'])
    if args.write:
        LISTING.write_text(json.dumps(now) + '\n')
        return 0
    found = differences(before, now)
    for line in found:
        print(line)
    counts = ', '.join(f'{len(part)} {name}' for name, part in before.items())
    print(f'{counts} compared, {len(found)} differ')
    return 1 if found else 0


if __name__ == '__main__':
    guarded(lambda: sys.exit(main()))

"""Compare NIQE and BRISQUE with values of their authors' code and with other implementations; damage photographs.

    python docs/studies/no_reference.py ../shared/data --golden FOLDER --basicsr CHECKOUT --pyiqa CHECKOUT

FOLDER has baboon.png of BasicSR (``test_scripts/data``) and the pictures of ``ResultsCalibra/dist_dir`` of pyiqa, whose
values from MATLAB these projects print. The checkouts are of https://github.com/XPixelGroup/BasicSR (NIQE) and
https://github.com/chaofengc/IQA-PyTorch (BRISQUE, with the authors' regression; its licence is not free, so it is
only measured against). Without them the columns stay empty. Only their files with the scores are imported.

Twelve photographs, each undamaged and with noise, blur and JPEG at three strengths: does each score rise with the
strength? Prints and writes docs/results/no_reference.json and .md.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import types
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from restorebox.cli.common import guarded
from restorebox.datasets import read_picture
from restorebox.files import json_bytes, write_whole
from restorebox.metrics import no_reference
from restorebox.metrics.no_reference import NO_REFERENCE, brisque, niqe
from restorebox.metrics.protocols import as_saved
from restorebox.metrics.scene_statistics import grey_of
from restorebox.pixels import to_float

OUT = Path(__file__).resolve().parents[1] / 'results'

# file -> values of the authors' MATLAB code, as BasicSR (baboon.png) and pyiqa (results_official.csv) print them
GOLDEN = {
    'baboon.png': {'niqe_y': 5.72957338},
    'I03.bmp': {'niqe': 15.7536293917814, 'brisque': 94.6421},
    'I04.bmp': {'niqe': 3.65492152353770, 'brisque': -0.107618},
    'I06.bmp': {'niqe': 3.23547743716998, 'brisque': 0.992889},
    'I08.bmp': {'niqe': 3.18403333858339, 'brisque': 5.35827},
    'I19.bmp': {'niqe': 8.63519663862637, 'brisque': 72.2617},
}
COUNTS = {'bsds500_clean/test': 4, 'urban100_clean': 2, 'sunhays80_clean': 2, 'set5_clean': 1, 'rain_real': 3}
STRENGTHS = {'noise': (10, 25, 50), 'blur': (1, 2, 4), 'jpeg': (40, 20, 10)}  # standard deviation, pixels, quality

Peer = Callable[[NDArray], float]


def damaged(picture: NDArray, kind: str, strength: int, rng: np.random.Generator) -> NDArray:
    """Damage ``(H, W, 3)`` RGB in [0, 1]; the result is not rounded."""
    if kind == 'noise':
        return picture + rng.normal(0, strength / 255, picture.shape)
    if kind == 'blur':
        return cv2.GaussianBlur(picture, (0, 0), strength)
    pixels = as_saved(picture).astype(np.uint8)[..., ::-1]
    data = cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, strength])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1] / 255.0


def bare(name: str, folder: Path, **content: object) -> None:
    """Register a package without running its ``__init__``, which would import the whole project."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    vars(module).update(content)
    sys.modules[name] = module


def basicsr_niqe(checkout: Path) -> Peer:
    """Return BasicSR's NIQE of grey values."""
    root = checkout / 'basicsr'
    for name in ('basicsr', 'basicsr.metrics', 'basicsr.utils'):
        bare(name, root / name.partition('.')[2])
    vars(sys.modules['basicsr.utils'])['bgr2ycbcr'] = importlib.import_module('basicsr.utils.color_util').bgr2ycbcr
    function = importlib.import_module('basicsr.metrics.niqe').calculate_niqe
    return lambda grey: float(function(grey, 0, input_order='HW'))


def pyiqa_brisque(checkout: Path) -> Peer:
    """Return pyiqa's BRISQUE of grey values; the vectors and weights are those that restorebox has."""
    import torch

    root = checkout / 'pyiqa'
    for name in ('pyiqa', 'pyiqa.archs', 'pyiqa.utils'):
        bare(name, root / name.partition('.')[2])
    bare('pyiqa.archs.arch_util', root, get_url_from_name=lambda name: '')
    bare('pyiqa.utils.download_util', root, load_file_from_url=None)
    function = importlib.import_module('pyiqa.archs.brisque_arch').brisque
    with np.load(Path(no_reference.__file__).parent / 'parameters' / 'brisque.npz') as stored:
        model = {'sv_coef': torch.tensor(stored['weights'])[:, None], 'sv': torch.tensor(stored['vectors'])}

    def score(grey: NDArray) -> float:
        picture = torch.tensor(grey / 255)[None, None]
        return float(function(picture, test_y_channel=False, **model))

    return score


def golden_rows(folder: Path) -> list[dict]:
    """Return ours and the authors' values."""
    rows = []
    for file, values in GOLDEN.items():
        picture = read_picture(folder / file) / 255.0
        for name, value in values.items():
            ours = NO_REFERENCE[name](picture)
            rows.append({'picture': file, 'score': name, 'authors': value, 'ours': ours, 'difference': ours - value})
    return rows


def photograph_rows(data: Path, peers: dict[str, Peer]) -> list[dict]:
    """Return a row per photograph and damage."""
    rng = np.random.default_rng(27)
    rows = []
    for folder, count in COUNTS.items():
        files = sorted(path for path in (data / folder).iterdir() if path.suffix in ('.jpg', '.png', '.bmp'))
        for file in files[:: max(len(files) // count, 1)][:count]:
            picture = to_float(read_picture(file), np.float64)
            versions = [('none', 0, picture)]
            versions += [(kind, s, damaged(picture, kind, s, rng)) for kind, each in STRENGTHS.items() for s in each]
            for kind, strength, version in versions:
                row = {'photograph': f'{folder}/{file.name}', 'damage': kind, 'strength': strength}
                row |= {'niqe': niqe(version), 'brisque': brisque(version)}
                grey = grey_of(as_saved(version))
                row |= {f'{name}_peer': peer(grey) for name, peer in peers.items()}
                rows.append(row)
            print(file.name, flush=True)
    return rows


def rises(rows: list[dict], score: str) -> dict[str, int]:
    """Return for how many photographs a score rises with each strength, from the undamaged one on."""
    by_key = {(row['photograph'], row['damage'], row['strength']): row[score] for row in rows}
    names = dict.fromkeys(row['photograph'] for row in rows)
    return {
        kind: sum(
            all(a < b for a, b in pairwise([by_key[name, 'none', 0], *(by_key[name, kind, s] for s in each)]))
            for name in names
        )
        for kind, each in STRENGTHS.items()
    }


def page(found: dict) -> str:
    """Format the results."""
    out = [
        '# NIQE and BRISQUE: comparison\n\nWritten by `docs/studies/no_reference.py`; the definitions are in '
        '`docs/measuring.md`.\n\n## Values of the authors\' code\n\n'
        '| picture | score | authors (MATLAB) | ours | difference | relative |\n|---|---|---|---|---|---|'
    ]  # fmt: skip
    for row in found['golden']:
        relative = row['difference'] / abs(row['authors'])
        out.append(
            f'| {row["picture"]} | {row["score"]} | {row["authors"]:.4f} | {row["ours"]:.4f} | '
            f'{row["difference"]:+.4f} | {relative:+.3%} |'
        )
    out.append('\n## Undamaged photographs and their worst damage\n')
    out.append('Peer: NIQE of BasicSR, BRISQUE of pyiqa, on the same grey values.\n')
    out.append('| photograph | damage | NIQE | peer | difference | BRISQUE | peer | difference |\n' + '|---' * 8 + '|')
    for row in found['photographs']:
        cells = [row['photograph'], f'{row["damage"]} {row["strength"] or ""}'.strip()]
        for name in ('niqe', 'brisque'):
            peer = row.get(f'{name}_peer')
            cells += [f'{row[name]:.3f}', '-' if peer is None else f'{peer:.3f}']
            cells.append('-' if peer is None else f'{row[name] - peer:+.3f}')
        if row['damage'] == 'none' or row['strength'] == STRENGTHS[row['damage']][-1]:
            out.append('| ' + ' | '.join(cells) + ' |')
    out.append(
        '\nThe other strengths are in `docs/results/no_reference.json`.\n\n## Does the score rise with the damage?'
    )
    out.append('\n| damage | strengths | photographs | NIQE rises | BRISQUE rises |\n|---|---|---|---|---|')
    count = len({row['photograph'] for row in found['photographs']})
    for kind, strengths in STRENGTHS.items():
        numbers = ', '.join(map(str, strengths))
        rising = found['rises']
        out.append(f'| {kind} | {numbers} | {count} | {rising["niqe"][kind]} | {rising["brisque"][kind]} |')
    out.append('\n| score | median of the differences to the peer | largest | of |\n|---|---|---|---|')
    for name, each in found['peers'].items():
        out.append(f'| {name} | {each["median"]:.5f} | {each["largest"]:.4f} | {each["at"]} |')
    return '\n'.join(out) + '\n'


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', type=Path)
    parser.add_argument('--golden', type=Path)
    parser.add_argument('--basicsr', type=Path)
    parser.add_argument('--pyiqa', type=Path)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    peers: dict[str, Peer] = {}
    if args.basicsr:
        peers['niqe'] = basicsr_niqe(args.basicsr)
    if args.pyiqa:
        peers['brisque'] = pyiqa_brisque(args.pyiqa)
    rows = photograph_rows(args.data, peers)
    found: dict = {
        'golden': golden_rows(args.golden) if args.golden else [],
        'rises': {name: rises(rows, name) for name in ('niqe', 'brisque')},
        'peers': {},
        'photographs': rows,
    }
    for name in peers:
        gaps = {
            f'{row["photograph"]}, {row["damage"]} {row["strength"]}': abs(row[name] - row[f'{name}_peer'])
            for row in rows
        }
        at = max(gaps, key=gaps.__getitem__)
        found['peers'][name] = {'median': float(np.median([*gaps.values()])), 'largest': gaps[at], 'at': at}
    write_whole(OUT / 'no_reference.json', json_bytes(found))
    write_whole(OUT / 'no_reference.md', page(found).encode())
    print(page(found))


if __name__ == '__main__':
    guarded(main)

"""Audit the bicubic baseline of super-resolution on Set5, whose scores many papers print.

    python docs/studies/bicubic_set5.py ../shared/data/set5_clean work_dirs/bicubic_set5

Each picture is reduced and enlarged by MATLAB's imresize (bicubic, antialiased when reducing, edges mirrored). Pillow
has the same kernel, but other edges: pictures are extended first. In ``xN_rgb`` the colour pictures are resized and
rounded to 8 bits after each step. In ``xN_luma`` the studio-swing luma, rounded to 8 bits, is resized and rounded at
the end only, as the papers' MATLAB code does; results and clean pictures are grey there, so the audit's ``rgb`` is
luma. Prints and writes docs/results/bicubic_set5.json; the folders can be given to ``restorebox score``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.datasets import list_pictures, read_picture
from restorebox.files import json_bytes, write_whole
from restorebox.metrics.audit import matches, nearest_variants, score_pairs
from restorebox.metrics.protocols import luma_studio
from restorebox.metrics.published import parse_claim

OUT = Path(__file__).resolve().parents[1] / 'results' / 'bicubic_set5.json'
PUBLISHED = {2: '33.66/.9299', 3: '30.39/.8682', 4: '28.42/.8104'}  # as the tables of VDSR and DRRN print it
NAMED = ('psnr_rgb', 'psnr_y', 'psnr_y_u8', 'psnr_y_full_u8', 'ssim_rgb', 'ssim_y', 'ssim_y_u8', 'ssim_skimage')


def resize(plane: NDArray, numerator: int, denominator: int) -> NDArray:
    """Resize ``(H, W)`` by a ratio, as MATLAB's imresize; sides are multiples of ``denominator``; not rounded."""
    edge = 8 * denominator  # more than half the kernel, and a multiple of the denominator
    wide = np.pad(plane, edge, 'symmetric')
    height, width = (side * numerator // denominator for side in wide.shape)
    large = Image.fromarray(wide.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    inner = edge * numerator // denominator
    return np.asarray(large)[inner:-inner, inner:-inner]


def rounded(values: NDArray) -> NDArray:
    """Clamp to [0, 255] and round half up."""
    return np.floor(values.clip(0, 255) + 0.5).astype(np.uint8)


def write_results(source: Path, out: Path, scale: int) -> None:
    """Write ``results`` and ``gt`` of both kinds."""
    for kind in ('rgb', 'luma'):
        for role in ('results', 'gt'):
            (out / f'x{scale}_{kind}' / role).mkdir(parents=True, exist_ok=True)
    for file in list_pictures(source):
        picture = read_picture(file)
        height, width = (side // scale * scale for side in picture.shape[:2])
        picture = picture[:height, :width]
        planes = [resize(rounded(resize(plane, 1, scale)), scale, 1) for plane in picture.transpose(2, 0, 1)]
        luma = rounded(luma_studio(picture.astype(np.float64)))
        saved = {
            'rgb/results': rounded(np.stack(planes, axis=2)),
            'rgb/gt': picture,
            'luma/results': rounded(resize(resize(luma, 1, scale), scale, 1)),
            'luma/gt': luma,
        }
        for name, pixels in saved.items():
            Image.fromarray(pixels).save(out / f'x{scale}_{name}' / f'{file.stem}.png')


def main() -> None:
    """Write the pictures, audit them, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('gt', type=Path)
    parser.add_argument('out', type=Path)
    args = parser.parse_args()
    found: dict[str, dict] = {}
    for scale, text in PUBLISHED.items():
        write_results(args.gt, args.out, scale)
        for kind in ('rgb', 'luma'):
            folder = args.out / f'x{scale}_{kind}'
            audit = score_pairs(folder / 'results', folder / 'gt', crops=(2, 3, 4, 8))
            row = found[folder.name] = {'mean': {name: audit.mean[name] for name in NAMED}, 'claims': {}}
            for claim in parse_claim(text):
                row['claims'][claim.text] = {
                    'matches': {each.name: audit.mean[each.name] for each in matches(audit, claim)},
                    'nearest': {each.name: audit.mean[each.name] for each in nearest_variants(audit, claim, 3)},
                }
                print(folder.name, claim.text, row['claims'][claim.text])
    write_whole(OUT, json_bytes(found))


if __name__ == '__main__':
    guarded(main)

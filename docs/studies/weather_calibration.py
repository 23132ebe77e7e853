"""Write degraded training samples of version 2 of the included model, with which its 8-bit export is calibrated.

    python docs/studies/weather_calibration.py --data-root FOLDER --out OUT [--count 64]
    restorebox export weather2_gated --to onnx --int8 --calibrate OUT --out FILE.onnx

The samples are drawn by the training pipeline of fdrnet/weather2.py with seed 0, without its last crop, from the
photographs in their order. FOLDER: see weather_data.py. Writes OUT/0.png, OUT/1.png, ...; OUT must be new or empty.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from restorebox.cli.common import guarded
from restorebox.datasets.keys import SampleKey
from restorebox.engine.config import load_config, set_data_root
from restorebox.errors import DataError
from restorebox.pixels import to_uint8
from restorebox.registry import DATASETS


def main() -> None:
    """Draw and write the samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--count', type=int, default=64)
    args = parser.parse_args()
    if args.out.is_dir() and any(args.out.iterdir()):
        raise DataError(f'{args.out}: is not empty; samples of an earlier run would be used as well')
    cfg = load_config('fdrnet/weather2.py')
    set_data_root(cfg, args.data_root)
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step != cfg.cut]
    data = DATASETS.build(dict(dataset, seed=0))
    args.out.mkdir(parents=True, exist_ok=True)
    for i in range(args.count):
        lq = data[SampleKey(i % len(data), position=i)]['inputs']['lq']
        Image.fromarray(to_uint8(lq.permute(1, 2, 0).numpy())).save(args.out / f'{i}.png')
    print(f'{args.out}: {args.count} samples')


if __name__ == '__main__':
    guarded(main)

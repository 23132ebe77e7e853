"""Measure how many pictures of 512x512 per second ``synthesize`` makes on one core, including reading and writing.

Run it from the root of the repository with a folder of photographs; it prints a table and writes
docs/results/synthesize_speed.json:

    OMP_NUM_THREADS=1 python docs/studies/synthesize_speed.py photographs

The code of a worker runs in this process. CPU time is measured, which depends little on other load on the machine, and
the fastest of several passes is reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from restorebox.cli.common import guarded
from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.datasets.synthesis.work import PNG_OPTIONS, Job, degrade

OUT = Path(__file__).resolve().parents[1] / 'results' / 'synthesize_speed.json'
SIDE, PICTURES, PASSES = 512, 16, 5
AT_LEAST = {'light_rain': 20, 'heavy_rain': 8, 'moderate': 20}  # pictures per second


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('photographs', help='folder of photographs')
    photographs = parser.parse_args().photographs
    cv2.setNumThreads(0)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder, 'clean')
        clean.mkdir()
        for path in list_pictures(photographs)[:PICTURES]:
            picture = Image.fromarray(read_picture(path)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            picture.save(clean / f'{path.stem}.png')
        sources = sorted(path.name for path in clean.iterdir())
        for name, wanted in AT_LEAST.items():
            for layers in (False, True):
                rates = []
                for k in range(PASSES):
                    job = Job(clean, Path(folder, f'{name}{layers}{k}'), name, layers=layers)
                    began = time.process_time()
                    for source in sources:
                        degrade(job, source, [])
                    rates.append(len(sources) / (time.process_time() - began))
                row = f'{name}, layers too' if layers else name
                files = list((job.out_dir / 'lq').iterdir())
                share = sum(f.stat().st_size for f in files) / len(files) / SIDE**2 / 3
                figures[row] = {'per_second': round(max(rates), 1), 'lq_share_of_raw': round(share, 3)}
                print(
                    f'{row:24} {max(rates):6.1f} a second (at least {wanted}), lq {100 * share:.0f}% of the raw bytes'
                )
    facts = {
        'size': SIDE,
        'pictures': PICTURES,
        'passes': PASSES,
        'png_level': PNG_OPTIONS[1],
        'machine': platform.machine(),
    }
    facts.update(python=platform.python_version(), numpy=np.__version__, opencv=cv2.__version__)
    OUT.write_text(json.dumps({**facts, 'figures': figures}, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)

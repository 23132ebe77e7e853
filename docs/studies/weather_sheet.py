"""Draw results of the included model on photographs that may be redistributed: the first picture of the README.

    python docs/studies/weather_sheet.py

Writes docs/images/weather.jpg, the sheet with which the demo starts: synthetic degradation, output, ground truth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

from restorebox.cli.common import guarded
from restorebox.demo.photographs import HELD_OUT, packaged
from restorebox.demo.shipped import chosen, show_shipped

OUT = Path(__file__).resolve().parents[1] / 'images' / 'weather.jpg'


def main() -> None:
    """Degrade, restore and draw."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / 'sheet.png'
        show_shipped(chosen(packaged(HELD_OUT), []), sheet, Path(folder) / 'scores.json')
        Image.open(sheet).convert('RGB').save(OUT, quality=88)


if __name__ == '__main__':
    guarded(main)

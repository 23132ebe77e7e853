"""What the shipped model makes of photographs that may be passed on: the README's first picture.

    python docs/studies/weather_sheet.py

Writes docs/images/weather.jpg, the sheet with which the demo begins: drawn damage, what is made of it, the truth.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import Image

from restorebox.demo.photographs import HELD_OUT, packaged
from restorebox.demo.shipped import chosen, show_shipped

OUT = Path(__file__).resolve().parents[1] / 'images' / 'weather.jpg'


def main() -> None:
    """Damage, restore, draw."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder) / 'sheet.png'
        show_shipped(chosen(packaged(HELD_OUT), []), sheet, Path(folder) / 'scores.json')
        Image.open(sheet).convert('RGB').save(OUT, quality=88)


if __name__ == '__main__':
    main()

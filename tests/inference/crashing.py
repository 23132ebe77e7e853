"""An inferencer for tests of worker processes: pictures of some heights stop or crash their process."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from restorebox.inference import RestoreInferencer
from restorebox.inference.files import PictureFile

CRASHES, WAITS = 13, 14  # heights in pixels


class _Crashing(RestoreInferencer):
    def restore_picture(self, picture: PictureFile, progress: object = None) -> PictureFile:
        if len(picture.colours) == CRASHES:
            ctypes.string_at(0)  # a segmentation fault
        if len(picture.colours) == WAITS and not Path('go').exists():
            Path('pid').write_text(str(os.getpid()))
            os.replace('pid', 'waiting')  # complete when it is there
            while not Path('go').exists():
                time.sleep(0.01)
        return super().restore_picture(picture)


def build(model: str) -> RestoreInferencer:
    """Build the inferencer; it works in the current folder."""
    return _Crashing(model, device='cpu')

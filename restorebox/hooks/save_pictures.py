"""Saving of the restored pictures of a test."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.hooks import Hook
from PIL import Image

from restorebox.files import write_whole
from restorebox.pixels import to_array
from restorebox.registry import HOOKS

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner

FOLDER = 'pictures'


@HOOKS.register_module()
class SavePicturesHook(Hook):
    """Save each restored picture of a test as ``pictures/[SET/]NAME.png``, 8 bits, rounded as for the scores.

    With several ranks each saves its own pictures. ``restorebox test --save-pictures`` adds this hook.
    """

    def after_test_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Write the pictures of a batch, each by an atomic write."""
        for sample in outputs:
            folder = Path(runner.work_dir) / FOLDER / sample.get('set', '')
            folder.mkdir(parents=True, exist_ok=True)
            data = io.BytesIO()
            Image.fromarray(to_array(sample.pred, np.uint8)).save(data, 'PNG')
            write_whole(folder / f'{sample.name.replace("/", "_")}.png', data.getvalue())

    def after_test(self, runner: RestorationRunner) -> None:
        """Log the folder."""
        runner.logger.info(f'restored pictures: {Path(runner.work_dir) / FOLDER}')

"""Comparison sheets: the degraded, the restored and the clean picture side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.visualization import LocalVisBackend
from PIL import Image

from restorebox.datasets.numbered import sets_of
from restorebox.figures import save_sheet
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_array
from restorebox.registry import HOOKS
from restorebox.sample import RestorationSample
from restorebox.values import Whole

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner

# columns of a sheet, from left to right: role of the sample -> title
TITLES = {
    'lq': 'degraded',
    'streak': 'streaks',
    'transmission': 'transmission',
    'depth': 'depth',
    'airlight': 'airlight',
    'physics': 'physics',
    'pred': 'restored',
    'gt': 'clean',
}
SCORED = ('lq', 'physics', 'pred')


@HOOKS.register_module()
class ComparisonSheetHook(Hook):
    """Draw a sheet of a few pictures at each validation and test, in a background thread; one per set of a mixture.

    The sheets are also images of the visualiser's backends, such as TensorBoard, WandB or MLflow.
    Layers estimated by the method are placed between the degraded and the restored picture.

    Args:
        pictures: number of pictures of each set, evenly spaced over it; the same ones each time.
        score: protocol whose value is written under the pictures that have a clean partner.
    """

    def __init__(self, pictures: Whole = 6, score: str = 'psnr_y') -> None:
        self.pictures = pictures
        self.name = score
        self.score = protocol(score)
        self.rows: list[tuple[int, str, str, dict[str, np.ndarray]]] = []
        self.pool = ThreadPoolExecutor(1)
        self.drawn: list = []

    def _collect(self, loop: Any, outputs: list[RestorationSample]) -> None:
        dataset, begin, chosen = loop.dataloader.dataset, 0, set()
        for _, count in sets_of(dataset) or [('', len(dataset))]:
            chosen |= {begin + round(i) for i in np.linspace(0, count - 1, min(self.pictures, count))}
            begin += count
        for sample in outputs:
            if sample.index in chosen:
                layers = {
                    role: to_array(sample.get(role).expand(3, -1, -1), np.uint8) for role in TITLES if role in sample
                }
                self.rows.append((sample.index, sample.name, sample.get('set', ''), layers))

    def _draw(self, runner: RestorationRunner, name: str, step: int) -> None:
        self._report(runner, [each for each in self.drawn if each[3].done()])
        rows = {row[0]: row for part in all_gather_object(self.rows) for row in part}
        self.rows = []
        for part in dict.fromkeys(rows[i][2] for i in sorted(rows)) if is_main_process() else ():
            path = Path(runner.work_dir) / 'sheets' / f'{name}{f"_{part}" if part else ""}.png'
            of_set = [rows[i] for i in sorted(rows) if rows[i][2] == part]
            self.drawn.append((path, part, step, self.pool.submit(self._render, of_set, path)))

    def _render(self, rows: list, path: Path) -> None:
        cells = []
        for _, name, _, layers in rows:
            row = []
            for role, picture in layers.items():
                caption = f'{name}: {TITLES[role]}' if role == 'lq' else TITLES[role]
                if role in SCORED and 'gt' in layers and layers['gt'].shape == picture.shape:
                    value = self.score(picture / 255.0, layers['gt'] / 255.0)
                    caption += f'  {self.name} {value:.2f}'
                row.append((caption, picture))
            cells.append(row)
        path.parent.mkdir(parents=True, exist_ok=True)
        save_sheet(cells, path)

    def _report(self, runner: RestorationRunner, drawn: list) -> None:
        """Log sheets, waiting for them if needed, and show them in the visualiser."""
        for path, part, step, future in drawn:
            if future.exception() is not None:
                runner.logger.warning(f'the sheet {path} could not be drawn: {future.exception()}')
            else:
                runner.logger.info(f'sheet: {path}')
                self._show(runner, path, part, step)
        self.drawn = [each for each in self.drawn if each not in drawn]

    @staticmethod
    def _show(runner: RestorationRunner, path: Path, part: str, step: int) -> None:
        """Pass a sheet to the visualiser's backends (TensorBoard, WandB, MLflow ...), except to the local folder."""
        name = f'sheets/{path.stem.split("_")[0]}{f"_{part}" if part else ""}'
        for backend in runner.visualizer._vis_backends.values():
            if isinstance(backend, LocalVisBackend):
                continue
            with Image.open(path) as sheet:
                picture = np.asarray(sheet.convert('RGB'))
            # MLflow stores files, whose suffix is their format, and has no steps for them
            files = type(backend).__name__ == 'MLflowVisBackend'
            backend.add_image(f'sheets/{path.name}' if files else name, picture, step)

    def after_val_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Keep the chosen pictures."""
        self._collect(runner.val_loop, outputs)

    def after_test_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Keep the chosen pictures."""
        self._collect(runner.test_loop, outputs)

    def after_val_epoch(self, runner: RestorationRunner, metrics: dict | None = None) -> None:
        """Submit the sheet to the thread."""
        self._draw(runner, f'val_{runner.iter}' if runner._train_loop is not None else 'val', runner.iter)

    def after_test_epoch(self, runner: RestorationRunner, metrics: dict | None = None) -> None:
        """Submit the sheet to the thread."""
        self._draw(runner, 'test', 0)

    def after_run(self, runner: RestorationRunner) -> None:
        """Wait for the thread until all sheets are on disk."""
        self._report(runner, list(self.drawn))

"""Reports of a run: training curves, scores, unreadable pictures, and a limit on the length of the log history."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmengine.dist import all_gather_object, is_main_process, master_only
from mmengine.hooks import Hook, LoggerHook

from restorebox.datasets.numbered import sets_of
from restorebox.engine.checkpoint import sha256
from restorebox.engine.hub import fetch_from_hub, is_hub_name
from restorebox.engine.loops import RestorationTestLoop
from restorebox.errors import printable
from restorebox.figures import save_curves
from restorebox.files import json_bytes, write_whole
from restorebox.metrics.scores import score_table, write_scores
from restorebox.registry import HOOKS
from restorebox.values import Samples

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner


@HOOKS.register_module(name='LoggerHook')  # MMEngine's cannot detect the last step of a loop without epochs
class StepLoggerHook(LoggerHook):
    """MMEngine's logger for a loop without epochs; it also logs the last step of a training, however short it is.

    Args:
        **base: see MMEngine's ``LoggerHook``; ``interval`` is a number of steps.
    """

    def __init__(self, **base: Any) -> None:
        super().__init__(**{'ignore_last': False, 'log_metric_by_epoch': False, **base})
        self._last_step = 0

    def before_train(self, runner: RestorationRunner) -> None:
        """Read the number of steps."""
        self._last_step = runner.max_iters

    def end_of_epoch(self, dataloader: object, batch_idx: int) -> bool:
        """Whether this is the last step: the loop counts steps, and the whole training is one epoch."""
        return batch_idx + 1 == self._last_step


@HOOKS.register_module()
class CapHistoryHook(Hook):
    """Limit the length of the log history: MMEngine appends to an array that it copies at each step.

    Args:
        length: values kept per logged name; must exceed every smoothing window.
    """

    def __init__(self, length: Samples = 10_000) -> None:
        self.length = length

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Set the limit on all names logged so far, every 1,000 steps."""
        if batch_idx % 1000 == 0 or self.every_n_train_iters(runner, 1000):
            for buffer in runner.message_hub.log_scalars.values():
                buffer.max_length = self.length


@HOOKS.register_module()
class TrainingCurveHook(Hook):
    """Plot losses, validation scores and learning rates over steps as ``curves.png`` when training ends."""

    priority = 'LOWEST'

    @master_only
    def after_train(self, runner: RestorationRunner) -> None:
        """Plot the logs of all sessions of this run."""
        logs = sorted(Path(runner.work_dir).glob('*/vis_data/scalars.json'))
        save_curves(logs, Path(runner.work_dir) / 'curves.png')


@HOOKS.register_module()
class BadPictureHook(Hook):
    """Count pictures that could not be read and were skipped (``bad_picture='skip'``) and list them at the end."""

    def __init__(self) -> None:
        self.bad: dict[str, dict[str, None]] = {'train': {}, 'val': {}, 'test': {}}

    def _collect(self, data_batch: dict, split: str) -> None:
        self.bad[split].update(dict.fromkeys(data_batch.get('bad', ())))

    def _report(self, runner: RestorationRunner, split: str) -> None:
        found = sorted({line for lines in all_gather_object(list(self.bad[split])) for line in lines})
        if not found or not is_main_process():
            return
        path = Path(runner.work_dir) / f'skipped_pictures_{split}.txt'
        path.write_text('\n'.join(found) + '\n', encoding='utf-8')
        runner.logger.warning(f'{len(found)} unreadable picture(s) were skipped, listed in {path}; first: {found[0]}')

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Record the batch's unreadable pictures."""
        self._collect(data_batch, 'train')

    def after_val_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Record the batch's unreadable pictures."""
        self._collect(data_batch, 'val')

    def after_test_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: list) -> None:
        """Record the batch's unreadable pictures."""
        self._collect(data_batch, 'test')

    def after_train_epoch(self, runner: RestorationRunner) -> None:
        """List the pictures skipped in training."""
        self._report(runner, 'train')

    def after_val(self, runner: RestorationRunner) -> None:
        """List the pictures skipped in validation."""
        self._report(runner, 'val')

    def after_test(self, runner: RestorationRunner) -> None:
        """List the pictures skipped in the test."""
        self._report(runner, 'test')


SCORES_VERSION = 1  # of scores.json, see restorebox/schemas/scores-1.json


def _relative_to_cwd(path: str | None) -> str | None:
    """Make a path below the current folder relative: stored results contain no path of the machine."""
    if path and Path(path).is_absolute() and Path(path).is_relative_to(Path.cwd()):
        return str(Path(path).relative_to(Path.cwd()))
    return path


@HOOKS.register_module()
class ScoresHook(Hook):
    """Write ``scores.json`` after a test, also beside a checkpoint (``iter_N.CONFIG.scores.json``); print it."""

    priority = 'LOW'

    def after_test_epoch(self, runner: RestorationRunner, metrics: dict | None = None) -> None:
        """Write the file and print the table."""
        loop, counts = runner.test_loop, {}
        if isinstance(loop, RestorationTestLoop):  # collective: every rank reports its pictures
            counts = {'skipped': loop.skipped(), 'problems': loop.problems(metrics or {})}
        if not is_main_process():
            return
        each = runner.test_evaluator.metrics
        checkpoint = runner._load_from
        local = checkpoint and Path(checkpoint).is_file()
        # fetched before by every rank; only the first one is here
        file = fetch_from_hub(checkpoint) if checkpoint and is_hub_name(checkpoint) else checkpoint if local else None
        path = Path(runner.work_dir) / 'scores.json'
        scores = write_scores(
            path,
            metrics=metrics or {},
            tables=[m.table for m in each if getattr(m, 'table', None)],
            unavailable={k: v for m in each for k, v in getattr(m, 'unavailable', {}).items()},
            reasons={k: v for m in each for k, v in getattr(m, 'undefined', {}).items()},
            config=_relative_to_cwd(runner.cfg.filename),
            checkpoint=_relative_to_cwd(checkpoint),
            sha256=None if file is None else sha256(file),
            tiled=False,
            statistics_window=getattr(runner.restorer, 'statistics_window', None),
            sets=sets_of(loop.dataloader.dataset),
            extra={
                'version': SCORES_VERSION,
                'size': len(loop.dataloader.dataset),
                **counts,
                'training': runner.loaded_meta.get('compute'),
                **({'row': runner.cfg.row} if runner.cfg.get('row') else {}),
                'overrides': runner.cfg.get('overrides') or {},
            },
        )
        if local and Path(checkpoint).suffix == '.pth':  # published files may lie in the installed package
            name = Path(runner.cfg.filename or 'config').stem + (f'_{runner.cfg.row}' if runner.cfg.get('row') else '')
            beside = Path(checkpoint).with_suffix(f'.{name}.scores.json')
            try:
                write_whole(beside, json_bytes(scores, indent=2))
            except OSError as error:
                runner.logger.warning(f'the scores are not stored beside the checkpoint: {beside}: {error.strerror}')
        runner.logger.info(f'scores, also in {printable(path)}:\n{score_table(scores)}')

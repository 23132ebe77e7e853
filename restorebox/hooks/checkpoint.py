"""Saving during training."""

from __future__ import annotations

import math
from pathlib import Path

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from restorebox.engine.checkpoint import load_file
from restorebox.engine.loops import SampleTrainLoop, samples_to_steps
from restorebox.engine.optim import steps_per_update
from restorebox.errors import ConfigError, DataError
from restorebox.files import find_checkpoints, remove_leftovers
from restorebox.metrics.protocols import lower_is_better
from restorebox.registry import HOOKS, nearest
from restorebox.values import Samples


@HOOKS.register_module()
class RestorationCheckpointHook(Hook):
    """Save every so many samples, at the end, and whenever validation finds a better model.

    Unlike MMEngine's it removes an old checkpoint only after the new one is complete, and all ranks take part, since
    each one's random state belongs to the checkpoint.

    Args:
        every_samples: samples (over all ranks) between checkpoints; rounded up to whole optimiser updates.
        max_keep: how many of them to keep.
        save_best: name of a validation score to keep the best model of as ``best_NAME.pth``; None keeps none.
            A validation that gives nan is never the best.
        rule: ``'greater'`` or ``'less'`` is better. None takes what the score's name says: less of LPIPS and FID.

    Raises:
        ConfigError: ``rule`` is neither or the wrong one, or validation does not give that score.
    """

    priority = 'VERY_LOW'

    def __init__(
        self, every_samples: Samples, max_keep: Samples = 3, save_best: str | None = None, rule: str | None = None
    ) -> None:
        if rule not in ('greater', 'less', None):
            raise ConfigError(f"RestorationCheckpointHook: rule is '{rule}'; it must be 'greater' or 'less'")
        less = save_best is not None and lower_is_better(save_best)
        if less and rule == 'greater':
            raise ConfigError(
                f"RestorationCheckpointHook: rule is 'greater', but of {save_best} less is better; leave rule out"
            )
        if not isinstance(every_samples, int) or every_samples < 1:
            raise ConfigError(
                f'RestorationCheckpointHook: every_samples is {every_samples!r}; it must be a positive whole number'
            )
        if max_keep < 1:
            raise ConfigError(f'RestorationCheckpointHook: max_keep is {max_keep}; it must be at least 1')
        self.every_samples = every_samples
        self.max_keep = max_keep
        self.save_best = save_best
        self.rule = rule or ('less' if less else 'greater')
        self.again = False
        self.best: float | None = None

    def before_train(self, runner: object) -> None:
        """Turn samples into steps; find what a resumed run's best was and what an interrupted save left behind."""
        loop = runner.train_loop
        steps = self.every_samples
        if isinstance(loop, SampleTrainLoop):
            steps = samples_to_steps(self.every_samples, loop.total_batch)
        whole = steps_per_update(runner.optim_wrapper)  # a half-accumulated gradient is not saved
        self.interval = math.ceil(steps / whole) * whole
        if not is_main_process():
            best = None
        else:
            remove_leftovers(runner.work_dir)
            best = self._best_on_disk(runner)
        held = [best]
        broadcast_object_list(held)
        self.best = held[0] if runner._resume else None

    def _best_on_disk(self, runner: object) -> float | None:
        """The score of the best model so far: a checkpoint saved before its validation does not know it."""
        path = Path(runner.work_dir) / f'best_{self.save_best}.pth'
        best = load_file(path)['meta'].get(self.save_best) if self.save_best and path.is_file() else None
        return best if best is not None and math.isfinite(best) else None

    def after_train_iter(self, runner: object, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Save when it is time."""
        step = runner.iter + 1
        if step % self.interval and step != runner.max_iters:
            return
        # a validation that is due now may raise the best score: the checkpoint is then saved again, knowing it
        self.again = getattr(runner.train_loop, 'validates_at', lambda _: False)(step)
        runner.save_checkpoint(runner.work_dir, f'iter_{step}.pth', meta={'iter': step, 'validated': not self.again})
        if is_main_process():
            runner.logger.info(f'saved iter_{step}.pth')
            for old in find_checkpoints(runner.work_dir)[: -self.max_keep]:
                old.unlink(missing_ok=True)

    def after_val_epoch(self, runner: object, metrics: dict | None = None) -> None:
        """Keep the best."""
        if runner._train_loop is None:
            return
        if self.save_best is not None:
            self._keep_best(runner, metrics)
        if self.again:
            self.again = False
            meta = {'iter': runner.iter, 'validated': True}
            runner.save_checkpoint(runner.work_dir, f'iter_{runner.iter}.pth', meta=meta)

    def _keep_best(self, runner: object, metrics: dict | None) -> None:
        if not metrics:
            raise DataError('validation scored no picture; were all of them unreadable?')
        if self.save_best not in metrics:
            raise ConfigError(
                f"RestorationCheckpointHook: save_best is '{self.save_best}'; {nearest(self.save_best, [*metrics])}"
            )
        value = float(metrics[self.save_best])
        if not math.isfinite(value):
            runner.logger.warning(f'{self.save_best} is {value} at step {runner.iter}: no best model can be told by it')
            return
        best = self.best
        if best is not None and (value <= best if self.rule == 'greater' else value >= best):
            return
        self.best = value
        runner.save_checkpoint(
            runner.work_dir, f'best_{self.save_best}.pth', meta={'iter': runner.iter, self.save_best: value}
        )
        if is_main_process():
            path = Path(runner.work_dir) / f'best_{self.save_best}.pth'
            runner.logger.info(f'best {self.save_best} so far: {value:.4f}, saved as {path.name}')

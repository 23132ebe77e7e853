"""Checkpoint hook."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook

from restorebox.engine.checkpoint import load_file
from restorebox.engine.loops import SampleTrainLoop, samples_to_steps
from restorebox.engine.optim import steps_per_update
from restorebox.errors import ConfigError, DataError
from restorebox.files import find_checkpoints, remove_leftovers
from restorebox.metrics.directions import lower_is_better
from restorebox.registry import HOOKS, nearest
from restorebox.values import Samples

if TYPE_CHECKING:
    from restorebox.engine.runner import RestorationRunner


@HOOKS.register_module()
class RestorationCheckpointHook(Hook):
    """Save a checkpoint at a fixed interval of samples, at the end, and when the validation score improves.

    Unlike MMEngine's hook, it removes an old checkpoint only after the new one is complete. All ranks take part, since
    a checkpoint contains the random state of every rank.

    Args:
        every_samples: samples (over all ranks) between checkpoints; rounded up to whole optimiser updates.
        max_keep: number of interval checkpoints to keep.
        save_best: validation score by which the best model is kept as ``best_NAME.pth``; None keeps none. A NaN score
            is never the best. Of several sets, ``NAME`` is the mean over them and ``SET/NAME`` the score of one, kept
            as ``best_SET_NAME.pth``.
        rule: ``'greater'`` or ``'less'`` is better. None infers it from the score's name: less for LPIPS and FID.

    Raises:
        ConfigError: ``rule`` is invalid or contradicts the score, or validation does not compute that score.
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
                f"RestorationCheckpointHook: rule is 'greater', but a lower {save_best} is better; leave rule out"
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
        self.best_name = f'best_{save_best}.pth'.replace('/', '_')
        self.rule = rule or ('less' if less else 'greater')
        self.again = False
        self.best: float | None = None

    def before_train(self, runner: RestorationRunner) -> None:
        """Convert samples to steps, remove files of an interrupted save, restore the best score of a resumed run."""
        loop = runner.train_loop
        steps = self.every_samples
        if isinstance(loop, SampleTrainLoop):
            steps = samples_to_steps(self.every_samples, loop.total_batch)
        whole = steps_per_update(runner.optim_wrapper)  # partially accumulated gradients are not saved
        self.interval = math.ceil(steps / whole) * whole
        if not is_main_process():
            best = None
        else:
            remove_leftovers(runner.work_dir)
            best = self._best_on_disk(runner)
        held = [best]
        broadcast_object_list(held)
        self.best = held[0] if runner._resume else None

    def _best_on_disk(self, runner: RestorationRunner) -> float | None:
        """Return the score stored in the best checkpoint; the resumed one may be older than that validation."""
        path = Path(runner.work_dir) / self.best_name
        best = load_file(path)['meta'].get(self.save_best) if self.save_best and path.is_file() else None
        return best if best is not None and math.isfinite(best) else None

    def after_train_iter(self, runner: RestorationRunner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        """Save a checkpoint if one is due."""
        step = runner.iter + 1
        if step % self.interval and step != runner.max_iters:
            return
        if isinstance(runner.train_loop, SampleTrainLoop):
            runner.train_loop.read_values()  # a NaN that it has not seen yet must not become a checkpoint
        # a validation due at this step may improve the best score: the checkpoint is then saved again with it
        self.again = getattr(runner.train_loop, 'validates_at', lambda _: False)(step)
        runner.save_checkpoint(runner.work_dir, f'iter_{step}.pth', meta={'iter': step, 'validated': not self.again})
        if is_main_process():
            runner.logger.info(f'saved iter_{step}.pth')
            for old in find_checkpoints(runner.work_dir)[: -self.max_keep]:
                old.unlink(missing_ok=True)

    def after_val_epoch(self, runner: RestorationRunner, metrics: dict | None = None) -> None:
        """Save the best model, and repeat the checkpoint that preceded this validation."""
        if runner._train_loop is None:
            return
        if self.save_best is not None:
            self._keep_best(runner, metrics)
        if self.again:
            self.again = False
            meta = {'iter': runner.iter, 'validated': True}
            runner.save_checkpoint(runner.work_dir, f'iter_{runner.iter}.pth', meta=meta)

    def _keep_best(self, runner: RestorationRunner, metrics: dict | None) -> None:
        if not metrics:
            raise DataError('validation scored no picture; all of them may be unreadable')
        if self.save_best not in metrics:
            raise ConfigError(
                f"RestorationCheckpointHook: save_best is '{self.save_best}'; "
                + nearest(str(self.save_best), [*metrics])
            )
        value = float(metrics[self.save_best])
        if not math.isfinite(value):
            runner.logger.warning(
                f'{self.save_best} is {value} at step {runner.iter}: not considered for the best model'
            )
            return
        best = self.best
        if best is not None and (value <= best if self.rule == 'greater' else value >= best):
            return
        self.best = value
        meta = {'iter': runner.iter, self.save_best: value}
        runner.save_checkpoint(runner.work_dir, self.best_name, meta=meta)
        if is_main_process():
            runner.logger.info(f'best {self.save_best} so far: {value:.4f}, saved as {self.best_name}')

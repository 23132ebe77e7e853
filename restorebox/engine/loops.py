"""Training loop that counts samples, and validation and test loops that account for every picture."""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from mmengine.dist import all_gather_object
from mmengine.runner.loops import BaseLoop, TestLoop, ValLoop
from torch import Tensor

from restorebox.engine.check import SCHEDULE_KEYS, check_roles
from restorebox.engine.memory import memory_line
from restorebox.engine.optim import steps_per_update
from restorebox.engine.provenance import check_encoders
from restorebox.engine.short_memory import LoopMixin, MemoryLimitedLoop
from restorebox.engine.stopping import StopRequest, TrainingStopped
from restorebox.errors import ConfigError, NonFiniteError, RestoreboxError, out_of_memory
from restorebox.registry import LOOPS
from restorebox.values import NotEmpty, Range, Samples, Whole, check_value


def samples_to_steps(samples: float, total_batch: float) -> int:
    """Return the number of steps of ``total_batch`` samples that covers ``samples``."""
    return math.ceil(samples / total_batch)


def scale_schedule(cfg: dict, total_batch: float) -> dict:
    """Convert the numbers of a parameter scheduler's config from samples to steps.

    Raises:
        ConfigError: the scheduler counts epochs, which this loop does not have, or ends before its first step.
    """
    if cfg.get('by_epoch', False):
        raise ConfigError(
            f'param_scheduler {cfg.get("type")}: by_epoch=True, but train_cfg counts samples; give samples instead'
        )
    if str(cfg.get('type', '')).startswith('ReduceOnPlateau'):
        raise ConfigError(f'param_scheduler {cfg["type"]}: it counts validations, but train_cfg counts samples')
    given, cfg = cfg, dict(cfg, by_epoch=False)
    for key in SCHEDULE_KEYS:
        value = cfg.get(key)
        if isinstance(value, (list, tuple)):
            cfg[key] = [samples_to_steps(v, total_batch) for v in value]
        elif value is not None and math.isfinite(value):
            cfg[key] = samples_to_steps(value, total_batch)
    if cfg.get('begin', 0) >= cfg.get('end', math.inf):
        raise ConfigError(
            f'param_scheduler {cfg.get("type")}: from begin={given.get("begin", 0):g} to end={given["end"]:g} there is '
            f'no step of {total_batch:g} samples'
        )
    return cfg


def check_schedule(cfg: dict) -> None:
    """Refuse invalid sample numbers of a parameter scheduler.

    Raises:
        ConfigError: names the key.
    """
    for key in SCHEDULE_KEYS:
        value = cfg.get(key)
        listed = key in ('milestones', 'periods')
        if value is None or (key == 'end' and value == math.inf):
            continue
        least = Range(0) if key in ('begin', 'milestones') else Range(0, above=True)
        one = Annotated[float, least]
        check_value(value, Annotated[Sequence[one], NotEmpty()] if listed else one, f'{cfg.get("type")}: {key}')
    begin, end = cfg.get('begin', 0), cfg.get('end', math.inf)
    if begin >= end:
        raise ConfigError(f'{cfg.get("type")}: begin is {begin:g} and end {end:g}; it must end after it begins')


@LOOPS.register_module()
class SampleTrainLoop(BaseLoop):
    """Train for a number of samples, independent of the number of ranks and the batch size.

    N ranks x batch b process the data like one rank x batch N*b. All schedule lengths are in samples: those here,
    ``every_samples`` of the checkpoint hook, and ``begin``, ``end``, ``T_max``, ``milestones`` ... of parameter
    schedulers.

    A resumed run starts the sampler at the next sample, so no sample is repeated. It restores the random state of
    every rank right before its first step.

    Args:
        runner: the runner.
        dataloader: the training data loader or its config.
        max_samples: number of samples to train on, counting repeats.
        val_samples: samples between validations; the last one is at the end. 0: at the end only.
        sync_every: steps between two reads of loss values by the host, at the latest before a checkpoint, a validation
            or a stop. 1 checks each sum before its weights change. With more, a GPU need not wait for the host in each
            step; a NaN is then found up to that many steps late, when the weights are lost, and the run ends as well.
    """

    def __init__(
        self, runner: Any, dataloader: Any, max_samples: Samples, val_samples: Whole = 0, sync_every: Samples = 1
    ) -> None:
        self.check_numbers(max_samples, val_samples)
        super().__init__(runner, dataloader)
        check_roles(runner.restorer, self.dataloader.dataset)
        self.check_sampler(type(self.dataloader.sampler))
        self.total_batch = self.dataloader.batch_size * runner.world_size
        self.max_samples = max_samples
        self._max_iters = samples_to_steps(max_samples, self.total_batch)
        self.val_interval = samples_to_steps(val_samples, self.total_batch) if val_samples else self._max_iters
        self.val_begin = 1
        self._iter = 0
        self._epoch = 0
        self.stop_training = False
        self.sync_every = sync_every
        self._unread: list[tuple[int, dict[str, Tensor]]] = []  # (step, logged values) since the host read any
        self.waited = 0.0  # seconds spent waiting for data
        self.seconds_before = 0.0  # training time of the previous sessions of a resumed run
        self._began: float | None = None

    @staticmethod
    def check_numbers(max_samples: int, val_samples: int) -> None:
        """Refuse invalid numbers of samples.

        Raises:
            ConfigError: names the argument.
        """
        if not isinstance(max_samples, int) or max_samples < 1:
            raise ConfigError(f'max_samples is {max_samples!r}; it must be a positive whole number')
        if not isinstance(val_samples, int) or val_samples < 0:
            raise ConfigError(f'val_samples is {val_samples!r}; it must be a whole number, 0 for the end only')

    @staticmethod
    def check_sampler(sampler: type) -> None:
        """Refuse a sampler that can't skip samples when a run is resumed.

        Raises:
            ConfigError: names a sampler that can.
        """
        if not hasattr(sampler, 'skip'):
            raise ConfigError(
                f"{sampler.__name__} can't skip samples when a run is resumed; use dict(type='KeyedSampler')"
            )

    @property
    def max_epochs(self) -> int:
        """1: for MMEngine's hooks the whole training is one epoch."""
        return 1

    @property
    def max_iters(self) -> int:
        """Number of steps of the whole training."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """0, see :attr:`max_epochs`."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Number of completed steps."""
        return self._iter

    @property
    def samples(self) -> int:
        """Number of samples processed by all ranks together."""
        return self._iter * self.total_batch

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training so far, over all sessions, including validation."""
        return self.seconds_before + (time.perf_counter() - self._began if self._began is not None else 0.0)

    def run(self) -> object:
        """Train.

        Raises:
            TrainingStopped: a signal was received; a checkpoint has been saved. A validation in progress is completed.
            WeightsError: a semantic encoder has no weights.
            NonFiniteError: a loss term is NaN or infinite; names the term, the step and the last checkpoint.
        """
        runner = self.runner
        check_encoders(runner)
        runner.logger.info(
            f'schedule: {self.max_samples} samples = {self.max_iters} steps of {self.total_batch} '
            f'({runner.world_size} rank(s) x batch {self.dataloader.batch_size})'
        )
        runner.call_hook('before_train')
        runner.call_hook('before_train_epoch')
        if self._iter:
            self.dataloader.sampler.skip(self.samples)
            if runner.val_loop is not None and not runner.loaded_meta.get('validated', True):
                runner.val_loop.run()  # the run was stopped during the validation that follows this checkpoint
        request = StopRequest()
        with request:
            batches = iter(self.dataloader)
        runner.restore_random_state()  # after the set-up, which draws random numbers too
        self._began = time.perf_counter()
        first = True
        with request:
            while self._iter < self._max_iters and not self.stop_training:
                runner.model.train()
                start = time.perf_counter()
                batch = next(batches)
                self.waited += time.perf_counter() - start
                if first:
                    first = False
                    self._report_memory(batch)
                self.run_iter(batch)
                if self.validates_at(self._iter):
                    runner.val_loop.run()
                self._stop_if(request)
        runner.call_hook('after_train_epoch')
        runner.call_hook('after_train')
        return runner.model

    def _stop_if(self, request: StopRequest) -> None:
        """Save a checkpoint and end the training if a signal was received; gradients are not left half accumulated."""
        number = request.agreed()
        if not number or self._iter == self._max_iters or self._iter % steps_per_update(self.runner.optim_wrapper):
            return
        self.read_values()
        path = Path(self.runner.work_dir) / f'iter_{self._iter}.pth'
        self.runner.save_checkpoint(str(path.parent), path.name, meta={'iter': self._iter, 'validated': True})
        name = signal.Signals(number).name
        raise TrainingStopped(f'stopped by {name} after step {self._iter}; resume with --resume from {path}', number)

    def _report_memory(self, batch: dict) -> None:
        """Compare the memory that the ranks of this machine need with what is free, on a CPU."""
        runner = self.runner
        if int(os.environ.get('LOCAL_RANK', 0)) != 0 or next(runner.restorer.parameters()).device.type != 'cpu':
            return
        patterns, ranks = runner.cfg.get('activation_checkpointing'), int(os.environ.get('LOCAL_WORLD_SIZE', 1))
        found = memory_line(runner.restorer, runner.cfg.model, batch, patterns, ranks)
        if found is not None:
            line, short = found
            runner.logger.log(logging.WARNING if short else logging.INFO, line)

    def validates_at(self, step: int) -> bool:
        """Whether a validation follows this step."""
        due = step % self.val_interval == 0 or step == self._max_iters
        return due and self.runner.val_loop is not None

    def run_iter(self, batch: dict) -> None:
        """Run one step with its hooks."""
        self.runner.call_hook('before_train_iter', batch_idx=self._iter, data_batch=batch)
        self.runner.restorer.checks_finite = self.sync_every == 1
        try:
            outputs = self.runner.model.train_step(batch, optim_wrapper=self.runner.optim_wrapper)
        except NonFiniteError as error:
            raise NonFiniteError(
                f'training stopped at step {self._iter + 1}: {error}; {self.runner.last_good()}'
            ) from None
        except Exception as error:
            if not out_of_memory(error):
                raise
            raise RestoreboxError(
                f'training stopped at step {self._iter + 1}: not enough memory for a batch of '
                f'{self.dataloader.batch_size}; lower train_dataloader.batch_size or the size of the windows; '
                f'{self.runner.last_good()}'
            ) from None
        if self.sync_every > 1:
            step = self._iter + 1
            self._unread.append((step, outputs))
            outputs = {}  # MMEngine's hook would read each value now
            if step % self.sync_every == 0 or step == self._max_iters or self.validates_at(step):
                self.read_values()
        self.runner.call_hook('after_train_iter', batch_idx=self._iter, data_batch=batch, outputs=outputs)
        self._iter += 1

    def read_values(self) -> None:
        """Read the logged values of the steps that are not read yet, in one copy, check the sums and log all.

        Raises:
            NonFiniteError: a sum is NaN or infinite; names the first such step and its terms.
        """
        unread, self._unread = self._unread, []
        values = iter(torch.stack([v.float() for _, log in unread for v in log.values()]).tolist() if unread else ())
        for step, log in unread:
            read = {name: next(values) for name in log}
            bad = {name: value for name, value in read.items() if not math.isfinite(value)}
            if any(name == 'loss' or name.startswith('total_') for name in bad):
                terms = ', '.join(f'{name} = {value}' for name, value in bad.items())
                raise NonFiniteError(
                    f'training stopped: {terms} in step {step}, found after step {unread[-1][0]} because of '
                    f'train_cfg.sync_every={self.sync_every}; {self.runner.last_good()}'
                )
            for name, value in read.items():
                self.runner.message_hub.update_scalar(f'train/{name}', value)


class _CountingLoop(LoopMixin):
    """Common base of the validation and test loops: records which samples are scored and which are not.

    Batches may be empty: all their pictures were unreadable and ``bad_picture='skip'``.
    """

    phase: str

    def __init__(self, runner: Any, dataloader: Any, evaluator: Any, fp16: bool = False) -> None:
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed, scored=True)
        super().__init__(runner, dataloader, evaluator, fp16)

    def run(self) -> dict:
        """Restore and score the set."""
        self._scored: set[int] = set()
        self._skipped: dict[int, dict] = {}
        return super().run()

    def run_iter(self, idx: int, data_batch: dict) -> None:
        """Restore and score a batch."""
        self._scored.update(sample.metainfo.get('index', -1) for sample in data_batch['data_samples'])
        for sample in data_batch.get('dropped', ()):
            self._scored.discard(sample.index)  # too large for the memory, detected only when it was scored
            self._skipped[sample.index] = {'index': sample.index, 'name': sample.name, 'reason': '; '.join(sample.bad)}
        if data_batch['data_samples']:
            super().run_iter(idx, data_batch)
        else:
            self.runner.call_hook(f'after_{self.phase}_iter', batch_idx=idx, data_batch=data_batch, outputs=[])

    def skipped(self) -> list[dict]:
        """Return ``index``, ``name`` and ``reason`` of the unreadable pictures. Collective: every rank must call it."""
        found = {index: facts for part in all_gather_object(self._skipped) for index, facts in part.items()}
        return [found[index] for index in sorted(found)]

    def problems(self, metrics: dict[str, float]) -> list[str]:
        """Return why the scores do not cover the whole set, one line each. Collective: every rank must call it."""
        size = len(self.dataloader.dataset)
        scored = set().union(*all_gather_object(self._scored))
        skipped = {facts['index'] for facts in self.skipped()}
        missing = sorted(set(range(size)) - scored - skipped)
        lines = []
        if missing:
            lines.append(
                f'{len(scored)} of {size} pictures were scored; missing, by index: {", ".join(map(str, missing[:10]))}'
                f'{", ..." if len(missing) > 10 else ""}'
            )
        elif not scored:
            lines.append(f'none of {size} pictures was scored')
        undefined = [getattr(each, 'undefined', {}) for each in self.evaluator.metrics]
        reasons = {name: line for each in undefined for name, line in each.items()}
        nan = [name for name, value in metrics.items() if isinstance(value, float) and not math.isfinite(value)]
        return lines + [f'{name} is nan{f": {reasons[name]}" if name in reasons else ""}' for name in nan]


@LOOPS.register_module()
class RestorationValLoop(_CountingLoop, MemoryLimitedLoop, ValLoop):
    """MMEngine's validation loop, with every picture of the set scored exactly once."""

    phase = 'val'


@LOOPS.register_module()
class RestorationTestLoop(_CountingLoop, MemoryLimitedLoop, TestLoop):
    """MMEngine's test loop, see :class:`RestorationValLoop`."""

    phase = 'test'

"""MMEngine's Runner with safe loading, CPU ranks, exact resume and atomic checkpoints."""

from __future__ import annotations

import copy
import logging
import os
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import (
    all_gather_object,
    broadcast_object_list,
    is_main_process,
    sync_random_seed,
)
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner, set_random_seed
from mmengine.utils.dl_utils import collect_env
from torch import nn
from torch.utils.data import DataLoader

from restorebox.datasets.mixture import describe
from restorebox.datasets.numbered import Numbered, build_set
from restorebox.engine.acceleration import allow_tf32, compile_roles
from restorebox.engine.check import check_types
from restorebox.engine.checkpoint import EMA_KEY, deployed_state, hub_state, load_any, safe_loaders, save_file
from restorebox.engine.initial_weights import freeze, load_init_from
from restorebox.engine.loops import SampleTrainLoop, scale_schedule
from restorebox.engine.provenance import check_resumable, checkpoint_meta, warn_of_model_differences
from restorebox.engine.random_state import gather_on_first, get_random_state, set_random_state
from restorebox.engine.ranks import join_cpu_ranks, wrap_roles
from restorebox.engine.recompute import our_checkpointing
from restorebox.engine.resumed import apply_schedule
from restorebox.engine.stopping import shield_worker
from restorebox.engine.zoo import with_config
from restorebox.errors import CheckpointError, ConfigError
from restorebox.files import find_checkpoints, locked
from restorebox.registry import FUNCTIONS, RUNNERS
from restorebox.restorers.base import BaseRestorer
from restorebox.version import __version__


@RUNNERS.register_module()
class RestorationRunner(Runner):
    """MMEngine's Runner with the following additions.

    - Checkpoints are loaded weights-only and written atomically.
    - Without a GPU, ranks communicate through gloo; every role is wrapped by DDP separately.
    - A resumed run equals an uninterrupted one: sampler position, random state per rank, optimisers, schedules, moving
      average.
    - ``randomness=dict(seed=..., deterministic=...)``: the seed determines weights and data order, the seed plus the
      rank dropout.
    """

    _has_loaded: bool
    _resume: bool

    @classmethod
    def from_cfg(cls, cfg: Any) -> RestorationRunner:
        """Build from a config after checking its names, keys and values.

        Raises:
            ConfigError: an unknown type or key, or incompatible components.
            BusyError: another training uses the work directory.
        """
        check_types(cfg)
        if cfg.get('train_cfg') is not None and int(os.environ.get('RANK', 0)) == 0:
            with locked(cfg.work_dir, 'training'):  # before anything is written there; train() takes the lock again
                pass
        return super().from_cfg(cfg)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._random_states: list[dict] | None = None
        self.loaded_meta: dict = {}
        self.schedule_samples: int | None = None  # length of the run for which the schedules were written
        super().__init__(*args, **kwargs)
        # all ranks built the same weights and buffers; from here on their random draws differ
        set_random_seed(self.seed + self.rank, deterministic=self.deterministic)

    def get_hooks_info(self) -> str:
        """Return the hooks' names by priority on one line; MMEngine's table is longer than most logs."""
        return ', '.join(type(hook).__name__ for hook in self.hooks)

    def _log_env(self, env_cfg: dict) -> None:
        """Log one line, and write the environment to a file; MMEngine logs about a hundred lines."""
        lines = [f'{key}: {value}' for key, value in collect_env().items()]
        self._cfg_text = self.cfg.pretty_text
        if self.rank == 0:
            Path(self._log_dir, 'environment.txt').write_text('\n'.join(lines) + '\n')
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu'
        self.logger.info(
            f'restorebox {__version__}, torch {torch.__version__}, {device}, {self.world_size} rank(s), '
            f'seed {self.seed}; log and environment in {self._log_dir}'
        )

    # -- environment ---------------------------------------------------------------------------------------------

    def setup_env(self, env_cfg: dict) -> None:
        """Set up the environment; without a GPU the ranks are joined through gloo, see :func:`join_cpu_ranks`."""
        join_cpu_ranks(self.distributed)
        allow_tf32(env_cfg.get('tf32'))
        super().setup_env(env_cfg)

    def set_randomness(self, seed: int | None = None, deterministic: bool = False) -> None:
        """Seed all random number generators; ``self.seed`` is the same on all ranks."""
        seed = sync_random_seed() if seed is None else seed
        if deterministic:
            os.environ.setdefault('CUBLAS_WORKSPACE_CONFIG', ':4096:8')  # matrix products refuse without it
        set_random_seed(seed, deterministic=deterministic)
        self._deterministic = deterministic
        self._seed = seed

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Wrap each role by DDP separately.

        Raises:
            ConfigError: ``sync_bn`` on ranks without a GPU.
        """
        if self.cfg.get('freeze') and self._train_loop is not None:
            freeze(model, self.cfg['freeze'], self.logger)
        if not isinstance(model, BaseRestorer) or model_wrapper_cfg is not None:
            return super().wrap_model(model_wrapper_cfg, model)
        if not self.distributed:
            return revert_sync_batchnorm(model.to(get_device()))
        return wrap_roles(model, self.cfg, self.logger)

    def build_dataloader(
        self, dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False, scored: bool = False
    ) -> DataLoader:
        """Build a data loader with our collate function, the run's seed in the data set, and its own generator.

        ``scored``: samples are numbered, see :class:`~restorebox.datasets.numbered.Numbered`. A data loader draws a
        number each time it is iterated; drawn from the global generator, this would change dropout after a resume.
        """
        if isinstance(dataloader, DataLoader):
            return dataloader
        cfg = copy.deepcopy(dataloader)
        collate = dict(cfg.get('collate_fn') or dict(type='collate_roles'))
        cfg['collate_fn'] = partial(FUNCTIONS.get(collate.pop('type')), **collate)
        if cfg.get('num_workers', 0) > 0:
            cfg.setdefault('persistent_workers', True)
        dataset = build_set(cfg['dataset'], self.seed)
        cfg['dataset'] = Numbered(dataset) if scored else dataset
        loader = Runner.build_dataloader(cfg, seed=self.seed)
        loader.worker_init_fn = partial(shield_worker, inner=loader.worker_init_fn)
        loader.generator = torch.Generator().manual_seed(self.seed)
        for line in describe(dataset):
            self.logger.info(line)
        return loader

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build the logger with a log file that accepts every file name, also one that is not valid UTF-8."""
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler):
                assert handler.stream is not None  # opened without delay
                handler.stream.reconfigure(errors='backslashreplace')
        return logger

    def build_val_loop(self, loop: Any) -> Any:
        """Build the validation loop; the default is ours."""
        return super().build_val_loop({'type': 'RestorationValLoop', **loop} if isinstance(loop, dict) else loop)

    def build_test_loop(self, loop: Any) -> Any:
        """Build the test loop; the default is ours."""
        return super().build_test_loop({'type': 'RestorationTestLoop', **loop} if isinstance(loop, dict) else loop)

    def build_param_scheduler(self, scheduler: Any) -> Any:
        """Build the schedulers; with several optimisers, a step without one keeps its learning rate."""
        if isinstance(self.optim_wrapper, OptimWrapperDict) and isinstance(scheduler, dict) and 'type' not in scheduler:
            scheduler = {step: scheduler.get(step, []) for step in self.optim_wrapper.keys()}  # noqa: SIM118
        return super().build_param_scheduler(scheduler)

    def _build_param_scheduler(self, scheduler: Any, optim_wrapper: Any) -> list:
        """Build the schedulers of one optimiser; sample numbers are converted to steps if the loop counts samples."""
        if isinstance(self._train_loop, SampleTrainLoop):
            each = scheduler if isinstance(scheduler, (list, tuple)) else [scheduler]
            scheduler = [scale_schedule(s, self._train_loop.total_batch) if isinstance(s, dict) else s for s in each]
        return super()._build_param_scheduler(scheduler, optim_wrapper)

    def build_log_processor(self, log_processor: Any) -> Any:
        """Build the log processor; it logs steps, since a training has no epochs."""
        if isinstance(log_processor, dict):
            log_processor = {'by_epoch': False, **log_processor}
        return super().build_log_processor(log_processor)

    def register_default_hooks(self, hooks: dict | None = None) -> None:
        """Register the hooks, with our checkpoint hook by default, and steps instead of epochs in the log."""
        hooks = {'checkpoint': dict(type='RestorationCheckpointHook', every_samples=20_000), **(hooks or {})}
        if hooks.get('logger', {}) is not None:
            hooks['logger'] = {'type': 'LoggerHook', **hooks.get('logger', {})}
        # MMEngine interprets None as "without this hook" only for its own names
        own = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
        super().register_default_hooks({name: hook for name, hook in hooks.items() if hook is not None or name in own})

    def train(self) -> nn.Module:
        """Train while holding the lock of the work directory; ``BusyError`` names another training that holds it."""
        with ExitStack() as stack:
            stack.enter_context(safe_loaders())
            stack.enter_context(our_checkpointing())
            if is_main_process() and (lock_error := stack.enter_context(locked(self.work_dir, 'training'))):
                self.logger.warning(f'{self.work_dir}: no lock ({lock_error}); keep other trainings away from it')
            return super().train()

    def _maybe_compile(self, target: str) -> None:
        """Compile the networks of ``compile.roles``; without it, MMEngine compiles the whole step."""
        settings = self.cfg.get('compile')
        if isinstance(settings, dict) and 'roles' in settings:
            compile_roles(self.restorer, settings, self.logger)
        else:
            super()._maybe_compile(target)

    def val(self) -> dict:
        """Validate, loading weights only."""
        with safe_loaders():
            return super().val()

    def test(self) -> dict:
        """Test, loading weights only."""
        with safe_loaders():
            return super().test()

    @property
    def restorer(self) -> Any:
        """The model without a DDP wrapper."""
        return getattr(self.model, 'module', self.model)

    def last_checkpoint(self) -> Path | None:
        """Return the newest checkpoint of this run; None where there is none."""
        found = find_checkpoints(self.work_dir)
        return found[-1] if found else None

    def load_or_resume(self) -> None:
        """Resume from the newest checkpoint in the work directory, or load the weights of ``load_from``, ``init_from``.

        Raises:
            ConfigError: the work directory contains another run, and resuming was not requested.
            CheckpointError: not every rank can read the checkpoint.
        """
        if self._has_loaded:
            return
        self._has_loaded = True
        own = [self.last_checkpoint() if self._train_loop is not None else None]
        broadcast_object_list(own)  # the first rank decides, so that all ranks start at the same step
        if own[0] is not None and not self._resume:
            raise ConfigError(
                f'{self.work_dir} holds checkpoints of an earlier run ({own[0].name}); give --resume or another '
                '--work-dir'
            )
        if own[0] is not None:
            if not all(all_gather_object(own[0].is_file())):
                raise CheckpointError(f'checkpoint {own[0]}: not every rank sees it; the work directory must be shared')
            self.resume(str(own[0]))
            return
        if self._resume:
            self.logger.info(f'resume: no checkpoint in {self.work_dir}; starting at step 0')
            self._resume = False
        if self._load_from is not None:
            self.load_checkpoint(self._load_from)
        if self.cfg.get('init_from') and self._train_loop is not None:
            load_init_from(self.restorer, self.cfg.init_from, self.logger, Path(self.work_dir))

    def load_checkpoint(
        self, filename: str, map_location: Any = 'cpu', strict: bool = True, revise_keys: list | None = None
    ) -> dict:
        """Load weights: the deployed roles for a test, all roles for a resume, the available roles for a new training.

        The moving average is preferred where there is one, except for a resume.

        Args:
            filename: path or http(s) URL.
            map_location: as in :func:`torch.load`.
            strict: kept for MMEngine's interface; a role loads whole or not at all.
            revise_keys: kept for MMEngine's interface.

        Raises:
            CheckpointError: unreadable, refused, or of another model.
        """
        checkpoint = with_config(load_any(filename, map_location), filename)
        if not isinstance(self.restorer, BaseRestorer):
            self.restorer.load_state_dict(checkpoint['state_dict'])
            return checkpoint
        training = self._train_loop is not None
        if self._resume:
            self._random_states = check_resumable(self, checkpoint, filename)
        try:
            roles = None
            if not training:
                self.restorer.load_weights(deployed_state(checkpoint), self.restorer.deployed)
            elif self._resume:
                self.restorer.load_weights(checkpoint['state_dict'])
                states = checkpoint.get('training_states') or []
                if states:  # an additional rank uses the first rank's state, which contains what all ranks share
                    self.restorer.load_training_state(states[min(self.rank, len(states) - 1)])
            else:  # a first stage, or a published file: its roles, each of them completely
                roles = self.restorer.roles_in(checkpoint['state_dict'])
                self.restorer.load_weights(deployed_state(checkpoint), roles)
        except CheckpointError as error:
            raise CheckpointError(f'checkpoint {filename}: {error}') from None
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        self._has_loaded = True
        self.loaded_meta = checkpoint.get('meta', {})
        average = not self._resume and EMA_KEY in checkpoint
        warn_of_model_differences(self, checkpoint, filename, roles)
        which = f' into {", ".join(roles)}' if roles else ''
        self.logger.info(f'loaded {filename}{which}{" (moving average)" if average else ""}')
        return checkpoint

    def resume(
        self,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = 'default',
    ) -> None:
        """Resume from a checkpoint.

        Raises:
            CheckpointError: it holds weights only, or was trained with another total batch.
        """
        self._resume = True  # makes load_checkpoint and the hooks load the whole state
        seed = self.seed
        try:
            super().resume(filename, resume_optimizer, resume_param_scheduler, map_location)
            apply_schedule(self)
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            reason = f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
            raise CheckpointError(f"checkpoint {filename} can't be resumed by this config: {reason}") from error
        if self.seed != seed:  # the data loader was built before the checkpoint's seed was known
            loader = self.train_dataloader
            loader.dataset.seed = loader.sampler.seed = self.seed

    def restore_random_state(self) -> None:
        """Restore this rank's random state from the resumed checkpoint, once."""
        if self._random_states and self.rank < len(self._random_states):
            set_random_state(self._random_states[self.rank])
        self._random_states = None

    def save_checkpoint(
        self,
        out_dir: str,
        filename: str,
        file_client_args: dict | None = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict | None = None,
        by_epoch: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        """Save a checkpoint atomically. Collective: it contains the random state of every rank.

        Raises:
            CheckpointError: the disk is full, or a weight is NaN or infinite; the last checkpoint is kept.
        """
        random_states = all_gather_object(get_random_state())
        training_states = gather_on_first(
            self.restorer.training_state() if isinstance(self.restorer, BaseRestorer) else {}
        )
        if not is_main_process():
            return
        state = {key: value.detach().cpu() for key, value in self.restorer.state_dict().items()}
        for key, value in state.items():
            if value.is_floating_point() and not torch.isfinite(value).all():
                raise CheckpointError(f'not saving {filename}: weight {key} is NaN or infinite; {self.last_good()}')
        checkpoint = {
            'meta': checkpoint_meta(self, meta or {}),
            'state_dict': state,
            'message_hub': hub_state(self.message_hub),
            'random_states': random_states,
            'training_states': training_states,
        }
        if save_optimizer:
            checkpoint['optimizer'] = self.optim_wrapper.state_dict()
        if save_param_scheduler and self.param_schedulers is not None:
            schedulers = self.param_schedulers
            checkpoint['param_schedulers'] = (
                {name: [s.state_dict() for s in each] for name, each in schedulers.items()}
                if isinstance(schedulers, dict)
                else [s.state_dict() for s in schedulers]
            )
        self.call_hook('before_save_checkpoint', checkpoint=checkpoint)
        try:
            save_file(checkpoint, Path(out_dir) / filename)
        except CheckpointError as error:
            raise CheckpointError(f'{error}; {self.last_good()}') from None

    def last_good(self) -> str:
        """Return the end of an error message of a stopped run: its last checkpoint."""
        last = self.last_checkpoint()
        return f'last good checkpoint: {last}' if last else 'no checkpoint had been saved yet'

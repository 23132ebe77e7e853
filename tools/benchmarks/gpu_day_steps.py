"""Training steps of the GPU day: each method against a bare loop, in variants, and against CUT's public code."""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from gpu_day_plan import METHODS
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from options import training_config
from step_input import random_pictures, roles_read, step_size
from step_peer import peer_step
from train_loops import bare_loop, build_runner, our_loop

from restorebox.datasets import BasePictures
from restorebox.engine.acceleration import allow_tf32, compile_roles
from restorebox.engine.measuring import (
    compare_pairs,
    peak_memory_since_reset,
    reset_peak_memory,
    synchronise,
)
from restorebox.engine.recompute import recompute
from restorebox.registry import DATASETS, RESTORERS
from restorebox.sample import RestorationSample

STRETCH = 1.0  # seconds of a stretch of steps; shorter ones depend on the clock
MOST_STEPS = 20
WARM_UP = 3  # steps: cudnn chooses its algorithms, the optimisers allocate their state
COMPILED: dict[str, dict] = {'compiled_roles': {}, 'cuda_graphs': {'mode': 'reduce-overhead'}}
SMALL = 64  # side of the crops of a miniature; RainDiffusion's demo needs 64


@DATASETS.register_module()
class RandomPictures(BasePictures):
    """Random pictures in memory, so that a Runner can be built without a data set on disk.

    Args:
        roles: roles of each sample.
        size: (height, width) in pixels.
        seed: of the pictures.
    """

    def __init__(self, roles: list[str], size: list[int], seed: int = 0) -> None:
        self.roles, self.size = tuple(roles), size
        super().__init__(data_root='', seed=seed)

    def load_data_list(self) -> list[dict]:
        """Return one record."""
        return [{'name': 'random', 'paths': dict.fromkeys(self.roles, '')}]

    def __getitem__(self, key: Any) -> dict:
        """Return the only sample."""
        batch = random_pictures([*self.roles], (1, *self.size), self.seed)
        inputs = {role: x[0] for role, x in batch['inputs'].items()}
        return {'inputs': inputs, 'data_samples': RestorationSample()}


def options(args: argparse.Namespace, method: str, variant: str) -> argparse.Namespace:
    """Return the options of :func:`options.training_config` for a method and variant."""
    full, row, small = METHODS[method]
    given = argparse.Namespace(
        config=f'configs/{small if args.miniature else full}',
        row=None if args.miniature else row,
        cfg_options={},
        data_root=None,
        launcher='none',
        amp=variant == 'bf16',
        batch=1 if args.miniature else None,
        size=SMALL if args.miniature else None,
    )
    return given


def with_channels_last(model: dict) -> dict:
    """Return a model's config in which every network has the memory format channels_last."""
    networks = {key: each for key, each in model.items() if isinstance(each, dict) and 'backbone' in each}
    return {**model, **{key: {**each, 'channels_last': True} for key, each in networks.items()}}


def fused(wrappers: dict) -> dict:
    """Return a config of optimiser wrappers with fused optimisers."""
    if 'optimizer' in wrappers:
        return {**wrappers, 'optimizer': {**wrappers['optimizer'], 'fused': True}}
    return {key: fused(each) if isinstance(each, dict) else each for key, each in wrappers.items()}


class Side:
    """One variant of a training step, ready to run.

    Attributes:
        size: (batch, height, width) of a step.
        memory: bytes that it adds at its peak, with networks, optimisers and activations.
    """

    def __init__(self, args: argparse.Namespace, method: str, variant: str) -> None:
        given = options(args, method, variant)
        cfg = training_config(given)
        torch.manual_seed(args.seed)
        model = cfg.model.to_dict()
        held = reset_peak_memory()
        built = RESTORERS.build(with_channels_last(model) if variant == 'channels_last' else model)
        self.restorer = built.to(args.device).train()
        self.restorer.checks_finite = variant != 'unchecked'  # as between the reads of train_cfg.sync_every
        self.tf32, self.benchmark = variant == 'tf32' or None, variant == 'cudnn_benchmark'
        if cfg.get('activation_checkpointing'):
            recompute(self.restorer, cfg.activation_checkpointing)
        with DefaultScope.overwrite_default_scope('restorebox'):
            wrappers = cfg.optim_wrapper.to_dict()
            self.wrapper = build_optim_wrapper(self.restorer, fused(wrappers) if variant == 'fused' else wrappers)
        self.size = step_size(given, cfg)
        self.data = random_pictures(roles_read(self.restorer), self.size, args.seed)
        if variant == 'compiled':  # what `compile=True` in a config compiles
            self.restorer.train_step = torch.compile(self.restorer.train_step)
        if variant in COMPILED:
            roles = dict.fromkeys(name for names in self.restorer.steps.values() for name in names)
            compile_roles(self.restorer, {'roles': [*roles], **COMPILED[variant]}, logging.getLogger('gpu_day'))
        if variant == 'pinned' and args.device == 'cuda':
            self.data['inputs'] = {role: x.pin_memory() for role, x in self.data['inputs'].items()}
        start = time.perf_counter()
        for _ in range(WARM_UP):
            self.run(1)
        self.warm_up_seconds = time.perf_counter() - start
        self.memory = peak_memory_since_reset() - held

    def run(self, steps: int) -> None:
        """Run steps, with this side's settings of cudnn and TF32, which are global."""
        before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.benchmark = self.benchmark
        allow_tf32(self.tf32)
        for _ in range(steps):
            self.restorer.train_step(self.data, self.wrapper)
        synchronise()
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def seconds_of(run: Callable[[int], object], steps: int) -> float:
    """Return the seconds of a step over a stretch of ``steps``."""
    synchronise()
    start = time.perf_counter()
    run(steps)
    synchronise()
    return (time.perf_counter() - start) / steps


def compare(args: argparse.Namespace, first: Callable[[int], object], second: Callable[[int], object]) -> dict:
    """Time two kinds of steps in turn; the length of a stretch follows from the first step of ``first``."""
    stretch = 1 if args.miniature else min(MOST_STEPS, max(1, round(STRETCH / seconds_of(first, 1))))
    seconds_of(second, 1)
    pairs = [(seconds_of(first, stretch), seconds_of(second, stretch)) for _ in range(args.pairs)]
    return {'stretch': stretch, **compare_pairs(pairs)}


def step_times(args: argparse.Namespace, method: str, variant: str) -> dict:
    """Measure a method's step: bare loop and training loop (``loop``), or the plain step and a variant of it."""
    if variant == 'loop':
        return measure_loop(args, method)
    if variant == 'peer':
        return measure_peer(args)
    plain, other = Side(args, method, 'eager'), Side(args, method, variant)
    found = compare(args, plain.run, other.run)
    return {
        'config': options(args, method, variant).config,
        'batch': plain.size[0],
        'crop': list(plain.size[1:]),
        'compared': ['eager fp32', variant],
        **found,
        'peak_mib': [side.memory / 2**20 for side in (plain, other)],
        'warm_up_seconds': [side.warm_up_seconds for side in (plain, other)],
    }


def measure_loop(args: argparse.Namespace, method: str) -> dict:
    """Measure the training loop with all its hooks over a bare loop with the same networks and losses."""
    given = options(args, method, 'eager')
    with tempfile.TemporaryDirectory() as folder:
        cfg = training_config(given, folder)
        size = step_size(given, cfg)
        roles = roles_read(RESTORERS.build(cfg.model.to_dict()))
        cfg.train_dataloader.dataset = {'type': 'RandomPictures', 'roles': roles, 'size': [*size[1:]]}
        cfg.train_dataloader.update(num_workers=0, persistent_workers=False, batch_size=size[0])
        cfg.train_cfg.max_samples = WARM_UP * size[0]
        cfg.load_from = None
        held = reset_peak_memory()
        runner = build_runner(cfg)
        runner.train()
        memory = peak_memory_since_reset() - held
        batch = next(iter(runner.train_dataloader))
        found = compare(
            args, lambda steps: bare_loop(runner, batch, steps), lambda steps: our_loop(runner, batch, steps)
        )
    return {
        'config': given.config,
        'batch': size[0],
        'crop': list(size[1:]),
        'compared': ['bare loop', 'training loop'],
        **found,
        'peak_mib': [None, memory / 2**20],
    }


def measure_peer(args: argparse.Namespace) -> dict:
    """Measure our CUT step over that of the authors' public code, which is only run, at the same size.

    Raises:
        ConfigError: ``--cut`` is not a checkout of the code.
    """
    ours = Side(args, 'cut', 'eager')
    theirs, _ = peer_step(args.cut, 'CUT', ours.size, args.device, args.seed)
    for _ in range(WARM_UP):
        theirs(1)
    return {
        'config': options(args, 'cut', 'eager').config,
        'batch': ours.size[0],
        'crop': list(ours.size[1:]),
        'compared': ["CUT's code", 'ours'],
        **compare(args, theirs, ours.run),
        'peak_mib': [None, ours.memory / 2**20],
    }

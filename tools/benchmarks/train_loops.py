"""The training loop and a bare loop with the same networks and losses, for benchmarks of training."""

from __future__ import annotations

import time
from typing import Any

from restorebox.engine.measuring import synchronise
from restorebox.registry import RUNNERS


def build_runner(cfg: Any) -> Any:
    """Build the Runner of a config without validation, checkpoints and messages."""
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint.every_samples = 10**12  # exclude checkpoints
    cfg.default_hooks.checkpoint.save_best = None
    cfg.log_level = 'WARNING'
    runner = RUNNERS.build(cfg)
    runner.save_checkpoint = lambda *_, **__: None
    return runner


def bare_loop(runner: object, batch: dict, steps: int) -> float:
    """Return the time in seconds of a plain PyTorch loop with the same forward, losses, backward and optimisers."""
    restorer, wrapper = runner.restorer, runner.optim_wrapper
    wrappers = list(wrapper.values()) if hasattr(wrapper, 'values') else [wrapper]
    optimisers = [w.optimizer for w in wrappers]
    restorer.train()
    synchronise()
    start = time.perf_counter()
    for _ in range(steps):
        inputs = restorer.data_preprocessor(batch, True)['inputs']
        memory = restorer.prepare(inputs)
        for step, optimiser, each in zip(restorer.steps, optimisers, wrappers, strict=True):
            roles = restorer.steps[step]
            with restorer.updating(roles), each.optim_context(restorer.role(roles[0])):
                terms = restorer.losses(step, inputs, memory)
                total = sum(value for name, value in terms.items() if name.startswith('loss'))
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
        total.item()  # a plain loop prints its loss too
    synchronise()
    return time.perf_counter() - start


def our_loop(runner: object, batch: dict, steps: int) -> float:
    """Return the time in seconds of as many steps of the training loop with all hooks, on the same batch."""
    loop = runner.train_loop
    loop._iter, loop._max_iters = 0, steps + 1  # exclude the end of training
    synchronise()
    start = time.perf_counter()
    for _ in range(steps):
        runner.model.train()
        loop.run_iter(batch)
    synchronise()
    return time.perf_counter() - start

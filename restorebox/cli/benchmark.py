"""Measure speed and memory.

``train CONFIG``: steps per second of the whole training loop with its real data, the share of time spent waiting for
data, peak memory, and what the loop costs over a bare PyTorch loop of the same network on the same batch, in
alternating pairs.

``step CONFIG``: a training step against the same step written plainly, with every feature computed where it is needed,
on random pictures; and whether both give the same losses.

``step CONFIG_A CONFIG_B``: the training steps of two configs against each other, time and peak memory, on random
pictures in alternating fresh processes. The same config may stand twice, with ``--cfg-options-b`` for what differs.

``data CONFIG [CONFIG ...]``: training samples per second that one worker makes; files of data sets alone will do.

``restore FOLDER``: what a folder run of ``restore`` costs over the network calls alone, and what memory layout and
precision do to time and scores. It has options of its own: ``restorebox benchmark restore --help``.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

from restorebox.cli.common import add_config_options, options_action, positive, prepare
from restorebox.errors import ConfigError


def parse(argv: list[str]) -> argparse.Namespace:
    """The options of ``benchmark``."""
    parser = argparse.ArgumentParser(
        prog='restorebox benchmark', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('what', choices=('train', 'step', 'data'))
    parser.add_argument('config', nargs='+', help='one; one or two for step, several for data')
    parser.add_argument('--steps', type=positive, default=100, help='steps of the run with real data')
    parser.add_argument('--warmup', type=positive, default=10, help='steps before the clock starts')
    parser.add_argument('--pairs', type=positive, default=7, help='pairs of stretches, in turn')
    parser.add_argument('--stretch', type=positive, default=20, help='steps of each stretch')
    parser.add_argument('--seconds', type=positive, default=5, help='how long to measure each data set')
    parser.add_argument('--size', type=positive, help="step: side of the square crops (default: the config's)")
    parser.add_argument('--batch', type=positive, help="step: pictures of a step (default: the config's)")
    parser.add_argument(
        '--cfg-options-b',
        nargs='+',
        action=options_action(),
        default={},
        metavar='KEY=VALUE',
        help='step: options of the second config alone; --cfg-options are of both',
    )
    parser.add_argument('--amp', action='store_true', help='forward passes in bfloat16')
    parser.add_argument('--out', type=Path, help='write the figures as JSON')
    add_config_options(parser)
    return parser.parse_args(argv)


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_memory() -> int:
    """Bytes: torch's allocations on a GPU, the process's resident size on a CPU."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _bare_loop(runner: object, batch: dict, steps: int) -> float:
    """Seconds of a plain PyTorch loop of the same forward, losses, backward and optimisers."""
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
            with restorer._only(roles), each.optim_context(restorer.role(roles[0])):
                terms = restorer.losses(step, inputs, memory)
                total = sum(value for name, value in terms.items() if name.startswith('loss'))
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
        total.item()  # a plain loop prints its loss too
    synchronise()
    return time.perf_counter() - start


def _our_loop(runner: object, batch: dict, steps: int) -> float:
    """Seconds of as many steps of our loop with all hooks, on the same batch."""
    loop = runner.train_loop
    loop._iter, loop._max_iters = 0, steps + 1  # what happens at the end of a training is not part of a step
    synchronise()
    start = time.perf_counter()
    for _ in range(steps):
        runner.model.train()
        loop.run_iter(batch)
    synchronise()
    return time.perf_counter() - start


def measure_train(args: argparse.Namespace) -> dict:
    """The figures of ``benchmark train``."""
    import torch

    from restorebox.cli.train import apply_options
    from restorebox.registry import RUNNERS

    with tempfile.TemporaryDirectory() as folder:
        args.work_dir, args.resume, args.seed, args.deterministic, args.auto_scale_lr = folder, False, 0, False, False
        cfg = prepare(args)
        apply_options(cfg, args)
        total = (args.warmup + args.steps) * cfg.train_dataloader.batch_size
        cfg.train_cfg.max_samples = total
        cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.every_samples = 10**12  # saving is not part of a step
        cfg.default_hooks.checkpoint.save_best = None
        cfg.log_level = 'WARNING'
        runner = RUNNERS.build(cfg)
        runner.save_checkpoint = lambda *_, **__: None
        marks: dict[str, float] = {}

        from mmengine.hooks import Hook

        class Clock(Hook):
            priority = 'VERY_LOW'

            def after_train_iter(self, runner: object, batch_idx: int, data_batch: dict, outputs: dict) -> None:
                if batch_idx + 1 == args.warmup:
                    synchronise()
                    marks.update(start=time.perf_counter(), waited=runner.train_loop.waited)

        runner.register_hook(Clock())
        runner.train()
        synchronise()
        seconds = time.perf_counter() - marks['start']
        waited = runner.train_loop.waited - marks['waited']
        memory = peak_memory()
        loader = runner.train_dataloader
        batch = next(iter(loader))
        pairs = [
            (_our_loop(runner, batch, args.stretch), _bare_loop(runner, batch, args.stretch))
            for _ in range(args.pairs + 1)
        ][1:]  # the first pair warms up
    overheads = [1000 * (ours - bare) / args.stretch for ours, bare in pairs]
    return {
        'config': args.config,
        'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        'threads': torch.get_num_threads(),
        'batch': loader.batch_size,
        'precision': 'bf16 autocast' if args.amp else 'fp32',
        'steps': args.steps,
        'steps_per_second': args.steps / seconds,
        'waiting_for_data': waited / seconds,
        'peak_memory_mib': memory / 2**20,
        'loop_over_bare': statistics.median(ours / bare for ours, bare in pairs),
        'overhead_ms_per_step': statistics.median(overheads),
        'overhead_ms_range': [min(overheads), max(overheads)],
        'bare_ms_per_step': statistics.median(1000 * bare / args.stretch for _, bare in pairs),
        'torch': torch.__version__,
    }


def main(argv: list[str]) -> None:
    """Measure, print, and write JSON where asked for."""
    if argv[:1] == ['restore']:
        from restorebox.cli.benchmark_restore import main as benchmark_restore

        benchmark_restore(argv[1:])
        return
    args = parse(argv)
    _check(args)
    if args.what == 'data':
        from restorebox.cli.benchmark_data import measure_data, show_data

        figures = measure_data(args)
        show_data(figures)
    elif len(args.config) == 2:
        from restorebox.cli.benchmark_pairs import measure_pairs, show_pairs

        figures = measure_pairs(args)
        show_pairs(figures)
    else:
        args.config = args.config[0]
        figures = _measure_one(args)
    if args.out:
        args.out.write_text(json.dumps(figures, indent=1) + '\n')


def _check(args: argparse.Namespace) -> None:
    count, most = len(args.config), {'train': 1, 'step': 2}.get(args.what, len(args.config))
    if count > most:
        raise ConfigError(
            f'benchmark {args.what} takes {"one config" if most == 1 else "one config or two"}, {count} are given'
        )
    if args.cfg_options_b and (args.what, count) != ('step', 2):
        raise ConfigError('--cfg-options-b needs benchmark step with two configs')
    if (args.size or args.batch) and args.what != 'step':
        raise ConfigError(f'--size and --batch are of benchmark step; {args.what} takes them from the config')


def _measure_one(args: argparse.Namespace) -> dict:
    if args.what == 'step':
        from restorebox.cli.benchmark_step import measure_step, show_step

        figures = measure_step(args)
        show_step(figures)
    else:
        figures = measure_train(args)
        show_train(figures, args.pairs)
    return figures


def show_train(figures: dict, pairs: int) -> None:
    """Print the figures of ``benchmark train``."""
    low, high = figures['overhead_ms_range']
    print(f'{figures["config"]}, batch {figures["batch"]}, {figures["precision"]}, {figures["device"]}')
    print(f'  steps per second        {figures["steps_per_second"]:8.2f}')
    print(f'  waiting for data        {100 * figures["waiting_for_data"]:7.1f} %')
    print(f'  peak memory             {figures["peak_memory_mib"]:8.0f} MiB')
    print(
        f'  loop over a bare loop   {figures["overhead_ms_per_step"]:8.2f} ms a step, median of {pairs} pairs '
        f'({low:.2f} to {high:.2f}); a bare step takes {figures["bare_ms_per_step"]:.2f} ms'
    )

"""Measure the training cost of a gain-control layer: ours, the plain expression, recomputation and torch.compile.

    python docs/studies/gain_control.py

A training step is forward and backward with 32 channels at 256x256, including the gradient of the input. It is measured
for gain control alone, for a 3x3 convolution with gain control, and for three such pairs as in a module of FDR-Net.
Input and output gradient are created before, so that no loss is included. The plain and the other layer are timed
alternately in processor seconds, since other programs run on the machine.

Peak memory is the increase of the resident set in a fresh process per value: the maximum during the step minus the
value before. The C library is configured to return large blocks at once, so that no block of an earlier step is reused.
Prints and writes docs/results/gain_control.json.

    PYTHON docs/studies/gain_control.py --peer

compares with the layer GDN of CompressAI instead (1.2.8, BSD licence; not a dependency), for which PYTHON is an
interpreter that has both. Times are processor times of stretches in turn, for the sizes in ``SIZES``; memory is
measured in a forked process per value, where the C library returns blocks above 64 KiB at once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from restorebox.cli.common import guarded
from restorebox.engine.measuring import compare_pairs, resident_size
from restorebox.layers.gain_control import GainControl

OUT = Path(__file__).resolve().parents[1] / 'results' / 'gain_control.json'
CHANNELS, SIDE = 32, 256
PAIRS, PROCESSES = 21, 2
# (N, C, H, W): FDR-Net's paper, a whole picture, the demo at three batch sizes, a crop, a wide level of the other model
SIZES = (
    (32, 32, 63, 63),
    (1, 32, 256, 256),
    (1, 24, 48, 48),
    (4, 24, 48, 48),
    (16, 24, 48, 48),
    (1, 32, 63, 63),
    (1, 128, 64, 64),
)
STRETCH = 0.02  # processor seconds
PEER_PAIRS = 11


class Plain(GainControl):
    """Equation 4 as a plain expression."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return x / F.conv2d(x * x, self.weight[:, :, None, None], self.bias).sqrt()


class Recomputed(Plain):
    """The plain expression with recomputation of the activations in the backward pass."""

    def forward(self, x: Tensor) -> Tensor:
        """``(N, C, H, W)`` -> the same shape."""
        return checkpoint(super().forward, x, use_reentrant=False)


LAYERS = {'plain': Plain, 'ours': GainControl, 'recomputed': Recomputed, 'compiled': Plain}
CASES = {'gain': (1, False), 'conv and gain': (1, True), 'three conv and gain': (3, True)}  # how many, with conv


def build(name: str, case: str) -> Callable[[Tensor], Tensor]:
    """Return the layers of a case."""
    torch.manual_seed(0)
    count, convolved = CASES[case]
    layers: list[nn.Module] = []
    for _ in range(count):
        layers += [nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1)] if convolved else []
        layers.append(LAYERS[name](CHANNELS))
    network = nn.Sequential(*layers)
    return torch.compile(network) if name == 'compiled' else network


X = torch.randn(1, CHANNELS, SIDE, SIDE, requires_grad=True)
SLOPE = torch.randn(1, CHANNELS, SIDE, SIDE)


def step(network: Callable[[Tensor], Tensor]) -> float:
    """Return the processor seconds of one forward and backward pass."""
    X.grad = None
    start = time.process_time()
    network(X).backward(SLOPE)
    return time.process_time() - start


def forget_peak() -> None:
    """Reset the maximum resident set that the kernel reports."""
    Path('/proc/self/clear_refs').write_text('5')


def measure_peak(name: str, case: str) -> int:
    """Return the peak memory of a step in bytes, after warm-up steps that load libraries and compile."""
    network = build(name, case)
    for _ in range(2):
        step(network)
    X.grad = None
    forget_peak()
    before = resident_size('VmHWM')
    step(network)
    return resident_size('VmHWM') - before


def peaks(name: str, case: str) -> list[int]:
    """Return the peak memory of each layer, measured in fresh processes."""
    command = [sys.executable, __file__, '--peak', name, case]
    environment = {**os.environ, 'MALLOC_MMAP_THRESHOLD_': str(2**19)}
    runs = (
        subprocess.run(command, env=environment, check=True, capture_output=True, text=True) for _ in range(PROCESSES)
    )
    return [int(run.stdout.split()[-1]) for run in runs]


def compare(case: str, names: list[str]) -> dict:
    """Measure time and memory of a case."""
    networks = {name: build(name, case) for name in names}
    for network in networks.values():
        for _ in range(3):
            step(network)
    bytes_of = {name: peaks(name, case) for name in names}
    rows = {'plain': {'peak_mib': round(statistics.median(bytes_of['plain']) / 2**20, 1)}}
    for name in names[1:]:
        pairs = [(step(networks['plain']), step(networks[name])) for _ in range(PAIRS)]
        ratios = [other / plain for plain, other in pairs]
        rows['plain'].setdefault('seconds', round(statistics.median(plain for plain, _ in pairs), 4))
        rows[name] = {
            'peak_mib': round(statistics.median(bytes_of[name]) / 2**20, 1),
            'peak_over_plain': round(statistics.median(bytes_of[name]) / statistics.median(bytes_of['plain']), 3),
            'peak_over_plain_range': [
                round(min(bytes_of[name]) / max(bytes_of['plain']), 3),
                round(max(bytes_of[name]) / min(bytes_of['plain']), 3),
            ],
            'seconds': round(statistics.median(other for _, other in pairs), 4),
            'time_over_plain': round(statistics.median(ratios), 3),
            'time_over_plain_range': [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return rows


def peer_networks(size: tuple[int, ...], convolved: bool) -> tuple[list[nn.Module], Tensor, Tensor]:
    """Return CompressAI's layer and ours with the same weights, with a 3x3 convolution or alone; input and slope."""
    from compressai.layers import GDN

    channels, rng = size[1], torch.Generator().manual_seed(0)
    x, slope = torch.randn(size, generator=rng).requires_grad_(), torch.randn(size, generator=rng)
    networks = []
    for layer in (GDN(channels), GainControl(channels)):
        torch.manual_seed(0)
        networks.append(nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), layer) if convolved else layer)
    return networks, x, slope


def peer_peaks() -> list[list[int]]:
    """Return the peak memory of a step of both layers in bytes, in the order of the table."""
    found = []
    for size in SIZES:
        for convolved in (False, True):
            networks, x, slope = peer_networks(size, convolved)
            found.append([forked_peak(network, x, slope) for network in networks])
    return found


def forked_peak(network: nn.Module, x: Tensor, slope: Tensor) -> int:
    """Return the peak memory of a step in bytes above that before it, in a forked process without freed memory."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for _ in range(2):
            network(x).backward(slope)
            x.grad = None
        forget_peak()
        before = resident_size()
        network(x).backward(slope)
        os.write(write, str(resident_size('VmHWM') - before).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        found = int(pipe.read())
    os.waitpid(child, 0)
    return found


def compare_peer() -> list[dict]:
    """Return a row per size, alone and with a 3x3 convolution: ours over GDN in time and memory, and the difference."""
    # every block above 64 KiB is returned to the system when it is freed, so that the next step is seen as a whole
    environment = {**os.environ, 'MALLOC_MMAP_THRESHOLD_': str(2**16)}
    command = [sys.executable, __file__, '--peer-peaks']
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    peaks = iter(json.loads(run.stdout.splitlines()[-1]))

    def stretch(network: nn.Module, x: Tensor, slope: Tensor, steps: int) -> float:
        start = time.process_time()
        for _ in range(steps):
            x.grad = None
            network(x).backward(slope)
        return (time.process_time() - start) / steps

    rows = []
    for size in SIZES:
        for convolved in (False, True):
            both, x, slope = peer_networks(size, convolved)
            results = []
            for network in both:
                x.grad = None
                y = network(x)
                y.backward(slope)
                results.append((y.detach(), x.grad))
            differs = max(float((a - b).abs().max() / a.abs().max()) for a, b in zip(*results, strict=True))
            del results, y
            steps = max(1, round(STRETCH / stretch(both[0], x, slope, 1)))
            pairs = [tuple(stretch(each, x, slope, steps) for each in both) for _ in range(PEER_PAIRS + 1)][1:]
            theirs, ours = next(peaks)
            row = {
                'size': list(size),
                'with_convolution': convolved,
                **compare_pairs(pairs),
                'peak_mib': [round(theirs / 2**20, 2), round(ours / 2**20, 2)],
                'peak_ratio': round(ours / theirs, 3),
                'differs_by': differs,
            }
            rows.append(row)
            print(json.dumps(row), flush=True)
    return rows


def main() -> None:
    """Measure, print and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--threads', type=int, default=int(os.environ.get('OMP_NUM_THREADS', '1')))
    parser.add_argument('--no-compile', action='store_true', help='leave out torch.compile, which needs a C++ compiler')
    parser.add_argument('--peak', nargs=2, metavar=('LAYER', 'CASE'), help='print the bytes of one and stop')
    parser.add_argument('--peer', action='store_true', help='compare with CompressAI')
    parser.add_argument('--peer-peaks', action='store_true', help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.peer_peaks:
        print(json.dumps(peer_peaks()))
        return
    if args.peer:
        stored = json.loads(OUT.read_text()) | {'against_compressai': compare_peer()}
        OUT.write_text(json.dumps(stored, indent=1) + '\n')
        return
    if args.peak:
        print(measure_peak(*args.peak))
        return
    names = [name for name in LAYERS if name != 'compiled' or not args.no_compile]
    load = [round(os.getloadavg()[0], 2)]
    cases = {}
    for case in CASES:
        cases[case] = compare(case, names)
        load.append(round(os.getloadavg()[0], 2))
        print(case, json.dumps(cases[case], indent=1))
    result = {
        'step': f'{CHANNELS} channels, {SIDE}x{SIDE}, batch 1, forward and backward',
        'threads': args.threads,
        'pairs': PAIRS,
        'processes_per_peak': PROCESSES,
        'load_average': load,
        'machine': f'{platform.machine()}, {os.cpu_count()} cores',
        'torch': torch.__version__,
        'cases': cases,
    }
    if OUT.is_file():
        result = json.loads(OUT.read_text()) | result
    OUT.write_text(json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    guarded(main)

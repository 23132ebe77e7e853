"""Compare networks for the included model in short training runs with the same samples, mixture and seed.

    python docs/studies/weather_networks.py --data-root FOLDER [--only NAME ...] [--seeds 0] [--work-dir DIR]

Each network is trained with configs/fdrnet/weather_trial.py by ``restorebox train --resume``, one after the other.
Complete runs are not repeated; interrupted ones are resumed. Writes docs/results/weather_networks.json: scores, number
of weights, operations for a picture of 481x321, and wall-clock minutes. Wall-clock time depends on other load on the
machine; `--cost` instead measures CPU seconds of training steps, alternating between the networks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from restorebox.claims.runs import KEPT, train_and_test, write_json
from restorebox.cli.common import guarded
from restorebox.restorers import Network

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/fdrnet/weather_trial.py'
RESULTS = ROOT / 'docs/results/weather_networks.json'
SCENE = dict(scene=64)
NAF = dict(type='NAFUNet', widths=(40, 80, 160, 240), before=(2, 3, 4, 4), behind=(2, 3, 4))
MIXED = dict(type='NAFUNet', widths=(48, 96, 144, 208), before=(2, 3, 4, 4), behind=(2, 3, 3), **SCENE)
NETWORKS = {
    'fdr': dict(type='FDRUNet', widths=(48, 96, 192), blocks=(2, 3, 3)),
    'naf, scene': dict(NAF, **SCENE),
    'mixed, scene': dict(MIXED, kinds=('residual', 'residual', 'naf', 'naf')),
    'naf': NAF,
    'mixed with fdr, scene': dict(
        MIXED, kinds=('residual', 'residual', 'naf', 'fdr'), before=(2, 3, 4, 2), widths=(48, 96, 144, 176)
    ),
    'fdr as shipped': dict(type='FDRUNet', widths=(32, 64, 128), blocks=(3, 3, 4)),
}
SIDE, BATCH, REPEATS = 128, 8, 5
HEAD = dict(type='SubPixelHead', residual=True, activation=False)


def build(backbone: dict) -> Network:
    """Return a network as in the config of the trial."""
    return Network(dict(backbone), dict(HEAD), channels_last=True)


def facts(backbone: dict) -> dict:
    """Return the number of weights, and of operations for a picture of 481x321."""
    network = build(backbone)
    stride = network.needs.stride
    x = torch.rand(1, 3, *(-(-side // stride) * stride for side in (321, 481)))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x)
    weights = sum(p.numel() for p in network.parameters())
    return {'weights': weights, 'tflop': counter.get_total_flops() / 1e12, 'field': network.needs.receptive_field}


def step_seconds(network: Network) -> float:
    """Return the CPU seconds of a forward and backward pass in bfloat16."""
    x = torch.rand(BATCH, 3, SIDE, SIDE)
    start = time.process_time()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = network(x)['picture']
    (y.float() - x).square().mean().backward()
    return time.process_time() - start


def measure(names: list[str]) -> dict[str, float]:
    """Return the median CPU seconds of a step of each network, measured alternately."""
    networks = {name: build(NETWORKS[name]) for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(REPEATS + 1):
        for name, network in networks.items():
            taken[name].append(step_seconds(network))
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def write_config(backbone: dict, folder: Path) -> str:
    """Write the config of a trial with this network; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'network.py'
    network = f'model = dict(generator=dict(backbone=dict(_delete_=True, **{backbone!r})))\n'
    path.write_text(f'_base_ = {str(CONFIG)!r}\n{network}')
    return str(path)


def main() -> None:
    """Run all trials; write the results after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root')
    parser.add_argument('--only', nargs='+', choices=[*NETWORKS], default=[*NETWORKS])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/weather_networks'))
    parser.add_argument('--out', type=Path, default=RESULTS)
    parser.add_argument('--cost', action='store_true', help='measure steps instead of training')
    args = parser.parse_args()
    stored = json.loads(args.out.read_text()) if args.out.is_file() else {}
    if args.cost:
        for name, seconds in measure(args.only).items():
            stored.setdefault(name, {'backbone': NETWORKS[name], **facts(NETWORKS[name]), 'runs': {}})
            stored[name]['step_cpu_seconds'] = round(seconds, 3)
        write_json(args.out, stored)
    elif not args.data_root:
        parser.error('training needs --data-root')
    else:
        for seed in args.seeds:
            for name in args.only:
                entry = stored.setdefault(name, {'backbone': NETWORKS[name], **facts(NETWORKS[name]), 'runs': {}})
                folder = args.work_dir / f'{"".join(c for c in name if c.isalpha())}_s{seed}'
                config = write_config(NETWORKS[name], folder)
                scores = train_and_test(config, seed, folder, data_root=args.data_root)
                entry['runs'][str(seed)] = {key: scores[key] for key in KEPT if key not in ('overrides', 'config')}
                write_json(args.out, stored)
    for name, entry in stored.items():
        each = [run['mean']['psnr_y'] for run in entry['runs'].values()]
        score = f'{statistics.mean(each):.2f} dB' if each else '-'
        cost = f'{entry["weights"] / 1e6:.2f} M, {entry["tflop"]:.3f} TFLOP, {entry.get("step_cpu_seconds", "?")} s'
        print(f'{name}: {score}, {cost}')


if __name__ == '__main__':
    guarded(main)

"""Compare networks for the shipped model in short runs: the same samples, mixture and seed for all.

    python docs/studies/weather_networks.py --data-root FOLDER [--only NAME ...] [--seeds 0] [--work-dir DIR]

Each is trained with configs/fdrnet/weather_trial.py through ``restorebox train --resume``, one after the other. A run
that is complete is not run again, an interrupted one goes on where it was. Writes docs/results/weather_networks.json:
scores, weights, operations for a picture of 481x321 and minutes. Minutes are those of the clock: on a machine that does
other things as well they say little; `--cost` measures CPU seconds of a training step in turn for all networks instead.
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
    """A network as the trial's config has it."""
    return Network(dict(backbone), dict(HEAD), channels_last=True)


def facts(backbone: dict) -> dict:
    """Weights, and operations of a pass over a picture of 481x321."""
    network = build(backbone)
    stride = network.needs.stride
    x = torch.rand(1, 3, *(-(-side // stride) * stride for side in (321, 481)))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(x)
    weights = sum(p.numel() for p in network.parameters())
    return {'weights': weights, 'tflop': counter.get_total_flops() / 1e12, 'field': network.needs.receptive_field}


def step_seconds(network: Network) -> float:
    """CPU seconds of a forward and backward pass in bfloat16."""
    x = torch.rand(BATCH, 3, SIDE, SIDE)
    start = time.process_time()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        y = network(x)['picture']
    (y.float() - x).square().mean().backward()
    return time.process_time() - start


def measure(names: list[str]) -> dict[str, float]:
    """Median CPU seconds of a step of each network, taken in turn."""
    networks = {name: build(NETWORKS[name]) for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(REPEATS + 1):
        for name, network in networks.items():
            taken[name].append(step_seconds(network))
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def write_config(backbone: dict, folder: Path) -> str:
    """The trial's config with this network -> the path of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'network.py'
    network = f'model = dict(generator=dict(backbone=dict(_delete_=True, **{backbone!r})))\n'
    path.write_text(f'_base_ = {str(CONFIG)!r}\n{network}')
    return str(path)


def main() -> None:
    """Run all, write after each."""
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
    main()

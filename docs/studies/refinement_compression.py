"""8-bit and pruned refinement networks of heavy rain at laptop size, as the replication report proposes.

    python docs/studies/refinement_compression.py --data-root FOLDER --data WORDS [--seeds 0 1 2]

FOLDER contains clean photographs, {train,test}/gt. Starts from the published weights of
configs/heavy_rain/heavy_rain_demo_stage2.py; the physics network stays as it is.

- 8 bits: the refinement network as an ONNX file, its convolutions quantised, calibrated on training pictures; compared
  with the same file in float32, and with PyTorch. Times of both files are taken in turn.
- pruned: the most important channels for the losses of stage 2 without the adversarial one (Molchanov et al. 2019),
  then ``SAMPLES`` training samples of stage 2, per seed. Controls with as many samples: the full width trained on, and
  a network of the pruned width from random weights. The published file contains no discriminator, so that all begin
  with a new one.

Complete runs are read, an interrupted one is resumed. Writes docs/results/refinement_compression.json and .md.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from restorebox.claims.runs import KEPT, train_and_test, write_json
from restorebox.claims.statistics import interval
from restorebox.cli.common import guarded
from restorebox.engine.checkpoint import save_file, sha256
from restorebox.engine.config import load_config, set_data_root
from restorebox.engine.measuring import compare_pairs, time_alternately
from restorebox.inference.exported import open_session
from restorebox.inference.models import find_weights, load_model
from restorebox.inference.prune_model import ranking_samples
from restorebox.inference.pruning import measure_importance, prune_network
from restorebox.inference.quantising import quantise_convolutions
from restorebox.layers import pad_to_multiple
from restorebox.metrics.protocols import protocol
from restorebox.metrics.scores import library_versions
from restorebox.pixels import to_array, unit_range
from restorebox.registry import DATASETS, RESTORERS
from restorebox.restorers.base import BaseRestorer

OUT = Path(__file__).resolve().parents[1] / 'results' / 'refinement_compression.json'
CONFIG, MODEL = 'heavy_rain/heavy_rain_demo_stage2.py', 'heavy_rain_demo_stage2'
FULL = 16  # base_width of the published weights
# label -> base_width, and whether the weights are pruned ones; False: random ones
ARMS = {f'width {FULL}, trained on': (FULL, False), 'pruned to 8': (8, True), 'width 8, random weights': (8, False)}
SAMPLES = 1_000
CALIBRATE = 16  # training pictures of each size
TIMED, ROUNDS = 8, 3
PSNR = protocol('psnr_y')


class Refinement(nn.Module):
    """The refinement network with tensors as inputs: J0 and depth ``(1, 4, H, W)``, airlight ``(1, 3, 1, 1)``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor, airlight: Tensor) -> Tensor:
        """Return the clean picture."""
        return self.network(picture, airlight=airlight)['picture']


def pictures(data_root: str, split: str) -> Iterator[dict[str, Tensor]]:
    """Yield the whole pictures of a split, degraded as those of the test: role -> ``(1, C, H, W)`` in [0, 1]."""
    cfg = load_config(CONFIG)
    set_data_root(cfg, data_root)
    data = DATASETS.build(dict(cfg.test_dataloader.dataset, split=split))
    for index in range(len(data)):
        yield {name: unit_range(each)[None] for name, each in data[index]['inputs'].items()}


@torch.no_grad()
def estimates(restorer: BaseRestorer, lq: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inputs of the refinement network, padded: J0 and depth, airlight."""
    x = pad_to_multiple(lq, restorer.needs.stride, restorer.needs.min_size)
    shared = restorer.estimate_shared(lq)
    found = restorer.role('physics')(x, taps=('streak', 'transmission', 'airlight'), **shared)
    return torch.cat((found['picture'], 1 - found['transmission']), 1), found['airlight']


def named(inputs: tuple[Tensor, Tensor]) -> dict[str, np.ndarray]:
    """Return the inputs of an ONNX file."""
    return {name: value.numpy() for name, value in zip(('picture', 'airlight'), inputs, strict=True)}


def to_onnx(network: Refinement, inputs: tuple[Tensor, Tensor]) -> bytes:
    """Return an ONNX file for pictures of this size."""
    exported = torch.onnx.export(network, inputs, dynamo=True, input_names=['picture', 'airlight'], verbose=False)
    assert exported is not None
    return exported.model_proto.SerializeToString()


def quantised(data_root: str) -> dict[str, Any]:
    """Compare the refinement network in 8 bits with float32 on the test pictures."""
    restorer = load_model(MODEL)
    network = Refinement(restorer.role('generator')).eval()
    files: dict[tuple[int, ...], dict[str, Any]] = {}
    scores: dict[str, list[float]] = {'input': [], 'pytorch': [], 'fp32': [], 'int8': []}
    seconds, sizes = [], {}
    for number, each in enumerate(pictures(data_root, 'test')):
        inputs = estimates(restorer, each['lq'])
        size = tuple(inputs[0].shape[-2:])
        if size not in files:
            wide = to_onnx(network, inputs)
            typical = (estimates(restorer, one['lq']) for one in pictures(data_root, 'train'))
            fitting = (named(one) for one in typical if one[0].shape[-2:] == size)
            small = quantise_convolutions(wide, list(islice(fitting, CALIBRATE)))
            sizes = {'fp32': len(wide), 'int8': len(small)}
            files[size] = {'fp32': open_session(wide, 'fp32'), 'int8': open_session(small, 'int8')}
        feed = named(inputs)
        height, width = each['lq'].shape[-2:]
        with torch.no_grad():
            outputs = {'input': each['lq'], 'pytorch': network(*inputs)}
        outputs |= {name: torch.from_numpy(session.run(None, feed)[0]) for name, session in files[size].items()}
        clean = to_array(each['gt'][0], np.uint8)
        for name, value in outputs.items():
            scores[name].append(PSNR(to_array(value[0, :, :height, :width].clamp(0, 1), np.uint8) / 255, clean / 255))
        if number < TIMED:
            runs = [lambda given, session=session: session.run(None, given) for session in files[size].values()]
            seconds += time_alternately(runs, [feed], ROUNDS)
    return {
        'pictures': len(scores['input']),
        'calibrated_on': CALIBRATE,
        'psnr_y': {name: statistics.mean(values) for name, values in scores.items()},
        'worst_loss': max(a - b for a, b in zip(scores['fp32'], scores['int8'], strict=True)),
        'bytes': sizes,
        'speed': compare_pairs([(row[0], row[1]) for row in seconds]),
    }


def narrow_file(data_root: str, width: int, path: Path, pruned: bool, seed: int) -> str:
    """Write weights to start from, with a pruned refinement network or a random one, and return their path."""
    if path.is_file():
        return str(path)
    published = load_model(MODEL)
    cfg = load_config(CONFIG, {'model.generator.backbone.base_width': width})
    torch.manual_seed(seed)
    narrow = RESTORERS.build(cfg.model).eval()
    narrow.role('physics').load_state_dict(published.role('physics').state_dict())
    if pruned:
        ranking = load_config(CONFIG, {'model.objective.lambda_gan': 0.0})
        set_data_root(ranking, data_root)
        wide = RESTORERS.build(ranking.model).eval()
        wide.load_weights(published.state_dict())
        importance = measure_importance(wide, ranking_samples(ranking))
        airlight = {'airlight': torch.full((1, 3, 1, 1), 0.7)}
        kept = prune_network(wide.role('generator'), narrow.role('generator'), importance, airlight)
        narrow.role('generator').load_state_dict(kept)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({'meta': {'cfg_json': json.dumps(cfg.to_dict(), default=str)}, 'state_dict': narrow.state_dict()}, path)
    return str(path)


def start_of(label: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Return the keys of an arm's network and its weights to start from."""
    width, pruned = ARMS[label]
    if width == FULL:
        return {'load_from': str(find_weights(MODEL))}
    path = args.work_dir / (f'pruned_{width}.pth' if pruned else f'random_{width}_s{seed}.pth')
    start = narrow_file(args.data_root, width, path, pruned, seed)
    return {'model.generator.backbone.base_width': width, 'load_from': start}


def train(label: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    """Train one arm with a seed and test it."""
    schedule = {
        'train_cfg.max_samples': SAMPLES,
        'train_cfg.val_samples': SAMPLES,
        'default_hooks.checkpoint.every_samples': SAMPLES // 2,
        **{f'param_scheduler.{role}.step_size': SAMPLES // 4 for role in ('generator', 'discriminator')},
    }
    folder = args.work_dir / f'{label.replace(" ", "_").replace(",", "")}_s{seed}'
    changed = schedule | start_of(label, seed, args)
    scores = train_and_test(CONFIG, seed, folder, data_root=args.data_root, overrides=changed)
    kept = {key: scores[key] for key in KEPT if key in scores}
    kept['overrides'] = {key: value for key, value in kept.get('overrides', {}).items() if key != 'load_from'}
    return kept


def page(facts: dict) -> str:
    """Return both tables in Markdown."""
    eight = facts['int8']
    means = eight['psnr_y']
    speed = eight['speed']
    low, high = speed['interval']
    lines = [
        '<!-- written by docs/studies/refinement_compression.py -->',
        '',
        f'{facts["data"]}. Test images have {means["input"]:.2f} dB (psnr_y) as input and {means["pytorch"]:.2f} with '
        f'the published weights, of which the refinement network has {facts["weights"][f"{FULL}"]:,}.',
        '',
        '| refinement network | psnr_y | largest loss of an image, dB | MiB | seconds per image |',
        '|---|---|---|---|---|',
        *(
            f'| {name} | {means[name]:.2f} | {loss} | {eight["bytes"][name] / 2**20:.2f} | {seconds:.3f} |'
            for name, loss, seconds in zip(
                ('fp32', 'int8'), ('', f'{eight["worst_loss"]:.2f}'), speed['seconds'], strict=True
            )
        ),
        '',
        f'Time of int8 by that of fp32: {speed["ratio"]:.2f} ({low:.2f} to {high:.2f}, {speed["pairs"]} pairs).',
        '',
        f'| after {SAMPLES:,} more samples | weights | seeds | psnr_y of each seed | mean | interval | ssim_y |',
        '|---|---|---|---|---|---|---|',
    ]
    for label, runs in facts['arms'].items():
        if runs:
            values, ssim = ([run['mean'][score] for run in runs.values()] for score in ('psnr_y', 'ssim_y'))
            found = interval(values)
            bounds = f'{found[0]:.2f} to {found[1]:.2f}' if found else 'one seed'
            lines.append(
                f'| {label} | {facts["weights"][str(ARMS[label][0])]:,} | {len(values)} | '
                f'{", ".join(f"{value:.2f}" for value in values)} | {statistics.mean(values):.2f} | {bounds} | '
                f'{statistics.mean(ssim):.4f} |'
            )
    return '\n'.join(lines) + '\n'


def main() -> None:
    """Measure 8 bits, then train what is missing; write after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--data', required=True, help='what the images are, for the page')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/refinement_compression'))
    args = parser.parse_args()
    torch.set_num_threads(1)
    start = sha256(str(find_weights(MODEL)))
    facts = json.loads(OUT.read_text()) if OUT.is_file() else {}
    if facts.get('start_sha256') != start:
        facts = {
            'data': args.data,
            'start_sha256': start,
            'samples': SAMPLES,
            'int8': quantised(args.data_root),
            'weights': {str(width): weights(width) for width, _ in ARMS.values()},
            'libraries': library_versions(),
            'arms': {},
        }
        write_json(OUT, facts)
    for seed in args.seeds:
        for label in ARMS:
            runs = facts['arms'].setdefault(label, {})
            if str(seed) not in runs:
                runs[str(seed)] = train(label, seed, args)
                write_json(OUT, facts)
                OUT.with_suffix('.md').write_text(page(facts))
                print(f'{label}, seed {seed}: {runs[str(seed)]["mean"]["psnr_y"]:.2f}', flush=True)
    print(page(facts))


def weights(width: int) -> int:
    """Return the number of weights of a refinement network."""
    cfg = load_config(CONFIG, {'model.generator.backbone.base_width': width})
    return sum(p.numel() for p in RESTORERS.build(cfg.model).generator.parameters())


if __name__ == '__main__':
    guarded(main)

"""Fit the gates of a config like ``fdrnet/weather_gated.py`` to a trained network, whose weights stay as they are.

    python docs/studies/weather_gates.py --data-root FOLDER --out FILE.pth [--samples 10000] [--enlarged 4000]
        [--config fdrnet/weather2_gated.py --weights FILE] [--processes 2]

FOLDER is the output of weather_data.py. Samples are those of the config's training pipeline without its last crop: of
the first --samples no photograph is enlarged, of --enlarged further ones a part of each. The change that the model
makes has a low part L and a high part H, see :class:`GatedHead <restorebox.heads.gated.GatedHead>`; D is the change
that would be right. With gates g and h the mean squared error is quadratic in them::

    MSE(g, h) = DD - 2 (g DL + h DH) + g^2 LL + 2 g h LH + h^2 HH

with DL the mean of D L over all pixels and channels, and so on. So each sample is restored once; its six means and the
inputs of the gates are kept, and the gates are trained on them in minutes. The loss is that of PSNRLoss with --floor:
mean over samples of log(1 + MSE / floor). Photographs of the test split show the effect on others. The samples are
written to FILE_PART_NUMBER.npz and read again by the next run with the same config, weights, photographs and number.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.scene_gated import CELL
from restorebox.claims.records import data_names, names_digest
from restorebox.cli.common import guarded
from restorebox.datasets.keys import SampleKey
from restorebox.engine.checkpoint import save_file, sha256
from restorebox.engine.config import config_digest, load_config, set_data_root
from restorebox.engine.published import load_restorer
from restorebox.files import configs_dir, replacing
from restorebox.layers import pad_to_multiple
from restorebox.processes import end_with_parent
from restorebox.registry import DATASETS, RESTORERS

CONFIG, WEIGHTS = 'fdrnet/weather_gated.py', str(configs_dir() / 'fdrnet/weather.safetensors')
HELD_OUT = 600  # samples of the test split
FIRST = {'train': 0, 'enlarged': 20_000, 'test': 900_000}  # position of the first sample
DATA_SEED, SEED = 7, 0
BATCH, EPOCHS, RATE, DECAY, NOISE = 64, 20, 2e-3, 1e-2, 0.02
CHUNK = 200  # samples that a process collects at a time
CLEAN = 90.0  # dB; an undegraded sample is above


def products(change: Tensor, right: Tensor, height: int, width: int) -> list[float]:
    """Return LL, LH, HH, DL, DH, DD over the first ``height`` rows and ``width`` columns."""
    low = F.interpolate(F.avg_pool2d(change, CELL), scale_factor=CELL, mode='bilinear', align_corners=False)
    low, high = (part[..., :height, :width] for part in (low, change - low))
    pairs = ((low, low), (low, high), (high, high), (right, low), (right, high), (right, right))
    return [float((a * b).mean()) for a, b in pairs]


def pipeline_of(given: list[dict], enlarged: bool) -> list[dict]:
    """Return the config's pipeline without its last crop, in which every photograph is enlarged, or none."""
    pipeline = [each for each in given if not (each['type'] == 'RandomWindow' and each.get('roles'))]
    # as at inference: the gates are fitted to the statistics themselves
    pipeline = [dict(each, jitter=0) if each['type'] == 'SurveyScene' else each for each in pipeline]
    first = [each['type'] for each in pipeline].index('SmallWindow')  # then Resize, RandomWindow
    if enlarged:
        return [*pipeline[:first], dict(pipeline[first], p=1.0), *pipeline[first + 1 :]]
    return [*pipeline[:first], *pipeline[first + 3 :]]


def configured(name: str, root: str) -> Config:
    """Return a config that reads its photographs from ``root``."""
    cfg = load_config(name)
    set_data_root(cfg, root)
    return cfg


def collect(name: str, root: str, weights: str, part: str, positions: range) -> dict[str, np.ndarray]:
    """Restore samples of a part; return the inputs of the gates and the six means of each."""
    torch.set_num_threads(1)
    cfg = configured(name, root)
    wanted = cfg.train_dataloader.dataset
    pipeline = pipeline_of(wanted.pipeline, part == 'enlarged')
    split = 'test' if part == 'test' else 'train'
    data = DATASETS.build(dict(wanted, pipeline=pipeline, split=split, seed=DATA_SEED))
    restorer = load_restorer(weights)
    restorer.statistics_window = cfg.model.statistics_window
    tap, found = cfg.model.generator.backbone.tap, {'scene': [], 'means': [], 'products': []}
    for position in positions:
        sample = data[SampleKey(position % len(data), position=position)]['inputs']
        lq, gt = (sample[role][None].float() / 255 for role in ('lq', 'gt'))
        height, width = lq.shape[-2:]
        x = pad_to_multiple(lq, CELL, CELL)
        # the statistics of the unpadded picture, as at inference
        survey = {'scene': sample['scene'][None]} if 'scene' in restorer.generator.backbone.given else {}
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
            out = restorer.generator(x, taps=(tap,), **survey)
        features = out[tap].float()
        found['scene'].append(sample['scene'].numpy().astype(np.float16))
        found['means'].append(torch.cat((features, features.abs()), 1).mean((0, 2, 3)).numpy())
        found['products'].append(products(out['picture'].float() - x, gt - lq, height, width))
    return {name: np.asarray(values) for name, values in found.items()}


def collected(args: argparse.Namespace, part: str, count: int, made_by: str) -> dict[str, np.ndarray]:
    """Return the samples of a part: those of its file, or new ones."""
    file = args.out.with_name(f'{args.out.stem}_{part}_{count}.npz')
    if file.is_file():
        kept = dict(np.load(file))
        if str(kept.pop('made_by', '')) != made_by:
            sys.exit(f'error: {file}: its samples are of another config, other weights or photographs; delete it')
        return kept
    first, start = FIRST[part], time.monotonic()
    chunks = [range(first + i, first + min(i + CHUNK, count)) for i in range(0, count, CHUNK)]
    found = []
    with ProcessPoolExecutor(args.processes, get_context('spawn'), initializer=end_with_parent) as pool:
        tasks = [pool.submit(collect, args.config, args.data_root, args.weights, part, chunk) for chunk in chunks]
        for task in tasks:
            found.append(task.result())
            print(f'{part}: {min(len(found) * CHUNK, count)} of {count}, {time.monotonic() - start:.0f} s', flush=True)
    joined = {name: np.concatenate([each[name] for each in found]) for name in found[0]}
    with replacing(file) as temporary, open(temporary, 'wb') as out:
        np.savez(out, made_by=made_by, **joined)
    return joined


def error(gates: Tensor, products: Tensor) -> Tensor:
    """Return MSE(g, h) of each sample, see the module."""
    g, h = gates.unbind(1)
    low, both, high, right_low, right_high, right = products.unbind(1)
    mse = right - 2 * (g * right_low + h * right_high) + g * g * low + 2 * g * h * both + h * h * high
    return mse.clamp_min(0)


def gates_of(backbone: nn.Module, scene: Tensor, means: Tensor) -> Tensor:
    """Return the gates ``(N, 2)`` from the kept inputs."""
    y = torch.cat((backbone.encoder(scene), means[..., None, None]), 1)
    return torch.sigmoid(backbone.gates(torch.relu(backbone.mixed(y)))).flatten(1)


def fit(backbone: nn.Module, data: tuple[Tensor, Tensor, Tensor], floor: float) -> None:
    """Train the layers of the gates."""
    parts = (backbone.encoder, backbone.mixed, backbone.gates)
    steps = EPOCHS * (len(data[0]) // BATCH)
    optimiser = torch.optim.AdamW([p for part in parts for p in part.parameters()], weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    rng = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        order = torch.randperm(len(data[0]), generator=rng)
        for chosen in order[: len(order) // BATCH * BATCH].split(BATCH):
            scene, means, kept = (each[chosen] for each in data)
            means = means * (1 + NOISE * torch.randn(BATCH, 1, generator=rng))  # against overfitting
            loss = torch.log1p(error(gates_of(backbone, scene, means), kept) / floor).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


@torch.no_grad()
def report(backbone: nn.Module, data: tuple[Tensor, Tensor, Tensor]) -> list[dict]:
    """Return mean PSNR of input, ungated and gated output by groups of the input's PSNR."""

    def psnr(mse: Tensor) -> Tensor:
        return -10 * torch.log10(mse + 1e-10)

    gates = gates_of(backbone, *data[:2])
    values = [psnr(error(each, data[2])) for each in (torch.zeros_like(gates), torch.ones_like(gates), gates)]
    rows = []
    for name, low, high in (('undegraded', CLEAN, math.inf), ('above 25 dB', 25, CLEAN), ('below', -math.inf, 25)):
        group = (values[0] > low) & (values[0] <= high)
        means = [round(float(each[group].mean()), 2) for each in values]
        rows.append(
            {'group': name, 'samples': int(group.sum()), **dict(zip(('input', 'ungated', 'gated'), means, strict=True))}
        )
    return rows


def main() -> None:
    """Collect, fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data-root', required=True)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--config', default=CONFIG, help='(default: %(default)s)')
    parser.add_argument('--weights', default=WEIGHTS, help="of the config's inner network (default: fdrnet/weather)")
    parser.add_argument('--processes', type=int, default=1, help='that collect samples (default: %(default)s)')
    parser.add_argument('--samples', type=int, default=10_000)
    parser.add_argument('--enlarged', type=int, default=4_000)
    parser.add_argument('--held-out', type=int, default=HELD_OUT, help='samples of the test split')
    parser.add_argument('--floor', type=float, default=1e-4)
    args = parser.parse_args()
    if args.samples + args.enlarged < BATCH or min(args.samples, args.enlarged, args.held_out, args.processes) < 1:
        parser.error(f'every number must be at least 1, --samples and --enlarged at least {BATCH} in all')
    if not 0 < args.floor < 1:
        parser.error(f'--floor is {args.floor}; it must be between 0 and 1')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cfg = configured(args.config, args.data_root)
    torch.manual_seed(SEED)
    restorer = RESTORERS.build(cfg.model)
    backbone, head = restorer.generator.backbone, restorer.generator.head
    try:
        old = load_restorer(args.weights).generator
        backbone.inner.load_state_dict(old.backbone.state_dict())
        head.inner.load_state_dict(old.head.state_dict())
    except RuntimeError as error:
        reason = str(error).splitlines()[1].strip()[:120]
        sys.exit(f'error: {args.weights}: not of the network of {args.config}: {reason}')
    photographs = names_digest(data_names(Path(args.data_root)))
    made_by = f'{config_digest(cfg)} {sha256(args.weights)} {photographs}'
    parts = {}
    for part, count in {'train': args.samples, 'enlarged': args.enlarged, 'test': args.held_out}.items():
        kept = collected(args, part, count, made_by)
        parts[part] = [torch.from_numpy(kept[name]).float() for name in ('scene', 'means', 'products')]
    scene, means, kept_products = (torch.cat(each) for each in zip(parts['train'], parts['enlarged'], strict=True))
    fit(backbone, (scene, means, kept_products), args.floor)
    for row in report(backbone, tuple(parts['test'])):
        print(row)
    save_file(
        {'meta': {'cfg_json': json.dumps(cfg.to_dict(), default=str)}, 'state_dict': restorer.state_dict()}, args.out
    )


if __name__ == '__main__':
    guarded(main)

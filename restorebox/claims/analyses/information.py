"""Measurement of preserved input information and of the adversarial gradient, after Kang et al. (arXiv 2212.02198).

The command ``analyze-information`` describes it, see :mod:`restorebox.cli.analyze_information`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torchvision.transforms.functional import gaussian_blur

from restorebox.engine.checkpoint import load_file, write_bytes
from restorebox.engine.running import load_for_test
from restorebox.errors import CheckpointError
from restorebox.figures import save_figure
from restorebox.files import find_checkpoints, json_bytes
from restorebox.layers import pad_to_multiple
from restorebox.metrics.protocols import protocol
from restorebox.metrics.scores import library_versions
from restorebox.restorers.adversarial import AdversarialRestorer

BLUR = 2.0  # standard deviation in pixels of the low-pass filter
LARGEST = 256  # maximum side in pixels for gradients, if the restorer has no training crop size


def high_frequencies(x: Any) -> Any:
    """Return a picture minus its Gaussian blur, ``(N, C, H, W)``."""
    return x - gaussian_blur(x, 2 * round(3 * BLUR) + 1, BLUR)


def explained(output: Any, source: Any) -> float:
    """Share of the output's high-frequency energy explained by a linear regression on the source, per channel.

    Args:
        output: ``(1, C, H, W)`` in [0, 1].
        source: of the same shape.

    Returns:
        In [0, 1]; NaN if the output has no high frequencies.
    """
    y, x = (high_frequencies(z).flatten(2)[0].double() for z in (output, source))
    gain = (x * y).sum(1) / (x * x).sum(1).clamp_min(1e-12)
    energy = (y * y).sum()
    rest = (y - gain[:, None] * x).square().sum()
    return float(1 - rest / energy) if energy > 0 else float('nan')


def carried(restorer: Any, loader: Any, pictures: int) -> dict[str, float]:
    """Measure reconstruction and preserved detail, as means over pictures."""
    psnr = protocol('psnr_rgb')
    rows: list[dict[str, float]] = []
    for batch in loader:
        inputs = restorer.data_preprocessor(batch)['inputs']
        for lq, gt in zip(inputs['lq'], inputs['gt'], strict=True):
            again, restored = (restorer.restore(x[None])['pred'] for x in (gt, lq))
            as_picture = [x.permute(1, 2, 0).cpu().numpy() for x in (again[0], gt)]
            rows.append(
                {
                    'reconstruction_psnr_rgb': psnr(*as_picture),
                    'restored_explained_by_input': explained(restored, lq[None]),
                    'clean_explained_by_input': explained(gt[None], lq[None]),
                }
            )
        if len(rows) >= pictures:
            break
    rows = rows[:pictures]
    return {'pictures': len(rows)} | {key: float(torch.tensor([row[key] for row in rows]).mean()) for key in rows[0]}


def gradients(restorer: Any, batch: dict) -> dict[str, float]:
    """Measure the gradient norms of a checkpoint: RMS at the generator's output, times the number of values.

    Uses the first picture of the batch, cropped to the training size if the restorer has one.
    """
    side = restorer.statistics_window or LARGEST
    lq = restorer.data_preprocessor(batch)['inputs']['lq'][0][None, :, :side, :side]
    needs = restorer.needs
    lq = pad_to_multiple(restorer.to_range(lq), needs.stride, max(needs.min_size, restorer.smallest_crop))
    with torch.no_grad():
        fake = restorer.role('generator')(lq)['picture']
    norms = {}
    kinds = {
        'cross entropy, saturating': lambda d: torch.nn.functional.logsigmoid(-d).mean(),
        'cross entropy': lambda d: torch.nn.functional.softplus(-d).mean(),
        'least squares': lambda d: (d - 1).square().mean(),
    }
    for name, loss in kinds.items():
        pred = fake.detach().requires_grad_()
        loss(restorer.role('discriminator')(torch.cat((lq, pred), 1))['realness']).backward()
        norms[name] = float(pred.grad.square().mean().sqrt() * pred.numel())
    return norms


def draw_information(figures: dict, path: Path) -> None:
    """Plot preserved information and gradients over training; the PNG is written atomically."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout='constrained')
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 3, 5))
    bars = left.bar(['clean pictures'], [figures['carried']['reconstruction_psnr_rgb']], width=0.4)
    left.bar_label(bars, fmt='%.2f', fontsize=8)
    left.set_xlim(-0.6, 0.6)
    left.set_ylabel('psnr_rgb (dB)', fontsize=8)
    left.set_title('1. reconstruction', fontsize=9, loc='left')
    shares = {name: figures['carried'][f'{name}_explained_by_input'] for name in ('restored', 'clean')}
    bars = middle.bar(list(shares), list(shares.values()), width=0.4, color=['C0', 'C2'])
    middle.bar_label(bars, fmt='%.3f', fontsize=8)
    middle.set_ylim(0, 1.05)
    middle.set_ylabel('share of energy', fontsize=8)
    middle.set_title('2. detail explained by the input', fontsize=9, loc='left')
    if figures['gradients']:
        right.set_title(
            f'3. gradient of an adversarial loss, trained with {figures["gan_mode"]}', fontsize=9, loc='left'
        )
        for name in figures['gradients'][0]['norms']:
            steps = [row['step'] for row in figures['gradients']]
            right.plot(steps, [row['norms'][name] for row in figures['gradients']], marker='.', label=name)
        right.set_yscale('log')
        right.yaxis.set_major_formatter('{x:g}')
        right.yaxis.set_minor_formatter('{x:g}')
        right.set_xlabel('step', fontsize=8)
        right.set_ylabel('RMS x number of values', fontsize=8)
        right.xaxis.get_major_locator().set_params(integer=True)
        right.legend(fontsize=7)
    else:
        right.set_title('3. gradient of the adversarial loss', fontsize=9, loc='left')
        right.text(0.5, 0.5, 'no conditional discriminator', ha='center', va='center', transform=right.transAxes)
        right.set_axis_off()
    for axes in (left, middle, right):
        axes.tick_params(labelsize=8, which='both')
    save_figure(figure, path)


def analyze_information(cfg: Config, config: str, pictures: int) -> dict[str, Any]:
    """Run the analysis and write ``information.json`` and ``information.png`` into the work directory.

    Args:
        cfg: config from :func:`~restorebox.engine.running.keep_test`, with ``overrides``. If the restorer has a
            discriminator, gradients are measured for all checkpoints in the folder.
        config: its name, for the report.
        pictures: number of pictures of the test set.

    Returns:
        The content of the JSON file.

    Raises:
        ConfigError, CheckpointError, DataError: config, weights or pictures are invalid.
    """
    restorer, loader = load_for_test(cfg)
    figures: dict[str, Any] = {
        'config': config,
        'checkpoint': cfg.load_from,
        'overrides': dict(cfg.overrides),
        'blur': BLUR,
        'gradients': [],
        'libraries': library_versions(),
    }
    figures['carried'] = carried(restorer, loader, pictures)
    if isinstance(restorer, AdversarialRestorer) and restorer.lambda_gan:
        figures['gan_mode'] = restorer.adversarial.mode
        batch = next(iter(loader))
        own = Path(cfg.load_from)
        for path in find_checkpoints(own.parent) or [own]:
            checkpoint = load_file(path)
            try:
                restorer.load_weights(checkpoint['state_dict'])
            except CheckpointError as error:
                raise CheckpointError(f'checkpoint {path}: {error}') from None
            step = int(path.stem.rpartition('_')[2]) if path.stem.startswith('iter_') else 0
            figures['gradients'].append({'step': step, 'norms': gradients(restorer, batch)})
    out = Path(cfg.work_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(json_bytes(figures), out / 'information.json')
    draw_information(figures, out / 'information.png')
    return figures

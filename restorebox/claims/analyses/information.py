"""Measurement of preserved input information and of the adversarial gradient, after Kang et al. (arXiv 2212.02198).

The command ``analyze-information`` describes it, see :mod:`restorebox.cli.analyze_information`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torchvision.transforms.functional import gaussian_blur

from restorebox.claims.statistics import interval
from restorebox.engine.checkpoint import load_file, write_bytes
from restorebox.engine.running import load_for_test
from restorebox.errors import CheckpointError, ConfigError
from restorebox.figures import save_figure
from restorebox.files import find_checkpoints, json_bytes
from restorebox.layers import pad_to_multiple
from restorebox.metrics.protocols import protocol
from restorebox.metrics.scores import library_versions
from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.untrusted import read_json

BLUR = 2.0  # standard deviation in pixels of the low-pass filter
CARRIED = ('reconstruction_psnr_rgb', 'restored_explained_by_input', 'clean_explained_by_input')
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


def first_pictures(restorer: Any, loader: Any, pictures: int) -> Iterator[tuple[Any, Any]]:
    """Yield degraded and clean picture, each ``(1, C, H, W)`` in [0, 1], of the first pictures of a loader."""
    count = 0
    for batch in loader:
        inputs = restorer.data_preprocessor(batch)['inputs']
        for lq, gt in zip(inputs['lq'], inputs['gt'], strict=True):
            if count == pictures:
                return
            yield lq[None], gt[None]
            count += 1


def carried(restorer: Any, loader: Any, pictures: int) -> dict[str, float]:
    """Measure reconstruction and preserved detail, as means over pictures."""
    psnr = protocol('psnr_rgb')
    rows: list[dict[str, float]] = []
    for lq, gt in first_pictures(restorer, loader, pictures):
        again, restored = (restorer.restore(x)['pred'] for x in (gt, lq))
        as_picture = [x[0].permute(1, 2, 0).cpu().numpy() for x in (again, gt)]
        rows.append(
            {
                'reconstruction_psnr_rgb': psnr(*as_picture),
                'restored_explained_by_input': explained(restored, lq),
                'clean_explained_by_input': explained(gt, lq),
            }
        )
    return {'pictures': len(rows)} | {key: float(torch.tensor([row[key] for row in rows]).mean()) for key in rows[0]}


def training_crops(restorer: Any, loader: Any, pictures: int) -> list[tuple[Any, Any]]:
    """Return pairs of :func:`first_pictures`, cut to the training size at the upper left, in the network's range."""
    side = restorer.statistics_window or LARGEST
    needs = restorer.needs
    smallest = max(needs.min_size, restorer.smallest_crop)

    def cut(x: Any) -> Any:
        return pad_to_multiple(restorer.to_range(x[..., :side, :side]), needs.stride, smallest)

    return [(cut(lq), cut(gt)) for lq, gt in first_pictures(restorer, loader, pictures)]


def gradients(restorer: Any, pairs: Sequence[tuple[Any, Any]]) -> dict[str, dict[str, float | None]]:
    """Measure the gradients of the adversarial loss at the generator's output, per loss, as means over pictures.

    Norms of losses can't be compared: least squares grow with the logits, cross entropy does not. So each is measured
    for the loss that the discriminator was trained with, and relative to two references:

    ``of_undecided``: the norm divided by that for the same discriminator with undecided logits (0.5 for least squares,
    0 for others). 1 is an undecided discriminator; 2 one that is sure of every patch, for least squares and cross
    entropy alike; 0 a vanished gradient. Cross entropy has a second entry for the saturating form.

    ``of_losses``: the weighted norm divided by that of the other losses of the generator, as in a training step; None
    without other losses.

    Args:
        restorer: with a discriminator, in evaluation mode.
        pairs: from :func:`training_crops`.

    Returns:
        Loss -> ``of_undecided`` with its 95 % t-interval over the pictures, ``low`` and ``high``, and ``of_losses``.
    """
    mode = restorer.adversarial.mode
    kinds: dict[str, Callable[[Any], Any]] = {mode: lambda logits: restorer.adversarial(logits, True)}
    if mode == 'vanilla':
        kinds['vanilla, saturating'] = lambda logits: torch.nn.functional.logsigmoid(-logits).mean()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for lq, gt in pairs:
        with torch.no_grad():
            pred = restorer.role('generator')(lq)['picture']
        pred.requires_grad_()
        logits = restorer.role('discriminator')(torch.cat((lq, pred), 1))['realness']
        terms = [restorer.apply_loss(loss, pred, gt, lq) for loss in restorer.loss_terms.values()]
        other = _norm(torch.stack(terms).sum(), pred) if terms else float('nan')
        for name, loss in kinds.items():
            at_rest = torch.full((), 0.5 if mode == 'lsgan' else 0.0, requires_grad=True)
            (slope,) = torch.autograd.grad(loss(at_rest), at_rest)
            norm, undecided = _norm(loss(logits), pred), _norm(slope * logits.mean(), pred)
            found[name].append((norm / undecided, restorer.lambda_gan * norm / other if other else float('nan')))
    return {name: _summary(values) for name, values in found.items()}


def _norm(loss: Any, pred: Any) -> float:
    """Return the norm of the gradient with respect to the picture, without freeing the graph."""
    (gradient,) = torch.autograd.grad(loss, pred, retain_graph=True)
    return float(gradient.norm())


def _summary(values: list[tuple[float, float]]) -> dict[str, float | None]:
    undecided, losses = ([pair[i] for pair in values if math.isfinite(pair[i])] for i in (0, 1))
    low, high = interval(undecided) or (None, None)
    return {
        'of_undecided': statistics.fmean(undecided) if undecided else None,
        'low': low,
        'high': high,
        'of_losses': statistics.fmean(losses) if losses else None,
    }


def draw_information(runs: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Plot preserved information and gradients over training of one or several runs; atomic write.

    Args:
        runs: name -> content of ``information.json``.
        path: the PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.8), layout='constrained')
    FigureCanvasAgg(figure)
    left, middle, third, last = figure.subplots(1, 4, width_ratios=(2, 3, 4, 4))
    width = 0.8 / len(runs)
    for i, (name, one) in enumerate(runs.items()):
        kept, shift = one['carried'], (i - (len(runs) - 1) / 2) * width
        bars = left.bar([shift], [kept['reconstruction_psnr_rgb']], width=width, color=f'C{i}', label=name)
        left.bar_label(bars, fmt='%.2f', fontsize=8)
        shares = [kept[f'{kind}_explained_by_input'] for kind in ('restored', 'clean')]
        bars = middle.bar([shift, 1 + shift], shares, width=width, color=f'C{i}')
        middle.bar_label(bars, fmt='%.3f', fontsize=8)
        _plot_gradients(one['gradients'], name if len(runs) > 1 else '', f'C{i}', third, last)
    left.set_xticks([0], ['clean pictures'])
    left.set_ylabel('psnr_rgb (dB)', fontsize=8)
    left.set_title('1. reconstruction', fontsize=9, loc='left')
    if len(runs) > 1:
        left.legend(fontsize=7, loc='lower center')
    middle.set_xticks([0, 1], ['restored', 'clean'])
    middle.set_ylim(0, 1.05)
    middle.set_ylabel('share of energy', fontsize=8)
    middle.set_title('2. detail explained by the input', fontsize=9, loc='left')
    third.set_title('3. adversarial gradient / undecided discriminator', fontsize=9, loc='left')
    last.set_title('4. adversarial gradient / other losses', fontsize=9, loc='left')
    for axes in (third, last):
        if axes.lines:
            axes.set_xlabel('step', fontsize=8)
            axes.set_ylim(bottom=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.legend(fontsize=7)
        else:
            axes.text(0.5, 0.5, 'no discriminator', ha='center', va='center', transform=axes.transAxes)
            axes.set_axis_off()
    for axes in (left, middle, third, last):
        axes.tick_params(labelsize=8, which='both')
    save_figure(figure, path)


def _plot_gradients(rows: list[dict[str, Any]], name: str, colour: str, third: Any, last: Any) -> None:
    steps = [row['step'] for row in rows]
    for number, kind in enumerate(rows[0]['losses'] if rows else ()):
        label = f'{name}: {kind}' if name else kind
        style = {'color': colour, 'linestyle': '--' if number else '-', 'marker': '.', 'label': label}
        values = [row['losses'][kind] for row in rows]
        third.plot(steps, _numbers(values, 'of_undecided'), **style)
        third.fill_between(steps, _numbers(values, 'low'), _numbers(values, 'high'), color=colour, alpha=0.15)
        if any(one['of_losses'] is not None for one in values):
            last.plot(steps, _numbers(values, 'of_losses'), **style)


def _numbers(values: list[dict[str, float | None]], key: str) -> list[float]:
    return [float('nan') if (number := one[key]) is None else number for one in values]


def read_information(folder: Path) -> dict[str, Any]:
    """Read ``information.json`` of a run analysed before.

    Raises:
        ConfigError: it is absent, or not written by this command.
    """
    path = folder / 'information.json'
    try:
        content = read_json(path.read_text('utf-8'))
        numbers = [content['carried'][key] for key in CARRIED]
        numbers += [float(one['of_undecided'] or 0) for row in content['gradients'] for one in row['losses'].values()]
        [row['step'] for row in content['gradients']]
        if not all(isinstance(number, (int, float)) for number in numbers):
            raise ValueError('its measurements are no numbers')
    except OSError as error:
        raise ConfigError(f'--beside {folder}: {path.name} is not readable; analyse that run first') from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f'--beside {folder}: {path.name} is not from this analyze-information ({error})') from None
    return content


def analyze_information(cfg: Config, config: str, pictures: int, beside: Sequence[Path] = ()) -> dict[str, Any]:
    """Run the analysis and write ``information.json`` and ``information.png`` into the work directory.

    Args:
        cfg: config from :func:`~restorebox.engine.running.keep_test`, with ``overrides``. If the restorer has a
            discriminator, gradients are measured for all checkpoints in the folder.
        config: its name, for the report.
        pictures: number of pictures of the test set.
        beside: work directories of runs analysed before, drawn in the same figure.

    Returns:
        The content of the JSON file.

    Raises:
        ConfigError, CheckpointError, DataError: config, weights, pictures or an earlier analysis are invalid.
    """
    others = {folder.resolve().name: read_information(folder) for folder in beside}
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
        pairs = training_crops(restorer, loader, pictures)
        own = Path(cfg.load_from)
        for path in find_checkpoints(own.parent) or [own]:
            checkpoint = load_file(path)
            try:
                restorer.load_weights(checkpoint['state_dict'])
            except CheckpointError as error:
                raise CheckpointError(f'checkpoint {path}: {error}') from None
            step = int(path.stem.rpartition('_')[2]) if path.stem.startswith('iter_') else 0
            figures['gradients'].append({'step': step, 'losses': gradients(restorer, pairs)})
    out = Path(cfg.work_dir)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(json_bytes(figures), out / 'information.json')
    name = out.resolve().name
    if name in others:
        raise ConfigError(f'--beside: two runs are called {name}; rename a folder')
    draw_information({name: figures, **others}, out / 'information.png')
    return figures

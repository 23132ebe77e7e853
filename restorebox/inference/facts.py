"""Information about a model or weights file: method, size, requirements, scores, licence, limits."""

from __future__ import annotations

from pathlib import Path

import torch

from restorebox.backbones.spandrel_network import SpandrelNetwork
from restorebox.engine.checkpoint import deployed_state, sha256
from restorebox.engine.plugins import plugin_notes
from restorebox.engine.published import build_on_meta, check_deployed, load_model_file, stored_config
from restorebox.engine.zoo import architecture_licence
from restorebox.inference.devices import default_device
from restorebox.inference.feature_means import reads_feature_means
from restorebox.inference.models import WEIGHTS_SUFFIXES, find_model, find_weights, is_url
from restorebox.layers.precision import has_bf16
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer

LARGE = {
    'spatial': 'in tiles',
    'noise': 'averages windows in its sampler',
    'discouraged': 'in tiles, which its authors discourage: give more --memory to restore them whole',
}


def model_facts(model: str) -> dict[str, object]:
    """Return information about a model, name -> value, in display order.

    Args:
        model: a model's name, a weights file, or ``URL#sha256=DIGITS``.

    Raises:
        ConfigError, CheckpointError: it does not exist or can't be read.
    """
    facts: dict[str, object] = {}
    entry = None
    if not is_url(model) and Path(model).suffix not in WEIGHTS_SUFFIXES:
        entry = find_model(model)
        facts |= {'model': entry.name, 'method': entry.collection, 'config': entry.config}
        if entry.precision:
            facts['precision'] = f'{entry.precision}: used by restore on devices that support it (this one: {_here()})'
        if entry.paper:
            facts['paper'] = f'{entry.paper[0]}, {entry.paper[1]}'
    if entry is not None and entry.weights is None:
        facts['weights'] = f'none published: restorebox train {entry.config}'
        from restorebox.engine.config import load_config  # imports MMEngine's Runner, to check the config

        with torch.device('meta'):
            restorer = RESTORERS.build(load_config(entry.config).model)
    else:
        path = find_weights(model)
        checkpoint = load_model_file(path)
        restorer = build_on_meta(stored_config(checkpoint, path)['model'], path)
        check_deployed(checkpoint, restorer, path)
        kinds = sorted({str(each.dtype).removeprefix('torch.') for each in deployed_state(checkpoint).values()})
        size = f'{path.stat().st_size / 2**20:.2f} MiB'
        facts |= {'weights': f'{path}, {size}, {", ".join(kinds)}', 'sha256': sha256(path)}
        facts |= published_facts(checkpoint['meta'])
        backbone = getattr(restorer.role(restorer.deployed[0]), 'backbone', None)
        if isinstance(backbone, SpandrelNetwork):  # what a config for fine-tuning names
            values = ', '.join(f'{name}={value!r}' for name, value in backbone.settings.items())
            facts['architecture'] = architecture_licence(restorer)
            facts['backbone'] = f"dict(type='SpandrelNetwork', {values})"
    facts |= network_facts(restorer)
    return facts


def _here() -> str:
    return 'yes' if has_bf16(default_device()) else 'no, fp32 instead'


def published_facts(meta: dict) -> dict[str, object]:
    """Return the information in a published file's metadata; values of unexpected types are skipped or named."""
    facts: dict[str, object] = {}
    for name in ('licence', 'limits', 'average'):
        if meta.get(name):
            facts[name] = meta[name] if isinstance(meta[name], str) else 'not readable: it is no text'
    if notes := plugin_notes(meta.get('plugins')):
        facts['plugins'] = ', '.join(notes)
    scores = meta.get('scores')
    mean = scores.get('mean') if isinstance(scores, dict) else None
    if isinstance(mean, dict):
        numbers = {name: value for name, value in mean.items() if isinstance(value, (int, float)) and abs(value) < 1e9}
        facts['scores'] = ', '.join(f'{name} {value:.4g}' for name, value in numbers.items())
    return facts


def network_facts(restorer: BaseRestorer) -> dict[str, object]:
    """Return information about a restorer's networks; the restorer may be on the meta device."""
    needs = restorer.needs
    counts = {role: sum(p.numel() for p in restorer.role(role).parameters()) for role in restorer.deployed}
    field = 'the whole picture' if needs.receptive_field is None else f'{needs.receptive_field} pixels'
    window = restorer.statistics_window
    return {
        'regime': type(restorer).__name__,
        'networks': ', '.join(f'{role}: {count:,} weights' for role, count in counts.items()),
        'sees': field,
        'statistics': 'over the whole picture, if any' if window is None else f'over a window of {window} pixels',
        **(
            {'global statistics': 'reads statistics of the whole picture too, taken once for all tiles'}
            if needs.global_statistics
            else {}
        ),
        **(
            {'means of features': 'over the whole picture, by a first pass over its tiles'}
            if reads_feature_means(restorer)
            else {}
        ),
        'stride': needs.stride,
        'large pictures': LARGE[needs.tiling],
    }

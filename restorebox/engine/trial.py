"""Trial of a config's networks, losses and metrics on small synthetic inputs, before any data is read.

Networks and losses run on the meta device, which computes shapes only. An operation that it does not have, such as
``Tensor.item``, ends the trial without a result. Any other error is reported only if it occurs on the CPU as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restorebox.backbones.base import BaseBackbone
from restorebox.engine.check import build_part
from restorebox.errors import ConfigError, MissingPackageError, WeightsError
from restorebox.losses.base import sum_terms
from restorebox.metrics import RestorationMetric
from restorebox.restorers.inputs import Batch, check_training_inputs, take_hardest
from restorebox.restorers.network import Network
from restorebox.sample import RestorationSample

SIDE = 32  # pixels; minimum height of the synthetic picture
BATCH = 2
PICTURES = 2  # that a metric scores
FLOATS = (-1.0, 2.0)  # values of float pictures that noise may give; [0, 1] is meant


def try_on_meta(model: Any, run: Callable[[Any], None], build: Callable[[], Any]) -> None:
    """Call ``run`` with a model on the meta device; after an error that the device may cause, with one on the CPU.

    Args:
        model: on the meta device; may be changed.
        run: the trial.
        build: builds the same model.

    Raises:
        ConfigError: the trial failed.
    """
    try:
        with torch.device('meta'):
            run(model)
        return
    except (WeightsError, MissingPackageError, NotImplementedError):  # depends on this machine
        return
    except ConfigError as error:
        raise ConfigError(f'config, model: {error}') from None
    except Exception as error:
        if 'meta' in str(error).lower():
            return
    # an error of the meta device need not be one of the config
    with torch.random.fork_rng(devices=[]), torch.device('cpu'):
        _unless_missing('model', lambda: run(build()))


def _unless_missing(where: str, make: Callable[[], Any]) -> Any:
    """Return ``build_part(where, make)``; None if weights or a package are missing, which is reported when used."""
    try:
        return build_part(where, make)
    except ConfigError as error:
        if isinstance(error.__cause__, (WeightsError, MissingPackageError)):
            return None
        raise


def try_restoring(model: Any) -> None:
    """Restore a synthetic picture that is not square; check the sizes of features and result.

    Raises:
        ConfigError: a network reads other pictures than RGB, or returns something else than it declares.
    """
    needs = model.needs
    if needs.in_channels != 3:
        raise ConfigError(f'its first network reads {needs.in_channels} channels; pictures have 3 (RGB)')
    height = -(-max(needs.min_size, 2 * needs.stride, SIDE) // needs.stride) * needs.stride
    picture = torch.zeros(1, 3, height, height + needs.stride)
    hooks = []
    for name in model.deployed:
        network = model.role(name)
        if isinstance(network, Network):
            check = partial(_check_features, f'{name}.backbone')
            hooks.append(network.backbone.register_forward_hook(check, with_kwargs=True))
    try:
        out = model.eval().restore(picture)['pred']
    finally:
        for hook in hooks:
            hook.remove()
    if out.shape != picture.shape:
        raise ConfigError(
            f'it restores a picture of {tuple(picture.shape)} (N, C, H, W) to {tuple(out.shape)}; both must be equal. '
            'See out_channels of the head and out_stride of the backbone'
        )


def _check_features(where: str, backbone: BaseBackbone, args: tuple, kwargs: dict, out: Any) -> None:
    kind = f'{where}: {type(backbone).__name__}'
    if not isinstance(out, dict):
        raise ConfigError(f'{kind}.forward returned {type(out).__name__}; it must be a dict with the features by name')
    taps: Iterable[str] = kwargs.get('taps', args[1] if len(args) > 1 else ())
    only_taps = kwargs.get('only_taps', args[2] if len(args) > 2 else False)
    missing = [name for name in (*([] if only_taps else ['out']), *taps) if name not in out]
    if missing:
        raise ConfigError(f"{kind}.forward returned {', '.join(map(str, out)) or 'nothing'}; '{missing[0]}' is missing")
    channels = {**backbone.tap_channels, 'out': backbone.out_channels}
    for name, feature in out.items():
        if isinstance(feature, Tensor) and feature.shape[1] != channels.get(name, feature.shape[1]):
            raise ConfigError(f"{kind} declares {channels[name]} channels of '{name}' and returned {feature.shape[1]}")
    if only_taps:
        return
    x: Tensor = args[0] if args else kwargs['x']
    stride = backbone.out_stride
    declared = tuple(side // stride for side in x.shape[-2:])
    if tuple(out['out'].shape[-2:]) != declared:
        size = 'x'.join(map(str, out['out'].shape[-2:]))
        raise ConfigError(
            f'{kind} declares out_stride={stride}; of a picture of {x.shape[-2]}x{x.shape[-1]} (HxW) it '
            f"returned 'out' of {size}, not {'x'.join(map(str, declared))}"
        )


def try_training(sample: Mapping[str, Tensor], batch_size: int, model: Any) -> None:
    """Compute the losses of all steps once.

    Args:
        sample: picture role -> a picture of the training pipeline, CHW, uint8 or float.
        batch_size: of the data loader.
        model: the restorer.

    Raises:
        ConfigError: a loss is no scalar, or has no gradient for the networks of its step.
    """
    count = min(batch_size, BATCH)
    # tensors of the pipeline are on the CPU; new ones are on the device of the trial
    inputs: Batch = {role: torch.zeros(count, *x.shape) + 0.5 for role, x in sample.items()}
    model.train()
    chosen: Any = take_hardest(model, inputs)
    check_training_inputs(model, chosen)
    prepared = model.prepare(chosen)
    owner = type(model).__name__
    for step, roles in model.steps.items():
        with model.updating(roles):
            terms = model.losses(step, chosen, prepared)
            sum_terms(terms, owner, step)
            trained = any(p.requires_grad for role in roles for p in model.role(role).parameters())
            for name, value in terms.items() if trained else ():
                if name.startswith('loss') and not value.requires_grad:
                    raise ConfigError(
                        f"{owner}: '{name}' of the step '{step}' has no gradient for {', '.join(roles)}; does the loss "
                        'detach its first input?'
                    )


def try_degradation(degradation: Any, picture: np.ndarray) -> None:
    """Apply a degradation twice with the same parameters.

    Args:
        degradation: a :class:`BaseDegradation <restorebox.degradations.base.BaseDegradation>`.
        picture: HWC RGB.

    Raises:
        ConfigError: the parameters can't be stored, or the result is not what its class promises.
    """
    kind = type(degradation).__name__
    parameters = degradation.sample(np.random.default_rng(0), picture.shape)
    if not isinstance(parameters, dict):
        raise ConfigError(f'{kind}.sample returned {type(parameters).__name__}; it must be a dict of the parameters')
    try:
        json.dumps(parameters)
    except (TypeError, ValueError) as error:
        raise ConfigError(f'{kind}.sample: its parameters cannot be stored as JSON: {error}') from None
    given = picture.copy()
    first, second = (degradation.apply(given, parameters) for _ in range(2))
    if not isinstance(first, dict) or 'lq' not in first:
        got = f'a dict with {listed(first)}' if isinstance(first, dict) else type(first).__name__
        raise ConfigError(f"{kind}.apply returned {got}; it must be a dict with 'lq'")
    if not np.array_equal(given, picture):
        raise ConfigError(f'{kind}.apply changes the picture that it is given; change a copy')
    for name, layer in first.items():
        channels = (3,) if name == 'lq' else (1, 3)
        if not isinstance(layer, np.ndarray) or layer.ndim != 3 or layer.shape[2] not in channels:
            got = f'{type(layer).__name__} {tuple(getattr(layer, "shape", ()))}'
            raise ConfigError(f"{kind}.apply: '{name}' is {got}; it must be an array (H, W, {channels[-1]})")
        if layer.shape[:2] != picture.shape[:2]:
            size, wanted = ('x'.join(map(str, each.shape[:2])) for each in (layer, picture))
            raise ConfigError(f"{kind}.apply: '{name}' is {size} (HxW) for a picture of {wanted}")
        if problem := out_of_range(layer):
            raise ConfigError(f"{kind}.apply: '{name}' is {problem}")
        if not np.array_equal(layer, second[name]):
            raise ConfigError(
                f"{kind}.apply: '{name}' differs between two calls with the same parameters; draw from a generator "
                'seeded by one of them'
            )


def out_of_range(picture: np.ndarray) -> str:
    """Return how a float picture is far outside of [0, 1]; '' if it is not."""
    if picture.dtype.kind != 'f' or not picture.size:
        return ''
    low, high = float(picture.min()), float(picture.max())
    if FLOATS[0] <= low <= high <= FLOATS[1]:  # false for NaN
        return ''
    return f'{picture.dtype} with values from {low:g} to {high:g}; float pictures are in [0, 1]'


def is_own(component: Any) -> bool:
    """Return whether a component is of this package, whose metrics are tried by its tests."""
    return type(component).__module__.split('.')[0] == 'restorebox'


def try_metric(metric: Any, sample: Mapping[str, Tensor], where: str) -> None:
    """Score synthetic pictures with a metric of another package; nothing of ours is tried.

    Args:
        metric: a new metric, which is not used afterwards.
        sample: picture role -> a picture of the pipeline, CHW, uint8 or float.
        where: key of the config.

    Raises:
        ConfigError: it fails, or gives scores that it does not declare.
    """
    if is_own(metric) or not isinstance(metric, RestorationMetric):
        return
    with torch.device('cpu'):
        rng = torch.Generator().manual_seed(0)
        known = {'paths': dict.fromkeys(sample, 'a picture'), 'bad': []}
        metric.dataset_meta = {}
        floats = {role: x.float() / 255 if x.dtype == torch.uint8 else x for role, x in sample.items()}
        like = floats.get('gt', next(iter(floats.values())))
        samples = [
            {**floats, 'pred': torch.rand(like.shape, generator=rng), 'name': f'picture {i}', 'index': i, **known}
            for i in range(PICTURES)
        ]
        batch = {
            'inputs': {role: torch.stack([x] * PICTURES) for role, x in sample.items()},
            'data_samples': [
                RestorationSample(metainfo={'name': each['name'], 'index': each['index']}) for each in samples
            ],
        }

        def scored() -> tuple[list[dict], dict[str, float]]:
            metric.process(batch, samples)
            rows = [row for row in metric.results if isinstance(row, dict)]
            return rows, metric.evaluate(PICTURES)

        found = _unless_missing(where, scored)
    if found is None:
        return
    rows, metrics = found
    kind = f'config, {where}: {type(metric).__name__}'
    for name, value in metrics.items():
        if not isinstance(value, (int, float, np.number)):
            raise ConfigError(f"{kind}: the score '{name}' is {type(value).__name__}, not a number")
    for name in getattr(metric, 'protocols', ()):
        if name not in metrics and not metric.is_absent(name):
            raise ConfigError(f"{kind} declares the score '{name}' in protocols and gave {listed(metrics)}")
        if math.isnan(metrics.get(name, 0)) and not any(name in row for row in rows):
            raise ConfigError(f"{kind}: its results have no score '{name}', only {listed(*rows)}")


def listed(*rows: Mapping[str, Any]) -> str:
    """Return the keys of dicts as text, without those of every result."""
    names = dict.fromkeys(name for row in rows for name in row if name not in ('index', 'name', 'why'))
    return ', '.join(f"'{name}'" for name in names) or 'none'

"""Check of the data loaders of a config: contradicting options, and windows that do not fit the networks."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from torch import Tensor

from restorebox import registry as own
from restorebox.datasets.base import check_keyed
from restorebox.datasets.mixture import leaf_sets
from restorebox.datasets.transforms import CentreWindow, Degrade, LoadPictures, RandomWindow, Resize, Rotate90
from restorebox.engine.check import build_part, check_roles
from restorebox.engine.loops import SampleTrainLoop
from restorebox.engine.trial import is_own, out_of_range, try_degradation
from restorebox.errors import ConfigError, MissingPackageError, PictureError, RestoreboxError, WeightsError, one_line

Sample = dict[str, Tensor]  # picture role -> CHW


def check_loader(plain: dict, part: str, model: Any) -> tuple[list[str], Sample | None]:
    """Check a data loader, build its data set without reading the disk, and apply its pipeline to a synthetic picture.

    Args:
        plain: the config as a dict.
        part: 'train', 'val' or 'test'.
        model: the restorer.

    Returns:
        Warnings, one line each: windows that are larger than the resized pictures; and the roles of the synthetic
        sample, CHW, None where the pipeline can't be tried.

    Raises:
        ConfigError: names the key of the loader.
    """
    where = f'{part}_dataloader'
    loader = plain[where]
    for key in ('dataset', 'sampler', 'batch_size'):
        if key not in loader:
            raise ConfigError(f"config, {where}: needs the key '{key}'")
    check_options(loader, where, part)
    build_part(f'{where}.dataset', lambda: check_keyed(loader['dataset']))
    dataset = build_part(f'{where}.dataset', lambda: own.DATASETS.build({**loader['dataset'], 'lazy_init': True}))
    kind = loader['sampler'].get('type')
    sampler = own.DATA_SAMPLERS.get(kind) if isinstance(kind, str) else kind
    if sampler is None:
        raise ConfigError(f"config, {where}.sampler: needs the key 'type'")
    if part != 'train':
        padded = []
        sample = None
        for name, leaf in leaf_sets(dataset):
            sample = _try_pipeline(leaf, None, f'{where}.{_path(name)}.pipeline') or sample
            padded += _padded_windows(leaf, f'{where}.{_path(name)}')
        if _is_endless(sampler):
            raise ConfigError(
                f"config, {where}.sampler: it is infinite; use dict(type='DefaultSampler', shuffle=False)"
            )
        return padded, sample
    build_part(f'{where}.dataset', lambda: check_roles(model, dataset))
    build_part(f'{where}.sampler', lambda: SampleTrainLoop.check_sampler(sampler))
    found: dict[str, Sample] = {}
    windows: dict[str, tuple[int, ...]] = {}
    for name, leaf in leaf_sets(dataset):
        inside = f'{where}.{_path(name)}.pipeline'
        sample = _try_pipeline(leaf, model, inside)
        if sample is not None:
            found[name] = sample
        if hasattr(model, 'needs'):
            windows[name] = _check_windows(leaf.pipeline.transforms, loader['batch_size'], model, inside)
    roles = {name: sorted(sample) for name, sample in found.items()}
    build_part(f'{where}.dataset', lambda: _check_alike(roles, windows, loader['batch_size']))
    padded = [line for name, leaf in leaf_sets(dataset) for line in _padded_windows(leaf, f'{where}.{_path(name)}')]
    return padded, next(iter(found.values())) if found and (1, 1) not in windows.values() else None


def _padded_windows(dataset: Any, where: str) -> list[str]:
    """Return a line for each window that is larger than the picture to which an earlier transform resizes."""
    lines = []
    size: tuple[int, int] | None = None
    exact = False
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(transform, Resize) and transform.roles is None:
            size = transform.size or (cast(int, transform.short), cast(int, transform.short))
            exact = transform.size is not None
        elif isinstance(transform, RandomWindow):
            if size is not None:
                larger = [a > b for a, b in zip(transform.size, size, strict=True)]
                if any(larger) if exact else all(larger):
                    resized = f'{size[0]}x{size[1]}' if exact else f'a shorter side of {size[0]}'
                    window = f'{transform.size[0]}x{transform.size[1]}'
                    lines.append(
                        f'{where}.pipeline: a window of {window} exceeds the pictures, resized to {resized} before; '
                        'the rest is filled by reflection'
                    )
            if transform.roles is None:
                size, exact = transform.size, True
    return lines


def _path(name: str) -> str:
    return f'dataset.datasets.{name}' if name else 'dataset'


def _check_alike(roles: dict[str, list[str]], windows: dict[str, tuple[int, ...]], batch_size: int) -> None:
    """Refuse sets of a mixture whose samples do not fit into one batch."""
    for what, each in (('gives the roles', roles), ('cuts windows of', windows if batch_size > 1 else {})):
        shown = {name: ('x' if what.startswith('cuts') else ', ').join(map(str, value)) for name, value in each.items()}
        first = next(iter(shown), '')
        for name, value in shown.items():
            if value != shown[first]:
                raise ConfigError(
                    f"the set '{first}' {what} {shown[first]} and '{name}' {value}; samples of one batch must agree"
                )


def _is_endless(sampler: Any) -> bool:
    return hasattr(sampler, 'skip') or getattr(sampler, '__name__', '') == 'InfiniteSampler'


def check_options(loader: dict, where: str, part: str) -> None:
    """Refuse options that torch rejects when the first batch is fetched, or that drop pictures.

    Raises:
        ConfigError: names the options that contradict each other.
    """
    if not loader.get('num_workers', 0):
        for key in ('persistent_workers', 'prefetch_factor', 'timeout', 'multiprocessing_context'):
            if loader.get(key):
                raise ConfigError(
                    f'config, {where}: {key}={loader[key]!r} applies to workers, but num_workers is 0; leave it out or '
                    'set num_workers to 1 or more'
                )
    if loader.get('batch_sampler') is not None:
        raise ConfigError(f'config, {where}: batch_sampler contradicts batch_size and sampler, which are needed')
    if loader.get('shuffle'):
        raise ConfigError(f'config, {where}: shuffle=True contradicts the sampler; set sampler.shuffle instead')
    for key in ('drop_last', 'num_batch_per_epoch') if part != 'train' else ():
        if loader.get(key):
            raise ConfigError(
                f'config, {where}: {key}={loader[key]!r} drops pictures, but the whole set is scored; leave it out, '
                'or use a smaller set by limit=N in the data set'
            )
    collate = loader.get('collate_fn')
    if collate is not None:
        found = own.FUNCTIONS.get(str(collate.get('type')))
        if not found.__module__.startswith('mmengine.'):
            return
        raise ConfigError(
            f"config, {where}.collate_fn: {collate['type']} does not make a batch of roles; use 'collate_roles'"
        )


def _try_pipeline(dataset: Any, model: Any, where: str) -> Sample | None:
    """Apply the transforms to a synthetic picture: a wrong order or a missing role fails for every picture.

    Returns:
        The roles that the pipeline gives, CHW; None where it can't be tried.
    """
    roles, transforms = getattr(dataset, 'roles', None), getattr(getattr(dataset, 'pipeline', None), 'transforms', None)
    if roles is None or transforms is None:  # a class of another package
        return None
    large = [max(t.size) for t in transforms if isinstance(t, (RandomWindow, Resize)) and t.size is not None]
    if max(large, default=0) > 4096:
        return None
    roles = [*roles, *(['real'] if getattr(dataset, 'real', None) is not None else [])]
    known = {'name': 'a picture', 'index': 0, 'paths': dict.fromkeys(roles, 'a picture'), 'bad': []}
    rng = np.random.default_rng(0)
    sample: dict[str, Any] = {**known, 'rng': rng, 'key': None}
    for number, transform in enumerate(transforms):
        _check_copies(transform, f'{where}.{number}')
        try:
            if isinstance(transform, LoadPictures):
                sample.update({role: rng.integers(0, 256, (96, 128, 3), np.uint8) for role in roles})
            else:
                if isinstance(transform, Degrade) and isinstance(sample.get(transform.source), np.ndarray):
                    try_degradation(transform.recipe, sample[transform.source])
                sample = transform(sample)
        except (WeightsError, MissingPackageError, PictureError):  # depends on this machine; reported when it runs
            return None
        except RestoreboxError as error:
            raise ConfigError(f'config, {where}.{number}: {error}') from None
        except Exception as error:
            line = ' '.join(str(error).split())[:300]
            kind = type(transform).__name__
            raise ConfigError(
                f"config, {where}.{number}: {kind} can't be used here ({type(error).__name__}: {line})"
            ) from error
        if not isinstance(sample, dict):
            raise ConfigError(f'config, {where}.{number}: {type(transform).__name__} returned no sample')
        problem = '' if is_own(transform) else _out_of_range(sample, (*roles, *getattr(transform, 'gives', ())))
        if problem:
            raise ConfigError(f'config, {where}.{number}: {type(transform).__name__} made {problem}')
    if not isinstance(sample.get('inputs'), dict):
        raise ConfigError(f"config, {where}: it must end with dict(type='Pack')")
    wanted = getattr(model, 'picture_roles', ('lq',))
    for role in wanted:
        if role not in sample['inputs']:
            got = ', '.join(sample['inputs']) or 'nothing'
            raise ConfigError(f"config, {where}: it gives {got}, but '{role}' is needed")
    return sample['inputs']


def _check_copies(transform: Any, where: str) -> None:
    """Refuse a transform that can't be copied to a worker process."""
    if is_own(transform):
        return
    try:
        pickle.dumps(transform)
    except Exception as error:
        raise ConfigError(
            f'config, {where}: {type(transform).__name__} cannot be pickled, as workers of the data loader need '
            f'({one_line(error)}); store no lambda, open file or lock in it'
        ) from None


def _out_of_range(sample: dict[str, Any], roles: Sequence[str]) -> str:
    """Return which picture has float values far outside of [0, 1]; '' if none."""
    arrays = {role: sample[role] for role in roles if isinstance(sample.get(role), np.ndarray)}
    return next((f"'{role}' {problem}" for role, array in arrays.items() if (problem := out_of_range(array))), '')


def _check_windows(transforms: Sequence[Any], batch_size: int, model: Any, where: str) -> tuple[int, ...]:
    """Refuse a last window that does not fit the networks; return the size of the last one, (1, 1) without."""
    stride, least = model.needs.stride, model.smallest_crop
    size: Sequence[int] = ()
    for transform in transforms:
        if isinstance(transform, (RandomWindow, CentreWindow)):
            size = transform.size
        elif isinstance(transform, Rotate90) and size and size[0] != size[1] and 0 < transform.p < 1 < batch_size:
            raise ConfigError(
                f'config, {where}: a window of {size[0]}x{size[1]} before Rotate90 gives pictures of two sizes, which '
                f'no batch of {batch_size} can hold; use a square window or batch_size=1'
            )
    if not size:
        return (1, 1)
    # earlier windows only bound what the last one is cut from
    window = f'a window of {size[0]}x{size[1]}'
    if min(size) < least:
        raise ConfigError(
            f'config, {where}: {window} is too small for the networks that are trained; they need at least {least}'
        )
    if any(side % stride for side in size):
        raise ConfigError(f'config, {where}: {window} does not fit the networks; they need multiples of {stride}')
    return tuple(size)

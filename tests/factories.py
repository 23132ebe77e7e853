"""One small way to build each registered component, so that tests which walk a registry can build them all.

A component whose constructor has no usable defaults is listed here; one that is missing makes the walking tests fail
with its name, so a new component is covered the day it is registered.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from restorebox.registry import BACKBONES, HEADS, RESTORERS

SMALL_UNET = dict(type='UNet', levels=2, base_width=4, max_width=8)

# name -> config overrides that make it small; {} where the defaults are small enough
SMALL_BACKBONES = {'UNet': dict(levels=3, base_width=4, max_width=8)}
SMALL_HEADS = {'PictureHead': dict(in_channels=4, scale=2)}
SMALL_RESTORERS = {
    'SupervisedRestorer': dict(
        generator=dict(backbone=SMALL_UNET, head=dict(type='PictureHead')), losses=dict(l1=dict(type='L1Loss'))
    )
}
SMALL_RESTORERS['ToyGAN'] = dict(generator=SMALL_RESTORERS['SupervisedRestorer']['generator'])
NOT_RESTORERS = {'RestorationPreprocessor'}


def _own(registry) -> list[str]:
    registry.import_from_location()
    return sorted(name for name, cls in registry.module_dict.items() if cls.__module__.startswith('restorebox.'))


def _tests_own() -> list[str]:
    """Restorers of the tests: what the house promises and nothing in it uses yet (several optimisers)."""
    import tests.toy_gan  # noqa: F401 (registers itself)

    return ['ToyGAN']


def backbone_names() -> list[str]:
    """Every registered backbone."""
    return _own(BACKBONES)


def head_names() -> list[str]:
    """Every registered head."""
    return _own(HEADS)


def restorer_names() -> list[str]:
    """Every registered restorer."""
    return [name for name in _own(RESTORERS) if name not in NOT_RESTORERS] + _tests_own()


def small_backbone(name: str) -> torch.nn.Module:
    """A small backbone of that name."""
    return BACKBONES.build(dict(type=name, **SMALL_BACKBONES[name]))


def small_restorer(name: str) -> torch.nn.Module:
    """A small restorer of that name."""
    _tests_own()
    return RESTORERS.build(dict(type=name, **SMALL_RESTORERS[name]))


def random_inputs(restorer: torch.nn.Module, batch: int, size: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch of the pictures that a restorer trains on, in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    return {role: torch.rand(batch, 3, size, size, generator=generator) for role in restorer.picture_roles}


def write_pairs(root: Path, split: str, count: int, size: tuple[int, int] = (40, 48), seed: int = 0) -> None:
    """Smooth pictures with dark noise over them, as ``root/split/{lq,gt}/NN.png``."""
    rng = np.random.default_rng([seed, len(split)])
    for role in ('lq', 'gt'):
        (root / split / role).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        small = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        gt = np.asarray(Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC))
        lq = np.clip(gt + rng.normal(0, 25, gt.shape), 0, 255).astype(np.uint8)
        Image.fromarray(gt).save(root / split / 'gt' / f'{i:02d}.png')
        Image.fromarray(lq).save(root / split / 'lq' / f'{i:02d}.png')

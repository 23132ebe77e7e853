"""A pool of generated pictures for a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.errors import ConfigError


class ImagePool:
    """Shows a discriminator earlier generated pictures half of the time.

    Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training" (CVPR 2017), as
    CycleGAN uses it. A full pool answers a picture, by a fair coin, with itself or with a stored one, which it takes
    the place of.

    Args:
        size: pictures to keep; 0 hands every picture back.
        rng: random number generator of the coin and of the choice, on the CPU.

    Raises:
        ConfigError: a negative size.
    """

    def __init__(self, size: int, rng: torch.Generator) -> None:
        if not isinstance(size, int) or size < 0:
            raise ConfigError(f'image_pool is {size!r}; it must be a whole number from 0')
        self.size = size
        self.rng = rng
        self.pictures: list[Tensor] = []

    def query(self, batch: Tensor) -> Tensor:
        """``(N, C, H, W)`` generated now -> as many, generated now or earlier. No gradient."""
        batch = batch.detach()
        if self.size == 0:
            return batch
        shown = []
        for picture in batch:
            if len(self.pictures) < self.size:
                self.pictures.append(picture.clone())
            elif torch.rand((), generator=self.rng, device='cpu') < 0.5:
                k = int(torch.randint(self.size, (), generator=self.rng, device='cpu'))
                picture, self.pictures[k] = self.pictures[k], picture.clone()
            shown.append(picture.to(batch.device))  # a resumed pool lies on the CPU
        return torch.stack(shown)

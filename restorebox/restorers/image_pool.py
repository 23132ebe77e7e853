"""Image pool: generated pictures of earlier iterations for a discriminator."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.errors import ConfigError


class ImagePool:
    """Replace half of the generated pictures by earlier ones.

    Shrivastava et al., "Learning from simulated and unsupervised images through adversarial training" (CVPR 2017), as
    CycleGAN uses it. With probability 0.5 a full pool returns a stored picture, which the new one replaces; otherwise
    it returns the new picture.

    Args:
        size: capacity of the pool; 0 returns every picture unchanged.
        rng: random number generator, on the CPU.

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
        """Return as many pictures as ``batch`` ``(N, C, H, W)``, new or earlier ones, without gradient."""
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
            shown.append(picture.to(batch.device))  # pictures of a resumed pool are on the CPU
        return torch.stack(shown)

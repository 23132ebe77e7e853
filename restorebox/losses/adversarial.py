"""Adversarial losses on a discriminator's logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32, without_autocast
from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES, nearest
from restorebox.values import NotNegative

# (logits, +1 for real or -1 for generated) -> a loss per logit
MODES = {
    'hinge': lambda logits, sign: F.relu(1 - sign * logits),
    'lsgan': lambda logits, sign: (logits - (1 + sign) / 2).square(),
    'vanilla': lambda logits, sign: F.softplus(-sign * logits),
}


@LOSSES.register_module()
class AdversarialLoss(BaseLoss):
    """Adversarial loss: distance of a discriminator's logits from the label real or generated.

    The discriminator's loss is the mean of ``loss(D(real), True)`` and ``loss(D(fake), False)``, the generator's is
    ``loss(D(fake), True)``.

    Args:
        mode: ``'hinge'``: ``max(0, 1 - l)`` and ``max(0, 1 + l)`` (Lim and Ye 2017; for the generator as in CCLGAN,
            bounded below, not the common ``-l``); ``'lsgan'``: ``(l - 1)^2`` and ``l^2`` (Mao et al., ICCV 2017);
            ``'vanilla'``: binary cross entropy of the sigmoid (Goodfellow et al. 2014).
        weight: factor of the result.

    Raises:
        ConfigError: unknown mode.
    """

    of_pictures = False
    used_by = "model.type='AdversarialRestorer' with gan_mode, see configs/infoaccum"

    def __init__(self, mode: str = 'hinge', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        if mode not in MODES:
            raise ConfigError(f"AdversarialLoss has no mode '{mode}'; {nearest(str(mode), tuple(MODES))}")
        self.mode = mode

    def forward(self, logits: Tensor, real: bool) -> Tensor:  # type: ignore[override]  # takes logits
        """Return the mean over all logits, in float32.

        Args:
            logits: output of a discriminator without sigmoid, any shape.
            real: the label: True for real, False for generated.
        """
        with without_autocast(logits):
            return self.weight * MODES[self.mode](at_least_float32(logits), 1 if real else -1).mean()

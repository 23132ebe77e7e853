"""Orthogonality of a feature map's channels by singular values."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32, without_autocast
from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES, nearest
from restorebox.values import NotNegative

MODES = ('raw', 'raw_abs', 'unit')
LEAST_ENERGY = 1e-8  # added to the mean eigenvalue that 'unit' divides by, which is 0 for a map of zeros


@LOSSES.register_module()
class SVDOLoss(BaseLoss):
    """Spectral value difference orthogonality: penalises channels that are not orthogonal with equal energy.

    For a feature map F, reshaped to C x HW, lambda are the eigenvalues of G = F F^T. They are all equal if and only if
    the channels are orthogonal and have equal energy (impossible for non-zero F when HW < C):

    - ``'raw'``: (lambda_max - lambda_min)^2, equation 5 of Li et al. (ECCV 2020). It grows with the fourth power of the
      features and the square of the number of pixels;
    - ``'raw_abs'``: lambda_max - lambda_min, the original form in the code of ABD-Net (Chen et al., ICCV 2019);
    - ``'unit'``: ``'raw'`` of G / (trace(G) / C), which depends neither on the size nor on the scale of F.

    Args:
        mode: one of the three.
        weight: factor of the result; the paper's beta is 1e-5.

    Raises:
        ConfigError: unknown mode.
    """

    of_pictures = False
    of_features = True
    used_by = 'model.feature_losses'

    def __init__(self, mode: str = 'unit', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        if mode not in MODES:
            raise ConfigError(f"SVDOLoss: mode is '{mode}'; {nearest(str(mode), MODES)}")
        self.mode = mode

    def forward(self, features: Tensor) -> Tensor:  # type: ignore[override]  # takes one feature map
        """Return ``weight`` times the mean over a batch of maps, in float32 (float64 is kept), also under autocast.

        Args:
            features: ``(N, C, H, W)``; receives gradients, which are finite also for equal eigenvalues.

        Returns:
            A scalar; NaN where a feature is NaN or infinite.
        """
        with without_autocast(features):
            flat = at_least_float32(features).flatten(2)
            gram = flat @ flat.mT
            if not torch.isfinite(gram).all():  # the solver would raise; the restorer reports a NaN loss
                return self.weight * gram.sum() * float('nan')
            if self.mode == 'unit':
                mean = gram.diagonal(dim1=1, dim2=2).mean(1)
                gram = gram / (mean + LEAST_ENERGY)[:, None, None]
            values = torch.linalg.eigvalsh(gram)  # ascending
            spread = values[:, -1] - values[:, 0]
            return self.weight * (spread if self.mode == 'raw_abs' else spread.square()).mean()

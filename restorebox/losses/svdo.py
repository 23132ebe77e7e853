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
LEAST_ENERGY = 1e-8  # added to the mean eigenvalue that 'unit' divides by: a blank patch has none


@LOSSES.register_module()
class SVDOLoss(BaseLoss):
    """Spectral value difference orthogonality: how far a feature map's channels are from orthogonal and equally strong.

    Of a map F as C x HW, G = F F^T has the eigenvalues lambda, all equal if and only if channels are orthogonal and of
    equal energy (never when HW < C):

    - ``'raw'``: (lambda_max - lambda_min)^2, as Li et al. write it (ECCV 2020, equation 5). It grows with the fourth
      power of the features and the square of the picture's size;
    - ``'raw_abs'``: lambda_max - lambda_min, as the code of ABD-Net has it (Chen et al., ICCV 2019), where it is from;
    - ``'unit'``: ``'raw'`` of G / (trace(G) / C), which depends on neither size nor scale.

    Args:
        mode: one of the three.
        weight: factor of the result; the paper's beta is 1e-5.

    Raises:
        ConfigError: another mode.
    """

    of_pictures = False
    of_features = True

    def __init__(self, mode: str = 'unit', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        if mode not in MODES:
            raise ConfigError(f"SVDOLoss: mode is '{mode}'; {nearest(str(mode), MODES)}")
        self.mode = mode

    def forward(self, features: Tensor) -> Tensor:
        """``weight`` times the mean over a batch of maps, in float32 (float64 stays), also under autocast.

        Args:
            features: ``(N, C, H, W)``; gradients reach it, finite ones also where eigenvalues coincide.

        Returns:
            A scalar; NaN where a feature is NaN or infinite.
        """
        with without_autocast(features):
            flat = at_least_float32(features).flatten(2)
            gram = flat @ flat.mT
            if not torch.isfinite(gram).all():  # the solver would raise; the restorer names a NaN
                return self.weight * gram.sum() * float('nan')
            if self.mode == 'unit':
                mean = gram.diagonal(dim1=1, dim2=2).mean(1)
                gram = gram / (mean + LEAST_ENERGY)[:, None, None]
            values = torch.linalg.eigvalsh(gram)  # ascending
            spread = values[:, -1] - values[:, 0]
            return self.weight * (spread if self.mode == 'raw_abs' else spread.square()).mean()

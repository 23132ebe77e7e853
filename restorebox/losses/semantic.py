"""Distance between the features of a registered semantic encoder."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.encoders.semantic import feature_distance
from restorebox.losses.base import BaseLoss
from restorebox.registry import ENCODERS, LOSSES
from restorebox.values import NotNegative


@LOSSES.register_module()
class SemanticLoss(BaseLoss):
    """Weighted distance between two pictures in the features of an encoder.

    ::

        pred   -> encoder -> features --------------------+
                                                          +-> sum_k w_k mean |. - .|
        target -> encoder -> features (no gradient) ------+

    The encoder is frozen, built at first use and not part of this module's ``state_dict``.

    Args:
        encoder: config of one of ``ENCODERS``, e.g. ``dict(type='CLIPVisual')``; its ``distance_weights`` are the w_k.
        weight: factor of the sum.

    Raises:
        WeightsError: at first use, when the encoder's weights can't be used.
    """

    value_range = (0.0, 1.0)

    def __init__(self, encoder: dict, weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        self.encoder = ENCODERS.build(encoder)

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``sum_k w_k mean |Phi_k(pred) - Phi_k(target)|`` of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels.
        """
        predicted = self.encoder(pred)
        with torch.no_grad():
            clean = self.encoder(target)
        weights = self.encoder.distance_weights
        distances = feature_distance(predicted, clean, weights)
        return torch.stack([w * distances[name].mean() for name, w in weights.items()]).sum()

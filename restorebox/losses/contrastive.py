"""Contrastive losses of unpaired restoration.

Zhao et al., "Cycle contrastive adversarial learning for unsupervised image deraining" (arXiv 2407.11750); the patchwise
one is Park et al., "Contrastive learning for unpaired image-to-image translation" (CUT, ECCV 2020). All are means over
the pictures of a batch of what each picture gives alone, so that ranks and batch sizes make no difference.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from restorebox.encoders.semantic import feature_distance
from restorebox.errors import ConfigError
from restorebox.layers.precision import unit_vectors
from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES, nearest
from restorebox.values import NotNegative, Positive

EPS = 1e-7
KINDS = ('both', 'real', 'fake')

Features = dict[str, Tensor]


def _check_kind(owner: str, key: str, kind: str) -> None:
    if kind not in KINDS:
        raise ConfigError(f"{owner}: {key} is '{kind}'; {nearest(str(kind), KINDS)}")


@LOSSES.register_module()
class PatchNCELoss(BaseLoss):
    """InfoNCE between positions: a patch should look more like its own source than like any other patch of it.

    Eq 7 of CCLGAN, eq 4 of CUT: ``-log(exp(q.k+ / tau) / sum_j exp(q.k_j / tau))`` with cosine similarity; k+ is the
    key at the query's position, the others are those at the other positions of the same picture.

    Args:
        temperature: tau.
        weight: factor of the result.

    Raises:
        ConfigError: a temperature that is not positive.
    """

    of_pictures = False

    def __init__(self, temperature: Positive = 0.07, weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        if temperature <= 0:
            raise ConfigError(f'PatchNCELoss: temperature is {temperature}; it must be positive')
        self.temperature = temperature

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean over positions and pictures.

        Args:
            pred: queries ``(N, P, C)`` of any length.
            target: keys of the same shape at the same positions; no gradient goes there.
        """
        query, key = unit_vectors(pred), unit_vectors(target.detach())
        logits = query @ key.transpose(1, 2) / self.temperature
        own = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape[0], -1)
        return F.cross_entropy(logits.transpose(1, 2), own)


@LOSSES.register_module()
class IntraContrastiveLoss(BaseLoss):
    """A reconstruction should mean what its source means, and not what the other pictures mean.

    Eqs 1 and 2 of CCLGAN, in the space of a frozen encoder Phi with distance d:
    ``d(R, I) / (d(R, other) + mu d(R, F) + eps)``. It stands where CycleGAN has its pixel cycle loss.

    Args:
        mu: weight of the generated negative F.
        negatives: ``'both'``; ``'real'``: the other domain's picture alone (mu = 0); ``'fake'``: F alone (mu = 1).
        weight: factor of the result.

    Raises:
        ConfigError: other ``negatives``.
    """

    of_pictures = False

    def __init__(self, mu: NotNegative = 0.1, negatives: str = 'both', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        _check_kind('IntraContrastiveLoss', 'negatives', negatives)
        self.real, self.fake = {'both': (1.0, mu), 'real': (1.0, 0.0), 'fake': (0.0, 1.0)}[negatives]

    def forward(
        self, anchor: Features, positive: Features, other: Features, fake: Features, weights: dict[str, float]
    ) -> Tensor:
        """One direction of the cycle; all but the anchor are taken without gradient.

        Args:
            anchor: Phi of the reconstruction R, feature -> ``(N, ...)``.
            positive: of its source I.
            other: of a real picture of the other domain.
            fake: of the generated picture F between the two.
            weights: feature -> its share in the result (one feature of weight 1 for CLIP).
        """
        near, far, made = (
            feature_distance(anchor, {name: x[name].detach() for name in weights}, weights)
            for x in (positive, other, fake)
        )
        each = [
            share * (near[name] / (self.real * far[name] + self.fake * made[name] + EPS)).mean()
            for name, share in weights.items()
        ]
        return self.weight * torch.stack(each).sum()


@LOSSES.register_module()
class InterContrastiveLoss(BaseLoss):
    """Generated and reconstructed pictures of a domain should look like its real ones to its discriminator.

    Eqs 4 and 5 of CCLGAN, over the levels l of projected discriminator features h:
    ``sum_l (d(hF, hI) + d(hR, hI) + nu d(hF, hR)) / (d(hF, hO) + d(hR, hO) + eps)``, O being a real picture of the
    other domain; divided by the number of discriminator layers among the levels, as the authors' code does.

    Args:
        nu: weight of the term between F and R.
        positives: ``'both'``; ``'real'``: I alone (nu = 0); ``'fake'``: F and R alone (nu = 1).
        weight: factor of the result.

    Raises:
        ConfigError: other ``positives``.
    """

    of_pictures = False

    def __init__(self, nu: NotNegative = 0.2, positives: str = 'both', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        _check_kind('InterContrastiveLoss', 'positives', positives)
        self.real, self.fake = {'both': (1.0, nu), 'real': (1.0, 0.0), 'fake': (0.0, 1.0)}[positives]

    def forward(self, fake: Features, reconstructed: Features, real: Features, other: Features) -> Tensor:
        """One domain.

        Args:
            fake: level -> ``(N, P, C)`` vectors of the generated picture F at P positions.
            reconstructed: of R, a picture of the same domain.
            real: of a real picture of the domain.
            other: of a real picture of the other domain.
        """
        levels = dict.fromkeys(fake, 1.0)
        f_i, r_i, f_r, f_o, r_o = (
            feature_distance(a, b, levels)
            for a, b in (
                (fake, real),
                (reconstructed, real),
                (fake, reconstructed),
                (fake, other),
                (reconstructed, other),
            )
        )
        each = [
            ((self.real * (f_i[level] + r_i[level]) + self.fake * f_r[level]) / (f_o[level] + r_o[level] + EPS)).mean()
            for level in levels
        ]
        layers = max(sum(level != 'input' for level in levels), 1)
        return self.weight * torch.stack(each).sum() / layers

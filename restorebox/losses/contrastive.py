"""Contrastive losses of unpaired restoration.

Zhao et al., "Cycle contrastive adversarial learning for unsupervised image deraining" (arXiv 2407.11750); the patchwise
loss is from Park et al., "Contrastive learning for unpaired image-to-image translation" (CUT, ECCV 2020). All are
computed per picture and averaged over the batch, so that results do not depend on batch size or number of ranks.
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
    """PatchNCE: InfoNCE between the features of patches at the same and at different positions.

    Eq 7 of CCLGAN, eq 4 of CUT: ``-log(exp(q.k+ / tau) / sum_j exp(q.k_j / tau))`` with cosine similarity; k+ is the
    key at the query's position; the negatives are the keys at the other positions of the same picture.

    Args:
        temperature: tau.
        weight: factor of the result.

    Raises:
        ConfigError: ``temperature`` is not positive.
    """

    of_pictures = False
    used_by = "model.type='CycleRestorer' with lambda_lcl, see configs/cut"

    def __init__(self, temperature: Positive = 0.07, weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        if temperature <= 0:
            raise ConfigError(f'PatchNCELoss: temperature is {temperature}; it must be positive')
        self.temperature = temperature

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the mean over positions and pictures.

        Args:
            pred: queries ``(N, P, C)``, not necessarily normalised.
            target: keys of the same shape at the same positions; receive no gradient.
        """
        query, key = unit_vectors(pred), unit_vectors(target.detach())
        logits = query @ key.transpose(1, 2) / self.temperature
        own = torch.arange(logits.shape[-1], device=logits.device).expand(logits.shape[0], -1)
        return F.cross_entropy(logits.transpose(1, 2), own)


@LOSSES.register_module()
class IntraContrastiveLoss(BaseLoss):
    """Contrastive cycle loss: pulls a reconstruction to its source and pushes it from other pictures, in feature space.

    Eqs 1 and 2 of CCLGAN, in the space of a frozen encoder Phi with distance d:
    ``d(R, I) / (d(R, other) + mu d(R, F) + eps)``. It replaces the pixel-wise cycle loss of CycleGAN.

    Args:
        mu: weight of the generated negative F.
        negatives: ``'both'``; ``'real'``: only the other domain's picture (mu = 0); ``'fake'``: only F (mu = 1).
        weight: factor of the result.

    Raises:
        ConfigError: unknown ``negatives``.
    """

    of_pictures = False
    used_by = "model.type='CycleRestorer' with lambda_intra, see configs/cclgan"

    def __init__(self, mu: NotNegative = 0.1, negatives: str = 'both', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        _check_kind('IntraContrastiveLoss', 'negatives', negatives)
        self.real, self.fake = {'both': (1.0, mu), 'real': (1.0, 0.0), 'fake': (0.0, 1.0)}[negatives]

    def forward(  # type: ignore[override]  # takes features of four pictures
        self, anchor: Features, positive: Features, other: Features, fake: Features, weights: dict[str, float]
    ) -> Tensor:
        """Return the loss of one direction of the cycle; only the anchor receives gradients.

        Args:
            anchor: Phi of the reconstruction R, feature -> ``(N, ...)``.
            positive: features of its source I.
            other: features of a real picture of the other domain.
            fake: features of the generated picture F, the intermediate picture of the cycle.
            weights: feature -> its weight in the result (one feature of weight 1 for CLIP).
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
    """Contrastive loss that pulls generated and reconstructed pictures to real ones in discriminator features.

    Eqs 4 and 5 of CCLGAN, over the levels l of projected discriminator features h:
    ``sum_l (d(hF, hI) + d(hR, hI) + nu d(hF, hR)) / (d(hF, hO) + d(hR, hO) + eps)``, O being a real picture of the
    other domain; divided by the number of discriminator layers among the levels, as the authors' code does.

    Args:
        nu: weight of the term between F and R.
        positives: ``'both'``; ``'real'``: only I (nu = 0); ``'fake'``: only F and R (nu = 1).
        weight: factor of the result.

    Raises:
        ConfigError: unknown ``positives``.
    """

    of_pictures = False
    used_by = "model.type='CycleRestorer' with lambda_inter, see configs/cclgan"

    def __init__(self, nu: NotNegative = 0.2, positives: str = 'both', weight: NotNegative = 1.0) -> None:
        super().__init__(weight)
        _check_kind('InterContrastiveLoss', 'positives', positives)
        self.real, self.fake = {'both': (1.0, nu), 'real': (1.0, 0.0), 'fake': (0.0, 1.0)}[positives]

    def forward(  # type: ignore[override]  # takes features of four pictures
        self, fake: Features, reconstructed: Features, real: Features, other: Features
    ) -> Tensor:
        """Return the loss of one domain.

        Args:
            fake: level -> ``(N, P, C)`` vectors of the generated picture F at P positions.
            reconstructed: vectors of the reconstructed picture R of the same domain.
            real: vectors of a real picture I of the domain.
            other: vectors of a real picture O of the other domain.
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

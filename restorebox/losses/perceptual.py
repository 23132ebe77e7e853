"""Perceptual losses: distances between features of pretrained classification networks.

Johnson et al. 2016, "Perceptual losses for real-time style transfer and super-resolution",
https://arxiv.org/abs/1603.08155, section 3.2; Zhang et al. 2018, "The unreasonable effectiveness of deep features as a
perceptual metric" (LPIPS), https://arxiv.org/abs/1801.03924; Wu et al. 2021, "Contrastive Learning for Compact Single
Image Dehazing", https://arxiv.org/abs/2104.09367.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from restorebox.encoders.frozen import (
    LPIPS_MIN_SIZE,
    VGG16_LAYERS,
    LazyFrozen,
    check_lpips_net,
    lpips_network,
    vgg16_taps,
)
from restorebox.encoders.semantic import SemanticEncoder
from restorebox.errors import ConfigError
from restorebox.losses.base import BaseLoss
from restorebox.registry import ENCODERS, LOSSES, nearest
from restorebox.values import NotNegative

CRITERIA = {'l1': F.l1_loss, 'mse': F.mse_loss}


class FeatureLoss(BaseLoss):
    """Base of losses over named features of VGG16 or of a semantic encoder.

    The network is frozen, built at first use and not part of this module's ``state_dict``.

    Args:
        default: VGG16's layers if neither ``layers`` nor ``encoder`` is given.
        layers: layer of VGG16 -> its weight.
        weight: factor of the result.
        weights: of VGG16, see :func:`restorebox.encoders.frozen.vgg16_features`.
        normalise: see :class:`restorebox.encoders.frozen.TappedFeatures`.
        encoder: config of one of ``ENCODERS``, in the place of VGG16.

    Raises:
        ConfigError: an unknown layer, no layer, or settings of VGG16 beside an encoder.
    """

    value_range = (0.0, 1.0)

    def __init__(
        self,
        default: dict[str, float],
        layers: dict[str, NotNegative] | None,
        weight: NotNegative,
        weights: str,
        normalise: bool,
        encoder: dict | None,
    ) -> None:
        super().__init__(weight)
        name = type(self).__name__
        self.encoder: SemanticEncoder | None = None
        if encoder is None:
            self.layers, self.min_size = _known_layers(name, default if layers is None else layers)
            self.network = LazyFrozen(partial(vgg16_taps, tuple(self.layers), weights, normalise))
            return
        if layers is not None or weights != 'pretrained' or not normalise:
            raise ConfigError(f'{name}: layers, weights and normalise are of VGG16; leave them out beside an encoder')
        self.encoder = ENCODERS.build(encoder)
        self.min_size = 1  # encoders take any size

    def features(self, x: Tensor) -> dict[str, Tensor]:
        """Return the named features of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or too small for the poolings up to VGG16's deepest layer.
        """
        _check_pictures(type(self).__name__, x, self.min_size)
        return self.network(x) if self.encoder is None else self.encoder(x)

    def shares(self) -> dict[str, float]:
        """Return the weight of each feature; call it after :meth:`features`, when an encoder has been chosen."""
        return self.layers if self.encoder is None else self.encoder.distance_weights


@LOSSES.register_module()
class PerceptualLoss(FeatureLoss):
    """Weighted distance between features of VGG16, or of a semantic encoder.

    ::

        pred   -> VGG16 -> relu1_2, relu2_2, ... --+
                                                   +-> sum_k w_k criterion(., .)
        target -> VGG16 -> relu1_2, relu2_2, ... --+

    Args:
        layers: layer name of VGG16 -> its weight. Names are ``conv1_1``, ``relu1_1``, ..., ``pool5``.
        weight: factor of the sum.
        criterion: ``'l1'`` or ``'mse'``.
        weights: ``'pretrained'``, ``'random'`` (tests) or the path of a state dict.
        normalise: normalise by ImageNet's mean and standard deviation, as in VGG16's training. False: pass [0, 1]
            unchanged, as the code of heavy rain does.
        encoder: config of one of ``ENCODERS``, in the place of VGG16; its ``distance_weights`` are the w_k.

    Raises:
        ConfigError: an unknown layer or criterion, no layer, or settings of VGG16 beside an encoder.
        WeightsError: at first use, when the weights file is absent.
    """

    def __init__(
        self,
        layers: dict[str, NotNegative] | None = None,
        weight: NotNegative = 1.0,
        criterion: str = 'l1',
        weights: str = 'pretrained',
        normalise: bool = True,
        encoder: dict | None = None,
    ) -> None:
        default = {'relu1_2': 1 / 32, 'relu2_2': 1 / 16, 'relu3_3': 1 / 8}
        super().__init__(default, layers, weight, weights, normalise, encoder)
        if criterion not in CRITERIA:
            raise ConfigError(f"PerceptualLoss: no criterion '{criterion}'; {nearest(criterion, list(CRITERIA))}")
        self.criterion = criterion

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return ``sum_k w_k criterion(Phi_k(pred), Phi_k(target))`` of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or too small for the deepest layer's poolings.
        """
        predicted, clean = self.features(pred), self.features(target)
        distance = CRITERIA[self.criterion]
        return torch.stack([w * distance(predicted[name], clean[name]) for name, w in self.shares().items()]).sum()


@LOSSES.register_module()
class ContrastiveRegularisation(FeatureLoss):
    """Ratio of a prediction's distances to the clean and to the degraded picture, in features of VGG16 or an encoder.

    ``sum_k w_k |VGG_k(target) - VGG_k(pred)| / |VGG_k(degraded) - VGG_k(pred)|``, mean absolute differences: the
    prediction is pulled to the clean picture and pushed from the degraded one (Wu et al., eq 3; with VGG19).

    Args:
        layers: layer name -> w_k; by default the last ReLU of each of VGG16's five levels, weighted as in the
            paper.
        weight: factor of the sum.
        weights: see :class:`PerceptualLoss`.
        encoder: see :class:`PerceptualLoss`.

    Raises:
        ConfigError: an unknown layer, none, or settings of VGG16 beside an encoder.
        WeightsError: at first use, when the weights file is absent.
    """

    reads_degraded = True

    def __init__(
        self,
        layers: dict[str, NotNegative] | None = None,
        weight: NotNegative = 1.0,
        weights: str = 'pretrained',
        encoder: dict | None = None,
    ) -> None:
        default = {'relu1_2': 1 / 32, 'relu2_2': 1 / 16, 'relu3_3': 1 / 8, 'relu4_3': 1 / 4, 'relu5_3': 1.0}
        super().__init__(default, layers, weight, weights, True, encoder)

    def compute(self, pred: Tensor, target: Tensor, degraded: Tensor) -> Tensor:
        """Return the loss of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or too small for the deepest layer's poolings.
        """
        predicted, clean, negative = self.features(pred), self.features(target), self.features(degraded)
        terms = [
            weight * F.l1_loss(predicted[name], clean[name]) / (F.l1_loss(predicted[name], negative[name]) + 1e-7)
            for name, weight in self.shares().items()
        ]
        return torch.stack(terms).sum()


@LOSSES.register_module()
class LPIPSLoss(BaseLoss):
    """LPIPS, averaged over the batch.

    The network is frozen, built at first use and not part of this module's ``state_dict``.

    Args:
        weight: factor of the result.
        net: backbone, ``'alex'`` or ``'vgg'`` (the authors recommend vgg as a loss, alex as a metric).
        weights: of the backbone: ``'pretrained'``, ``'random'`` (tests) or the path of a state dict.

    Raises:
        ConfigError: an unknown ``net``.
        WeightsError: at first use, when the weights file is absent.
    """

    value_range = (0.0, 1.0)

    def __init__(self, weight: NotNegative = 1.0, net: str = 'vgg', weights: str = 'pretrained') -> None:
        super().__init__(weight)
        check_lpips_net(net)
        self.net = net
        self.network = LazyFrozen(partial(lpips_network, net, weights))

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the mean LPIPS of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or smaller than 31 (alex) or 16 (vgg) pixels.
        """
        _check_pictures('LPIPSLoss', pred, LPIPS_MIN_SIZE[self.net])
        return self.network(pred * 2 - 1, target * 2 - 1).mean()


def _known_layers(loss: str, layers: dict[str, float]) -> tuple[dict[str, float], int]:
    """Return the layers, and the minimum side in pixels for the poolings up to the deepest layer."""
    if not layers:
        raise ConfigError(f'{loss}: layers is empty; name at least one, e.g. dict(relu2_2=1.0)')
    for name in layers:
        if name not in VGG16_LAYERS:
            raise ConfigError(f"{loss}: VGG16 has no layer '{name}'; {nearest(name, list(VGG16_LAYERS))}")
    deepest = max(VGG16_LAYERS[name] for name in layers)
    return dict(layers), 2 ** sum(VGG16_LAYERS[name] <= deepest for name in VGG16_LAYERS if name.startswith('pool'))


def _check_pictures(loss: str, x: Tensor, min_size: int) -> None:
    if x.dim() != 4 or x.shape[1] != 3 or min(x.shape[-2:]) < min_size:
        raise ValueError(f'{loss} needs (N, 3, H, W) of at least {min_size} pixels a side; this is {tuple(x.shape)}')

"""Distances between the features of networks trained to recognise things.

Johnson et al. 2016, "Perceptual losses for real-time style transfer and super-resolution",
https://arxiv.org/abs/1603.08155, section 3.2; Zhang et al. 2018, "The unreasonable effectiveness of deep features as a
perceptual metric" (LPIPS), https://arxiv.org/abs/1801.03924.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.layers.frozen import (
    LPIPS_MIN_SIZE,
    VGG16_LAYERS,
    LazyFrozen,
    check_lpips_net,
    lpips_network,
    vgg16_taps,
)
from restorebox.losses.base import BaseLoss
from restorebox.registry import LOSSES, nearest

CRITERIA = {'l1': F.l1_loss, 'mse': F.mse_loss}


@LOSSES.register_module()
class PerceptualLoss(BaseLoss):
    """Weighted distance between VGG16 features.

    ::

        pred   -> VGG16 -> relu1_2, relu2_2, ... --+
                                                   +-> sum_k w_k criterion(., .)
        target -> VGG16 -> relu1_2, relu2_2, ... --+

    The network is frozen, built at first use, and no part of this module's ``state_dict``.

    Args:
        layers: layer name -> its weight. Names are ``conv1_1``, ``relu1_1``, ..., ``pool5``.
        weight: factor of the sum.
        criterion: ``'l1'`` or ``'mse'``.
        weights: ``'pretrained'``, ``'random'`` (tests) or a state dict's path.
        normalise: give VGG16 pictures of ImageNet's mean and deviation, as it was trained on. False hands on [0, 1] as
            it is, which the code of heavy rain does.

    Raises:
        ConfigError: an unknown layer or criterion, or no layer.
        WeightsError: at first use, when the weights file is absent.
    """

    value_range = (0.0, 1.0)

    def __init__(
        self,
        layers: dict[str, float] | None = None,
        weight: float = 1.0,
        criterion: str = 'l1',
        weights: str = 'pretrained',
        normalise: bool = True,
    ) -> None:
        super().__init__(weight)
        layers = {'relu1_2': 1 / 32, 'relu2_2': 1 / 16, 'relu3_3': 1 / 8} if layers is None else dict(layers)
        if not layers:
            raise ConfigError('PerceptualLoss: layers is empty; name at least one, e.g. dict(relu2_2=1.0)')
        for name in layers:
            if name not in VGG16_LAYERS:
                raise ConfigError(f"PerceptualLoss: VGG16 has no layer '{name}'; {nearest(name, list(VGG16_LAYERS))}")
        if criterion not in CRITERIA:
            raise ConfigError(f"PerceptualLoss: no criterion '{criterion}'; {nearest(criterion, list(CRITERIA))}")
        self.layers = layers
        self.criterion = criterion
        deepest = max(VGG16_LAYERS[name] for name in layers)
        self.min_size = 2 ** sum(VGG16_LAYERS[name] <= deepest for name in VGG16_LAYERS if name.startswith('pool'))
        self.network = LazyFrozen(partial(vgg16_taps, tuple(layers), weights, normalise))

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """``sum_k w_k criterion(VGG_k(pred), VGG_k(target))`` of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or too small for the deepest layer's poolings.
        """
        _check_pictures('PerceptualLoss', pred, self.min_size)
        ours, theirs = self.network(pred), self.network(target)
        distance = CRITERIA[self.criterion]
        return torch.stack([w * distance(ours[name], theirs[name]) for name, w in self.layers.items()]).sum()


@LOSSES.register_module()
class LPIPSLoss(BaseLoss):
    """LPIPS, the mean over the batch.

    The network is frozen, built at first use, and no part of this module's ``state_dict``.

    Args:
        weight: factor of the result.
        net: trunk, ``'alex'`` or ``'vgg'`` (the authors advise vgg as a loss, alex as a metric).
        weights: of the trunk: ``'pretrained'``, ``'random'`` (tests) or a state dict's path.

    Raises:
        ConfigError: an unknown ``net``.
        WeightsError: at first use, when the weights file is absent.
    """

    value_range = (0.0, 1.0)

    def __init__(self, weight: float = 1.0, net: str = 'vgg', weights: str = 'pretrained') -> None:
        super().__init__(weight)
        check_lpips_net(net)
        self.net = net
        self.network = LazyFrozen(partial(lpips_network, net, weights))

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """Mean LPIPS of RGB ``(N, 3, H, W)`` in [0, 1].

        Raises:
            ValueError: not 3 channels, or smaller than 31 (alex) or 16 (vgg) pixels.
        """
        _check_pictures('LPIPSLoss', pred, LPIPS_MIN_SIZE[self.net])
        return self.network(pred * 2 - 1, target * 2 - 1).mean()


def _check_pictures(loss: str, x: Tensor, min_size: int) -> None:
    if x.dim() != 4 or x.shape[1] != 3 or min(x.shape[-2:]) < min_size:
        raise ValueError(f'{loss} needs (N, 3, H, W) of at least {min_size} pixels a side; this is {tuple(x.shape)}')

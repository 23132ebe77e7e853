"""Stems: blocks before an encoder level that extend its input features.

Kang, Xie, Qin, Wong, "Rethinking Generative Methods for Image Restoration in Physics-based Vision" (arXiv 2212.02198):
the information-accumulation module, eq 14, and the first two of the modules that its Fig 14 compares it with.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from restorebox.errors import ConfigError
from restorebox.layers.statistics import make_norm
from restorebox.registry import STEMS, nearest
from restorebox.values import Count, Counts, Depth, Width


class BaseStem(nn.Module):
    """Map features ``(N, C, H, W)`` to ``(N, out_channels, H, W)``.

    A subclass takes ``in_channels`` and ``stride`` (input pixels of the network per pixel here, for local statistics)
    by name; the backbone passes them. It sets ``out_channels`` and ``reach``, the side of the receptive field of one
    output pixel.
    """

    out_channels: int
    reach: int

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, see the class."""
        raise NotImplementedError


def check_stems(stems: dict[str, dict] | None, levels: int, owner: str) -> dict[str, dict]:
    """Refuse a stem at a level that a backbone does not have.

    Args:
        stems: ``down1`` .. ``downN`` -> config of a stem; None for none.
        levels: N.
        owner: name of the backbone, for the message.

    Raises:
        ConfigError: names the nearest level.
    """
    known = tuple(f'down{i + 1}' for i in range(levels))
    for name in stems or {}:
        if name not in known:
            raise ConfigError(f"{owner}: stems: there is no level '{name}'; {nearest(name, known)}")
    return dict(stems or {})


def build_stem(cfg: dict, channels: int, stride: int) -> BaseStem:
    """Build the stem of a level with ``channels`` input channels at ``stride``."""
    return STEMS.build({'in_channels': channels, 'stride': stride, **cfg})


class AccumulationLayer(nn.Module):
    """Norm and ReLU, then one 3x3 convolution per dilation; the outputs are concatenated.

    The branches share norm and ReLU, since their statistics are equal.

    Args:
        in_channels: channels accumulated so far.
        growth: output channels of each branch.
        dilations: one branch each.
        norm: see :class:`InfoAccum`.
        stride: see :class:`BaseStem`.
        first: the first layer has neither norm nor ReLU, which would remove the negative half of a picture in [-1, 1].
    """

    def __init__(
        self, in_channels: int, growth: int, dilations: Sequence[int], norm: str | None, stride: int, first: bool
    ) -> None:
        super().__init__()
        before = [] if first else [make_norm(norm, in_channels, stride), nn.ReLU()]
        self.before = nn.Sequential(*before)
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, growth, 3, 1, dilation, dilation, bias=False) for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, growth * branches, H, W)``."""
        x = self.before(x)
        return torch.cat([branch(x) for branch in self.branches], 1)


@STEMS.register_module()
class InfoAccum(BaseStem):
    """InfoAccum-L: dense layers of dilated convolutions at full size (eq 14).

    ::

        x_0 = x,  x_l = cat(x_(l-1), F_l(x_(l-1)), G_l(x_(l-1)), H_l(x_(l-1)))      F, G, H: dilation 1, 3, 5

    The first channels of the result are the unchanged input. It has ``in_channels + len(dilations) * growth * layers``
    channels. With ``dilations=(1,)`` it is the plain dense module of Fig 14.

    Args:
        in_channels: channels of the input; the backbone passes it.
        stride: see :class:`BaseStem`; the backbone passes it.
        layers: L, 15 in the paper; 0 is the identity.
        growth: new channels of each branch of a layer. The paper says "relatively small"; the default is 4.
        dilations: dilations of the branches.
        norm: ``'instance'``, ``'batch'`` or None.
        recompute: save only the new channels of each layer, and recompute the rest in the backward pass: less memory,
            more time, the same gradients.

    Raises:
        ConfigError: negative ``layers``, ``growth`` below 1 or no dilation; or ``recompute`` with batch norm, whose
            running statistics would be updated twice per step.
    """

    def __init__(
        self,
        in_channels: Width,
        stride: Count = 1,
        layers: Depth = 15,
        growth: Count = 4,
        dilations: Counts = (1, 3, 5),
        norm: str | None = 'instance',
        recompute: bool = False,
    ) -> None:
        super().__init__()
        if layers < 0 or growth < 1 or not dilations:
            raise ConfigError(
                f'InfoAccum: layers is {layers}, growth {growth}, dilations {dilations!r}; they must be at least 0, '
                'at least 1, and not empty'
            )
        if recompute and norm == 'batch':
            raise ConfigError("InfoAccum: recompute=True would update norm='batch' twice per step; set norm='instance'")
        new = growth * len(dilations)
        self.layers = nn.ModuleList(
            AccumulationLayer(in_channels + i * new, growth, dilations, norm, stride, first=i == 0)
            for i in range(layers)
        )
        self.recompute = recompute
        self.out_channels = in_channels + layers * new
        self.reach = 1 + 2 * max(dilations) * layers

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        if self.recompute and torch.is_grad_enabled():
            return self._recomputed(x)
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return x

    def _recomputed(self, x: Tensor) -> Tensor:
        # layer inputs grow, so saving them takes memory quadratic in the depth: each layer joins the parts itself
        parts = [x]
        for layer in self.layers:
            new = checkpoint(lambda *own, layer=layer: layer(torch.cat(own, 1)), *parts, use_reentrant=False)
            parts.append(new)
        return torch.cat(parts, 1)


@STEMS.register_module()
class ResidualStem(BaseStem):
    """A 3x3 convolution, then residual blocks of two, concatenated with the input: the residual module of Fig 14.

    Args:
        in_channels: see :class:`BaseStem`.
        stride: see :class:`BaseStem`.
        blocks: number of residual blocks.
        width: channels of the hidden layers.
        norm: ``'instance'``, ``'batch'`` or None.
    """

    def __init__(
        self, in_channels: Width, stride: Count = 1, blocks: Count = 5, width: Width = 32, norm: str | None = 'instance'
    ) -> None:
        super().__init__()
        self.first = nn.Conv2d(in_channels, width, 3, 1, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                make_norm(norm, width, stride),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1),
                make_norm(norm, width, stride),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, 1, 1),
            )
            for _ in range(blocks)
        )
        self.out_channels = in_channels + width
        self.reach = 3 + 4 * blocks

    def forward(self, x: Tensor) -> Tensor:
        """See :class:`BaseStem`."""
        y = self.first(x)
        for block in self.blocks:
            y = y + block(y)
        return torch.cat((x, y), 1)

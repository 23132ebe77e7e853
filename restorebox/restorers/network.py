"""Network: a backbone with a head, the form of all networks here."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import initialise
from restorebox.registry import BACKBONES, HEADS, check_keys


class Network(nn.Module):
    """A backbone with a head.

    ::

        x -> backbone -> features -> head -> {head.output: ...}
              |                       ^
              +---- taps -------------+----> {tap: ...}

    Args:
        backbone: a backbone or its config.
        head: a head or its config; ``in_channels`` and ``scale`` are taken from the backbone where not given.
        init: initialisation of all convolutions, a name of :data:`restorebox.layers.initialise.INITS`; None keeps that
            of backbone and head.
        channels_last: use the memory format ``channels_last`` for weights and activations. The results are equal;
            whether convolutions are faster depends on the processor (measured for the shipped model:
            docs/restoring.md).

    Raises:
        ConfigError: incompatible parts, or an unknown ``init``.
    """

    def __init__(
        self,
        backbone: BaseBackbone | dict,
        head: BaseHead | dict,
        init: str | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = BACKBONES.build(backbone) if isinstance(backbone, dict) else backbone
        for name in ('needs', 'out_channels', 'out_stride'):
            if not hasattr(self.backbone, name):
                kind = type(self.backbone).__name__
                raise ConfigError(f"{kind} does not set '{name}'; every backbone's constructor must")
        if isinstance(head, dict):
            sizes = {'in_channels': self.backbone.out_channels, 'scale': self.backbone.out_stride}
            head = HEADS.build({**sizes, **head})
        self.head = cast(BaseHead, head)
        added, read = self.head.residual_channels, self.backbone.needs.in_channels
        if added is not None and added != read:  # 1 channel would be broadcast
            raise ConfigError(
                f'{type(self.head).__name__}: residual=True adds {added} channels to the {read} that '
                f'{type(self.backbone).__name__} reads; out_channels must be {read}'
            )
        means = self.backbone.needs.feature_means
        self.backbone.check_taps((*self.head.taps, *means))
        if unread := [name for name in means if name not in self.backbone.given]:
            kind = type(self.backbone).__name__
            raise ConfigError(f"{kind}: needs.feature_means has '{unread[0]}', which is no input in its given")
        if init is not None:
            initialise(self, init)
        self.channels_last = channels_last
        if channels_last:
            self.to(memory_format=torch.channels_last)

    @property
    def needs(self) -> Needs:
        """The backbone's requirements, with the receptive field of the head's output."""
        return replace(self.backbone.needs, receptive_field=self.backbone.field(self.head.reach))

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, **given: Tensor
    ) -> dict[str, Tensor]:
        """Run backbone and head.

        Args:
            x: ``(N, C, H, W)`` in the backbone's value range, sizes multiples of its stride.
            taps: backbone features to return as well.
            only_taps: run the backbone as far as the deepest tap, and no head.
            given: further inputs of the backbone, by the names in its ``given``.

        Returns:
            The head's output under ``head.output`` (unless ``only_taps``), and each tap under its name.

        Raises:
            ConfigError: an unknown tap.
        """
        if self.channels_last:
            x = x.contiguous(memory_format=torch.channels_last)
        if only_taps:
            return self.backbone(x, taps=taps, only_taps=True, **given)
        wanted = tuple(dict.fromkeys((*self.head.taps, *taps)))
        features = self.backbone(x, taps=wanted, **given)
        return {self.head.output: self.head(features, x), **{tap: features[tap] for tap in taps}}


def build_network(cfg: Network | dict, role: str) -> Network:
    """Build a role's network from ``dict(backbone=..., head=...)``, optionally with ``init=...``.

    Raises:
        ConfigError: an unknown key, or one of the two is missing.
    """
    if isinstance(cfg, nn.Module):
        return cfg
    check_keys(Network, cfg, f'{role}: a network')
    return Network(**cfg)


def combined_needs(each: dict[str, Needs], owner: str) -> Needs:
    """Combine the requirements of networks that run one after the other.

    Args:
        each: role -> needs of its network; the first network reads the picture.
        owner: name of the restorer, for the message.

    Raises:
        ConfigError: their value ranges differ.
    """
    ranges = {needs.value_range for needs in each.values()}
    if len(ranges) > 1:
        raise ConfigError(f'{owner}: deployed networks differ in value_range: {each}')
    fields = [needs.receptive_field for needs in each.values() if needs.receptive_field is not None]
    first = next(iter(each.values()))
    kinds = {needs.tiling for needs in each.values()}
    return Needs(
        stride=math.lcm(*(needs.stride for needs in each.values())),
        min_size=max(needs.min_size for needs in each.values()),
        in_channels=first.in_channels,
        value_range=first.value_range,
        receptive_field=max(fields) if len(fields) == len(each) else None,
        global_statistics=any(needs.global_statistics for needs in each.values()),
        feature_means=tuple(dict.fromkeys(name for needs in each.values() for name in needs.feature_means)),
        tiling=next((kind for kind in ('noise', 'discouraged') if kind in kinds), 'spatial'),
    )

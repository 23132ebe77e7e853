"""Backbone + head: the one form of every network here."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import initialise
from restorebox.registry import BACKBONES, HEADS, check_keys


class Network(nn.Module):
    """A backbone with a head on it.

    ::

        x -> backbone -> features -> head -> {head.output: ...}
              |                       ^
              +---- taps -------------+----> {tap: ...}

    Args:
        backbone: a backbone or its config.
        head: a head or its config; ``in_channels`` and ``scale`` are taken from the backbone where not given.
        init: how all convolutions start, a name of :data:`restorebox.layers.initialise.INITS`; None leaves them as
            backbone and head made them.
        channels_last: keep weights and activations with the channels innermost. The same numbers; whether
            convolutions are faster in it depends on the processor (measured for the shipped model: docs/restoring.md).

    Raises:
        ConfigError: parts that don't fit, or an unknown ``init``.
    """

    def __init__(
        self,
        backbone: BaseBackbone | dict,
        head: BaseHead | dict,
        init: str | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__()
        if isinstance(backbone, dict):
            backbone = BACKBONES.build(backbone)
        for name in ('needs', 'out_channels', 'out_stride'):
            if not hasattr(backbone, name):
                raise ConfigError(f"{type(backbone).__name__} does not set '{name}'; every backbone's constructor must")
        if isinstance(head, dict):
            head = HEADS.build({'in_channels': backbone.out_channels, 'scale': backbone.out_stride, **head})
        backbone.check_taps(head.taps)
        self.backbone = backbone
        self.head = head
        if init is not None:
            initialise(self, init)
        self.channels_last = channels_last
        if channels_last:
            self.to(memory_format=torch.channels_last)

    @property
    def needs(self) -> Needs:
        """The backbone's needs, with the receptive field of the head's output."""
        return replace(self.backbone.needs, receptive_field=self.backbone.field(self.head.reach))

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, **given: Tensor
    ) -> dict[str, Tensor]:
        """Run backbone and head.

        Args:
            x: ``(N, C, H, W)`` in the backbone's value range, sizes multiples of its stride.
            taps: backbone features to return as well.
            only_taps: run the backbone as far as the deepest tap, and no head.
            given: what the backbone reads besides the picture, by the names of its ``given``.

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
    """Build a role's network from ``dict(backbone=..., head=...)``, and ``init=...`` where wanted.

    Raises:
        ConfigError: other keys, or one of the two missing.
    """
    if isinstance(cfg, nn.Module):
        return cfg
    check_keys(Network, cfg, f'{role}: a network')
    return Network(**cfg)


def combined_needs(each: dict[str, Needs], owner: str) -> Needs:
    """What several networks that run one after the other need together.

    Args:
        each: role -> needs of its network; the first one reads the picture.
        owner: whose networks they are, for the message.

    Raises:
        ConfigError: they want different value ranges.
    """
    ranges = {needs.value_range for needs in each.values()}
    if len(ranges) > 1:
        raise ConfigError(f'{owner}: deployed networks differ in value_range: {each}')
    fields = [needs.receptive_field for needs in each.values()]
    first = next(iter(each.values()))
    return Needs(
        stride=math.lcm(*(needs.stride for needs in each.values())),
        min_size=max(needs.min_size for needs in each.values()),
        in_channels=first.in_channels,
        value_range=first.value_range,
        receptive_field=None if None in fields else max(fields),
        global_statistics=any(needs.global_statistics for needs in each.values()),
        tiling='noise' if any(needs.tiling == 'noise' for needs in each.values()) else 'spatial',
    )

"""Backbone with an estimate, from statistics of the picture, of how much of a restoration to apply."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone
from restorebox.errors import ConfigError
from restorebox.layers.global_statistics import SceneEncoder, scene_statistics
from restorebox.layers.precision import traced
from restorebox.layers.statistics import LocalStatistics
from restorebox.registry import BACKBONES
from restorebox.values import Width

GATES = 2  # of low and of high frequencies
MEANS = 'means'
CELL = 16  # pixels; GatedHead separates the frequencies by means of cells, which must be those of the whole picture
_START = 4.0  # of the logits: sigmoid(4) = 0.98


@BACKBONES.register_module()
class SceneGated(BaseBackbone):
    """A backbone, and two gates in [0, 1] per picture for :class:`GatedHead <restorebox.heads.gated.GatedHead>`.

    ::

        x -> inner -> out, taps -> means of a tap and of its absolute values -+
        scene (statistics of the whole picture) -> SceneEncoder --------------+-> two 1x1 convolutions, sigmoid -> gates

    A network that returns its input for an undegraded picture has to compute a residual of zero at every pixel. Here it
    is enough that statistics show that nothing is degraded. Those of the scene are equal for all tiles; those of the
    tap are too, if they are given as ``means``, and they are local where ``statistics_window`` of the restorer is
    smaller than the picture. An untrained wrapper has gates of 0.98; weights of the inner backbone begin with
    ``inner.`` in a state dict.

    Args:
        inner: config of the backbone; its input must be a picture in [0, 1].
        scene: length of the embedding of the scene's statistics.
        tap: tap of the inner backbone's lowest resolution, 1 / ``needs.stride``; None: the gates depend on the scene
            alone.
        hidden: channels between the two convolutions.

    Taps: ``gates``, ``(N, 2, 1, 1)`` or ``(N, 2, H, W)`` of the tap: of low and of high frequencies; with a tap,
    ``means``, ``(N, 2C, H, W)``: it and its absolute values, before they are averaged; those of the inner backbone.

    Raises:
        ConfigError: the inner backbone has another value range, other channels, no such tap, or a tap ``gates`` or
            ``means``.
    """

    def __init__(self, inner: dict, scene: Width = 64, tap: str | None = None, hidden: Width = 64) -> None:
        super().__init__()
        self.inner = cast(BaseBackbone, BACKBONES.build(inner))
        needs, kind = self.inner.needs, type(self.inner).__name__
        if needs.in_channels != 3 or tuple(needs.value_range) != (0.0, 1.0):
            raise ConfigError(
                f'SceneGated: {kind} reads {needs.in_channels} channels in {needs.value_range}; it must be a picture '
                '(3 channels) in (0, 1)'
            )
        for name in ('gates', MEANS):
            if name in self.inner.tap_channels:
                raise ConfigError(f"SceneGated: {kind} has a tap '{name}' already")
        self.encoder = SceneEncoder(out=scene)
        self.tap = tap
        channels = scene
        if tap is not None:
            self.inner.check_taps([tap])
            channels += 2 * self.inner.tap_channels[tap]
            self.statistics = LocalStatistics(self.inner.needs.stride)
        self.mixed = nn.Conv2d(channels, hidden, 1)
        self.gates = nn.Conv2d(hidden, GATES, 1)
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(cast(Tensor, self.gates.bias), _START)
        own = () if tap is None else (MEANS,)
        self.given = tuple(dict.fromkeys(('scene', *own, *self.inner.given)))
        taps = self.inner.tap_channels
        # in the order of computation
        self.tap_channels = {'gates': GATES, **taps} if tap is None else {**taps, MEANS: 2 * taps[tap], 'gates': GATES}
        self.out_channels, self.out_stride = self.inner.out_channels, self.inner.out_stride
        self.needs = replace(
            needs,
            stride=math.lcm(needs.stride, CELL),
            min_size=max(needs.min_size, CELL),
            global_statistics=True,
            feature_means=own,
        )

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`."""
        return self.inner.field(run)

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.global_statistics`: ``scene``, and those of the inner backbone."""
        inner = self.inner.global_statistics(x)
        return inner if 'scene' in inner else {'scene': scene_statistics(x), **inner}

    def forward(
        self,
        x: Tensor,
        taps: tuple[str, ...] = (),
        only_taps: bool = False,
        scene: Tensor | None = None,
        means: Tensor | None = None,
        **given: Tensor,
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`.

        Args:
            x: see there.
            taps: see there.
            only_taps: see there.
            scene: of :meth:`global_statistics`; None: of ``x``.
            means: of the tap ``means`` over the whole picture, ``(N or 1, 2C, 1, 1)``; None, and NaN in an exported
                file: over ``x``.
            given: further inputs of the inner backbone.
        """
        self.collect(taps, only_taps)  # checks them
        if scene is None and ('gates' in taps or 'scene' in self.inner.given):
            scene = scene_statistics(x)
        if scene is not None and 'scene' in self.inner.given:
            given['scene'] = scene
        wanted = tuple(tap for tap in taps if tap not in ('gates', MEANS))
        if len(wanted) == len(taps):
            return self.inner(x, taps=wanted, only_taps=only_taps, **given)
        read = () if self.tap is None else (self.tap,)
        inner: dict[str, Tensor] = {}
        if not only_taps or wanted or read:
            inner = self.inner(x, taps=tuple(dict.fromkeys((*wanted, *read))), only_taps=only_taps, **given)
        own: dict[str, Tensor] = {}
        if self.tap is not None:
            own[MEANS] = torch.cat((inner[self.tap], inner[self.tap].abs()), 1)
        if 'gates' in taps:
            own['gates'] = self._gates(cast(Tensor, scene), own.get(MEANS), means)
        kept = {name: own[name] for name in taps if name in own}
        return {**kept, **{name: inner[name] for name in (*wanted, *([] if only_taps else ['out']))}}

    def _gates(self, scene: Tensor, features: Tensor | None, means: Tensor | None) -> Tensor:
        y = self.encoder(scene)
        if features is not None:
            if means is None:
                means = self.statistics.mean(features)
            elif traced():  # the input of an exported file, whose default is NaN
                means = torch.where(means.isnan(), self.statistics.mean(features), means)
            else:
                means = means.to(features.dtype).expand(len(y), -1, -1, -1)
            y = torch.cat((y.to(means.dtype).expand(-1, -1, *means.shape[-2:]), means), 1)
        return torch.sigmoid(self.gates(torch.relu(self.mixed(y))))

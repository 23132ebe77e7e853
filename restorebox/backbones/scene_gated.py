"""Backbone with an estimate, from statistics of the whole picture, of how much of a restoration to apply."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone
from restorebox.errors import ConfigError
from restorebox.layers.global_statistics import SceneEncoder, scene_statistics
from restorebox.registry import BACKBONES
from restorebox.values import Width

GATES = 2  # of low and of high frequencies
CELL = 16  # pixels; GatedHead separates the frequencies by means of cells, which must be those of the whole picture
_START = 4.0  # of the logits: sigmoid(4) = 0.98


@BACKBONES.register_module()
class SceneGated(BaseBackbone):
    """A backbone, and two gates in [0, 1] per picture for :class:`GatedHead <restorebox.heads.gated.GatedHead>`.

    ::

        x -> inner -> out, taps
        scene (statistics of the whole picture) -> SceneEncoder -> 1x1 convolution -> sigmoid -> gates

    A network that returns its input for an undegraded picture has to compute a residual of zero at every pixel. Here it
    is enough that statistics of the whole picture show that nothing is degraded. The gates are equal for all tiles.
    An untrained wrapper has gates of 0.98; weights of the inner backbone begin with ``inner.`` in a state dict.

    Args:
        inner: config of the backbone; its input must be a picture in [0, 1].
        scene: length of the embedding of the statistics.

    Taps: ``gates``, ``(N, 2, 1, 1)``: of low and of high frequencies; then those of the inner backbone.

    Raises:
        ConfigError: the inner backbone has another value range, other channels, or a tap ``gates``.
    """

    def __init__(self, inner: dict, scene: Width = 64) -> None:
        super().__init__()
        self.inner = cast(BaseBackbone, BACKBONES.build(inner))
        needs, kind = self.inner.needs, type(self.inner).__name__
        if needs.in_channels != 3 or tuple(needs.value_range) != (0.0, 1.0):
            raise ConfigError(
                f'SceneGated: {kind} reads {needs.in_channels} channels in {needs.value_range}; it must be a picture '
                '(3 channels) in (0, 1)'
            )
        if 'gates' in self.inner.tap_channels:
            raise ConfigError(f"SceneGated: {kind} has a tap 'gates' already")
        self.encoder = SceneEncoder(out=scene)
        self.gates = nn.Conv2d(scene, GATES, 1)
        nn.init.zeros_(self.gates.weight)
        nn.init.constant_(cast(Tensor, self.gates.bias), _START)
        self.given = tuple(dict.fromkeys(('scene', *self.inner.given)))
        self.tap_channels = {'gates': GATES, **self.inner.tap_channels}
        self.out_channels, self.out_stride = self.inner.out_channels, self.inner.out_stride
        self.needs = replace(
            needs, stride=math.lcm(needs.stride, CELL), min_size=max(needs.min_size, CELL), global_statistics=True
        )

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`."""
        return self.inner.field(run)

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.global_statistics`: ``scene``, and those of the inner backbone."""
        return {'scene': scene_statistics(x), **self.inner.global_statistics(x)}

    def forward(
        self,
        x: Tensor,
        taps: tuple[str, ...] = (),
        only_taps: bool = False,
        scene: Tensor | None = None,
        **given: Tensor,
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`; ``scene``: of :meth:`global_statistics`; None: of ``x``."""
        kept = self.collect(taps, only_taps)
        scene = scene_statistics(x) if scene is None else scene
        gates = torch.sigmoid(self.gates(self.encoder(scene)))
        if kept.last('gates', gates):
            return kept.features
        if 'scene' in self.inner.given:
            given['scene'] = scene
        features = self.inner(x, taps=tuple(tap for tap in taps if tap != 'gates'), only_taps=only_taps, **given)
        return {**features, **kept.features}

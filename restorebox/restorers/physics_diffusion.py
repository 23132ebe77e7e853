"""Diffusion model that refines the physics-based estimate of a rainy picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from restorebox.backbones.base import Needs
from restorebox.layers.finite import nan_where_infinite
from restorebox.registry import RESTORERS
from restorebox.restorers.diffusion import DiffusionRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Timesteps


@RESTORERS.register_module()
class PhysicsDiffusion(DiffusionRestorer):
    """Diffusion conditioned on J0, the estimate of a physics network without the veil, instead of the degraded picture.

    ::

        lq -> physics -> J0 -> condition of the denoiser

    It replaces heavy rain's second stage (Li, Cheong and Tan, CVPR 2019), as its replication report proposes. The
    physics network is frozen: ``load_from`` of the first stage's checkpoint provides its weights.

    Args:
        physics: ``dict(backbone=..., head=...)`` of a :class:`PhysicsEstimator` and a :class:`PhysicsHead`.
        denoiser: see :class:`DiffusionRestorer`.
        schedule: see :class:`DiffusionRestorer`.
        timesteps: see :class:`DiffusionRestorer`.
        prediction: see :class:`DiffusionRestorer`.
        sampling: see :class:`DiffusionRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.
    """

    deployed = ('physics', 'denoiser')

    def __init__(
        self,
        physics: Network | dict,
        denoiser: Network | dict,
        schedule: str = 'linear',
        timesteps: Timesteps = 1000,
        prediction: str = 'noise',
        sampling: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(denoiser, schedule, timesteps, prediction, sampling, data_preprocessor)
        self.physics = build_network(physics, 'physics').requires_grad_(False)

    def train(self, mode: bool = True) -> PhysicsDiffusion:
        """Set the mode; the physics network stays in evaluation mode."""
        super().train(mode)
        self.role('physics').eval()
        return self

    def _combined_needs(self) -> Needs:
        needs, physics = super()._combined_needs(), self.role('physics').needs
        stride = math.lcm(needs.stride, physics.stride)
        return replace(needs, stride=stride, min_size=max(needs.min_size, physics.min_size))

    @torch.no_grad()
    def _physics(self, lq: Tensor) -> Tensor:
        """Return J0 of RGB in [0, 1], clamped to [0, 1]: low transmissions amplify residual rain."""
        return nan_where_infinite(self.role('physics')(lq)['picture']).clamp(0, 1)

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """See :meth:`DiffusionRestorer.losses`."""
        return super().losses(step, {**inputs, 'lq': self._physics(inputs['lq'])}, prepared)

    def infer(
        self,
        x: Tensor,
        shared: dict[str, Tensor] | None,
        rng: torch.Generator | None,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Tensor]:
        """See :meth:`DiffusionRestorer.infer`: ``pred``, and J0 as ``physics``."""
        seen = self._physics(self.from_range(x))
        return {**super().infer(self.to_range(seen), shared, rng, progress), 'physics': seen}

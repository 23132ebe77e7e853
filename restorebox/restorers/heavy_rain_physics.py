"""First stage of heavy rain restoration: a network that inverts the physical model of rain streaks and veil.

Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR
2019). For differences between the paper, its code and this implementation see ``configs/heavy_rain/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.losses import build_picture_losses
from restorebox.registry import RESTORERS, nearest
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.restorers.strength import mix_layers

LAYERS = ('streak', 'transmission', 'airlight')


@RESTORERS.register_module()
class HeavyRainPhysics(BaseRestorer):
    """Inversion of ``I = T (J + S) + (1 - T) A`` by a network that estimates S, T and A; ``pred`` is its J0.

    ::

        lq -> physics -> S, T, A -> J0
                            |
                            losses against the known layers

    Losses of layers that the data set does not provide are left out. A data set without streaks and transmission is
    taken to have no veil: T is 1, and the streaks are the degraded minus the clean picture. :class:`HeavyRainRestorer`
    refines J0.

    Args:
        physics: ``dict(backbone=..., head=...)`` of a :class:`PhysicsEstimator` and a :class:`PhysicsHead`.
        physics_losses: layer -> name -> config of a loss between estimated and known layer; logged as
            ``loss_LAYER_NAME``.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: no losses, or losses of an unknown layer.
    """

    optional_roles = LAYERS
    deployed = ('physics',)
    steps = {'physics': ('physics',)}

    def __init__(
        self,
        physics: Network | dict,
        physics_losses: dict[str, dict[str, dict]],
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.physics = build_network(physics, 'physics')
        self.layer_losses = build_layer_losses(physics_losses, type(self).__name__)

    @torch.no_grad()
    def estimate_shared(self, lq: Tensor) -> dict[str, Tensor]:
        """Estimate the airlight of the whole picture: ``airlight`` -> ``(N, 3, 1, 1)``."""
        return self.role('physics').backbone(lq, taps=('airlight',), only_taps=True)

    def infer(self, x: Tensor, shared: dict[str, Tensor] | None, rng: Any, progress: Any) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.infer`: ``pred``, the layers, ``depth``, and J0 also as ``physics``."""
        estimates = self.role('physics')(x, taps=LAYERS, **(shared or {}))
        return {'pred': estimates['picture'], **layer_outputs(estimates, x)}

    def at_strength(self, lq: Tensor, out: dict[str, Tensor], strength: float) -> Tensor:
        """Return the prediction at a strength, by layers: see :func:`mix_layers`."""
        return mix_layers(self.role('physics').head, lq, out, strength)

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`."""
        return layer_terms(self.layer_losses, self.apply_loss, self.physics(inputs['lq'], taps=LAYERS), inputs)


def build_layer_losses(cfgs: dict[str, dict[str, dict]], owner: str) -> nn.ModuleDict:
    """Build the losses of the layers: layer -> name -> loss.

    Args:
        cfgs: layer -> name -> config of a loss.
        owner: name of the restorer, for the message.

    Raises:
        ConfigError: there are none, or a layer is unknown.
    """
    if not cfgs:
        raise ConfigError(f'{owner}: physics_losses is empty; give at least those of one layer: {", ".join(LAYERS)}')
    losses = nn.ModuleDict()
    for layer, each in cfgs.items():
        if layer not in LAYERS:
            raise ConfigError(f"{owner}: physics_losses has no layer '{layer}'; {nearest(layer, LAYERS)}")
        losses[layer] = build_picture_losses(each, owner, degraded=False)
    return losses


def layer_terms(
    losses: nn.ModuleDict, apply: Callable, estimates: dict[str, Tensor], inputs: Inputs
) -> dict[str, Tensor]:
    """Return the losses of the known layers.

    Args:
        losses: result of :func:`build_layer_losses`.
        apply: calls a loss, see :meth:`BaseRestorer.apply_loss`.
        estimates: estimated layers.
        inputs: known layers, ``lq`` and ``gt``, ``(N, C, H, W)`` in [0, 1].
    """
    known = {layer: inputs[layer] for layer in LAYERS if layer in inputs}
    if not known.keys() & {'streak', 'transmission'}:
        known['streak'] = (inputs['lq'] - inputs['gt']).clamp(0, 1)
        known['transmission'] = torch.ones_like(known['streak'][:, :1])
    if 'airlight' in known:  # stored as a picture of uniform colour
        known['airlight'] = known['airlight'].mean((-2, -1), keepdim=True).expand(-1, 3, -1, -1)
    terms = {}
    for layer, each in losses.items():
        if layer in known:
            assert isinstance(each, nn.ModuleDict)  # see build_layer_losses
            pred = estimates[layer].expand_as(known[layer])
            for name, loss in each.items():
                terms[f'loss_{layer}_{name}'] = apply(loss, pred, known[layer])
    return terms


def layer_outputs(estimates: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
    """Return the layers and ``depth = 1 - T`` as pictures of 3 channels, and J0 as ``physics``.


    Args:
        estimates: outputs of the physics network.
        x: its input, ``(N, 3, H, W)``.
    """
    out = {layer: estimates[layer].expand(-1, 3, *x.shape[-2:]) for layer in LAYERS}
    return {'physics': estimates['picture'], 'depth': 1 - out['transmission'], **out}

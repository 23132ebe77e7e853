"""Second and third stage of heavy rain restoration: a conditional GAN refines the physics-based estimate.

Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR
2019). For differences between the paper, its code and this implementation see ``configs/heavy_rain/README.md``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.finite import nan_where_infinite
from restorebox.losses.pixel import L1Loss
from restorebox.registry import RESTORERS, check_keys
from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.restorers.heavy_rain_physics import LAYERS, build_layer_losses, layer_outputs, layer_terms
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.restorers.strength import mix_layers
from restorebox.restorers.weights import without_wrapper
from restorebox.values import Fraction, NotNegative


@dataclass(frozen=True)
class RefinementObjective:
    """Weights of the losses that have no config.

    Attributes:
        lambda_gan: weight of the generator's adversarial loss; the discriminator uses binary cross entropy.
        lambda_depth: weight of the two losses of the discriminator's depth map.
        lambda_teacher: weight of the mean absolute difference from the teacher's picture.
        real_rate: share of the iterations that include the adversarial loss of real rainy pictures, 0 to 1.

    Raises:
        ConfigError: ``real_rate`` outside [0, 1].
    """

    lambda_gan: NotNegative = 0.01
    lambda_depth: NotNegative = 1.0
    lambda_teacher: NotNegative = 1.0
    real_rate: Fraction = 0.1

    def __post_init__(self) -> None:
        """Check ``real_rate``."""
        if not 0 <= self.real_rate <= 1:
            raise ConfigError(f'objective: real_rate is {self.real_rate}; it must be from 0 to 1')


@RESTORERS.register_module()
class HeavyRainRestorer(AdversarialRestorer):
    """Refine J0 of a trained physics network by a generator with a depth-guided discriminator.

    ::

        lq -> physics -> S, T, A -> J0 -> generator -> pred -> losses against gt
                             |  depth = 1 - T, A ^      |
            cat(lq, pred), cat(lq, gt) -> discriminator -> score, and a depth map: 1 - T for a fake pair, 0 for a real
            one

    Training starts from the checkpoint of :class:`HeavyRainPhysics`, through ``load_from``. If the data set provides
    ``real`` rainy pictures, a share ``real_rate`` of the iterations, the same on all ranks, includes their adversarial
    loss.

    Args:
        physics: as in :class:`HeavyRainPhysics`.
        generator: network from J0 (3 channels), or J0 and depth (4), to ``'picture'``.
        discriminator: network with a realness head and a tap ``depth``; reads 6 channels.
        losses: name -> config of a loss between prediction and clean target.
        objective: ``dict(lambda_gan=..., ...)``, see :class:`RefinementObjective`.
        physics_losses: None, the paper's second stage: the physics network is frozen in evaluation mode. Otherwise its
            third stage: all networks are trained further, see :class:`HeavyRainPhysics` for the form.
        depth_network: network from the degraded picture to one channel, which replaces 1 - T as the generator's depth
            input. It is trained with the generator. Its target is the relative distance ``-ln T`` divided by its
            maximum, with T the known transmission, or the estimated one if the data set has none.
        teacher: a frozen generator whose prediction is a further target of the generator (Hinton et al. 2015).
            ``load_from`` of a checkpoint without a teacher loads its generator as the teacher.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: components that are missing or incompatible.
    """

    optional_roles = (*LAYERS, 'real')
    rng_names = ('draws',)  # selects the iterations with real pictures

    def __init__(
        self,
        physics: Network | dict,
        generator: Network | dict,
        discriminator: Network | dict | None = None,
        losses: dict[str, dict] | None = None,
        objective: dict | None = None,
        physics_losses: dict[str, dict[str, dict]] | None = None,
        depth_network: Network | dict | None = None,
        teacher: Network | dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        owner = type(self).__name__
        check_keys(RefinementObjective, objective or {}, f'{owner}: objective')
        chosen = RefinementObjective(**(objective or {}))
        super().__init__(
            generator,
            discriminator,
            losses or {},
            'vanilla',
            chosen.lambda_gan,
            data_preprocessor=data_preprocessor,
        )
        self.objective = chosen
        self.deployed = ('physics', 'generator')
        self._add_depth_network(depth_network, owner)
        if teacher is not None:
            self.teacher = build_network(teacher, 'teacher').requires_grad_(False)
            self.frozen = ('teacher',)
        self.physics = build_network(physics, 'physics')
        self.joint = physics_losses is not None
        if physics_losses is not None:
            self.layer_losses = build_layer_losses(physics_losses, owner)
        else:
            self.physics.requires_grad_(False)
        self.steps['generator'] = tuple(name for name in self.deployed if name != 'physics' or self.joint)
        self.l1 = L1Loss()
        self._loaded = False

    def _add_depth_network(self, network: Network | dict | None, owner: str) -> None:
        reads = self.generator.needs.in_channels
        if reads not in (3, 4):
            raise ConfigError(f'{owner}: the generator reads {reads} channels; it must be J0 (3) or J0, depth (4)')
        if network is not None:
            if reads != 4:
                raise ConfigError(f'{owner}: depth_network needs a generator that reads 4 channels; it reads {reads}')
            self.depth_network = build_network(network, 'depth_network')
            self.deployed += ('depth_network',)

    def train(self, mode: bool = True) -> HeavyRainRestorer:
        """Set the mode; a frozen physics network and the teacher stay in evaluation mode."""
        super().train(mode)
        if not self.joint:
            self.role('physics').eval()
        if hasattr(self, 'teacher'):
            self.teacher.eval()
        return self

    def _with_teacher(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Rename the generator of a checkpoint to the teacher, unless it has one."""
        if not hasattr(self, 'teacher') or any(key.startswith('teacher.') for key in state):
            return state
        own = 'generator.'
        return {f'teacher.{k.removeprefix(own)}' if k.startswith(own) else k: value for k, value in state.items()}

    def roles_in(self, state: dict[str, Tensor]) -> tuple[str, ...]:
        """See :meth:`BaseRestorer.roles_in`."""
        return super().roles_in(self._with_teacher(state))

    def load_weights(self, state: dict[str, Tensor], roles: tuple[str, ...] | None = None) -> None:
        """See :meth:`BaseRestorer.load_weights`."""
        super().load_weights(self._with_teacher(state) if roles and 'teacher' in roles else state, roles)
        self._loaded = self._loaded or roles is None or 'physics' in roles

    # -- restoring -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def estimate_shared(self, lq: Tensor) -> dict[str, Tensor]:
        """Estimate the airlight of the whole picture: ``airlight`` -> ``(N, 3, 1, 1)``."""
        return self.role('physics').backbone(lq, taps=('airlight',), only_taps=True)

    def infer(self, x: Tensor, shared: dict[str, Tensor] | None, rng: Any, progress: Any) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.infer`: ``pred``, the layers, ``depth``, and J0 as ``physics``."""
        estimates = self.role('physics')(x, taps=LAYERS, **(shared or {}))
        out = layer_outputs(estimates, x)
        if 'depth_network' in self.deployed:
            estimates['depth'] = self.role('depth_network')(x)['picture']
            out['depth'] = estimates['depth'].expand_as(out['depth'])
        return {'pred': self._refine(self.role('generator'), estimates), **out}

    def at_strength(self, lq: Tensor, out: dict[str, Tensor], strength: float) -> Tensor:
        """Return the prediction at a strength, by layers: see :func:`mix_layers`."""
        return mix_layers(self.role('physics').head, lq, out, strength)

    def _refine(self, generator: nn.Module, estimates: dict[str, Tensor]) -> Tensor:
        plain: Any = without_wrapper(generator)
        x = estimates['picture']
        if plain.needs.in_channels == 4:
            depth = (
                nan_where_infinite(estimates['depth']).clamp(0, 1)
                if 'depth' in estimates
                else 1 - estimates['transmission']
            )
            x = torch.cat((x, depth), 1)
        given = {name: estimates[name] for name in plain.backbone.given}
        return generator(x, **given)['picture']

    # -- training ------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """Run the physics network and the generator, in some iterations also on real pictures."""
        if not self._loaded:
            self._loaded = True
            message = 'training starts with an untrained physics network: set load_from to a checkpoint'
            print_log(f'{type(self).__name__}: {message}', 'current', logging.WARNING)
        prepared: dict[str, Any] = {'lq': inputs['lq'], 'gt': inputs['gt'], 'estimates': self._estimate(inputs['lq'])}
        prepared['pred'] = self._refine(self.generator, prepared['estimates'])
        if hasattr(self, 'teacher'):
            with torch.no_grad():
                teacher_inputs = {name: value for name, value in prepared['estimates'].items() if name != 'depth'}
                prepared['teacher_pred'] = self._refine(self.teacher, teacher_inputs)
        # drawn in any case, so that the random sequence does not depend on the presence of real pictures
        drawn = torch.rand((), generator=self.rngs['draws'], device='cpu') < self.objective.real_rate
        if drawn and self.lambda_gan and 'real' in inputs:
            prepared['real_pred'] = self._refine(self.generator, self._estimate(inputs['real']))
        return prepared

    def _estimate(self, lq: Tensor) -> dict[str, Tensor]:
        if self.joint:
            estimates = self.physics(lq, taps=LAYERS)
        else:
            with torch.no_grad():
                estimates = self.role('physics')(lq, taps=LAYERS)
        if 'depth_network' in self.deployed:
            estimates['depth'] = self.depth_network(lq)['picture']
        return estimates

    def discriminator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return cross entropy of the scores, and the depth map loss: target 0 for real pairs, 1 - T for fake ones."""
        lq, gt, pred = prepared['lq'], prepared['gt'], prepared['pred'].detach()
        real = self.discriminator(torch.cat((lq, gt), 1), taps=('depth',))
        fake = self.discriminator(torch.cat((lq, pred), 1), taps=('depth',))
        known = inputs.get('transmission')
        veil = 1 - (prepared['estimates']['transmission'].detach() if known is None else known.mean(1, keepdim=True))
        score = self.adversarial(real['realness'], True) + self.adversarial(fake['realness'], False)
        maps = real['depth'].float().square().mean() + (fake['depth'].float() - veil).square().mean()
        return {'loss_d': score, 'loss_depth': self.objective.lambda_depth * maps}

    def generator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the base class's terms and those of depth network, teacher, real pictures and layers, if used."""
        terms = super().generator_terms(inputs, prepared)
        if 'depth' in prepared['estimates']:
            known = inputs.get('transmission')
            t = prepared['estimates']['transmission'].detach() if known is None else known.mean(1, keepdim=True)
            terms['loss_distance'] = self.l1(prepared['estimates']['depth'], relative_distance(t))
        if 'teacher_pred' in prepared:
            terms['loss_teacher'] = self.objective.lambda_teacher * self.l1(prepared['pred'], prepared['teacher_pred'])
        if 'real_pred' in prepared:
            terms['loss_adv_real'] = self.lambda_gan * self.generator_gan_loss(inputs['real'], prepared['real_pred'])
        if self.joint:
            terms.update(layer_terms(self.layer_losses, self.apply_loss, prepared['estimates'], inputs))
        return terms


def relative_distance(transmission: Tensor) -> Tensor:
    """Return the relative distance ``-ln T``, divided by its maximum in each picture.

    Args:
        transmission: ``(N, 1, H, W)`` in (0, 1]; limited to 0.01 from below.

    Returns:
        ``(N, 1, H, W)`` in [0, 1]; zeros where T is 1 everywhere.
    """
    far = -transmission.float().clamp(0.01, 1).log()
    return far / far.amax((-2, -1), keepdim=True).clamp_min(1e-6)

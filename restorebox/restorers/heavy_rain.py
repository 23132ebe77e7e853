"""Rain with its veil: what physics made of it, refined by a conditional GAN.

Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR
2019). What differs between the paper, its code and here is in ``configs/heavy_rain/README.md``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.finite import nan_where_infinite
from restorebox.losses.pixel import L1Loss
from restorebox.registry import RESTORERS, check_keys
from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.restorers.heavy_rain_physics import LAYERS, build_layer_losses, layer_terms, shown_layers
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Fraction, NotNegative


@dataclass(frozen=True)
class RefinementObjective:
    """Weights of the losses that have no config of their own.

    Attributes:
        lambda_gan: of the generator's adversarial loss; the discriminator's is binary cross entropy.
        lambda_depth: of the two losses of the discriminator's map.
        lambda_teacher: of the mean absolute difference to the teacher's picture.
        real_rate: share of the iterations that judge pictures of real rain as well, 0 to 1.

    Raises:
        ConfigError: a share that is none.
    """

    lambda_gan: NotNegative = 0.01
    lambda_depth: NotNegative = 1.0
    lambda_teacher: NotNegative = 1.0
    real_rate: Fraction = 0.1

    def __post_init__(self) -> None:
        """Refuse a share outside [0, 1]."""
        if not 0 <= self.real_rate <= 1:
            raise ConfigError(f'objective: real_rate is {self.real_rate}; it must be from 0 to 1')


@RESTORERS.register_module()
class HeavyRainRestorer(AdversarialRestorer):
    """J0 of a trained network of physics, refined by a generator under a discriminator that looks for the veil.

    ::

        lq -> physics -> S, T, A -> J0 -> generator -> pred -> losses against gt
                             |  depth = 1 - T, A ^      |
        cat(lq, pred), cat(lq, gt) -> discriminator -> score, and a map of depth: 1 - T of a fake pair, 0 of a real one

    It begins from the checkpoint of :class:`HeavyRainPhysics`, through ``load_from``. Pictures of ``real`` rain, where
    the data set gives them, are judged as well: in an iteration of ``real_rate`` of all, the same on all ranks.

    Args:
        physics: as in :class:`HeavyRainPhysics`.
        generator: network from J0 (3 channels), or J0 and depth (4), to ``'picture'``.
        discriminator: network with a realness head and a tap ``depth``; reads 6 channels.
        losses: name -> config of a loss between prediction and clean partner.
        objective: ``dict(lambda_gan=..., ...)``, see :class:`RefinementObjective`.
        physics_losses: None, the paper's second stage: the network of physics stands still in evaluation mode. Given,
            its third: all networks are trained further, see :class:`HeavyRainPhysics` for the form.
        depth_network: network from the degraded picture to one channel, which the generator is told in the place of
            1 - T. Trained with the generator on how far things are by the known transmission (or the estimated one,
            where the set gives none): ``-ln T``, over its highest.
        teacher: a generator that stands still, whose picture the generator is to hit as well (Hinton et al. 2015).
            ``load_from`` of a checkpoint without one takes its generator for it.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: parts that are missing or don't fit.
    """

    optional_roles = (*LAYERS, 'real')
    rng_names = ('draws',)  # which iterations judge real pictures

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
        if self.joint:
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
        """MMEngine's; a network of physics that is not trained stays in evaluation mode, and a teacher always."""
        super().train(mode)
        if not self.joint:
            self.role('physics').eval()
        if hasattr(self, 'teacher'):
            self.teacher.eval()
        return self

    def _with_teacher(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Weights of a checkpoint whose generator becomes the teacher, unless it has one."""
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
        """The airlight of the whole picture: ``airlight`` -> ``(N, 3, 1, 1)``."""
        return self.role('physics').backbone(lq, taps=('airlight',), only_taps=True)

    def infer(self, x: Tensor, shared: dict[str, Tensor] | None, rng: Any, progress: Any) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.infer`: ``pred``, the layers, ``depth``, and J0 as ``physics``."""
        seen = self.role('physics')(x, taps=LAYERS, **(shared or {}))
        out = shown_layers(seen, x)
        if 'depth_network' in self.deployed:
            seen['depth'] = self.role('depth_network')(x)['picture']
            out['depth'] = seen['depth'].expand_as(out['depth'])
        return {'pred': self._refine(self.role('generator'), seen), **out}

    def _refine(self, generator: nn.Module, seen: dict[str, Tensor]) -> Tensor:
        plain = generator.module if is_model_wrapper(generator) else generator
        x = seen['picture']
        if plain.needs.in_channels == 4:
            depth = nan_where_infinite(seen['depth']).clamp(0, 1) if 'depth' in seen else 1 - seen['transmission']
            x = torch.cat((x, depth), 1)
        given = {name: seen[name] for name in plain.backbone.given}
        return generator(x, **given)['picture']

    # -- training ------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """The passes of the network of physics and of the generator; of real pictures as well."""
        if not self._loaded:
            self._loaded = True
            message = 'training begins with an untrained network of physics: set load_from to a checkpoint'
            print_log(f'{type(self).__name__}: {message}', 'current', logging.WARNING)
        prepared = {'lq': inputs['lq'], 'gt': inputs['gt'], 'seen': self._estimate(inputs['lq'])}
        prepared['pred'] = self._refine(self.generator, prepared['seen'])
        if hasattr(self, 'teacher'):
            with torch.no_grad():
                taught = {name: value for name, value in prepared['seen'].items() if name != 'depth'}
                prepared['taught'] = self._refine(self.teacher, taught)
        # drawn whether there are real pictures or not, so that nothing else depends on it
        drawn = torch.rand((), generator=self.rngs['draws'], device='cpu') < self.objective.real_rate
        if drawn and self.lambda_gan and 'real' in inputs:
            prepared['real_pred'] = self._refine(self.generator, self._estimate(inputs['real']))
        return prepared

    def _estimate(self, lq: Tensor) -> dict[str, Tensor]:
        if self.joint:
            seen = self.physics(lq, taps=LAYERS)
        else:
            with torch.no_grad():
                seen = self.role('physics')(lq, taps=LAYERS)
        if 'depth_network' in self.deployed:
            seen['depth'] = self.depth_network(lq)['picture']
        return seen

    def discriminator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Cross entropy of both scores, and the map: it should show nothing of a real pair, the veil of a fake one."""
        lq, gt, pred = prepared['lq'], prepared['gt'], prepared['pred'].detach()
        real = self.discriminator(torch.cat((lq, gt), 1), taps=('depth',))
        fake = self.discriminator(torch.cat((lq, pred), 1), taps=('depth',))
        known = inputs.get('transmission')
        veil = 1 - (prepared['seen']['transmission'].detach() if known is None else known.mean(1, keepdim=True))
        score = self.adversarial(real['realness'], True) + self.adversarial(fake['realness'], False)
        maps = real['depth'].float().square().mean() + (fake['depth'].float() - veil).square().mean()
        return {'loss_d': score, 'loss_depth': self.objective.lambda_depth * maps}

    def generator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Those of the base class, of real pictures and, where the network of physics is trained, of the layers."""
        terms = super().generator_terms(inputs, prepared)
        if 'depth' in prepared['seen']:
            known = inputs.get('transmission')
            t = prepared['seen']['transmission'].detach() if known is None else known.mean(1, keepdim=True)
            terms['loss_distance'] = self.l1(prepared['seen']['depth'], relative_distance(t))
        if 'taught' in prepared:
            terms['loss_teacher'] = self.objective.lambda_teacher * self.l1(prepared['pred'], prepared['taught'])
        if 'real_pred' in prepared:
            terms['loss_adv_real'] = self.lambda_gan * self.deceive(inputs['real'], prepared['real_pred'])
        if self.joint:
            terms.update(layer_terms(self.layer_losses, self.apply_loss, prepared['seen'], inputs))
        return terms


def relative_distance(transmission: Tensor) -> Tensor:
    """How far things are, from how little of their light arrives: ``-ln T`` over its highest in each picture.

    Args:
        transmission: ``(N, 1, H, W)`` in (0, 1]; limited to 0.01 from below.

    Returns:
        ``(N, 1, H, W)`` in [0, 1]; zeros where nothing is veiled.
    """
    far = -transmission.float().clamp(0.01, 1).log()
    return far / far.amax((-2, -1), keepdim=True).clamp_min(1e-6)

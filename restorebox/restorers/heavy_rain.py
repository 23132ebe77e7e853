"""Rain with its veil, restored by physics and refined by a conditional GAN.

Li, Cheong, Tan, "Heavy Rain Image Restoration: Integrating Physics Model and Conditional Adversarial Learning" (CVPR
2019). What differs between the paper, its code and here is in ``configs/heavy_rain/README.md``.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.finite import nan_where_infinite
from restorebox.losses import L1Loss, build_picture_losses
from restorebox.registry import RESTORERS, nearest
from restorebox.restorers.adversarial import AdversarialRestorer
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Fraction, NotNegative

LAYERS = ('streak', 'transmission', 'airlight')


@RESTORERS.register_module()
class HeavyRainRestorer(AdversarialRestorer):
    """``I = T (J + S) + (1 - T) A``, inverted by a network of physics and refined by a generator.

    ::

        lq -> physics -> S, T, A -> J0 -> generator -> pred -> losses against gt
                          |   |  depth = 1 - T, A ^      |
                losses against what is known             |
        cat(lq, pred), cat(lq, gt) -> discriminator -> score, and a map of depth: 1 - T of a fake pair, 0 of a real one

    Layers that a set does not give leave out their losses. Without a transmission there is no veil, and the streaks are
    what the degraded picture has more than the clean one. Pictures of ``real`` rain, where the data set gives them, are
    judged as well: in an iteration of ``real_rate`` of all, the same on all ranks.

    Args:
        stage: 1 trains the network of physics, and ``pred`` is its J0; 2 the generator and the discriminator, while
            the network of physics stands still in evaluation mode: load the first stage's checkpoint through
            ``load_from``; 3 trains all three further. Parts that a stage has no use for are not built.
        physics: ``dict(backbone=..., head=...)`` of a :class:`PhysicsEstimator` and a :class:`PhysicsHead`.
        generator: network from J0 (3 channels), or J0 and depth (4), to ``'picture'``.
        discriminator: network with a realness head and a tap ``depth``; reads 6 channels.
        physics_losses: layer -> name -> config of a loss between estimated and known layer; logged as
            ``loss_LAYER_NAME``.
        losses: name -> config of a loss between prediction and clean partner.
        lambda_gan: weight of the generator's adversarial loss; the discriminator's is binary cross entropy.
        lambda_depth: weight of the two losses of the discriminator's map.
        depth_network: network from the degraded picture to one channel, which the generator is told in the place of
            1 - T. Trained with the generator on how far things are by the known transmission (or the estimated one,
            where the set gives none): ``-ln T``, over its highest.
        teacher: a generator that stands still, whose picture the generator is to hit as well (Hinton et al. 2015).
            ``load_from`` of a checkpoint without one takes its generator for it.
        lambda_teacher: weight of the mean absolute difference to the teacher's picture.
        real_rate: see above, 0 to 1.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: another stage, or parts that are missing or don't fit.
    """

    optional_roles = (*LAYERS, 'real')

    def __init__(
        self,
        stage: int,
        physics: Network | dict,
        generator: Network | dict | None = None,
        discriminator: Network | dict | None = None,
        physics_losses: dict[str, dict[str, dict]] | None = None,
        losses: dict[str, dict] | None = None,
        lambda_gan: NotNegative = 0.01,
        lambda_depth: NotNegative = 1.0,
        real_rate: Fraction = 0.1,
        depth_network: Network | dict | None = None,
        teacher: Network | dict | None = None,
        lambda_teacher: NotNegative = 1.0,
        data_preprocessor: dict | None = None,
    ) -> None:
        owner = type(self).__name__
        if stage not in (1, 2, 3):
            raise ConfigError(f'{owner}: stage is {stage!r}; it must be 1, 2 or 3')
        if not 0 <= real_rate <= 1:
            raise ConfigError(f'{owner}: real_rate is {real_rate}; it must be from 0 to 1')
        if stage == 1:  # no generator and no discriminator
            BaseRestorer.__init__(self, data_preprocessor=data_preprocessor)
            self.deployed = ('physics',)
            self.steps = {'physics': ('physics',)}
        else:
            if generator is None:
                raise ConfigError(f'{owner}: stage {stage} needs a generator')
            super().__init__(
                generator, discriminator, losses or {}, 'vanilla', lambda_gan, data_preprocessor=data_preprocessor
            )
            reads = self.generator.needs.in_channels
            if reads not in (3, 4):
                raise ConfigError(f'{owner}: the generator reads {reads} channels; it must be J0 (3) or J0, depth (4)')
            self.deployed = ('physics', 'generator')
            if depth_network is not None:
                if reads != 4:
                    raise ConfigError(
                        f'{owner}: depth_network needs a generator that reads 4 channels; it reads {reads}'
                    )
                self.depth_network = build_network(depth_network, 'depth_network')
                self.deployed += ('depth_network',)
            if teacher is not None:
                self.teacher = build_network(teacher, 'teacher').requires_grad_(False)
                self.frozen = ('teacher',)
            self.steps['generator'] = tuple(name for name in self.deployed if name != 'physics' or stage == 3)
        self.physics = build_network(physics, 'physics')
        self.stage = stage
        self.lambda_depth = lambda_depth
        self.lambda_teacher = lambda_teacher
        self.l1 = L1Loss()
        self.real_rate = real_rate
        self.layer_terms = nn.ModuleDict()
        if stage == 2:
            self.physics.requires_grad_(False)
        else:
            if not physics_losses:
                raise ConfigError(f'{owner}: stage {stage} needs physics_losses')
            for layer, cfgs in physics_losses.items():
                if layer not in LAYERS:
                    raise ConfigError(f"{owner}: physics_losses has no layer '{layer}'; {nearest(layer, LAYERS)}")
                self.layer_terms[layer] = build_picture_losses(cfgs, owner, degraded=False)
        # all ranks build the model under one seed, so they judge real pictures in the same iterations
        self.draws = torch.Generator('cpu').manual_seed(torch.initial_seed())
        self._loaded = stage == 1

    def train(self, mode: bool = True) -> HeavyRainRestorer:
        """MMEngine's; in stage 2 the network of physics stays in evaluation mode, and a teacher always."""
        super().train(mode)
        if self.stage == 2:
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

    def training_state(self) -> dict:
        """The generator of the iterations that judge real pictures."""
        return {'draws': self.draws.get_state()}

    def load_training_state(self, state: dict) -> None:
        """See :meth:`training_state`."""
        self.draws.set_state(state['draws'].cpu())

    # -- restoring -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def estimate_shared(self, lq: Tensor) -> dict[str, Tensor]:
        """The airlight of the whole picture: ``airlight`` -> ``(N, 3, 1, 1)``."""
        return self.role('physics').backbone(lq, taps=('airlight',), only_taps=True)

    def infer(self, x: Tensor, shared: dict[str, Tensor] | None, generator: Any, progress: Any) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.infer`: ``pred``, the layers, ``depth``, and J0 as ``physics``."""
        seen = self.role('physics')(x, taps=LAYERS, **(shared or {}))
        out = {layer: seen[layer].expand(-1, 3, *x.shape[-2:]) for layer in LAYERS}
        depth = 1 - out['transmission']
        if 'depth_network' in self.deployed:
            seen['depth'] = self.role('depth_network')(x)['picture']
            depth = seen['depth'].expand_as(depth)
        pred = seen['picture'] if self.stage == 1 else self._refine(self.role('generator'), seen)
        return {'pred': pred, 'physics': seen['picture'], 'depth': depth, **out}

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
        """The pass of the network of physics and, from stage 2, of the generator; of real pictures as well."""
        if not self._loaded:
            self._loaded = True
            message = f'stage {self.stage} begins with an untrained network of physics: set load_from to a checkpoint'
            print_log(f'{type(self).__name__}: {message}', 'current', logging.WARNING)
        memory = {'lq': inputs['lq'], 'gt': inputs['gt'], 'seen': self._estimate(inputs['lq'])}
        if self.stage == 1:
            return memory
        memory['pred'] = self._refine(self.generator, memory['seen'])
        if hasattr(self, 'teacher'):
            with torch.no_grad():
                taught = {name: value for name, value in memory['seen'].items() if name != 'depth'}
                memory['taught'] = self._refine(self.teacher, taught)
        # drawn whether there are real pictures or not, so that nothing else depends on it
        drawn = torch.rand((), generator=self.draws, device='cpu') < self.real_rate
        if drawn and self.lambda_gan and 'real' in inputs:
            memory['real_pred'] = self._refine(self.generator, self._estimate(inputs['real']))
        return memory

    def _estimate(self, lq: Tensor) -> dict[str, Tensor]:
        if self.stage == 2:
            with torch.no_grad():
                seen = self.role('physics')(lq, taps=LAYERS)
        else:
            seen = self.physics(lq, taps=LAYERS)
        if 'depth_network' in self.deployed:
            seen['depth'] = self.depth_network(lq)['picture']
        return seen

    def losses(self, step: str, inputs: Inputs, memory: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`."""
        if step == 'physics':
            return self.physics_terms(inputs, memory)
        return super().losses(step, inputs, memory)

    def physics_terms(self, inputs: Inputs, memory: dict) -> dict[str, Tensor]:
        """Losses of the layers that are known."""
        known = {layer: inputs[layer] for layer in LAYERS if layer in inputs}
        if not known.keys() & {'streak', 'transmission'}:
            known['streak'] = (inputs['lq'] - inputs['gt']).clamp(0, 1)
        if 'airlight' in known:  # stored as a picture of one colour
            known['airlight'] = known['airlight'].mean((-2, -1), keepdim=True).expand(-1, 3, -1, -1)
        terms = {}
        for layer, losses in self.layer_terms.items():
            if layer in known:
                pred = memory['seen'][layer].expand_as(known[layer])
                for name, loss in losses.items():
                    terms[f'loss_{layer}_{name}'] = self.apply_loss(loss, pred, known[layer])
        return terms

    def discriminator_terms(self, inputs: Inputs, memory: dict) -> dict[str, Tensor]:
        """Cross entropy of both scores, and the map: it should show nothing of a real pair, the veil of a fake one."""
        lq, gt, pred = memory['lq'], memory['gt'], memory['pred'].detach()
        real = self.discriminator(torch.cat((lq, gt), 1), taps=('depth',))
        fake = self.discriminator(torch.cat((lq, pred), 1), taps=('depth',))
        known = inputs.get('transmission')
        veil = 1 - (memory['seen']['transmission'].detach() if known is None else known.mean(1, keepdim=True))
        score = self.adversarial(real['realness'], True) + self.adversarial(fake['realness'], False)
        maps = real['depth'].float().square().mean() + (fake['depth'].float() - veil).square().mean()
        return {'loss_d': score, 'loss_depth': self.lambda_depth * maps}

    def generator_terms(self, inputs: Inputs, memory: dict) -> dict[str, Tensor]:
        """Those of the base class, of real pictures and, in stage 3, of the layers."""
        terms = super().generator_terms(inputs, memory)
        if 'depth' in memory['seen']:
            known = inputs.get('transmission')
            t = memory['seen']['transmission'].detach() if known is None else known.mean(1, keepdim=True)
            terms['loss_distance'] = self.l1(memory['seen']['depth'], relative_distance(t))
        if 'taught' in memory:
            terms['loss_teacher'] = self.lambda_teacher * self.l1(memory['pred'], memory['taught'])
        if 'real_pred' in memory:
            terms['loss_adv_real'] = self.lambda_gan * self.deceive(inputs['real'], memory['real_pred'])
        return {**terms, **self.physics_terms(inputs, memory)} if self.stage == 3 else terms


def relative_distance(transmission: Tensor) -> Tensor:
    """How far things are, from how little of their light arrives: ``-ln T`` over its highest in each picture.

    Args:
        transmission: ``(N, 1, H, W)`` in (0, 1]; limited to 0.01 from below.

    Returns:
        ``(N, 1, H, W)`` in [0, 1]; zeros where nothing is veiled.
    """
    far = -transmission.float().clamp(0.01, 1).log()
    return far / far.amax((-2, -1), keepdim=True).clamp_min(1e-6)

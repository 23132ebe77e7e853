"""Unpaired deraining by two cycle-consistent generators and two diffusion models.

Wei, Shen, Wang, Xie, Qin, Wang, "RainDiffusion: When Unsupervised Learning Meets Diffusion Models for Real-world Image
Deraining" (arXiv 2301.09430 v3). The authors have published no code. For what the paper specifies and what we added see
``configs/raindiffusion/README.md``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor

from restorebox.diffusion import Estimate
from restorebox.errors import ConfigError
from restorebox.losses.adversarial import AdversarialLoss
from restorebox.losses.pixel import L1Loss
from restorebox.registry import RESTORERS, nearest
from restorebox.restorers.collapse import CollapseMonitor
from restorebox.restorers.diffusion import DiffusionRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Fraction, NotNegative, Timesteps

# term -> (denoiser, target, condition)
TERMS = {
    'L1': ('denoiser', 'clean', 'fake_rainy'),
    'L2': ('rain_denoiser', 'fake_rainy', 'rec_clean'),
    'L3': ('rain_denoiser', 'rainy', 'fake_clean'),
    'L4': ('denoiser', 'fake_clean', 'rec_rainy'),
}
REAL = ('L1', 'L3')  # terms with a real target
# generated picture -> (generator, source)
GENERATED = {
    'fake_rainy': ('rain_generator', 'clean'),  # x' = G_A(x)
    'fake_clean': ('generator', 'rainy'),  # y' = G_B(y)
    'rec_clean': ('generator', 'fake_rainy'),  # x'' = G_B(x')
    'rec_rainy': ('rain_generator', 'fake_clean'),  # y'' = G_A(y')
}
DETACH = ('none', 'target', 'all')


def generators_of(picture: str) -> tuple[str, ...]:
    """Return the generators that produced a picture, the last one first."""
    roles: tuple[str, ...] = ()
    while picture in GENERATED:
        role, picture = GENERATED[picture]
        roles += (role,)
    return roles


@RESTORERS.register_module()
class RainDiffusion(DiffusionRestorer):
    """Two generators make pseudo pairs of unpaired pictures, two denoisers are trained on them; one is deployed.

    ::

        x -> rain_generator -> x' -> generator -> x''        x clean (hq), y rainy (lq)
        y -> generator -> y' -> rain_generator -> y''
        L1: denoiser of x, given x'          L2: rain_denoiser of x', given x''
        L4: denoiser of y', given y''        L3: rain_denoiser of y, given y'
        cycle: |x'' - x| + |y'' - y|, eq 12

    As published, no term makes x' rainy or y' clean. If the generators are the identity, the cycle loss is 0, each
    denoiser receives its own target as condition, and the deployed one learns to copy. The differences ``|x' - x|`` and
    ``|y' - y|`` are logged as ``shift_rainy`` and ``shift_clean``, a warning is logged when both are smaller than the
    domains' difference allows (:class:`CollapseMonitor`), and stored scores record it. There are three remedies, none
    in the paper: frozen generators of a CycleGAN of this toolbox (the role names are equal: ``load_from`` of its
    checkpoint loads them), ``domain_prior``, and ``lambda_adv``. Initialisation by a CycleGAN is not sufficient: under
    this objective it becomes the identity within a hundred steps (docs/results/raindiffusion_demo.md).

    Networks that no term reads are not built.

    Args:
        denoiser: deployed network, see :class:`DiffusionRestorer`; ``rain_denoiser`` has the same config.
        generator: degraded -> clean, ``dict(backbone=..., head=...)``; ``rain_generator`` has the same config.
        terms: the terms of L1 .. L4 to train on.
        lambda_cyc: weight of the cycle loss; 1 in the paper.
        cycles: cycles of the cycle loss, of ``'clean'`` (x, x', x'') and ``'rainy'`` (y, y', y'').
        detach: ``'none'``, the paper: all terms have gradients for the generators; ``'target'``: not through the pseudo
            targets of L2 and L4; ``'all'``: the cycle loss only. With ``'all'`` and ``lambda_cyc=0`` the generators are
            frozen as loaded by ``load_from``, and the denoisers are trained on their pseudo pairs.
        domain_prior: L1 and L3 train the denoisers only. L2 and L4 train the generators only, through frozen denoisers
            with an empty condition (with a condition, the identity would still minimise them). Pseudo targets thus
            become more likely under the denoiser of their domain. Two optimiser steps.
        discriminator: network with a realness head, for ``lambda_adv``; ``rain_discriminator`` has the same config.
        lambda_adv: weight of the adversarial loss on x' and y', 0 in the paper.
        gan_mode: see :class:`AdversarialLoss`.
        condition_dropout: share of samples of L1 and L3 whose condition is zeros, which trains a denoiser for an empty
            condition; ``domain_prior`` needs it.
        timesteps: see :class:`DiffusionRestorer`.
        prediction: see :class:`DiffusionRestorer`.
        sampling: see :class:`DiffusionRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: settings that contradict each other.
    """

    picture_roles = ('lq', 'hq')

    def __init__(
        self,
        denoiser: Network | dict,
        generator: Network | dict,
        terms: Sequence[str] = tuple(TERMS),
        lambda_cyc: NotNegative = 1.0,
        cycles: Sequence[str] = ('clean', 'rainy'),
        detach: str = 'none',
        domain_prior: bool = False,
        condition_dropout: Fraction = 0.0,
        discriminator: Network | dict | None = None,
        lambda_adv: NotNegative = 0.0,
        gan_mode: str = 'lsgan',
        schedule: str = 'linear',
        timesteps: Timesteps = 1000,
        prediction: str = 'noise',
        sampling: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(denoiser, schedule, timesteps, prediction, sampling, data_preprocessor)
        self.terms = tuple(terms)
        self.lambda_cyc = lambda_cyc
        self.cycles = tuple(cycles) if lambda_cyc else ()
        self.detach = detach
        self.domain_prior = domain_prior
        self.condition_dropout = condition_dropout
        self.lambda_adv = lambda_adv
        self._check(tuple(cycles), discriminator)
        self.pictures = self._needed()
        used = dict.fromkeys(role for picture in self.pictures for role in generators_of(picture))
        for name in used:
            setattr(self, name, build_network(generator, name))
        denoisers = tuple(dict.fromkeys(TERMS[term][0] for term in self.terms))
        if 'rain_denoiser' in denoisers:
            self.rain_denoiser = build_network(denoiser, 'rain_denoiser')
        self.generators = tuple(used)
        self.frozen = tuple(used) if detach == 'all' and not self.cycles else ()
        for name in self.frozen:
            self.role(name).requires_grad_(False)
        self._loaded = not self.frozen
        if domain_prior:
            self.steps = {'denoiser': denoisers, 'generator': self.generators}
        else:
            self.steps = {'joint': denoisers if self.frozen else denoisers + self.generators}
        self.discriminators: dict[str, str] = {}  # domain -> role
        if discriminator is not None:
            critics = {'clean': 'discriminator', 'rainy': 'rain_discriminator'}
            self.discriminators = {
                domain: critic for domain, critic in critics.items() if f'fake_{domain}' in self.pictures
            }
            for critic in self.discriminators.values():
                setattr(self, critic, build_network(discriminator, critic))
            roles = (*self.discriminators.values(), *self.generators)
            if len({self.role(name).needs.value_range for name in roles}) > 1:
                raise ConfigError(f'{type(self).__name__}: discriminator and generator differ in value_range')
            self.steps = {'discriminator': tuple(self.discriminators.values()), **self.steps}
        self.adversarial = AdversarialLoss(gan_mode)
        self.l1 = L1Loss()
        self.monitor = CollapseMonitor()

    def _check(self, cycles: tuple[str, ...], discriminator: Network | dict | None) -> None:
        owner = type(self).__name__
        for name, given, known in (('terms', self.terms, tuple(TERMS)), ('cycles', cycles, ('clean', 'rainy'))):
            for each in given:
                if each not in known:
                    raise ConfigError(f"{owner}: {name}: there is no '{each}'; {nearest(str(each), known)}")
        if self.detach not in DETACH:
            raise ConfigError(f"{owner}: detach is '{self.detach}'; {nearest(str(self.detach), DETACH)}")
        for name, weight in (('lambda_cyc', self.lambda_cyc), ('lambda_adv', self.lambda_adv)):
            if not isinstance(weight, (int, float)) or not 0 <= weight < float('inf'):
                raise ConfigError(f'{owner}: {name} is {weight!r}; it must be a number of 0 or more')
        if bool(self.lambda_adv) != (discriminator is not None):
            alone = 'a discriminator' if discriminator is not None else f'lambda_adv={self.lambda_adv:g}'
            raise ConfigError(f'{owner}: {alone} alone; set discriminator and lambda_adv, or neither')
        if self.lambda_adv and self.detach == 'all' and not self.lambda_cyc:
            raise ConfigError(f"{owner}: lambda_adv trains generators, which detach='all' and lambda_cyc=0 freeze")
        if not 0 <= self.condition_dropout < 1:
            raise ConfigError(f'{owner}: condition_dropout is {self.condition_dropout}; it must be in [0, 1)')
        if not {'L1', 'L4'} & set(self.terms):
            raise ConfigError(f'{owner}: terms is {self.terms}; L1 or L4 must be among them, they train the denoiser')
        for term, cycle in (('L2', 'clean'), ('L4', 'rainy')):
            if term in self.terms and cycle not in cycles:
                raise ConfigError(f"{owner}: {term} needs the reconstruction of '{cycle}' in cycles; or leave it out")
        complete = set(self.terms) == set(TERMS) and self.detach == 'none' and self.condition_dropout
        if self.domain_prior and not complete:
            raise ConfigError(f"{owner}: domain_prior needs all four terms, detach='none' and a condition_dropout")

    def _needed(self) -> tuple[str, ...]:
        """Return the generated pictures that are needed, each after its source."""
        read = {picture for term in self.terms for picture in TERMS[term][1:]}
        read |= {f'rec_{cycle}' for cycle in self.cycles}
        read |= {GENERATED[picture][1] for picture in read if picture in GENERATED}
        return tuple(picture for picture in GENERATED if picture in read)

    def train(self, mode: bool = True) -> RainDiffusion:
        """Set the mode; frozen generators stay in evaluation mode."""
        super().train(mode)
        for name in self.frozen:
            self.role(name).eval()
        return self

    def load_weights(self, state: dict[str, Tensor], roles: tuple[str, ...] | None = None) -> None:
        """See :meth:`BaseRestorer.load_weights`."""
        super().load_weights(state, roles)
        self._loaded = self._loaded or roles is None or set(self.generators) <= set(roles)

    # -- training state and record -------------------------------------------------------------------------------

    def training_state(self) -> dict:
        """Return the state of the random number generator and of the collapse detection."""
        return {**super().training_state(), 'watch': self.monitor.state()}

    def load_training_state(self, state: dict) -> None:
        """Restore the result of :meth:`training_state`."""
        super().load_training_state(state)
        self.monitor.load(state['watch'])

    def provenance(self) -> dict:
        """Return the last mean differences between generated pictures and their sources."""
        return {**self.monitor.last, 'collapsed': self.monitor.collapsed} if self.monitor.last else {}

    # -- passes --------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """Run the generators, and draw timesteps and noise for the two denoisers (algorithm 1)."""
        if not self._loaded:
            self._loaded = True
            message = (
                "detach='all' and lambda_cyc=0 freeze untrained generators: set load_from to a CycleGAN's checkpoint"
            )
            print_log(f'{type(self).__name__}: {message}', 'current', logging.WARNING)
        pictures = {'clean': self.to_range(inputs['hq']), 'rainy': self.to_range(inputs['lq'])}
        self._check_crop(pictures['clean'])
        for name in self.pictures:
            role, source = GENERATED[name]
            pictures[name] = getattr(self, role)(pictures[source])['picture']
        drawn = {role: self.draw_step_and_noise(pictures['clean']) for role in ('denoiser', 'rain_denoiser')}
        return {'pictures': pictures, 'drawn': drawn}

    def _check_crop(self, x: Tensor) -> None:
        for role in self.generators:
            stride = self.role(role).needs.stride
            if x.shape[-1] % stride or x.shape[-2] % stride:
                raise ConfigError(
                    f'train_dataloader: pictures are {x.shape[-2]}x{x.shape[-1]} (height x width), the {role} needs '
                    f'multiples of {stride}; set RandomWindow to one'
                )

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the terms of algorithm 1, or of one step of it."""
        pictures = prepared['pictures']
        if step == 'discriminator':
            return self._discriminator_losses(pictures)
        if step == 'denoiser':
            return self._noise_terms(prepared, REAL, detach=True)
        if step == 'generator':
            terms = self._noise_terms(prepared, ('L2', 'L4'), unconditional=True)
        else:
            terms = self._noise_terms(prepared, self.terms, detach=self.detach == 'all')
        if self.cycles:
            each = [self.l1(pictures[f'rec_{cycle}'], pictures[cycle]) for cycle in self.cycles]
            terms['loss_cyc'] = self.lambda_cyc * torch.stack(each).sum()
        if self.discriminators:
            each = [
                self.adversarial(getattr(self, role)(pictures[f'fake_{domain}'])['realness'], True)
                for domain, role in self.discriminators.items()
            ]
            terms['loss_adv'] = self.lambda_adv * torch.stack(each).mean()
        shifts = {
            f'shift_{domain}': (pictures[f'fake_{domain}'] - pictures[source]).detach().float().abs().mean()
            for domain, source in (('rainy', 'clean'), ('clean', 'rainy'))
            if f'fake_{domain}' in pictures
        }
        if not self.frozen:  # frozen generators cannot collapse
            self.monitor.add(shifts, pictures['rainy'], pictures['clean'])
        return {**terms, **shifts}

    def _discriminator_losses(self, pictures: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the discriminators' losses on real and on detached generated images."""
        terms = {}
        for domain, role in self.discriminators.items():
            on_real, on_fake = (getattr(self, role)(pictures[name].detach()) for name in (domain, f'fake_{domain}'))
            each = [self.adversarial(on_real['realness'], True), self.adversarial(on_fake['realness'], False)]
            terms[f'loss_d_{domain}'] = torch.stack(each).mean()
        return terms

    def _noise_terms(
        self, prepared: dict, names: Sequence[str], detach: bool = False, unconditional: bool = False
    ) -> dict[str, Tensor]:
        """Return the named terms of L1 .. L4; two terms of one denoiser are computed in one pass.

        Args:
            prepared: result of :meth:`prepare`.
            names: names of the terms.
            detach: detach the generated pictures.
            unconditional: use zeros for all conditions.
        """
        pictures, terms = prepared['pictures'], {}
        for role, (t, noise) in prepared['drawn'].items():
            own = [name for name in names if TERMS[name][0] == role]
            if not own:
                continue
            targets, conditions = [], []
            for name in own:
                _, target, condition = TERMS[name]
                stop = detach or (self.detach == 'target' and name not in REAL)
                targets.append(pictures[target].detach() if stop else pictures[target])
                condition = pictures[condition].detach() if detach else pictures[condition]
                conditions.append(torch.zeros_like(condition) if unconditional else self._drop(name, condition))
            clean, many = torch.cat(targets), len(own)
            t, noise = t.repeat(many), noise.repeat(many, 1, 1, 1)
            estimate = self.estimate(role, torch.cat(conditions), self.schedule.noisy(clean, t, noise), t)
            out, wanted = self.compared(estimate, Estimate(noise, clean))
            for name, a, b in zip(own, out.chunk(many), wanted.chunk(many), strict=True):
                terms[f'loss_{name}'] = self.mse(a, b)
        return {f'loss_{name}': terms[f'loss_{name}'] for name in names}

    def _drop(self, name: str, condition: Tensor) -> Tensor:
        """Replace some conditions of terms with a real target by zeros."""
        if not self.condition_dropout or name not in REAL:
            return condition
        kept = self.draw(torch.rand, condition.shape[0]) >= self.condition_dropout
        return condition * kept.view(-1, 1, 1, 1).to(condition)

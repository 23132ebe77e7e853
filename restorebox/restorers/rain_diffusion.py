"""Unpaired deraining by a translation cycle and two diffusion models.

Wei, Shen, Wang, Xie, Qin, Wang, "RainDiffusion: When Unsupervised Learning Meets Diffusion Models for Real-world Image
Deraining" (arXiv 2301.09430 v3). No code of it is public. What is the paper's and what is ours: see
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
from restorebox.losses.pixel import L1Loss
from restorebox.registry import RESTORERS, nearest
from restorebox.restorers.collapse import CollapseWatch
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
REAL = ('L1', 'L3')  # terms whose target is a photograph
# generated picture -> (generator, source)
MADE = {
    'fake_rainy': ('rain_generator', 'clean'),  # x' = G_A(x)
    'fake_clean': ('generator', 'rainy'),  # y' = G_B(y)
    'rec_clean': ('generator', 'fake_rainy'),  # x'' = G_B(x')
    'rec_rainy': ('rain_generator', 'fake_clean'),  # y'' = G_A(y')
}
DETACH = ('none', 'target', 'all')


def behind(picture: str) -> tuple[str, ...]:
    """The generators that a picture came through."""
    roles: tuple[str, ...] = ()
    while picture in MADE:
        role, picture = MADE[picture]
        roles += (role,)
    return roles


@RESTORERS.register_module()
class RainDiffusion(DiffusionRestorer):
    """Two generators make pseudo pairs of unrelated pictures, two denoisers learn from them; one of these is deployed.

    ::

        x -> rain_generator -> x' -> generator -> x''        x clean (hq), y rainy (lq)
        y -> generator -> y' -> rain_generator -> y''
        L1: denoiser of x, given x'          L2: rain_denoiser of x', given x''
        L4: denoiser of y', given y''        L3: rain_denoiser of y, given y'
        cycle: |x'' - x| + |y'' - y|, eq 12

    As printed nothing makes x' look rainy or y' clean: generators that return their input have no cycle loss, show each
    denoiser its own target, and the deployed one learns to copy. How far x' is from x and y' from y is logged as
    ``shift_rainy`` and ``shift_clean``, a warning is given when both vanish, and stored scores say so. Two remedies,
    neither of the paper: generators that are those of a CycleGAN of this toolbox (the roles have its names:
    ``load_from`` of its checkpoint takes them) and held, and ``domain_prior``. Only to start from a CycleGAN is not
    enough: trained further by this objective it is the identity within a hundred steps
    (docs/results/raindiffusion_demo.md).

    Networks that no term reads are not built.

    Args:
        denoiser: deployed network, see :class:`DiffusionRestorer`; ``rain_denoiser`` is another of the same kind.
        generator: degraded -> clean, ``dict(backbone=..., head=...)``; ``rain_generator`` is another of the same kind.
        terms: those of L1 .. L4 that are trained on.
        lambda_cyc: weight of the cycle loss; 1 in the paper.
        cycles: of ``'clean'`` (x, x', x'') and ``'rainy'`` (y, y', y''), those that are closed.
        detach: ``'none'``, gradients reach generators from everywhere, the paper; ``'target'``, not through the pseudo
            targets of L2 and L4; ``'all'``, from the cycle alone. With ``lambda_cyc=0`` that leaves none: the
            generators are held as ``load_from`` brought them, and the denoisers learn from their pseudo pairs.
        domain_prior: L1 and L3 train the denoisers alone. L2 and L4 train the generators alone, through frozen
            denoisers that are shown no condition (with one, the identity would still be the cheapest), so that a
            pseudo target is pulled towards what the denoiser of its domain finds likely. Two optimiser steps.
        condition_dropout: share of samples of L1 and L3 whose condition is zeros, so that a denoiser learns to go
            without; ``domain_prior`` needs it.
        schedule: see :class:`DiffusionRestorer`.
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
        self._check(tuple(cycles))
        self.pictures = self._needed()
        used = dict.fromkeys(role for picture in self.pictures for role in behind(picture))
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
        self.l1 = L1Loss()
        self.watch = CollapseWatch()

    def _check(self, cycles: tuple[str, ...]) -> None:
        owner = type(self).__name__
        for name, given, known in (('terms', self.terms, tuple(TERMS)), ('cycles', cycles, ('clean', 'rainy'))):
            for each in given:
                if each not in known:
                    raise ConfigError(f"{owner}: {name}: there is no '{each}'; {nearest(str(each), known)}")
        if self.detach not in DETACH:
            raise ConfigError(f"{owner}: detach is '{self.detach}'; {nearest(str(self.detach), DETACH)}")
        if not isinstance(self.lambda_cyc, (int, float)) or not 0 <= self.lambda_cyc < float('inf'):
            raise ConfigError(f'{owner}: lambda_cyc is {self.lambda_cyc!r}; it must be a number of 0 or more')
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
        """Generated pictures that something reads, sources before what is made of them."""
        read = {picture for term in self.terms for picture in TERMS[term][1:]}
        read |= {f'rec_{cycle}' for cycle in self.cycles}
        read |= {MADE[picture][1] for picture in read if picture in MADE}
        return tuple(picture for picture in MADE if picture in read)

    def train(self, mode: bool = True) -> RainDiffusion:
        """MMEngine's; generators that are held stay in evaluation mode."""
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
        """The state of the random number generator, and what the watch has seen."""
        return {**super().training_state(), 'watch': self.watch.state()}

    def load_training_state(self, state: dict) -> None:
        """See :meth:`training_state`."""
        super().load_training_state(state)
        self.watch.load(state['watch'])

    def provenance(self) -> dict:
        """How far generated pictures were from their sources in the end."""
        return {**self.watch.last, 'collapsed': self.watch.collapsed} if self.watch.last else {}

    # -- passes --------------------------------------------------------------------------------------------------

    def prepare(self, inputs: Inputs) -> dict:
        """The generators' passes, and what is drawn for each of the two denoisers (algorithm 1)."""
        if not self._loaded:
            self._loaded = True
            message = (
                "detach='all' and lambda_cyc=0 hold untrained generators: set load_from to a CycleGAN's checkpoint"
            )
            print_log(f'{type(self).__name__}: {message}', 'current', logging.WARNING)
        pictures = {'clean': self.to_range(inputs['hq']), 'rainy': self.to_range(inputs['lq'])}
        self._check_crop(pictures['clean'])
        for name in self.pictures:
            role, source = MADE[name]
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
        """Algorithm 1, all of it or a step's part."""
        pictures = prepared['pictures']
        if step == 'denoiser':
            return self._noise_terms(prepared, REAL, held=True)
        if step == 'generator':
            terms = self._noise_terms(prepared, ('L2', 'L4'), unconditional=True)
        else:
            terms = self._noise_terms(prepared, self.terms, held=self.detach == 'all')
        if self.cycles:
            each = [self.l1(pictures[f'rec_{cycle}'], pictures[cycle]) for cycle in self.cycles]
            terms['loss_cyc'] = self.lambda_cyc * sum(each)
        shifts = {
            f'shift_{domain}': (pictures[f'fake_{domain}'] - pictures[source]).detach().float().abs().mean()
            for domain, source in (('rainy', 'clean'), ('clean', 'rainy'))
            if f'fake_{domain}' in pictures
        }
        self.watch.add(shifts)
        return {**terms, **shifts}

    def _noise_terms(
        self, prepared: dict, names: Sequence[str], held: bool = False, unconditional: bool = False
    ) -> dict[str, Tensor]:
        """Those of L1 .. L4 that are named; the two of one denoiser are one pass.

        Args:
            prepared: of the iteration.
            names: of the terms.
            held: generated pictures are data.
            unconditional: all conditions are zeros.
        """
        pictures, terms = prepared['pictures'], {}
        for role, (t, noise) in prepared['drawn'].items():
            own = [name for name in names if TERMS[name][0] == role]
            if not own:
                continue
            targets, conditions = [], []
            for name in own:
                _, target, condition = TERMS[name]
                stop = held or (self.detach == 'target' and name not in REAL)
                targets.append(pictures[target].detach() if stop else pictures[target])
                condition = pictures[condition].detach() if held else pictures[condition]
                conditions.append(torch.zeros_like(condition) if unconditional else self._drop(name, condition))
            clean, many = torch.cat(targets), len(own)
            t, noise = t.repeat(many), noise.repeat(many, 1, 1, 1)
            estimate = self.estimate(role, torch.cat(conditions), self.schedule.noisy(clean, t, noise), t)
            out, wanted = self.compared(estimate, Estimate(noise, clean))
            for name, a, b in zip(own, out.chunk(many), wanted.chunk(many), strict=True):
                terms[f'loss_{name}'] = self.mse(a, b)
        return {f'loss_{name}': terms[f'loss_{name}'] for name in names}

    def _drop(self, name: str, condition: Tensor) -> Tensor:
        """Zeros instead of some conditions of the real targets."""
        if not self.condition_dropout or name not in REAL:
            return condition
        kept = self.draw(torch.rand, condition.shape[0]) >= self.condition_dropout
        return condition * kept.view(-1, 1, 1, 1).to(condition)

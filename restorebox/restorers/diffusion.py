"""Paired restoration by a conditional diffusion model: from noise to a picture, looking at the degraded one.

Ho et al., "Denoising Diffusion Probabilistic Models" (NeurIPS 2020); Saharia et al., "Image Super-Resolution via
Iterative Refinement" (TPAMI 2022), SR3: the condition as further input channels; Özdenizci and Legenstein, "Restoring
Vision in Adverse Weather Conditions with Patch-Based Denoising Diffusion Models" (TPAMI 2023), WeatherDiffusion. Both
are settings of the class here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from restorebox.backbones.base import Needs
from restorebox.diffusion import (
    Estimate,
    NoiseSchedule,
    Sampling,
    WindowAverage,
    draw_noise,
    sample,
    spaced_steps,
)
from restorebox.errors import ConfigError
from restorebox.layers.finite import nan_where_infinite
from restorebox.losses.pixel import MSELoss
from restorebox.registry import RESTORERS, check_keys, nearest
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import Timesteps

PREDICTIONS = ('noise', 'x0', 'residual', 'preconditioned')
CONDITION_ERROR = 0.1  # mean squared error of a degraded picture in [-1, 1]: 16 dB


@RESTORERS.register_module()
class DiffusionRestorer(BaseRestorer):
    """A denoiser that is shown the degraded picture, and a sampler that begins with noise.

    ::

        training:   gt, t, noise -> noisy;  cat(lq, noisy), t -> denoiser -> estimate against the noise
        restoring:  noise -> denoiser -> step -> ... -> picture, S times

    The condition comes first in the input's channels, what is noisy second, as in WeatherDiffusion.

    Steps and noise are drawn per sample from a generator of its own that goes into the checkpoint. They depend on a
    sample's place in the batches of all ranks, so N ranks x batch b and one rank x batch N*b draw alike.

    Args:
        denoiser: deployed network, ``dict(backbone=..., head=...)``; 6 channels in, 3 out, reads ``timestep``.
        schedule: ``'linear'`` or ``'cosine'``, see :class:`~restorebox.diffusion.NoiseSchedule`.
        timesteps: T.
        prediction: what the denoiser estimates: ``'noise'`` as in the papers; ``'x0'``, the clean picture: a short
            training goes further with it, since at large t an error of the noise is amplified by a hundred; or
            ``'residual'``, what is to be added to the degraded picture to have the clean one, where both are alike; or
            ``'preconditioned'``, what is to be added to the best mixture of degraded and noisy picture, in units of the
            error that is expected of it: at small t the noisy one is nearly the answer, at large t it says nothing
            (Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", NeurIPS 2022, section
            5, with a second picture to begin from).
        sampling: how pictures are made at test, see :class:`~restorebox.diffusion.Sampling`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: settings that don't exist or don't fit each other.
    """

    deployed = ('denoiser',)
    steps = {'denoiser': ('denoiser',)}
    rng_names = ('draws',)  # steps and noise

    def __init__(
        self,
        denoiser: Network | dict,
        schedule: str = 'linear',
        timesteps: Timesteps = 1000,
        prediction: str = 'noise',
        sampling: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(None, data_preprocessor)
        owner = type(self).__name__
        if prediction not in PREDICTIONS:
            raise ConfigError(f"{owner}: prediction is '{prediction}'; {nearest(str(prediction), PREDICTIONS)}")
        self.denoiser = build_network(denoiser, 'denoiser')
        self._check_estimator(self.denoiser, owner)
        check_keys(Sampling, sampling or {}, f'{owner}: sampling')
        self.sampling = Sampling(**(sampling or {}))
        self.schedule = NoiseSchedule(schedule, timesteps)
        self.prediction = prediction
        self.visited = spaced_steps(timesteps, self.sampling.steps, self.sampling.spacing)
        needs = self.denoiser.needs
        if self.sampling.mode == 'overlap' and (
            self.sampling.window % needs.stride or self.sampling.window < needs.min_size
        ):
            raise ConfigError(
                f'{owner}: sampling: window is {self.sampling.window}; the denoiser needs multiples of {needs.stride}'
                f' from {needs.min_size}'
            )
        self.mse = MSELoss()

    @staticmethod
    def _check_estimator(network: Network, owner: str) -> None:
        if network.head.output != 'estimate' or 'timestep' not in network.backbone.given:
            raise ConfigError(
                f'{owner}: the denoiser is {type(network.backbone).__name__} with {type(network.head).__name__}; it '
                "must read the step and end with a noise head, e.g. dict(backbone=dict(type='DDPMUNet'), "
                "head=dict(type='NoiseHead'))"
            )
        if network.needs.in_channels % 2:
            raise ConfigError(f'{owner}: the denoiser takes {network.needs.in_channels} channels; two pictures are 6')

    def _combined_needs(self) -> Needs:
        """The network's, for one of the two pictures that it reads; and a window at least."""
        needs = super()._combined_needs(('denoiser',))
        window = self.sampling.window if self.sampling.mode == 'overlap' else 1
        return replace(
            needs,
            in_channels=needs.in_channels // 2,
            min_size=max(needs.min_size, window),
            receptive_field=None,
            tiling='noise',
        )

    # -- training ------------------------------------------------------------------------------------------------

    def draw(self, make: Callable[..., Tensor], count: int) -> Tensor:
        """This rank's ``count`` of what is drawn for the batches of all ranks.

        Args:
            make: called with ``size`` and ``generator``.
            count: samples of this rank.
        """
        rank, world = get_dist_info()
        return make(size=(world * count,), generator=self.rngs['draws'])[rank::world]

    def draw_step_and_noise(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Steps ``(N,)`` int64 on the CPU, even over 1 .. T, and standard normal noise of the shape of ``like``."""
        count = like.shape[0]
        t = self.draw(lambda **kw: torch.randint(1, self.schedule.steps + 1, **kw), count)
        seeds = self.draw(lambda **kw: torch.randint(2**62, **kw), count)
        noise = [draw_noise(like.shape[1:], like, torch.Generator(like.device).manual_seed(int(s))) for s in seeds]
        return t, torch.stack(noise)

    def estimate(self, role: str, condition: Tensor, noisy: Tensor, t: Tensor) -> Estimate:
        """A training pass of a denoiser.

        Args:
            role: the denoiser.
            condition: ``(N, 3, H, W)`` in [-1, 1].
            noisy: of the same shape.
            t: ``(N,)`` steps from 1.
        """
        # networks of the DDPM family count steps from 0
        out = getattr(self, role)(torch.cat((condition, noisy), 1), timestep=(t - 1).to(noisy.device))['estimate']
        return self._complete(out, condition, noisy, self.schedule.abar[t].to(noisy)[:, None, None, None])

    def _complete(
        self, out: Tensor, condition: Tensor, noisy: Tensor, abar: Tensor | float, clip: bool = False
    ) -> Estimate:
        """What the network gave, with what it is added to and what follows from it; ``clip``: a clean picture in
        [-1, 1], where that is what it gives.
        """
        if self.prediction == 'noise':
            return Estimate.of_noise(noisy, out, abar)
        if self.prediction == 'residual':
            out = condition + out
        elif self.prediction == 'preconditioned':
            both = CONDITION_ERROR * abar + 1 - abar
            begin = (CONDITION_ERROR * abar**0.5 * noisy + (1 - abar) * condition) / both
            out = begin + (CONDITION_ERROR * (1 - abar) / both) ** 0.5 * out
        return Estimate.of_clean(noisy, out.clamp(-1, 1) if clip else out, abar)

    def compared(self, estimate: Estimate, truth: Estimate) -> tuple[Tensor, Tensor]:
        """What the loss is taken of: (estimated, true) noise, or clean picture, see ``prediction``."""
        return (estimate.noise, truth.noise) if self.prediction == 'noise' else (estimate.clean, truth.clean)

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """The simple loss, eq 14 of Ho et al."""
        lq, gt = self.to_range(inputs['lq']), self.to_range(inputs['gt'])
        t, noise = self.draw_step_and_noise(gt)
        estimate = self.estimate('denoiser', lq, self.schedule.noisy(gt, t, noise), t)
        return {f'loss_{self.prediction}': self.mse(*self.compared(estimate, Estimate(noise, gt)))}

    # -- restoring -----------------------------------------------------------------------------------------------

    def infer(
        self,
        x: Tensor,
        shared: dict[str, Tensor] | None,
        rng: torch.Generator | None,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Tensor]:
        """Sample; without ``rng`` always the same.

        Args:
            x: see :meth:`BaseRestorer.infer`.
            shared: see :meth:`BaseRestorer.infer`.
            rng: of the noise to begin with, and of that on the way.
            progress: called with (steps done, all steps).
        """
        s = self.sampling
        rng = rng or torch.Generator('cpu').manual_seed(0)
        network = self._network if s.mode == 'whole' else WindowAverage(
            self._network, s.window, s.window_stride, s.window_memory
        )  # fmt: skip

        def estimate(noisy: Tensor, t: int) -> Estimate:
            return self._complete(
                network(torch.cat((x, noisy), 1), t), x, noisy, float(self.schedule.abar[t]), s.clip_x0
            )

        start = draw_noise(x.shape, x, rng)
        visited = self.visited[:1] if x.is_meta else self.visited  # shapes show in one step
        pred = sample(estimate, start, visited, self.schedule, s.sampler, s.eta, s.clip_x0, rng, progress)
        return {'pred': pred}

    def _network(self, x: Tensor, t: int) -> Tensor:
        """What the denoiser gives for condition and noisy picture at one step, in the input's precision."""
        timestep = torch.full((x.shape[0],), t - 1, device=x.device)
        return nan_where_infinite(self.role('denoiser')(x, timestep=timestep)['estimate'].to(x.dtype))

"""Paired restoration by a diffusion model conditioned on the degraded picture.

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
    ShiftedWindows,
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
from restorebox.restorers.network import Network, build_network, combined_needs
from restorebox.values import Timesteps

PREDICTIONS = ('noise', 'x0', 'residual', 'preconditioned')
CONDITION_ERROR = 0.1  # mean squared error of a degraded picture in [-1, 1]: 16 dB


@RESTORERS.register_module()
class DiffusionRestorer(BaseRestorer):
    """A denoiser conditioned on the degraded picture, and a sampler that starts from noise.

    ::

        training:   gt, t, noise -> noisy;  cat(lq, noisy), t -> denoiser -> estimate against the noise
        restoring:  noise -> denoiser -> step -> ... -> picture, S times

    The input channels are the condition, then the noisy picture, as in WeatherDiffusion.

    Timesteps and noise are drawn per sample from a separate generator that is stored in checkpoints. They depend on a
    sample's index in the batches of all ranks: N ranks x batch b draw the same as one rank x batch N*b.

    Args:
        denoiser: deployed network, ``dict(backbone=..., head=...)``; 6 channels in, 3 out, reads ``timestep``.
        schedule: ``'linear'`` or ``'cosine'``, see :class:`~restorebox.diffusion.NoiseSchedule`.
        timesteps: T.
        prediction: target of the denoiser: ``'noise'`` as in the papers; ``'x0'``, the clean picture, which is better
            after a short training, since at large t an error of the noise is amplified a hundredfold; ``'residual'``,
            the clean minus the degraded picture, for similar pictures; or ``'preconditioned'``, the residual of the
            best linear combination of degraded and noisy picture, divided by its expected error. At small t the noisy
            picture is nearly the clean one, at large t it contains no information. Karras et al., "Elucidating the
            Design Space of Diffusion-Based Generative Models" (NeurIPS 2022, section 5), extended by the degraded
            picture.
        sampling: settings of the sampler at test, see :class:`~restorebox.diffusion.Sampling`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: invalid or incompatible settings.
    """

    deployed: tuple[str, ...] = ('denoiser',)
    steps = {'denoiser': ('denoiser',)}
    rng_names = ('draws',)  # timesteps and noise

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
        self.timesteps = spaced_steps(timesteps, self.sampling.steps, self.sampling.spacing)
        needs = self.denoiser.needs
        if self.sampling.mode != 'whole' and (
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
        """Return the denoiser's requirements for one of its two input pictures; min_size is at least the window."""
        needs = combined_needs({'denoiser': self.role('denoiser').needs}, type(self).__name__)
        window = self.sampling.window if self.sampling.mode != 'whole' else 1
        return replace(
            needs,
            in_channels=needs.in_channels // 2,
            min_size=max(needs.min_size, window),
            receptive_field=None,
            tiling='noise',
        )

    # -- training ------------------------------------------------------------------------------------------------

    def draw(self, make: Callable[..., Tensor], count: int) -> Tensor:
        """Draw for the batches of all ranks and return the ``count`` values of this rank.

        Args:
            make: function that draws, called with ``size`` and ``generator``.
            count: number of samples of this rank.
        """
        rank, world = get_dist_info()
        return make(size=(world * count,), generator=self.rngs['draws'])[rank::world]

    def draw_step_and_noise(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Draw timesteps ``(N,)`` int64 on the CPU, uniform over 1 .. T, and normal noise of the shape of ``like``."""
        count = like.shape[0]
        t = self.draw(lambda **kw: torch.randint(1, self.schedule.steps + 1, **kw), count)
        seeds = self.draw(lambda **kw: torch.randint(2**62, **kw), count)
        noise = [draw_noise(like.shape[1:], like, torch.Generator(like.device).manual_seed(int(s))) for s in seeds]
        return t, torch.stack(noise)

    def estimate(self, role: str, condition: Tensor, noisy: Tensor, t: Tensor) -> Estimate:
        """Run a denoiser in training.

        Args:
            role: name of the denoiser.
            condition: ``(N, 3, H, W)`` in [-1, 1].
            noisy: of the same shape.
            t: ``(N,)`` timesteps from 1.
        """
        # networks of the DDPM family count timesteps from 0
        out = getattr(self, role)(torch.cat((condition, noisy), 1), timestep=(t - 1).to(noisy.device))['estimate']
        return self._complete(out, condition, noisy, self.schedule.abar[t].to(noisy)[:, None, None, None])

    def _complete(
        self, out: Tensor, condition: Tensor, noisy: Tensor, abar: Tensor | float, clip: bool = False
    ) -> Estimate:
        """Convert the network's output to noise and clean picture. ``clip``: limit the clean picture to [-1, 1] if the
        network predicts it.
        """
        if self.prediction == 'noise':
            return Estimate.of_noise(noisy, out, abar)
        if self.prediction == 'residual':
            out = condition + out
        elif self.prediction == 'preconditioned':
            both = CONDITION_ERROR * abar + 1 - abar
            mixture = (CONDITION_ERROR * abar**0.5 * noisy + (1 - abar) * condition) / both
            out = mixture + (CONDITION_ERROR * (1 - abar) / both) ** 0.5 * out
        return Estimate.of_clean(noisy, out.clamp(-1, 1) if clip else out, abar)

    def compared(self, estimate: Estimate, truth: Estimate) -> tuple[Tensor, Tensor]:
        """Return the (estimated, true) pair that the loss compares: noise or clean picture, see ``prediction``."""
        return (estimate.noise, truth.noise) if self.prediction == 'noise' else (estimate.clean, truth.clean)

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the simple loss, eq 14 of Ho et al."""
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
        """Sample a picture; without ``rng`` the result is deterministic.

        Args:
            x: see :meth:`BaseRestorer.infer`.
            shared: see :meth:`BaseRestorer.infer`.
            rng: random number generator of the initial noise and of the noise in each step.
            progress: called with (steps done, all steps).
        """
        s = self.sampling
        rng = rng or torch.Generator('cpu').manual_seed(0)
        timesteps = self.timesteps[:1] if x.is_meta else self.timesteps  # one step suffices for the shapes
        network: Callable[..., Tensor] = self._network
        if s.mode == 'overlap':
            network = WindowAverage(network, s.window, s.window_stride, s.window_memory)
        elif s.mode == 'shifted':
            network = ShiftedWindows(network, s.window, s.window_stride, s.window_memory, len(timesteps))

        def estimate(noisy: Tensor, t: int) -> Estimate:
            return self._complete(
                network(torch.cat((x, noisy), 1), t), x, noisy, float(self.schedule.abar[t]), s.clip_x0
            )

        start = draw_noise(x.shape, x, rng)
        pred = sample(estimate, start, timesteps, self.schedule, s.sampler, s.eta, s.clip_x0, rng, progress)
        return {'pred': pred}

    def _network(self, x: Tensor, t: int) -> Tensor:
        """Run the denoiser on condition and noisy picture at one timestep, in the input's precision."""
        timestep = torch.full((x.shape[0],), t - 1, device=x.device)
        return nan_where_infinite(self.role('denoiser')(x, timestep=timestep)['estimate'].to(x.dtype))

"""Paired restoration by a conditional GAN: the pix2pix family.

Isola et al., "Image-to-image translation with conditional adversarial networks" (CVPR 2017); Kang et al., "Rethinking
Generative Methods for Image Restoration in Physics-based Vision" (arXiv 2212.02198).
"""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.losses import build_picture_losses
from restorebox.losses.adversarial import AdversarialLoss
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import NotNegative, StatisticsWindow


@RESTORERS.register_module()
class AdversarialRestorer(BaseRestorer):
    """A generator trained with losses against the clean target and a conditional adversarial loss.

    ::

        lq -> generator -> pred -> losses against gt
                             |
        cat(lq, pred), cat(lq, gt) -> discriminator -> realness of each patch

    Args:
        generator: ``dict(backbone=..., head=...)``; the head's output is ``'picture'``.
        discriminator: the same with a realness head; its input is the degraded picture and the candidate, 6 channels
            in this order.
        losses: name -> config of a loss between prediction and clean target; logged as ``loss_NAME``.
        gan_mode: see :class:`AdversarialLoss`; ``'lsgan'`` is eqs 16 and 17 of Kang et al., ``'vanilla'`` pix2pix.
        lambda_gan: weight of the generator's adversarial loss; 0 leaves out the discriminator, which makes the training
            plain regression.
        statistics_window: see :class:`BaseRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: no losses at all, or a negative weight.
    """

    def __init__(
        self,
        generator: Network | dict,
        discriminator: Network | dict | None,
        losses: dict[str, dict],
        gan_mode: str = 'lsgan',
        lambda_gan: NotNegative = 1.0,
        statistics_window: StatisticsWindow | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(statistics_window, data_preprocessor)
        owner = type(self).__name__
        if lambda_gan < 0:
            raise ConfigError(f'{owner}: lambda_gan is {lambda_gan}; it must be 0 or more')
        if lambda_gan and discriminator is None:
            raise ConfigError(f'{owner}: lambda_gan is {lambda_gan}, which needs a discriminator; or set it to 0')
        if not losses and not lambda_gan:
            raise ConfigError(f'{owner}: losses is empty and lambda_gan 0, so that nothing would be learnt')
        self.generator = build_network(generator, 'generator')
        self.lambda_gan = lambda_gan
        self.steps = {'generator': ('generator',)}
        if lambda_gan and discriminator is not None:
            self.discriminator = build_network(discriminator, 'discriminator')
            self.steps = {'discriminator': ('discriminator',), **self.steps}
        self.adversarial = AdversarialLoss(gan_mode)
        self.loss_terms = build_picture_losses(losses, type(self).__name__)

    def prepare(self, inputs: Inputs) -> dict:
        """Run the generator once for both steps."""
        lq = self.to_range(inputs['lq'])
        return {'lq': lq, 'gt': self.to_range(inputs['gt']), 'pred': self.generator(lq)['picture']}

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`."""
        if step == 'discriminator':
            return self.discriminator_terms(inputs, prepared)
        return self.generator_terms(inputs, prepared)

    def discriminator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the discriminator loss of clean and predicted pictures, conditioned on the degraded picture."""
        lq, gt, pred = prepared['lq'], prepared['gt'], prepared['pred']
        real = self.discriminator(torch.cat((lq, gt), 1))['realness']
        fake = self.discriminator(torch.cat((lq, pred.detach()), 1))['realness']
        return {'loss_d': (self.adversarial(real, True) + self.adversarial(fake, False)) / 2}

    def generator_terms(self, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """Return the losses against the clean target and the generator's adversarial loss."""
        lq, gt, pred = prepared['lq'], prepared['gt'], prepared['pred']
        terms = {f'loss_{name}': self.apply_loss(loss, pred, gt, lq) for name, loss in self.loss_terms.items()}
        if self.lambda_gan:
            terms['loss_adv'] = self.lambda_gan * self.generator_gan_loss(lq, pred)
        return terms

    def generator_gan_loss(self, lq: Tensor, pred: Tensor) -> Tensor:
        """Return the generator's adversarial loss, unweighted; its gradient reaches ``pred``."""
        return self.adversarial(self.discriminator(torch.cat((lq, pred), 1))['realness'], True)

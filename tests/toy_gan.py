"""A small adversarial restorer: two optimisers and a role that is not deployed, on the base class alone."""

from __future__ import annotations

import torch
from torch import nn

from restorebox.registry import RESTORERS
from restorebox.restorers import BaseRestorer, build_network


@RESTORERS.register_module()
class ToyGAN(BaseRestorer):
    """Unpaired: the generator pleases the discriminator and stays near its input."""

    picture_roles = ('lq', 'hq')
    steps = {'discriminator': ('discriminator',), 'generator': ('generator',)}

    def __init__(self, generator, statistics_window=None, data_preprocessor=None):
        super().__init__(statistics_window, data_preprocessor)
        self.generator = build_network(generator, 'generator')
        self.discriminator = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 2, 1))

    def prepare(self, inputs):
        return {'fake': self.generator(self.to_range(inputs['lq']))['picture']}  # one pass serves both steps

    def losses(self, step, inputs, memory):
        lq, hq = self.to_range(inputs['lq']), self.to_range(inputs['hq'])
        if step == 'discriminator':
            real, fake = self.discriminator(hq), self.discriminator(memory['fake'].detach())
            return {'loss_d': ((real - 1) ** 2).mean() + (fake**2).mean(), 'd_real': real.mean()}
        fake = memory['fake']
        return {
            'loss_adv': ((self.discriminator(fake) - 1) ** 2).mean(),
            'loss_idt': torch.nn.functional.l1_loss(fake, lq),
        }

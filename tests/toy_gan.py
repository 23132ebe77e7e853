"""A small adversarial restorer on the base class: two optimisers, and a role that is not deployed."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from restorebox.encoders.frozen import LazyFrozen
from restorebox.registry import RESTORERS
from restorebox.restorers import BaseRestorer, build_network


def frozen_features():
    """The same weights on every rank; LazyFrozen keeps the global random state."""
    torch.manual_seed(0)
    return nn.Conv2d(3, 2, 3)


@RESTORERS.register_module()
class ToyGAN(BaseRestorer):
    """Unpaired: the generator pleases the discriminator and stays near its input."""

    picture_roles = ('lq', 'hq')
    steps = {'discriminator': ('discriminator',), 'generator': ('generator',)}

    def __init__(self, generator, statistics_window=None, data_preprocessor=None):
        super().__init__(statistics_window, data_preprocessor)
        self.generator = build_network(generator, 'generator')
        self.features = LazyFrozen(frozen_features)  # trains only
        self.discriminator = nn.Sequential(nn.Conv2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 2, 1))

    def _combined_needs(self):
        return replace(super()._combined_needs(), tiling='noise')

    def estimate_shared(self, lq):
        return {'mean': lq.mean((1, 2, 3), keepdim=True)}

    def infer(self, x, shared, rng, progress):
        """Draws, and uses what the whole picture agrees on."""
        out = super().infer(x, shared, rng, progress)
        noise = torch.randn(x.shape, generator=rng, device=rng.device).to(x) if rng else 0
        return {'pred': out['pred'] + 0.1 * noise + (shared['mean'] if shared else 0)}

    def prepare(self, inputs):
        return {'fake': self.generator(self.to_range(inputs['lq']))['picture']}  # one pass serves both steps

    def losses(self, step, inputs, prepared):
        lq, hq = self.to_range(inputs['lq']), self.to_range(inputs['hq'])
        if step == 'discriminator':
            real, fake = self.discriminator(hq).float(), self.discriminator(prepared['fake'].detach()).float()
            return {'loss_d': ((real - 1) ** 2).mean() + (fake**2).mean(), 'd_real': real.mean()}
        fake = prepared['fake']
        return {
            'loss_features': torch.nn.functional.mse_loss(self.features(fake).float(), self.features(lq).float()),
            'loss_adv': ((self.discriminator(fake).float() - 1) ** 2).mean(),
            'loss_idt': torch.nn.functional.l1_loss(fake.float(), lq),
        }

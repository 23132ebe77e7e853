"""Reference implementation of the cycle restorer's iteration, to check and time the optimised one.

Features are computed where they are needed, as in public code of the CUT family: a forward pass per picture of each
pair, also for discriminators and the frozen encoder.
"""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.layers.position_sampling import gather_positions
from restorebox.restorers.cycle import DOMAIN, CycleRestorer
from restorebox.restorers.inputs import Inputs


class PlainCycleRestorer(CycleRestorer):
    """Computes the losses of :class:`CycleRestorer` without shared passes; same arguments. Not registered."""

    def prepare(self, inputs: Inputs) -> dict:
        """Return the pictures, each from a separate forward pass."""
        rainy, clean = self.to_range(inputs['lq']), self.to_range(inputs['hq'])
        pictures = {'rainy': rainy, 'clean': clean, 'fake_clean': self.generator(rainy)['picture']}
        same = self.weights['idt'] or self._in_pairs('same_')
        if same:
            pictures['same_clean'] = self.generator(clean)['picture']
        if self.two_way:
            pictures['fake_rainy'] = self.rain_generator(clean)['picture']
            pictures['rec_rainy'] = self.rain_generator(pictures['fake_clean'])['picture']
            pictures['rec_clean'] = self.generator(pictures['fake_rainy'])['picture']
            if same:
                pictures['same_rainy'] = self.rain_generator(rainy)['picture']
        return {'pictures': pictures}

    def _location(self, prepared: dict) -> Tensor:
        positions, each = None, []
        for query, key in self.lcl_pairs:
            features = {}
            for name in (query, key):
                encoder = getattr(self, self.encoders[DOMAIN[name]])
                features[name] = encoder(prepared['pictures'][name], taps=self.taps, only_taps=True)
            positions = positions or self._positions(features[query], self.counts['lcl'])
            vectors = {}
            for name in (query, key):
                sampled = {tap: gather_positions(features[name][tap], at) for tap, at in positions.items()}
                vectors[name] = getattr(self, self.projectors[DOMAIN[name]])(sampled)
            each += [self.nce(vectors[query][tap], vectors[key][tap]) for tap in positions]
        return torch.stack(each).mean()

    def _intra(self, pictures: dict[str, Tensor]) -> Tensor:
        def phi(name: str) -> dict[str, Tensor]:
            return self.encoder(self.from_range(pictures[name]))

        branches = (('rec_rainy', 'rainy', 'clean', 'fake_clean'), ('rec_clean', 'clean', 'rainy', 'fake_rainy'))
        each = [self.intra(*(phi(name) for name in branch), self.encoder.distance_weights) for branch in branches]
        return (each[0] + each[1]) / 2

    def _inter(self, prepared: dict, domain: str, on_fake: dict | None = None, detach: bool = False) -> Tensor:
        pictures, network = prepared['pictures'], getattr(self, self.discriminators[domain])
        names = (f'fake_{domain}', f'rec_{domain}', domain, 'rainy' if domain == 'clean' else 'clean')
        positions, seen = None, []
        for name in names:
            picture = pictures[name].detach() if detach else pictures[name]
            features = network(picture, taps=self.inter_taps, only_taps=True)
            positions = positions or self._positions(features, self.counts['inter'])
            sampled = {tap: gather_positions(features[tap], at) for tap, at in positions.items()}
            seen.append(getattr(self, self.inter_projectors[domain])(sampled))
        return self.inter(*seen)

"""Supervised restoration: one network and a weighted sum of losses against the clean target."""

from __future__ import annotations

import torch
from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.losses import build_feature_losses, build_picture_losses
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network
from restorebox.values import StatisticsWindow


@RESTORERS.register_module()
class SupervisedRestorer(BaseRestorer):
    """Minimise losses between the network's picture and the clean target.

    Args:
        generator: ``dict(backbone=..., head=...)``; the head's output is ``'picture'``.
        losses: name -> loss config; logged as ``loss_NAME``.
        feature_losses: name -> ``dict(taps=('phase*_d*', ...), loss=dict(type='SVDOLoss', ...))``: a loss of features
            of the generator's backbone, averaged over the taps that match a pattern; logged as ``loss_NAME``.
        statistics_window: see :class:`BaseRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: no losses, a loss of the wrong kind, a pattern that matches no tap, or two losses with the same
            name.
    """

    def __init__(
        self,
        generator: Network | dict,
        losses: dict[str, dict],
        statistics_window: StatisticsWindow | None = None,
        data_preprocessor: dict | None = None,
        feature_losses: dict[str, dict] | None = None,
    ) -> None:
        super().__init__(statistics_window, data_preprocessor)
        if not losses:
            raise ConfigError(
                "SupervisedRestorer: losses is empty; give at least one, e.g. dict(l1=dict(type='L1Loss'))"
            )
        self.generator = build_network(generator, 'generator')
        kind = type(self).__name__
        self.loss_terms = build_picture_losses(losses, kind)
        self.feature_terms, patterns = build_feature_losses(feature_losses or {}, kind)
        for name in self.feature_terms:
            if name in self.loss_terms:
                raise ConfigError(f"{kind}: losses and feature_losses both have '{name}'; rename one of them")
        terms = [*self.loss_terms.values(), *self.feature_terms.values()]
        if all(getattr(term, 'weight', 1) == 0 for term in terms):
            raise ConfigError(f'{kind}: the weight of every loss is 0, so that nothing would be trained')
        self.feature_taps = {name: self.generator.backbone.taps_like(each) for name, each in patterns.items()}

    def losses(self, step: str, inputs: Inputs, prepared: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`.

        Stores the prediction as ``prepared['pred']``, ``(N, 3, H, W)`` in the network's value range, for further terms
        of a subclass.
        """
        taps = tuple(dict.fromkeys(tap for each in self.feature_taps.values() for tap in each))
        lq, target = self.to_range(inputs['lq']), self.to_range(inputs['gt'])
        # statistics of the whole scene if the pipeline provides them; otherwise the network computes those of the crop
        read = self.role('generator').backbone.given if self.needs.global_statistics else ()
        out = self.generator(lq, taps=taps, **{name: inputs[name] for name in read if name in inputs})
        prepared['pred'] = out['picture']
        terms = {
            f'loss_{name}': self.apply_loss(loss, out['picture'], target, lq) for name, loss in self.loss_terms.items()
        }
        for name, loss in self.feature_terms.items():
            each = [loss(out[tap]) for tap in self.feature_taps[name]]
            terms[f'loss_{name}'] = torch.stack(each).mean()
        return terms

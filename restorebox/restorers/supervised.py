"""Supervised restoration: one network, its clean partner, a weighted sum of losses."""

from __future__ import annotations

from torch import Tensor

from restorebox.errors import ConfigError
from restorebox.losses import build_picture_losses
from restorebox.registry import RESTORERS
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import Inputs
from restorebox.restorers.network import Network, build_network


@RESTORERS.register_module()
class SupervisedRestorer(BaseRestorer):
    """Minimise losses between the network's picture and its clean partner.

    Args:
        generator: ``dict(backbone=..., head=...)``; the head's output is ``'picture'``.
        losses: name -> loss config; logged as ``loss_NAME``.
        statistics_window: see :class:`BaseRestorer`.
        data_preprocessor: see :class:`BaseRestorer`.

    Raises:
        ConfigError: no losses.
    """

    def __init__(
        self,
        generator: Network | dict,
        losses: dict[str, dict],
        statistics_window: int | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__(statistics_window, data_preprocessor)
        if not losses:
            raise ConfigError(
                "SupervisedRestorer: losses is empty; give at least one, e.g. dict(l1=dict(type='L1Loss'))"
            )
        self.generator = build_network(generator, 'generator')
        self.loss_terms = build_picture_losses(losses, type(self).__name__)

    def losses(self, step: str, inputs: Inputs, memory: dict) -> dict[str, Tensor]:
        """See :meth:`BaseRestorer.losses`."""
        pred = self.generator(self.to_range(inputs['lq']))['picture']
        target = self.to_range(inputs['gt'])
        return {f'loss_{name}': self.apply_loss(loss, pred, target) for name, loss in self.loss_terms.items()}

"""Projection heads of contrastive losses: features -> normalised embeddings."""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.heads.base import BaseHead
from restorebox.layers.initialise import xavier_init
from restorebox.layers.precision import at_least_float32, unit_vectors
from restorebox.registry import HEADS
from restorebox.values import Width


@HEADS.register_module()
class ProjectionHead(BaseHead):
    """A two-layer perceptron per tap, followed by L2 normalisation.

    Chen et al., "A simple framework for contrastive learning of visual representations" (ICML 2020); for feature maps
    Park et al., "Contrastive learning for unpaired image-to-image translation" (ECCV 2020). Inputs are vectors at
    sampled positions, see :mod:`restorebox.layers.position_sampling`. There is one head per domain, a separate
    role of the restorer.

    Args:
        channels: tap -> channels of that feature.
        width: units of the hidden layer and length of the embedding; 256 in the papers.
    """

    output = 'embedding'

    def __init__(self, channels: dict[str, Width], width: Width = 256) -> None:
        super().__init__()
        self.taps = tuple(channels)
        self.perceptrons = nn.ModuleDict(
            {
                tap: nn.Sequential(nn.Linear(count, width), nn.ReLU(), nn.Linear(width, width))
                for tap, count in channels.items()
            }
        )
        xavier_init(self)

    def forward(  # type: ignore[override]  # returns one embedding per tap
        self, features: dict[str, Tensor], x: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return the embeddings.

        Args:
            features: tap -> ``(N, P, C)`` vectors at P positions.
            x: unused.

        Returns:
            tap -> ``(N, P, width)``, each vector of L2 norm 1 (or 0), float32 also under autocast.
        """
        return {tap: unit_vectors(at_least_float32(net(features[tap]))) for tap, net in self.perceptrons.items()}

"""Base class of heads."""

from __future__ import annotations

from torch import Tensor, nn


class BaseHead(nn.Module):
    """Base class: maps a backbone's features to the network's output.

    A subclass sets:

    - ``output``: name of its output, used as the key in the network's result;
    - ``taps``: features it needs in addition to the backbone's last;
    - ``reach``: pixels of ``'out'`` that one of its output pixels reads along an axis (for the receptive field);
    - ``residual_channels``: channels of what it adds to the network's input; the input must have as many. None: it adds
      nothing.

    Its constructor takes ``in_channels`` and ``scale`` (the backbone's ``out_channels`` and ``out_stride``) by name;
    the network passes them unless the config does.
    """

    output: str
    taps: tuple[str, ...] = ()
    reach: int = 1
    residual_channels: int | None = None

    def forward(self, features: dict[str, Tensor], x: Tensor) -> Tensor:
        """Compute the output.

        Args:
            features: ``'out'`` and the head's ``taps``.
            x: the network's input ``(N, C, H, W)`` in its own value range, e.g. for a residual connection.

        Returns:
            The tensor named by ``output``.
        """
        raise NotImplementedError

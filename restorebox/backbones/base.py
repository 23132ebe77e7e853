"""Base class of backbones: declared requirements and interface."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.registry import nearest


@dataclass(frozen=True)
class Needs:
    """Input requirements of a network, used by padding, tiling and export.

    Attributes:
        stride: height and width of the input must be multiples of it, in pixels.
        min_size: minimum height and width of the input, in pixels.
        in_channels: channels of the input.
        value_range: (lowest, highest) input value.
        receptive_field: side of the receptive field of one output pixel, in input pixels; None: the whole picture.
            Normalisation statistics are not counted: they are computed over a local window, see
            :mod:`restorebox.layers.statistics`.
        tiling: ``'spatial'``: tiles are restored separately and blended; ``'noise'``: the sampler averages noise
            estimates of windows, and pictures are not cut into tiles; ``'discouraged'``: as ``'spatial'``, with a
            warning.
        global_statistics: whether the network uses :meth:`BaseBackbone.global_statistics`, computed once from the whole
            picture and passed with every tile.
        feature_means: taps whose means over the whole picture the network uses. Each is also an optional input of the
            same name, ``(N, C, 1, 1)``: the means over all tiles, which are computed by a first pass over them, see
            :mod:`restorebox.inference.feature_means`. Not read while the network computes its statistics over a local
            window (``statistics_window``).
    """

    stride: int
    min_size: int
    in_channels: int = 3
    value_range: tuple[float, float] = (-1.0, 1.0)
    receptive_field: int | None = None
    tiling: Literal['spatial', 'noise', 'discouraged'] = 'spatial'
    global_statistics: bool = False
    feature_means: tuple[str, ...] = ()


class BaseBackbone(nn.Module):
    """Base class: maps a picture to named features.

    A subclass sets in its constructor:

    - ``needs``: a :class:`Needs`;
    - ``tap_channels``: channels of each available feature, by name, in the order of computation;
    - ``out_channels``: channels of the last feature, named ``'out'``;
    - ``out_stride``: input pixels per pixel of ``'out'``.

    Further inputs, such as a diffusion timestep or an airlight, are named in ``given`` and passed to ``forward`` as
    keyword arguments: ``net(x, timestep=t)``.
    """

    needs: Needs
    given: tuple[str, ...] = ()
    tap_channels: dict[str, int] = {}
    out_channels: int
    out_stride: int

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """Compute features.

        Args:
            x: ``(N, in_channels, H, W)`` in ``needs.value_range``; H and W multiples of ``needs.stride``.
            taps: names of features to return in addition to the last.
            only_taps: stop after the last of these taps (encoder pass).

        Returns:
            ``'out'`` -> ``(N, out_channels, H / out_stride, W / out_stride)`` (up to two pixels
            smaller for a discriminator), unless ``only_taps``; and each tap under its name.

        Raises:
            ConfigError: an unknown tap, or ``only_taps`` without taps.
        """
        raise NotImplementedError

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Return the statistics of the whole picture that the network uses, if ``needs.global_statistics``.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1], or uint8 or uint16; any size, not padded.

        Returns:
            Tensors by their names in ``given``, keyword arguments of ``forward`` (default: of its ``x``).
        """
        return {}

    @property
    def tap_names(self) -> tuple[str, ...]:
        """Names of the available features in the order of computation."""
        return tuple(self.tap_channels)

    def field(self, run: int) -> int | None:
        """Return the side of the receptive field of ``run`` x ``run`` pixels of ``'out'``; None: the whole picture."""
        one = self.needs.receptive_field
        return None if one is None else one + (run - 1) * self.out_stride

    def check_taps(self, taps: Iterable[str]) -> None:
        """Raise a ConfigError for an unknown tap; the message names the most similar one."""
        for tap in taps:
            if tap not in self.tap_channels:
                raise ConfigError(f"{type(self).__name__} has no tap '{tap}'; {nearest(tap, self.tap_names)}")

    def taps_like(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """Return the taps that match at least one pattern, such as ``'down*'``, in the order of computation.

        Raises:
            ConfigError: a pattern without a match.
        """
        for pattern in patterns:
            if not any(fnmatchcase(tap, pattern) for tap in self.tap_channels):
                raise ConfigError(
                    f"{type(self).__name__} has no tap like '{pattern}'; {nearest(pattern, self.tap_names)}"
                )
        return tuple(tap for tap in self.tap_channels if any(fnmatchcase(tap, each) for each in patterns))

    def collect(self, taps: tuple[str, ...], only_taps: bool) -> Collector:
        """Check the taps and return a collector of features; the first call in every ``forward``."""
        self.check_taps(taps)
        if only_taps and not taps:
            raise ConfigError(f'{type(self).__name__}: only_taps without a tap would compute nothing')
        return Collector(taps, only_taps)


class Collector:
    """Collects the requested features and detects when no more are needed.

    ::

        kept = self.collect(taps, only_taps)
        for name, layer in ...:
            x = layer(x)
            if kept.last(name, x):
                return kept.features
        return kept.end(x)
    """

    def __init__(self, taps: tuple[str, ...], only_taps: bool) -> None:
        self.wanted = set(taps)
        self.only_taps = only_taps
        self.features: dict[str, Tensor] = {}

    def last(self, name: str, x: Tensor) -> bool:
        """Store the feature if it is requested; return whether the forward pass can stop here."""
        if name in self.wanted:
            self.features[name] = x
        return self.only_taps and len(self.features) == len(self.wanted)

    def end(self, x: Tensor) -> dict[str, Tensor]:
        """Return all collected features and the last one, at the end of a full forward pass."""
        return {'out': x, **self.features}

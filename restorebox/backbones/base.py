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
    """Requirements of a network as data, read by padding, tiling and export.

    Attributes:
        stride: height and width of the input must be multiples of it.
        min_size: and at least this large, in pixels.
        in_channels: channels of the input.
        value_range: (lowest, highest) input value.
        receptive_field: side of the square of input pixels that one output pixel sees through convolutions, in pixels;
            None when it sees everything. Statistics over the picture are not counted: they are taken over a local
            window, see :mod:`restorebox.layers.statistics`.
        tiling: ``'spatial'``: tiles may be restored one by one and blended; ``'noise'``: a sampler averages noise
            between windows itself, its output is never cut.
        global_statistics: whether the network reads, besides the pixels at hand, what
            :meth:`BaseBackbone.global_statistics` gives of the whole picture: taken once, and handed to every tile.
    """

    stride: int
    min_size: int
    in_channels: int = 3
    value_range: tuple[float, float] = (-1.0, 1.0)
    receptive_field: int | None = None
    tiling: Literal['spatial', 'noise'] = 'spatial'
    global_statistics: bool = False


class BaseBackbone(nn.Module):
    """Picture -> named features.

    A subclass sets in its constructor:

    - ``needs``: a :class:`Needs`;
    - ``tap_channels``: features that may be asked for, in the order they are computed -> their channels;
    - ``out_channels``: channels of the last feature, named ``'out'``;
    - ``out_stride``: input pixels per pixel of ``'out'``.

    One that reads something besides a picture, such as a step of diffusion or an airlight, names it in ``given``, and
    its ``forward`` takes it as a keyword: ``net(x, timestep=t)``.
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
            taps: names of features to return besides the last.
            only_taps: stop at the deepest of them and leave out the rest: an encoder pass.

        Returns:
            ``'out'`` -> ``(N, out_channels, H / out_stride, W / out_stride)`` (a discriminator's may be up to two
            pixels less), unless ``only_taps``; and each tap under its name.

        Raises:
            ConfigError: a tap that this backbone does not declare, or ``only_taps`` without any.
        """
        raise NotImplementedError

    def global_statistics(self, x: Tensor) -> dict[str, Tensor]:
        """Statistics of the whole picture that the network reads besides its pixels, if its ``needs`` declare it.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1] of any size, not padded; or of whole numbers, uint8 or uint16.

        Returns:
            By names of ``given``; ``forward`` takes them as keywords, and without them takes those of ``x`` itself.
        """
        return {}

    @property
    def tap_names(self) -> tuple[str, ...]:
        """Names of the available features, in the order in which they are computed."""
        return tuple(self.tap_channels)

    def field(self, run: int) -> int | None:
        """Side of the square of input pixels that ``run`` neighbouring pixels of ``'out'`` see; None for everything."""
        one = self.needs.receptive_field
        return None if one is None else one + (run - 1) * self.out_stride

    def check_taps(self, taps: Iterable[str]) -> None:
        """Refuse taps that the backbone does not declare, naming the nearest."""
        for tap in taps:
            if tap not in self.tap_channels:
                raise ConfigError(f"{type(self).__name__} has no tap '{tap}'; {nearest(tap, self.tap_names)}")

    def taps_like(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The taps that one of some patterns fits, such as ``'down*'``, in the order they are computed.

        Raises:
            ConfigError: a pattern that fits none.
        """
        for pattern in patterns:
            if not any(fnmatchcase(tap, pattern) for tap in self.tap_channels):
                raise ConfigError(
                    f"{type(self).__name__} has no tap like '{pattern}'; {nearest(pattern, self.tap_names)}"
                )
        return tuple(tap for tap in self.tap_channels if any(fnmatchcase(tap, each) for each in patterns))

    def collect(self, taps: tuple[str, ...], only_taps: bool) -> Collector:
        """What a ``forward`` begins with: checks the taps and keeps the features that are asked for."""
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
        """Keep a feature if it is wanted -> whether the pass may stop here."""
        if name in self.wanted:
            self.features[name] = x
        return self.only_taps and len(self.features) == len(self.wanted)

    def end(self, x: Tensor) -> dict[str, Tensor]:
        """The features with the last one, at the end of a whole pass."""
        return {'out': x, **self.features}

"""A U of FDR blocks: the fast relative of FDR-Net that is shipped."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError
from restorebox.layers.disentangle import AggregateLayer, ChannelAttention, DisentangleLayer, ResidualBlock
from restorebox.registry import BACKBONES


class _Process(nn.Module):
    """A residual block whose change goes through channel attention: RCAN's block, for the deepest level."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.block = ResidualBlock(channels)
        self.attention = ChannelAttention(channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attention(self.block(x) - x)


@BACKBONES.register_module()
class FDRUNet(BaseBackbone):
    """FDR-Net's pairs of disentanglement and aggregation, one pair of modules per level of a U.

    ::

        pixels 2x2 -> channels -> D -> halve -> D -> halve -> process -> double -> A -> double -> A -> 'out'
                                  |             |                                  |             |
                                  |             +------- D1..Dn, shared gain ------+             |
                                  +----------------------- D1..Dn, shared gain ------------------+

    At full resolution FDR-Net (Li et al., ECCV 2020) needs 0.5 TFLOP for a picture of 481x321. Here a level's FD layers
    stand on the way down and the FA layers that undo them on the way up, so that the process module works on few
    pixels and sees far. Each level adds its input, as FDR-Net's phases do.

    Args:
        widths: channels per level, the first at half the picture's size.
        layers: FD and FA layers per level but the deepest.
        process: residual blocks with channel attention at the deepest level.
        inverse: see :class:`AggregateLayer <restorebox.layers.disentangle.AggregateLayer>`. Each layer of ``'paper'``
            squares large values, so that a whole U of them overflows in training.
        in_channels: channels of the input.
        value_range: of the input.

    Taps: ``disentangle1`` .. (the last D of a level), ``process``.

    Raises:
        ConfigError: fewer than two levels.
    """

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 96),
        layers: int = 2,
        process: int = 6,
        inverse: str = 'stored',
        in_channels: int = 3,
        value_range: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        if len(widths) < 2:
            raise ConfigError(f'FDRUNet: widths is {widths!r}; it must name two levels or more')
        levels = len(widths) - 1
        self.enter = nn.Conv2d(4 * in_channels, widths[0], 3, 1, 1)
        self.disentangle = nn.ModuleList(
            nn.ModuleList(DisentangleLayer(width) for _ in range(layers)) for width in widths[:-1]
        )
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, 2) for i in range(levels))
        self.process = nn.Sequential(*(_Process(widths[-1], 2 ** (levels + 1)) for _ in range(process)))
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in range(levels))
        self.aggregate = nn.ModuleList(
            nn.ModuleList(AggregateLayer(width, inverse, stride=2 ** (i + 1)) for _ in range(layers))
            for i, width in enumerate(widths[:-1])
        )
        stride = 2 ** (levels + 1)
        self.tap_channels = {
            **{f'disentangle{i + 1}': width for i, width in enumerate(widths[:-1])},
            'process': widths[-1],
        }
        self.out_channels = widths[0]
        self.out_stride = 2
        self._deep = 4 * process
        self._layers = layers
        self.needs = Needs(
            stride=stride,
            min_size=stride,
            in_channels=in_channels,
            value_range=tuple(value_range),
            receptive_field=self.field(1, stride),
        )

    def field(self, run: int, stride: int | None = None) -> int:
        """See :meth:`BaseBackbone.field`: the widest path goes through the deepest level."""
        stride = stride or self.needs.stride
        span = run  # pixels of the level at hand, the first at half size
        levels = stride.bit_length() - 2
        for _ in range(levels):
            span += 2 * self._layers  # 3x3 convolutions of FA layers
            span = -(-(span + 1) // 2)  # as many pixels at half the size, at the worst alignment
        span += self._deep
        for _ in range(levels):
            span = 2 * span + 2 * self._layers
        return 2 * (span + 2)

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        x = self.enter(F.pixel_unshuffle(x, 2))
        memory = []
        for i, layers in enumerate(self.disentangle):
            passed, pairs = x, []
            for layer in layers:
                x, s = layer(x)
                pairs.append((x, s))
            if kept.last(f'disentangle{i + 1}', x):
                return kept.features
            memory.append((passed, pairs))
            x = self.down[i](x + passed)
        x = self.process(x)
        if kept.last('process', x):
            return kept.features
        for i in reversed(range(len(memory))):
            passed, pairs = memory[i]
            y = F.pixel_shuffle(self.up[i](x), 2) + passed
            x = y
            for k in reversed(range(len(pairs))):
                x = self.aggregate[i][k](x, *pairs[k], self.disentangle[i][k].gain)
            x = x + y
        return kept.end(x)

"""PromptIR: Potlapalli et al., "PromptIR: Prompting for All-in-One Image Restoration" (NeurIPS 2023)."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from restorebox.backbones.restormer import Restormer
from restorebox.errors import ConfigError
from restorebox.layers.prompts import PromptBlock
from restorebox.registry import BACKBONES
from restorebox.values import Count, Counts, Depth, Depths, Positive, ValueRange, Width, Widths


@BACKBONES.register_module()
class PromptIR(Restormer):
    """Restormer with a :class:`PromptBlock <restorebox.layers.prompts.PromptBlock>` before each doubling.

    ::

        ... -> blocks -> prompts -> double -> join -> blocks -> prompts -> double -> join -> blocks -> refine

    The head is Restormer's. With it the defaults have 35,376,967 parameters. The published 35.59 M are those and
    215,296 of seven 1x1 convolutions that the authors' code defines and never calls.

    The prompts are stretched over the picture, as in the authors' code, so tiles differ from the whole picture; for
    prompts of one pixel, which do not, see :class:`Prompted <restorebox.backbones.prompted.Prompted>`.

    Args:
        width: see :class:`Restormer`, as for the arguments up to ``centred``.
        blocks: three levels or more.
        refinement: see ``width``.
        heads: see ``width``; prompts at all levels use those of the second-lowest resolution.
        expansion: see ``width``.
        bias: see ``width``.
        centred: see ``width``.
        prompts: number of prompts per level.
        prompt_widths: channels of the prompts, from half resolution down.
        prompt_sizes: their heights and widths in pixels: those of the features of a training crop.
        in_channels: channels of the input.
        value_range: (lowest, highest) value of the input.

    Taps: see :class:`Restormer`; features before the prompts.

    Raises:
        ConfigError: see :class:`Restormer`; fewer than three levels, or not one width and size per level below full
            resolution.
    """

    def __init__(
        self,
        width: Width = 48,
        blocks: Depths = (4, 6, 6, 8),
        refinement: Depth = 4,
        heads: Counts = (1, 2, 4, 8),
        expansion: Positive = 2.66,
        bias: bool = False,
        centred: bool = True,
        prompts: Count = 5,
        prompt_widths: Widths = (64, 128, 320),
        prompt_sizes: Counts = (64, 32, 16),
        in_channels: Width = 3,
        value_range: ValueRange = (0.0, 1.0),
    ) -> None:
        super().__init__(width, blocks, refinement, heads, expansion, bias, centred, in_channels, value_range)
        levels = len(blocks) - 1
        if levels < 2:
            raise ConfigError(f'PromptIR: blocks is {blocks!r}; it must name three levels or more')
        if len(prompt_widths) != levels or len(prompt_sizes) != levels:
            raise ConfigError(
                f'PromptIR: {len(prompt_widths)} prompt_widths and {len(prompt_sizes)} prompt_sizes; '
                f'{levels + 1} levels need {levels} of each'
            )
        widths = [width * 2**i for i in range(levels + 1)]
        # the deepest prompts also halve the channels, so that the next two layers are narrower than Restormer's
        outs = [*widths[1:-1], widths[-2]]
        for channels, extra in zip(widths[1:], prompt_widths, strict=True):
            if (channels + extra) % heads[-2]:
                raise ConfigError(f'PromptIR: {channels} + {extra} channels cannot be divided among {heads[-2]} heads')
        self.prompts = nn.ModuleList(
            PromptBlock(
                widths[i + 1],
                outs[i],
                prompt_widths[i],
                prompts,
                prompt_sizes[i],
                2 ** (i + 1),
                heads[-2],
                expansion=expansion,
                bias=bias,
                centred=centred,
            )
            for i in range(levels)
        )
        self.up[-1] = nn.Conv2d(widths[-2], 2 * widths[-2], 3, 1, 1, bias=False)
        self.join[-1] = nn.Conv2d(widths[-2] + widths[-2] // 2, widths[-2], 1, bias=bias)
        self.needs = replace(self.needs, receptive_field=None)

    def field(self, run: int) -> int | None:
        """See :meth:`BaseBackbone.field`: the place in the picture decides about the prompt."""
        return None

    def prompted(self, level: int, x: Tensor) -> Tensor:
        """See :meth:`Restormer.prompted`."""
        return self.prompts[level - 1](x)

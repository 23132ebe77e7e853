"""ResNet-50 as a noise estimator, a control of RainDiffusion's Table 4.

He et al., "Deep residual learning for image recognition" (CVPR 2016): the blocks and their numbers. The
RainDiffusion paper does not describe the adaptation; timestep input, full-resolution stem and top-down path are ours.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.layers.diffusion_blocks import StepEmbedding, TopDown, group_norm
from restorebox.registry import BACKBONES
from restorebox.values import Counts, Width


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width, with norms and ReLUs; the timestep embedding is added after the first.

    Args:
        inside: channels of the input.
        width: channels of the 3x3 convolution.
        stride: of the 3x3 convolution.
        step_width: length of the timestep embedding.
    """

    def __init__(self, inside: int, width: int, stride: int, step_width: int) -> None:
        super().__init__()
        outside = 4 * width
        self.reduce = nn.Sequential(nn.Conv2d(inside, width, 1), group_norm(width))
        self.step = nn.Linear(step_width, width)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1),
            group_norm(width),
            nn.ReLU(),
            nn.Conv2d(width, outside, 1),
            group_norm(outside),
        )
        same = inside == outside and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(nn.Conv2d(inside, outside, 1, stride), group_norm(outside))
        )

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        """``(N, inside, H, W)`` and ``(N, step_width)`` -> ``(N, 4 width, H / stride, W / stride)``."""
        y = self.reduce(x) + self.step(F.silu(step))[:, :, None, None]
        return F.relu(self.shortcut(x) + self.body(y))


@BACKBONES.register_module()
class ResNetEstimator(BaseBackbone):
    """Stages of bottlenecks, each at half the size of the previous one, and a top-down path to full resolution.

    Args:
        in_channels: channels of the input, condition and noisy picture.
        base_width: width of the bottlenecks of the first stage; 64 in ResNet-50.
        depths: bottlenecks per stage; (3, 4, 6, 3) in ResNet-50.
        out_width: channels of the last feature.

    Taps: ``stem`` at full resolution, ``stage1`` .. ``stageN``.
    """

    given = ('timestep',)

    stages: Any  # a ModuleList of bottlenecks per stage

    def __init__(
        self,
        in_channels: Width = 6,
        base_width: Width = 64,
        depths: Counts = (3, 4, 6, 3),
        out_width: Width = 128,
    ) -> None:
        super().__init__()
        vector = 8 * base_width
        self.embed = StepEmbedding(2 * base_width, vector)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, base_width, 3, 1, 1), group_norm(base_width), nn.ReLU())
        self.stages = nn.ModuleList()
        channels = [base_width]
        for i, depth in enumerate(depths):
            stage = nn.ModuleList()
            for k in range(depth):
                inside = channels[-1] if k == 0 else 4 * base_width * 2**i
                stage.append(Bottleneck(inside, base_width * 2**i, 2 if k == 0 else 1, vector))
            self.stages.append(stage)
            channels.append(4 * base_width * 2**i)
        self.top_down = TopDown(channels, out_width, vector)
        self.out_channels = out_width
        self.out_stride = 1
        self.tap_channels = {'stem': base_width, **{f'stage{i + 1}': c for i, c in enumerate(channels[1:])}}
        stride = 2 ** len(depths)
        # twice the stride: at 1x1 the norms of a narrow network would have a single value each
        self.needs = Needs(stride, 2 * stride, in_channels, (-1.0, 1.0))

    def field(self, run: int) -> None:
        """Return None: not computed, since the norms use statistics of the whole picture."""
        return None

    def forward(  # type: ignore[override]  # needs the timestep, see ``given``
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, *, timestep: Tensor
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`; ``timestep`` as in :class:`DDPMUNet`."""
        kept = self.collect(taps, only_taps)
        step = self.embed(timestep)
        x = self.stem(x)
        levels = [x]
        if kept.last('stem', x):
            return kept.features
        for i, stage in enumerate(self.stages):
            for block in stage:
                x = block(x, step)
            levels.append(x)
            if kept.last(f'stage{i + 1}', x):
                return kept.features
        return kept.end(self.top_down(levels, step))

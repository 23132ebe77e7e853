"""VGG-16 as a noise estimator, a control of RainDiffusion's Table 4.

Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (ICLR 2015): thirteen 3x3
convolutions in five stages. The RainDiffusion paper does not describe the adaptation; norms, timestep
input and top-down path are ours.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.layers.diffusion_blocks import StepEmbedding, TopDown, group_norm
from restorebox.registry import BACKBONES
from restorebox.values import Counts, Width


@BACKBONES.register_module()
class VGGEstimator(BaseBackbone):
    """Stages of 3x3 convolution, norm, ReLU with max pooling between, and a top-down path to full resolution.

    The timestep embedding is added to the input of each stage.

    Args:
        in_channels: channels of the input, condition and noisy picture.
        base_width: channels of the first stage, doubled at each stage up to eight times this number; 64 in VGG-16.
        depths: convolutions per stage; (2, 2, 3, 3, 3) in VGG-16.
        out_width: channels of the last feature.

    Taps: ``stage1`` .. ``stageN``; the first at full resolution.
    """

    given = ('timestep',)

    def __init__(
        self,
        in_channels: Width = 6,
        base_width: Width = 64,
        depths: Counts = (2, 2, 3, 3, 3),
        out_width: Width = 128,
    ) -> None:
        super().__init__()
        vector = 8 * base_width
        self.embed = StepEmbedding(2 * base_width, vector)
        widths = [base_width * min(2**i, 8) for i in range(len(depths))]
        self.stages, self.steps = nn.ModuleList(), nn.ModuleList()
        inside = in_channels
        for width, depth in zip(widths, depths, strict=True):
            self.steps.append(nn.Linear(vector, inside))
            layers: list[nn.Module] = []
            for _ in range(depth):
                layers += [nn.Conv2d(inside, width, 3, 1, 1), group_norm(width), nn.ReLU()]
                inside = width
            self.stages.append(nn.Sequential(*layers))
        self.top_down = TopDown(widths, out_width, vector)
        self.out_channels = out_width
        self.out_stride = 1
        self.tap_channels = {f'stage{i + 1}': width for i, width in enumerate(widths)}
        stride = 2 ** (len(depths) - 1)
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
        levels = []
        for i, (stage, add) in enumerate(zip(self.stages, self.steps, strict=True)):
            x = F.max_pool2d(x, 2) if i else x
            x = stage(x + add(F.silu(step))[:, :, None, None])
            levels.append(x)
            if kept.last(f'stage{i + 1}', x):
                return kept.features
        return kept.end(self.top_down(levels, step))

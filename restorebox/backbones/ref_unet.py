"""Refinement U-Net of heavy rain (Li, Cheong and Tan, CVPR 2019), conditioned on airlight and depth."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.backbones.double_unet import STRIDE, DoubleUNet
from restorebox.errors import ConfigError
from restorebox.registry import BACKBONES, nearest
from restorebox.values import Width

CONDITIONS = ('both', 'atm', 'depth', 'attention')


@BACKBONES.register_module()
class RefUNet(BaseBackbone):
    """U-Net from the output of the physics inversion to features of a clean picture.

    ::

        J0, depth -> DoubleUNet -> 'out'
                        ^ concatenated to the innermost feature
        A, tiled to H/64 x W/64 -> transposed 2x2 convolution -> transposed 2x2 convolution, H/16 x W/16

    Args:
        cond: ``'both'``: the input is J0 and a depth map, 4 channels, and the airlight is injected; ``'atm'``: J0 and
            airlight, as in the authors' code; ``'depth'``: J0 and depth, no airlight; ``'attention'``: J0, airlight
            and, instead of depth, an attention map in (0, 1) computed from J0 by convolutions and trained without
            supervision (after Qian et al., CVPR 2018, who supervise their maps).
        base_width: channels w of the first level, 64 in the paper; the injected airlight has w / 2 channels.

    Given: ``airlight`` ``(N, 3, 1, 1)`` in [0, 1], unless ``cond='depth'``.

    Taps: ``down1`` .. ``down5``, ``up4`` .. ``up1``.

    Raises:
        ConfigError: unknown ``cond``.
    """

    def __init__(self, cond: str = 'both', base_width: Width = 64) -> None:
        super().__init__()
        if cond not in CONDITIONS:
            raise ConfigError(f"RefUNet has no cond '{cond}'; {nearest(str(cond), CONDITIONS)}")
        self.given = () if cond == 'depth' else ('airlight',)
        in_channels = 3 if cond in ('atm', 'attention') else 4
        injected = base_width // 2 if self.given else 0
        self.attend = None
        if cond == 'attention':
            width = base_width // 2
            self.attend = nn.Sequential(
                *(nn.Conv2d(3, width, 3, 1, 1), nn.ReLU()),
                *(nn.Conv2d(width, width, 3, 1, 1), nn.ReLU(), nn.Conv2d(width, 1, 3, 1, 1), nn.Sigmoid()),
            )
        self.body = DoubleUNet(3 if cond == 'atm' else 4, base_width, injected)
        if self.given:
            self.inject = nn.Sequential(
                nn.ConvTranspose2d(3, injected // 2, 2, 2), nn.ConvTranspose2d(injected // 2, injected, 2, 2)
            )
        self.tap_channels = self.body.tap_channels
        self.out_channels = base_width
        self.out_stride = 1
        self.needs = Needs(STRIDE, STRIDE, in_channels, (0.0, 1.0), self.field(1))

    def field(self, run: int) -> int:
        """See :meth:`BaseBackbone.field`."""
        return self.body.field(run) + (6 if self.attend is not None else 0)

    def forward(
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, airlight: Tensor | None = None
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`.

        Raises:
            ConfigError: ``airlight`` is needed and missing.
        """
        kept = self.collect(taps, only_taps)
        extra = None
        if self.given:
            if airlight is None:
                raise ConfigError("RefUNet: needs the airlight; call it with airlight=..., or set cond='depth'")
            height, width = (side // STRIDE for side in x.shape[-2:])
            # sizes in the paper are multiples of 64; for others the last tile is cropped
            tiles = airlight.expand(-1, -1, -(-height // 4), -(-width // 4))
            extra = self.inject(tiles)[..., :height, :width]
        if self.attend is not None:
            x = torch.cat((x, self.attend(x)), 1)
        x = self.body(x, kept, extra)
        return kept.features if x is None else kept.end(x)

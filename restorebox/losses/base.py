"""What every loss is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32
from restorebox.registry import LOSSES


class BaseLoss(nn.Module):
    """A scalar to minimise, multiplied by its weight.

    A subclass writes :meth:`compute`. Losses between more than two pictures, or of logits, override :meth:`forward`.

    Attributes:
        value_range: range of values that the loss is defined on; a restorer maps its tensors there before it calls.
            None: any range, as given.

        of_pictures: whether it is called as ``loss(pred, target)`` with two batches of pictures.
        of_features: whether it is called as ``loss(features)`` with one feature map of a batch.

    Args:
        weight: factor of the result.
    """

    of_pictures: bool = True
    of_features: bool = False
    value_range: tuple[float, float] | None = None

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """``weight * compute(pred, target)`` in float32 (float64 stays), also under autocast.

        Args:
            pred: ``(N, C, H, W)``; gradients reach it.
            target: of the same shape.

        Returns:
            A scalar.

        Raises:
            ValueError: the shapes differ (broadcasting would hide a mistake).
        """
        if pred.shape != target.shape:
            raise ValueError(f'{type(self).__name__}: pred is {tuple(pred.shape)}, target is {tuple(target.shape)}')
        with torch.autocast(pred.device.type, enabled=False):
            return self.weight * self.compute(at_least_float32(pred), at_least_float32(target))

    def compute(self, pred: Tensor, target: Tensor) -> Tensor:
        """The loss of two tensors of one shape, unweighted: a scalar."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Shown when a model is printed."""
        return f'weight={self.weight}'


def build_picture_losses(losses: dict[str, dict], owner: str) -> nn.ModuleDict:
    """Build a restorer's losses between prediction and clean partner.

    Args:
        losses: name -> config.
        owner: the restorer, for the message.

    Raises:
        ConfigError: a loss of something else (logits, embeddings).
    """
    built = nn.ModuleDict({name: LOSSES.build(cfg) for name, cfg in losses.items()})
    for name, loss in built.items():
        if not getattr(loss, 'of_pictures', True):
            kind = type(loss).__name__
            raise ConfigError(f"{owner}: losses.{name}: {kind} does not compare two pictures, so it can't stand here")
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

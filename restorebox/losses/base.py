"""Base class of losses, and construction of a restorer's losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError, NonFiniteError
from restorebox.layers.precision import at_least_float32, without_autocast
from restorebox.registry import LOSSES
from restorebox.values import NotNegative, short


class BaseLoss(nn.Module):
    """Base class: a weighted scalar loss.

    A subclass implements :meth:`compute`. Losses of other arguments (logits, features) override :meth:`forward`.

    Attributes:
        value_range: (lowest, highest) value of the pictures for this loss; the restorer converts
            its tensors to this range. None: no conversion.
        of_pictures: whether it is called as ``loss(pred, target)`` with two batches of pictures.
        reads_degraded: whether it is called as ``loss(pred, target, degraded)``, with the degraded pictures too.
        of_features: whether it is called as ``loss(features)`` with one feature map of a batch.
        used_by: what a config uses instead, for the message where a loss does not compare two pictures.

    Args:
        weight: factor of the result.
    """

    of_pictures: bool = True
    reads_degraded: bool = False
    of_features: bool = False
    used_by: str = ''
    value_range: tuple[float, float] | None = None

    def __init__(self, weight: NotNegative = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Call :meth:`forward`.

        Raises:
            ConfigError: the result is no scalar.
        """
        value = super().__call__(*args, **kwargs)
        check_scalar(value, f'{type(self).__name__}.compute')
        return value

    def forward(self, pred: Tensor, target: Tensor, *others: Tensor) -> Tensor:
        """Return ``weight * compute(pred, target)`` in float32 (float64 is kept), also under autocast.

        Args:
            pred: ``(N, C, H, W)``; receives gradients.
            target: of the same shape.
            others: of the same shape; the degraded pictures for a loss that ``reads_degraded``.

        Returns:
            A scalar.

        Raises:
            ValueError: the shapes differ (broadcasting would hide an error).
        """
        for name, x in zip(('target', 'degraded'), (target, *others), strict=False):
            if pred.shape != x.shape:
                raise ValueError(f'{type(self).__name__}: pred is {tuple(pred.shape)}, {name} is {tuple(x.shape)}')
        with without_autocast(pred):
            return self.weight * self.compute(*(at_least_float32(x) for x in (pred, target, *others)))

    def compute(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the unweighted loss, a scalar, of ``pred``, ``target`` and any further tensors of the same shape."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return the text shown in the module's ``repr``."""
        return f'weight={self.weight}'


def check_scalar(value: Any, source: str) -> None:
    """Refuse a loss that is no scalar.

    Args:
        value: the loss.
        source: function that returned it, for the message.

    Raises:
        ConfigError: it is no tensor, or has dimensions.
    """
    if not isinstance(value, Tensor):
        raise ConfigError(f'{source} returned {type(value).__name__}; return a scalar tensor')
    if value.ndim:
        raise ConfigError(f'{source} returned shape {tuple(value.shape)}; return a scalar')


def sum_terms(terms: dict[str, Tensor], owner: str, step: str) -> Tensor:
    """Return the sum of the terms whose name starts with ``loss``.

    Args:
        terms: result of a restorer's ``losses``.
        owner: name of the restorer, for messages.
        step: name of the optimiser step, for messages.

    Raises:
        ConfigError: a term is no scalar, or no name starts with ``loss``.
    """
    for name, value in terms.items():
        check_scalar(value, f'{name}: {owner}.losses')
    total = sum(value for name, value in terms.items() if name.startswith('loss'))
    if not isinstance(total, Tensor):
        raise ConfigError(f"{owner}: the step '{step}' has no term whose name starts with loss")
    return total


def check_finite(terms: dict[str, Tensor], total: Tensor, step: str) -> None:
    """Check the sum of a step's loss terms; the host waits for its value.

    Raises:
        NonFiniteError: it is NaN or infinite; names the terms that are.
    """
    if not torch.isfinite(total):
        bad = [f'{name} = {value.item()}' for name, value in terms.items() if not torch.isfinite(value)]
        raise NonFiniteError(f'{step}: {", ".join(bad) or f"the sum = {total.item()}"}')


def _built(cfg: Any, where: str) -> BaseLoss:
    if not isinstance(cfg, dict):
        raise ConfigError(f'{where} is {short(cfg)}; it must be a dict with a type')
    loss = LOSSES.build(cfg)
    if not isinstance(loss, BaseLoss):
        raise ConfigError(f'{where}: {type(loss).__name__} is not derived from BaseLoss (restorebox.losses)')
    return loss


def build_picture_losses(losses: dict[str, dict], owner: str, degraded: bool = True) -> nn.ModuleDict:
    """Build a restorer's losses between prediction and target.

    Args:
        losses: name -> config.
        owner: name of the restorer for error messages.
        degraded: whether the restorer passes degraded pictures.

    Raises:
        ConfigError: a loss of other arguments (logits, embeddings), or one that needs degraded pictures that are not
            passed.
    """
    built = nn.ModuleDict({name: _built(cfg, f'{owner}: losses.{name}') for name, cfg in losses.items()})
    for name, loss in built.items():
        if not loss.of_pictures:
            kind = type(loss).__name__
            instead = loss.used_by
            raise ConfigError(
                f"{owner}: losses.{name}: {kind} does not compare two pictures and can't be used here"
                f'{instead and f"; use {instead}"}'
            )
        if loss.reads_degraded and not degraded:
            kind = type(loss).__name__
            raise ConfigError(f'{owner}: losses.{name}: {kind} needs the degraded picture, which is not available here')
    return built


def build_feature_losses(losses: dict[str, dict], owner: str) -> tuple[nn.ModuleDict, dict[str, tuple[str, ...]]]:
    """Build a restorer's losses of feature maps.

    Args:
        losses: name -> ``dict(taps=PATTERNS, loss=CONFIG)``.
        owner: name of the restorer for error messages.

    Returns:
        The losses by name, and the tap patterns of each.

    Raises:
        ConfigError: an unknown key, no taps, or a loss of other arguments.
    """
    built, patterns = nn.ModuleDict(), {}
    for name, cfg in losses.items():
        where = f'{owner}: feature_losses.{name}'
        if not isinstance(cfg, dict) or set(cfg) != {'taps', 'loss'} or not cfg['taps']:
            raise ConfigError(f"{where}: it must be dict(taps=('NAME', ...), loss=dict(type=...)), not {cfg!r}")
        loss = _built(cfg['loss'], where)
        if not loss.of_features:
            raise ConfigError(f"{where}: {type(loss).__name__} is no loss of a feature map and can't be used here")
        built[name] = loss
        patterns[name] = (cfg['taps'],) if isinstance(cfg['taps'], str) else tuple(cfg['taps'])
    return built, patterns

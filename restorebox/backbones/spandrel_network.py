"""Networks of the package spandrel, which reads public weights of many projects (MIT; extra ``zoo``)."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from restorebox.backbones.base import BaseBackbone, Needs
from restorebox.errors import ConfigError, missing_package, one_line, out_of_memory
from restorebox.layers import pad_to_multiple
from restorebox.layers.precision import traced
from restorebox.registry import BACKBONES, nearest


class NumbersOnCpu(TorchFunctionMode):
    """Keep ``torch.linspace`` off the meta device: constructors read single numbers of it (rates of dropped paths)."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call ``func``; see :class:`torch.overrides.TorchFunctionMode`."""
        kwargs = dict(kwargs or {})
        if func is torch.linspace:
            kwargs.setdefault('device', 'cpu')
        return func(*args, **kwargs)


def architectures() -> Any:
    """Return spandrel's registry of architectures.

    Architectures with restrictive licences are in another package, spandrel_extra_arches. They are added if the user
    has installed it; nothing here installs it.

    Raises:
        MissingPackageError: spandrel is not installed.
    """
    try:
        from spandrel import MAIN_REGISTRY
    except ImportError as error:
        raise missing_package("a network of another project's weights", 'zoo', error) from None
    try:
        import spandrel_extra_arches
    except ImportError:
        return MAIN_REGISTRY
    spandrel_extra_arches.install(ignore_duplicates=True)
    return MAIN_REGISTRY


@contextmanager
def without_warnings() -> Iterator[None]:
    """Suppress Python warnings: those of other projects' constructors say nothing that a user could change."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def described(load: Callable[[], Any]) -> Any:
    """Load a model descriptor of spandrel without memory for weights.

    Args:
        load: called on the meta device; returns the descriptor.

    Raises:
        ConfigError: the network can't be built, or is not a restoration network for RGB pictures of one size.
    """
    try:
        # copies of weights to the meta device do nothing, which is intended and warned of
        with torch.device('meta'), NumbersOnCpu(), without_warnings():
            found = load()
    except Exception as error:  # other projects' constructors raise exceptions of any type
        raise ConfigError(
            f"spandrel can't build the network: {type(error).__name__}: {one_line(error)[:200]}"
        ) from None
    name = found.architecture.name
    if found.purpose in ('FaceSR', 'Inpainting'):
        raise ConfigError(f'{name} is for {found.purpose}; only restoration of whole pictures is supported')
    if found.scale != 1:
        raise ConfigError(f'this {name} enlarges pictures {found.scale} times; restorebox keeps their size')
    if (found.input_channels, found.output_channels) != (3, 3):
        channels = f'{found.input_channels} to {found.output_channels} channels'
        raise ConfigError(f'this {name} maps {channels}; restorebox restores pictures of 3 (RGB)')
    return found


def network_classes(architecture: Any) -> dict[str, type[nn.Module]]:
    """Return the classes of networks of an architecture of spandrel, by the names that its module exports."""
    module = sys.modules[type(architecture).__module__]
    members = {name: getattr(module, name) for name in getattr(module, '__all__', ())}
    return {name: each for name, each in members.items() if inspect.isclass(each) and issubclass(each, nn.Module)}


def network_class(architecture: str, network: str | None) -> tuple[Any, type[nn.Module]]:
    """Return an architecture of spandrel and the class of its network.

    Args:
        architecture: its identifier, such as ``'NAFNet'``.
        network: name of the class; None if the architecture has only one.

    Raises:
        ConfigError: an unknown name, or ``network`` is needed.
        MissingPackageError: spandrel is not installed.
    """
    known = {str(each.architecture.id): each.architecture for each in architectures()}
    if architecture not in known:
        raise ConfigError(f"spandrel has no architecture '{architecture}'; {nearest(architecture, [*known])}")
    classes = network_classes(known[architecture])
    name = network or (next(iter(classes)) if len(classes) == 1 else '')
    if name not in classes:
        raise ConfigError(f"{architecture} has no network '{name}'; network must be one of {', '.join(classes)}")
    return known[architecture], classes[name]


@BACKBONES.register_module()
class SpandrelNetwork(BaseBackbone):
    """A network of spandrel with its hyperparameters; ``restorebox info FILE`` prints those of a file of weights.

    ::

        x -> network of another project -> picture

    The output is a picture; the head is ``dict(type='IdentityHead', output='picture')``. Its sizes and its tiling are
    those that spandrel describes. Its statistics are those of the picture or tile: ``statistics_window`` is without
    effect. Where spandrel asks for square pictures they are padded by reflection and cropped.

    Args:
        architecture: identifier of spandrel, such as ``'NAFNet'``.
        hyperparameters: keyword arguments of the network's constructor.
        network: name of the network's class; None if the architecture has only one.

    Attributes:
        settings: these arguments, by name.

    Taps: ``picture`` (the output).

    Raises:
        ConfigError: unknown names or hyperparameters, or not a restoration network for RGB pictures of one size.
        MissingPackageError: spandrel is not installed.
    """

    def __init__(self, architecture: str, hyperparameters: dict, network: str | None = None) -> None:
        super().__init__()
        support, build = network_class(architecture, network)
        found = described(lambda: support.load(build(**hyperparameters).state_dict()))
        with NumbersOnCpu(), without_warnings():
            self.network = build(**hyperparameters)
        self.settings = dict(architecture=architecture, network=network, hyperparameters=hyperparameters)
        self._name = found.architecture.name
        self._call = found._call_fn  # calling the descriptor itself would allow no training
        sizes = found.size_requirements
        self.square = bool(sizes.square)
        self.tap_channels = {'picture': 3}
        self.out_channels, self.out_stride = 3, 1
        self.needs = Needs(
            stride=sizes.multiple_of,
            min_size=max(sizes.minimum, sizes.multiple_of),
            value_range=(0.0, 1.0),
            tiling='spatial' if found.tiling.name == 'SUPPORTED' else 'discouraged',
        )

    def forward(self, x: Tensor, taps: tuple[str, ...] = (), only_taps: bool = False) -> dict[str, Tensor]:
        """See :meth:`BaseBackbone.forward`."""
        kept = self.collect(taps, only_taps)
        height, width = x.shape[-2:]
        if self.square and height != width:
            x = pad_to_multiple(x, self.needs.stride, max(height, width))
        try:
            picture = self._call(self.network, x)[..., :height, :width]
        except Exception as error:  # sizes that the network's names and shapes did not show
            if traced() or out_of_memory(error):
                raise
            reason = f'{type(error).__name__}: {one_line(error)[:200]}'
            raise ConfigError(f'{self._name} fails at {height}x{width} pixels: {reason}') from error
        return kept.features if kept.last('picture', picture) else kept.end(picture)

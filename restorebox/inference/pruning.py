"""Structured pruning: the weights of a narrower network, from those of a wider one of the same make.

Channels go in groups, since layers that are added to each other must keep the same ones. Which belong together is found
by torch-pruning (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023); how many stay, by the narrower
network; which stay, by what the training loss would change without them (Molchanov et al., "Importance Estimation for
Neural Network Pruning", CVPR 2019).
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError, missing_package
from restorebox.layers.statistics import InstanceNorm, set_statistics_window
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import training_inputs
from restorebox.restorers.network import Network

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.modules.batchnorm._BatchNorm, InstanceNorm)
MOST_DIFFERENCE = (
    1e-4  # of the two outputs, in the network's range, once what goes has been set to zero in the wide one
)


@dataclass
class _Place:
    """An axis of a tensor that a group of channels runs along.

    Attributes:
        name: of the tensor in the state.
        axis: of it.
        index: position on the axis per channel; several in a row where one channel of the group is ``times`` of them.
        made: whether the layer makes these channels, so that a zero here is a channel of zeros.
        times: see above.
    """

    name: str
    axis: int
    index: list[int]
    made: bool
    times: int = 1

    def positions(self, channels: list[int]) -> list[int]:
        return [self.index[i] * self.times + j for i in channels for j in range(self.times)]


class _Picture(nn.Module):
    """A network as a function of one tensor."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)[self.network.head.output]


def measure_worth(restorer: BaseRestorer, batches: Iterable[dict], role: str = 'generator') -> dict[str, Tensor]:
    """What each weight is worth: how much the training loss would change without it, to the first order, squared.

    The mean over the batches of ``(weight * gradient) ** 2`` (Molchanov et al., equation 8).

    Args:
        restorer: in evaluation mode, with its weights.
        batches: of the training set, as the data loader gives them.
        role: the network whose weights are meant.

    Returns:
        name -> a tensor of the weight's shape, float64.

    Raises:
        ConfigError: the batch doesn't fit the networks, or there is none.
    """
    parameters = {name: each for name, each in restorer.role(role).named_parameters() if each.requires_grad}
    worth = {name: torch.zeros_like(each, dtype=torch.float64) for name, each in parameters.items()}
    count = 0
    for batch in batches:
        terms = restorer(training_inputs(restorer, batch), mode='loss')
        total = sum(value for name, value in terms.items() if name.startswith('loss'))
        gradients = torch.autograd.grad(total, parameters.values(), allow_unused=True)
        for (name, each), gradient in zip(parameters.items(), gradients, strict=True):
            if gradient is not None:
                worth[name] += (each.detach() * gradient).double().square()
        count += 1
    if not count:
        raise ConfigError('prune: there is no sample to rank the channels by')
    return {name: each / count for name, each in worth.items()}


def prune_network(wide: Network, narrow: Network, worth: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state for ``narrow`` of the channels of ``wide`` that are worth most.

    Before it is returned it is tried: what goes is set to zero in a copy of the wide network, which must then give what
    the narrow one gives.

    Args:
        wide: the network with its weights.
        narrow: one of the same layers, some of them with fewer channels; its weights are not read.
        worth: of each weight of ``wide``, as :func:`measure_worth` gives it; a group of channels is worth the sum.

    Raises:
        ConfigError, MissingPackageError: see :func:`check_prunable`; or this network's channels can't be told apart
            (norms over groups of channels, for example).
    """
    check_prunable(wide, narrow)
    state, target = wide.state_dict(), narrow.state_dict()
    small = wide.needs.stride * max(2, -(-64 // wide.needs.stride))
    low, high = wide.needs.value_range
    noise = torch.rand(1, wide.needs.in_channels, small, small, generator=torch.Generator().manual_seed(0))
    noise = low + (high - low) * noise
    gone: dict[tuple[str, int], set[int]] = {}
    made: set[tuple[str, int]] = set()
    groups = list(_groups(wide, noise))
    _spread(groups, state)
    for places in groups:
        first = min((place for place in places if place.made), key=lambda place: len(place.index) * place.times)
        number = target[first.name].shape[first.axis]
        if number == len(first.index):
            continue
        value = sum(_of_channels(worth[place.name], place) for place in places if place.name in worth)
        weakest = value.argsort(descending=True, stable=True)[number:].tolist()
        for place in places:
            key = place.name, place.axis
            gone.setdefault(key, set()).update(place.positions(weakest))
            if place.made:
                made.add(key)
    found = {}
    for name, tensor in state.items():
        for axis in [axis for axis in range(tensor.dim()) if (name, axis) in gone]:
            left = sorted(set(range(tensor.shape[axis])) - gone[name, axis])
            tensor = tensor.index_select(axis, torch.tensor(left, device=tensor.device))
        if tensor.shape != target[name].shape:
            raise ConfigError(
                f'prune: {name} would be left with {tuple(tensor.shape)}, and the narrow network has '
                f'{tuple(target[name].shape)} there: its channels depend on each other in a way that is not understood'
            )
        found[name] = tensor.clone()
    _try(wide, narrow, {key: gone[key] for key in made}, found, noise)
    return found


def _torch_pruning() -> Any:
    try:
        import torch_pruning
    except ImportError as error:
        raise missing_package('prune', 'prune', error) from None
    return torch_pruning


def check_prunable(wide: Network, narrow: Network) -> None:
    """See whether two networks differ in widths alone, before anything long is begun.

    Raises:
        ConfigError: they differ in more, in nothing, or a width would grow.
        MissingPackageError: torch-pruning is not installed.
    """
    _torch_pruning()
    state, target = wide.state_dict(), narrow.state_dict()
    other = sorted(state.keys() ^ target.keys())
    if other:
        raise ConfigError(
            f'prune: the two networks differ in more than widths: {other[0]} is in one of them alone '
            f'({len(other)} such weights)'
        )
    for name, tensor in state.items():
        if tensor.dim() != target[name].dim() or any(
            a < b for a, b in zip(tensor.shape, target[name].shape, strict=True)
        ):
            raise ConfigError(
                f'prune: {name} has {tuple(tensor.shape)} and should get {tuple(target[name].shape)}; it can only fall'
            )
    if all(tensor.shape == target[name].shape for name, tensor in state.items()):
        raise ConfigError('prune: no width has changed; say which with --cfg-options, see docs/exporting.md')


def _groups(network: Network, noise: Tensor) -> Iterator[list[_Place]]:
    """The places of each group of channels that belong together."""
    tp = _torch_pruning()
    whole = _Picture(copy.deepcopy(network).eval()).requires_grad_(True)
    set_statistics_window(whole, None)  # means of windows are many operations to follow, and the same channels
    names = {id(part): name.removeprefix('network.') for name, part in whole.named_modules()}
    names |= {id(part): name.removeprefix('network.') for name, part in whole.named_parameters()}

    class Norm(tp.BasePruningFunc):  # so that a norm is one thing to it, and not the arithmetic inside
        def get_out_channels(self, layer: nn.Module) -> int:
            return len(layer.weight)

        def prune_out_channels(self, layer: nn.Module, idxs: list[int]) -> nn.Module:
            return layer  # it only tells what belongs together; nothing is cut by it

        get_in_channels, prune_in_channels = get_out_channels, prune_out_channels

    affine = any(isinstance(part, InstanceNorm) and part.weight is not None for part in whole.modules())
    norms = {InstanceNorm: Norm()} if affine else {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # it warns of parameters outside layers, which are looked after below
        graph = tp.DependencyGraph().build_dependency(whole, example_inputs=noise, customized_pruners=norms)
    done = set()
    layers = [layer for layer in whole.modules() if isinstance(layer, LAYERS)]
    # by size, so that a group that a pixel shuffle spreads out is met where its channels are single
    for layer in sorted(layers, key=_made_by):
        if id(layer) in done:
            continue
        cut = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
        group = graph.get_pruning_group(layer, cut, idxs=list(range(_made_by(layer))))
        places = []
        for item, index in group:
            part = item.target.module
            made = graph.is_out_channel_pruning_fn(item.handler)
            if isinstance(part, LAYERS) and made:
                done.add(id(part))
            if id(part) in names:
                places += _places(part, names[id(part)], made, [int(i) for i in index], _made_by(layer))
        yield places


def _spread(groups: list[list[_Place]], state: dict[str, Tensor]) -> None:
    """Set ``times``: a layer that makes more channels than all groups know of feeds a pixel shuffle."""
    known: dict[str, set[int]] = {}
    for place in itertools.chain(*groups):
        if place.made:
            known.setdefault(place.name, set()).update(place.index)
    for place in itertools.chain(*groups):
        if place.made:
            place.times, left = divmod(state[place.name].shape[place.axis], len(known[place.name]))
            if left:
                raise ConfigError(f'prune: the channels of {place.name} are spread in a way that is not understood')


def _made_by(layer: nn.Module) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _places(part: Any, name: str, made: bool, index: list[int], channels: int) -> list[_Place]:
    """The tensors of one member of a group."""
    if len(index) != channels:
        raise ConfigError(f'prune: the channels of {name} are spread in a way that is not understood')
    if isinstance(part, nn.Parameter):  # square ones mix the channels of the group
        axes = [axis for axis, size in enumerate(part.shape) if size == channels]
        return [_Place(name, axis, index, False) for axis in axes]
    if isinstance(part, LAYERS):
        first = 1 if isinstance(part, nn.ConvTranspose2d) else 0
        if not made:
            return [_Place(f'{name}.weight', 1 - first, index, False)]
        bias = [_Place(f'{name}.bias', 0, index, True)] if part.bias is not None else []
        return [_Place(f'{name}.weight', first, index, True), *bias]
    if isinstance(part, NORMS):
        tensors = [key for key, tensor in part.state_dict().items() if tensor.dim() == 1]
        return [_Place(f'{name}.{key}', 0, index, key in ('weight', 'bias')) for key in tensors]
    return []


def _of_channels(worth: Tensor, place: _Place) -> Tensor:
    """What each channel's part of a tensor is worth: ``(C,)`` float64."""
    rows = worth.double().transpose(0, place.axis).flatten(1) if worth.dim() > 1 else worth.double()[:, None]
    return rows[place.positions(list(range(len(place.index))))].sum(1).view(-1, place.times).sum(1).cpu()


def _try(
    wide: Network, narrow: Network, zeros: dict[tuple[str, int], set[int]], state: dict[str, Tensor], noise: Tensor
) -> None:
    """Compare ``narrow`` of ``state`` with ``wide`` of zeros at these positions, by tensor and axis."""
    whole, part = copy.deepcopy(wide).eval().double(), copy.deepcopy(narrow).eval().double()
    for each in (whole, part):  # whose windows may differ, which is not about channels
        set_statistics_window(each, None)
    tensors = whole.state_dict()
    for (name, axis), positions in zeros.items():
        tensors[name].index_fill_(axis, torch.tensor(sorted(positions)), 0)
    part.load_state_dict(state)
    with torch.no_grad():
        difference = (_Picture(whole)(noise.double()) - _Picture(part)(noise.double())).abs().max().item()
    if not difference < MOST_DIFFERENCE:
        raise ConfigError(
            f'prune: without the weaker channels the wide network is {difference:.2g} from the narrow one: channels '
            'depend on each other in a way that is not understood'
        )

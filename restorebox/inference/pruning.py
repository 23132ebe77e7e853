"""Structured pruning: weights of a narrower network from those of a wider one with the same layers.

Channels are removed in groups, since layers whose outputs are added must keep the same channels. The groups are found
by torch-pruning (Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023). The narrower network determines
how many channels are kept. Those with the largest effect on the training loss are kept (Molchanov et al., "Importance
Estimation for Neural Network Pruning", CVPR 2019).
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from restorebox.errors import ConfigError, missing_package
from restorebox.layers.statistics import InstanceNorm, set_statistics_window
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.inputs import training_inputs
from restorebox.restorers.network import Network

if TYPE_CHECKING:
    pass

LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.modules.batchnorm._BatchNorm, InstanceNorm)
MAX_DIFFERENCE = 1e-4  # between the outputs, with the removed channels set to zero in the wide network


@dataclass
class _ChannelAxis:
    """Axis of a weight tensor that is indexed by a group of channels.

    Attributes:
        name: name in the state dict.
        axis: axis of the tensor.
        index: position on the axis per channel, in units of ``repeats``.
        output: whether these are output channels of the layer, so that zero weights give zero channels.
        repeats: number of consecutive positions per channel, more than 1 before a pixel shuffle.
    """

    name: str
    axis: int
    index: list[int]
    output: bool
    repeats: int = 1

    def positions(self, channels: list[int]) -> list[int]:
        return [self.index[i] * self.repeats + j for i in channels for j in range(self.repeats)]


class _OutputOnly(nn.Module):
    """Wrapper that returns a network's output tensor instead of a dict; ``given``: its further inputs."""

    def __init__(self, network: Network, given: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.network = network
        self.given = given
        self.output = network.head.output

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x, **self.given)[self.output]


def measure_importance(restorer: BaseRestorer, batches: Iterable[dict], role: str = 'generator') -> dict[str, Tensor]:
    """Estimate the importance of each weight: the squared first-order change of the training loss without it.

    This is the mean over batches of ``(weight * gradient) ** 2`` (Molchanov et al., equation 8).

    Args:
        restorer: in evaluation mode, with its weights.
        batches: batches of the training set, from the data loader.
        role: role of the network.

    Returns:
        Parameter name -> float64 tensor of the parameter's shape.

    Raises:
        ConfigError: a batch does not match the networks, or there is none.
    """
    parameters = {name: each for name, each in restorer.role(role).named_parameters() if each.requires_grad}
    importance = {name: torch.zeros_like(each, dtype=torch.float64) for name, each in parameters.items()}
    count = 0
    for batch in batches:
        terms = restorer(training_inputs(restorer, batch), mode='loss')
        total = sum(value for name, value in terms.items() if name.startswith('loss'))
        gradients = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
        for (name, each), gradient in zip(parameters.items(), gradients, strict=True):
            if gradient is not None:
                importance[name] += (each.detach() * gradient).double().square()
        count += 1
    if not count:
        raise ConfigError('prune: there is no sample to rank the channels by')
    return {name: each / count for name, each in importance.items()}


def prune_network(
    wide: Network, narrow: Network, importance: Mapping[str, Tensor], given: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """Return a state dict for ``narrow`` with the most important channels of ``wide``.

    The result is verified: the wide network with the removed channels set to zero must have the same output.

    Args:
        wide: network with its weights.
        narrow: network with the same layers, some with fewer channels; its weights are not read.
        importance: importance of the weights of ``wide``, see :func:`measure_importance`; summed over a channel group.
        given: example of the further inputs that the backbone names in ``given``, for one picture.

    Raises:
        ConfigError, MissingPackageError: see :func:`check_prunable`; or the channels can't be separated, for example
            because of group normalisation.
    """
    check_prunable(wide, narrow)
    state, target = wide.state_dict(), narrow.state_dict()
    small = wide.needs.stride * max(2, -(-64 // wide.needs.stride))
    low, high = wide.needs.value_range
    noise = torch.rand(1, wide.needs.in_channels, small, small, generator=torch.Generator().manual_seed(0))
    noise = low + (high - low) * noise
    given = given or {}
    removed: dict[tuple[str, int], set[int]] = {}
    output: set[tuple[str, int]] = set()
    groups = list(_groups(wide, noise, given))
    _set_repeats(groups, state)
    for places in groups:
        first = min((place for place in places if place.output), key=lambda place: len(place.index) * place.repeats)
        number = target[first.name].shape[first.axis]
        if number == len(first.index):
            continue
        known = [_channel_importance(importance[place.name], place) for place in places if place.name in importance]
        value = sum(known[1:], known[0])
        weakest = value.argsort(descending=True, stable=True)[number:].tolist()
        for place in places:
            key = place.name, place.axis
            removed.setdefault(key, set()).update(place.positions(weakest))
            if place.output:
                output.add(key)
    found = {}
    for name, tensor in state.items():
        for axis in [axis for axis in range(tensor.dim()) if (name, axis) in removed]:
            left = sorted(set(range(tensor.shape[axis])) - removed[name, axis])
            tensor = tensor.index_select(axis, torch.tensor(left, device=tensor.device))
        if tensor.shape != target[name].shape:
            raise ConfigError(
                f'prune: {name} would be left with {tuple(tensor.shape)}, and the narrow network has '
                f'{tuple(target[name].shape)} there: its channels depend on each other in a way that is not understood'
            )
        found[name] = tensor.clone()
    _verify(wide, narrow, {key: removed[key] for key in output}, found, noise, given)
    return found


def _torch_pruning() -> Any:
    try:
        import torch_pruning
    except ImportError as error:
        raise missing_package('prune', 'prune', error) from None
    return torch_pruning


def check_prunable(wide: Network, narrow: Network) -> None:
    """Check that two networks differ in their widths only.

    Raises:
        ConfigError: they differ in more or not at all, or a width would increase.
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


def _groups(network: Network, noise: Tensor, given: Mapping[str, Tensor]) -> Iterator[list[_ChannelAxis]]:
    """Yield the weight axes of each group of coupled channels."""
    tp = _torch_pruning()
    whole = _OutputOnly(copy.deepcopy(network).eval(), given).requires_grad_(True)
    set_statistics_window(whole, None)  # fewer operations in the graph, same channels
    names = {id(part): name.removeprefix('network.') for name, part in whole.named_modules()}
    names |= {id(part): name.removeprefix('network.') for name, part in whole.named_parameters()}

    class Norm(tp.BasePruningFunc):  # type: ignore[name-defined]  # tp is imported at run time; a norm as one layer
        def get_out_channels(self, layer: Any) -> int:
            return len(layer.weight)

        def prune_out_channels(self, layer: nn.Module, idxs: list[int]) -> nn.Module:
            return layer  # only the dependency graph is used

        get_in_channels, prune_in_channels = get_out_channels, prune_out_channels

    affine = any(isinstance(part, InstanceNorm) and part.weight is not None for part in whole.modules())
    norms = {InstanceNorm: Norm()} if affine else {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # parameters outside layers, which are handled below
        graph = tp.DependencyGraph().build_dependency(whole, example_inputs=noise, customized_pruners=norms)
    done = set()
    layers = [layer for layer in whole.modules() if isinstance(layer, LAYERS)]
    # smallest first, so that groups with a pixel shuffle are entered at a layer without repeated channels
    for layer in sorted(layers, key=_out_channels):
        if id(layer) in done:
            continue
        cut = tp.prune_linear_out_channels if isinstance(layer, nn.Linear) else tp.prune_conv_out_channels
        group = graph.get_pruning_group(layer, cut, idxs=list(range(_out_channels(layer))))
        places = []
        for item, index in group:
            part = item.target.module
            output = graph.is_out_channel_pruning_fn(item.handler)
            if isinstance(part, LAYERS) and output:
                done.add(id(part))
            if id(part) in names:
                places += _member_axes(part, names[id(part)], output, [int(i) for i in index], _out_channels(layer))
        yield places


def _set_repeats(groups: list[list[_ChannelAxis]], state: dict[str, Tensor]) -> None:
    """Set ``repeats``: a layer with more output channels than its groups contain feeds a pixel shuffle."""
    known: dict[str, set[int]] = {}
    for place in itertools.chain(*groups):
        if place.output:
            known.setdefault(place.name, set()).update(place.index)
    for place in itertools.chain(*groups):
        if place.output:
            place.repeats, left = divmod(state[place.name].shape[place.axis], len(known[place.name]))
            if left:
                raise ConfigError(f'prune: the channels of {place.name} are spread in a way that is not understood')


def _out_channels(layer: Any) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _member_axes(part: Any, name: str, output: bool, index: list[int], channels: int) -> list[_ChannelAxis]:
    """Return the weight axes of one member of a group."""
    if len(index) != channels:
        raise ConfigError(f'prune: the channels of {name} are spread in a way that is not understood')
    if isinstance(part, nn.Parameter):  # square ones have the group's channels on both axes
        axes = [axis for axis, size in enumerate(part.shape) if size == channels]
        return [_ChannelAxis(name, axis, index, False) for axis in axes]
    if isinstance(part, LAYERS):
        first = 1 if isinstance(part, nn.ConvTranspose2d) else 0
        if not output:
            return [_ChannelAxis(f'{name}.weight', 1 - first, index, False)]
        bias = [_ChannelAxis(f'{name}.bias', 0, index, True)] if part.bias is not None else []
        return [_ChannelAxis(f'{name}.weight', first, index, True), *bias]
    if isinstance(part, NORMS):
        tensors = [key for key, tensor in part.state_dict().items() if tensor.dim() == 1]
        return [_ChannelAxis(f'{name}.{key}', 0, index, key in ('weight', 'bias')) for key in tensors]
    return []


def _channel_importance(importance: Tensor, place: _ChannelAxis) -> Tensor:
    """Sum the importance of a tensor per channel: ``(C,)`` float64."""
    rows = (
        importance.double().transpose(0, place.axis).flatten(1)
        if importance.dim() > 1
        else importance.double()[:, None]
    )
    return rows[place.positions(list(range(len(place.index))))].sum(1).view(-1, place.repeats).sum(1).cpu()


def _verify(
    wide: Network,
    narrow: Network,
    zeros: dict[tuple[str, int], set[int]],
    state: dict[str, Tensor],
    noise: Tensor,
    given: Mapping[str, Tensor],
) -> None:
    """Compare the output of ``narrow`` with ``state`` and of ``wide`` with zeros at positions per tensor and axis."""
    whole, part = copy.deepcopy(wide).eval().double(), copy.deepcopy(narrow).eval().double()
    for each in (whole, part):  # the windows may differ, independent of the channels
        set_statistics_window(each, None)
    tensors = whole.state_dict()
    for (name, axis), positions in zeros.items():
        tensors[name].index_fill_(axis, torch.tensor(sorted(positions)), 0)
    part.load_state_dict(state)
    given = {name: each.double() for name, each in given.items()}
    with torch.no_grad():
        outputs = [_OutputOnly(each, given)(noise.double()) for each in (whole, part)]
    difference = (outputs[0] - outputs[1]).abs().max().item()
    if not difference < MAX_DIFFERENCE:
        raise ConfigError(
            f'prune: without the weaker channels the wide network is {difference:.2g} from the narrow one: channels '
            'depend on each other in a way that is not understood'
        )

"""Weights of other people's networks -> ours.

Public checkpoints name layers by their place in a list. Where a network of ours computes the same function, its layers
come in the same order, so that order maps one onto the other and every shape is checked on the way. Where names say
what a layer is, a table maps them (``conversion_names.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from restorebox.errors import CheckpointError
from restorebox.layers.resampling import BlurDouble, BlurHalve

WRAPPERS = ('module.',)  # what DataParallel puts in front of every name


def unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A public state without wrappers' names."""
    for wrapper in WRAPPERS:
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    return state


def _natural(name: str) -> list:
    """Sorts ``model.10`` behind ``model.9``."""
    return [int(part) if part.isdigit() else part for part in re.split(r'(\d+)', name)]


def _layers(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Layer name -> its tensors, in the order of the state: for ours that of registration, which is of computation."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        layer, _, tensor = key.rpartition('.')
        layers.setdefault(layer, {})[tensor] = value
    return layers


def _numbered_layers(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """As :func:`_layers` of a public state: without wrappers' names, in the order of its numbers."""
    layers = _layers(unwrapped(state))
    return {name: layers[name] for name in sorted(layers, key=_natural)}


def _check_filters(found: Iterable[Tensor], network: nn.Module) -> None:
    """Anti-aliasing has no weights, so that shapes alone would not tell that it is missing."""
    blurs = [module for module in network.modules() if isinstance(module, (BlurHalve, BlurDouble))]
    found = list(found)
    if len(found) != len(blurs):
        raise CheckpointError(
            f'it has {len(found)} anti-aliasing filters and the network of the config has {len(blurs)}; set antialias'
        )
    for theirs, blur in zip(found, blurs, strict=True):
        kernel = blur.kernel[0, 0]
        if theirs.shape[-2:] != kernel.shape or not torch.allclose(theirs[0, 0].float(), kernel, atol=1e-5):
            raise CheckpointError(
                f'its anti-aliasing filters are {theirs.shape[-1]} wide with other values than ours of '
                f'{kernel.shape[-1]}; only those of 3 for halving and 4 for doubling are known'
            )


def convert_by_order(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Name a public network's weights as ours.

    Args:
        state: weights of a network that computes what ``network`` does, layers numbered in the order of computation.
        network: ours; only its names and shapes are read.

    Returns:
        A state dict of ``network``.

    Raises:
        CheckpointError: another number of layers, other shapes, or other anti-aliasing.
    """
    theirs = _numbered_layers(state)
    _check_filters([layer['filt'] for layer in theirs.values() if 'filt' in layer], network)
    # instance norm of old torch versions left statistics that it never used
    theirs = {name: layer for name, layer in theirs.items() if 'weight' in layer}
    ours = _layers(network.state_dict())
    if len(theirs) != len(ours):
        raise CheckpointError(
            f'it has {len(theirs)} layers with weights and the network of the config has {len(ours)}; are its '
            'blocks, norm or halvings others?'
        )
    converted = {}
    for (their_name, their_layer), (our_name, our_layer) in zip(theirs.items(), ours.items(), strict=True):
        for tensor, own in our_layer.items():
            value = their_layer.get(tensor)
            if value is None or value.shape != own.shape:
                has = 'nothing' if value is None else tuple(value.shape)
                raise CheckpointError(
                    f'its {their_name}.{tensor} is {has}, {our_name}.{tensor} of the config is {tuple(own.shape)}'
                )
            converted[f'{our_name}.{tensor}'] = value
        # pix2pix tests with the statistics of its batch of one, which is our instance norm: its averages are not needed
        left = their_layer.keys() - our_layer.keys() - {'running_mean', 'running_var', 'num_batches_tracked'}
        if left:
            raise CheckpointError(f'its {their_name} has a {min(left)}, which {our_name} of the config has not')
    return converted


# names in OWAN's public state dict -> ours; groups of layers are numbered 0, 2, 4 .. (attention) and 1, 3, 5 .. there
OWAN_NAMES: tuple[tuple[str, Callable[[re.Match], str]], ...] = (
    (r'FEB\.0\.weight', lambda m: 'backbone.first.weight'),
    (r'FEB\.(\d+)\.(conv[12]\.weight)', lambda m: f'backbone.blocks.{int(m[1]) - 1}.{m[2]}'),
    (r'layers\.(\d+)\.ca_fc\.0\.(\w+)', lambda m: f'backbone.groups.{int(m[1]) // 2}.attention.hidden.{m[2]}'),
    (r'layers\.(\d+)\.ca_fc\.2\.(\w+)', lambda m: f'backbone.groups.{int(m[1]) // 2}.attention.out.{m[2]}'),
    (r'layers\.(\d+)\.preprocess\.op\.0\.weight', lambda m: f'backbone.groups.{int(m[1]) // 2}.enter.weight'),
    (
        r'layers\.(\d+)\._ops\.(\d+)\._ops\.(\d+)\.op\.(\d+)\.weight',
        lambda m: f'backbone.groups.{int(m[1]) // 2}.layers.{m[2]}.operations.{m[3]}.{m[4]}.weight',
    ),
    (
        r'layers\.(\d+)\._ops\.(\d+)\._out\.0\.weight',
        lambda m: f'backbone.groups.{int(m[1]) // 2}.layers.{m[2]}.join.weight',
    ),
    (r'conv2\.weight', lambda m: 'head.conv.weight'),
)


def convert_owan(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Name public weights of OWAN (Suganuma et al., CVPR 2019) as ours.

    Its pictures are transposed: RL-Restore's generator stores patches with height and width in each other's place, and
    the authors' loader turns the test pictures to match. So the kernels are transposed here. Its attention is of linear
    layers, ours of 1x1 convolutions; its last convolution has no bias, ours gets zeros.

    Args:
        state: weights under the names of the authors' code.
        network: an ``OWAN`` with a ``PictureHead``; only its names and shapes are read.

    Returns:
        A state dict of ``network``.

    Raises:
        CheckpointError: unknown names, missing weights, or other shapes.
    """
    own = network.state_dict()
    converted = {}
    for key, value in state.items():
        key = key.removeprefix(WRAPPERS[0])
        found = next((name(m) for pattern, name in OWAN_NAMES if (m := re.fullmatch(pattern, key))), None)
        if found not in own:
            raise CheckpointError(f'its {key} has no place in the network of the config; is it OWAN of another size?')
        if value.dim() == 2:
            value = value[:, :, None, None]
        converted[found] = value.mT if value.dim() == 4 else value
        if converted[found].shape != own[found].shape:
            raise CheckpointError(
                f'its {key} is {tuple(value.shape)}, {found} of the config is {tuple(own[found].shape)}'
            )
    converted.setdefault('head.conv.bias', torch.zeros(own['head.conv.weight'].shape[0]))
    missing = sorted(own.keys() - converted.keys())
    if missing:
        raise CheckpointError(f'it has nothing for {missing[0]} of the config, and {len(missing) - 1} more')
    return converted

"""Conversion of public weights of other projects.

Public checkpoints name layers by index. If our network computes the same function, its layers have the same order:
layers are mapped by order, and every shape is checked. Where layer names are descriptive, a table maps them
(``conversion_names.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from restorebox.datasets.reading import natural_key
from restorebox.errors import CheckpointError
from restorebox.layers.resampling import BlurDouble, BlurHalve

WRAPPERS = ('module.',)  # prefix that DataParallel adds to every name


def unwrapped(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove wrapper prefixes from the names of a state dict."""
    for wrapper in WRAPPERS:
        state = {key.removeprefix(wrapper): value for key, value in state.items()}
    return state


def _layers(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group a state dict by layer, in its order; for our networks the order of registration and of computation."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in state.items():
        layer, _, tensor = key.rpartition('.')
        layers.setdefault(layer, {})[tensor] = value
    return layers


def _numbered_layers(state: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Group a public state dict by layer, without wrapper prefixes, in the order of the layer indices."""
    layers = _layers(unwrapped(state))
    return {name: layers[name] for name in sorted(layers, key=natural_key)}


def _check_filters(found: Iterable[Tensor], network: nn.Module) -> None:
    """Compare anti-aliasing filters, which have no weights: layer shapes do not show whether they are present."""
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
    """Rename a public network's weights to our names.

    Args:
        state: weights of a network that computes what ``network`` does, with layer indices in the order of computation.
        network: our network; only names and shapes are read.

    Returns:
        A state dict of ``network``.

    Raises:
        CheckpointError: number of layers, shapes or anti-aliasing differ.
    """
    theirs = _numbered_layers(state)
    _check_filters([layer['filt'] for layer in theirs.values() if 'filt' in layer], network)
    # instance norm of old torch versions stored statistics that it never used
    theirs = {name: layer for name, layer in theirs.items() if 'weight' in layer}
    ours = _layers(network.state_dict())
    if len(theirs) != len(ours):
        raise CheckpointError(
            f'it has {len(theirs)} layers with weights and the network of the config has {len(ours)}; the number of '
            'blocks or downsamplings, or the norm, may differ'
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
        # pix2pix tests with batch statistics of one image, which is our instance norm: running averages are not needed
        left = their_layer.keys() - our_layer.keys() - {'running_mean', 'running_var', 'num_batches_tracked'}
        if left:
            raise CheckpointError(f'its {their_name} has {min(left)}, which {our_name} of the config lacks')
    return converted


# names in OWAN's public state dict -> ours; attention layers have even indices there, operation layers odd ones
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
    """Rename public weights of OWAN (Suganuma et al., CVPR 2019) to our names.

    OWAN's images are transposed: RL-Restore's generator stores patches with height and width swapped, and the authors'
    loader transposes the test images to match. The kernels are therefore transposed here. OWAN's attention uses linear
    layers, ours 1x1 convolutions; its last convolution has no bias, ours gets zeros.

    Args:
        state: weights under the names of the authors' code.
        network: an ``OWAN`` with a ``PictureHead``; only names and shapes are read.

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
            raise CheckpointError(f'its {key} is not in the network of the config; the size of the OWAN may differ')
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
        raise CheckpointError(f'it lacks {missing[0]} of the config, and {len(missing) - 1} more')
    return converted

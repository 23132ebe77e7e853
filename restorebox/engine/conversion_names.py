"""Conversion of public weights of other projects by a table of layer names.

For checkpoints that contain several networks with descriptive layer names.
"""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.engine.conversion import unwrapped
from restorebox.errors import CheckpointError

Names = dict[str, str]


def _unet(theirs: str, ours: str, leave: str) -> Names:
    """Map a U-Net of double convolutions, which the authors of heavy rain use twice."""
    pairs = [('inc.conv.conv', 'down.0')]
    pairs += [(f'down{i}.mpconv.1.conv', f'down.{i}') for i in range(1, 5)]
    pairs += [(f'up{i}.conv.conv', f'up.{i - 1}') for i in range(1, 5)]
    names = {f'{theirs}{a}.{k}': f'{ours}{b}.{k}' for a, b in pairs for k in (0, 2)}
    return {**names, f'{theirs}outc.conv': leave}


def _chain(theirs: str, ours: str, first: int, last: int) -> Names:
    """Map numbered convolutions to the even positions of a sequence."""
    return {f'{theirs}{i}': f'{ours}.{2 * (i - first)}' for i in range(first, last + 1)}


# role -> (key in the file, their layer -> our layer); from the code of Li, Cheong and Tan (CVPR 2019)
HEAVY_RAIN: dict[str, tuple[str, Names]] = {
    'physics': (
        'G',
        {
            'rainnet.conv1x1': 'backbone.streak.mix',
            'rainnet.block1.conv0': 'backbone.streak.enter.0',
            **_chain('rainnet.block1.conv', 'backbone.streak.main', 1, 3),
            'rainnet.block1.conv_in': 'backbone.streak.shortcut',
            **_chain('rainnet.block2.conv', 'backbone.streak.res1', 1, 3),
            **_chain('rainnet.block3.conv', 'backbone.streak.res2', 1, 3),
            **_chain('rainnet.block4.conv', 'backbone.streak.reduce', 1, 3),
            'rainnet.block4.conv_out': 'backbone.streak.leave',
            'fognet.atmconv1x1': 'backbone.airlight.mix',
            **{f'fognet.atmnet.model.{i}': f'backbone.airlight.net.{i}' for i in range(21)},
            'fognet.transnet.conv1x1': 'backbone.transmission.mix',
            **_unet('fognet.transnet.', 'backbone.transmission.body.', 'backbone.transmission.leave'),
        },
    ),
    'generator': (
        'G',
        {
            **_unet('ref.', 'backbone.body.', 'head.conv'),
            'ref.Aup1': 'backbone.inject.0',
            'ref.Aup2': 'backbone.inject.1',
        },
    ),
    'discriminator': (
        'D',
        {
            **_chain('conv', 'backbone.look', 1, 6),
            'convdepth': 'backbone.depth',
            **_chain('conv', 'backbone.judge', 7, 8),
            'fc': 'head.hidden',
            'fc2': 'head.logit',
        },
    ),
}
# layers that the authors define and never call
UNUSED = ('conv9',)


def convert_by_name(state: dict[str, Tensor], network: nn.Module, role: str) -> dict[str, Tensor]:
    """Rename the heavy-rain authors' weights of one role to our names.

    Args:
        state: the entry ``G`` or ``D`` of their file; layers of other roles are skipped.
        network: our network; only names and shapes are read.
        role: a key of ``HEAVY_RAIN``.

    Returns:
        A state dict of ``network``.

    Raises:
        CheckpointError: a layer is missing, unknown or of another shape.
    """
    names = HEAVY_RAIN[role][1]
    elsewhere = {theirs for other, (_, table) in HEAVY_RAIN.items() if other != role for theirs in table}
    own, converted = network.state_dict(), {}
    for key, value in unwrapped(state).items():
        layer, _, tensor = key.rpartition('.')
        if layer in names:
            ours = f'{names[layer]}.{tensor}'
            if ours not in own or own[ours].shape != value.shape:
                has = tuple(own[ours].shape) if ours in own else 'nothing'
                raise CheckpointError(f'its {key} is {tuple(value.shape)}, {ours} of the config is {has}')
            converted[ours] = value
        elif layer not in elsewhere and layer not in UNUSED:
            raise CheckpointError(f'its {key} is in no network of heavy rain')
    missing = [key for key in own if key not in converted]
    if missing:
        raise CheckpointError(f'it lacks {missing[0]} of the config' + (' and others' if len(missing) > 1 else ''))
    return converted

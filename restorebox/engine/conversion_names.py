"""Weights of other people's networks -> ours, by the names of their layers.

For checkpoints that hold several networks under names that say what each layer is.
"""

from __future__ import annotations

from torch import Tensor, nn

from restorebox.engine.conversion import unwrapped
from restorebox.errors import CheckpointError

Names = dict[str, str]


def _unet(theirs: str, ours: str, leave: str) -> Names:
    """A U-Net of double convolutions, as the authors of heavy rain have it twice."""
    pairs = [('inc.conv.conv', 'down.0')]
    pairs += [(f'down{i}.mpconv.1.conv', f'down.{i}') for i in range(1, 5)]
    pairs += [(f'up{i}.conv.conv', f'up.{i - 1}') for i in range(1, 5)]
    names = {f'{theirs}{a}.{k}': f'{ours}{b}.{k}' for a, b in pairs for k in (0, 2)}
    return {**names, f'{theirs}outc.conv': leave}


def _chain(theirs: str, ours: str, first: int, last: int) -> Names:
    """Numbered convolutions -> every second place of a sequence."""
    return {f'{theirs}{i}': f'{ours}.{2 * (i - first)}' for i in range(first, last + 1)}


# role -> (key of the file, layer of theirs -> layer of ours); the code of Li, Cheong and Tan (CVPR 2019)
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
# layers that the authors declare and never call
UNUSED = ('conv9',)


def convert_by_name(state: dict[str, Tensor], network: nn.Module, role: str) -> dict[str, Tensor]:
    """Name the heavy-rain authors' weights of one role as ours.

    Args:
        state: what their file has under ``G`` or ``D``; layers of other roles are passed over.
        network: ours; only its names and shapes are read.
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
            raise CheckpointError(f'its {key} is of no network of heavy rain')
    missing = [key for key in own if key not in converted]
    if missing:
        raise CheckpointError(f'it lacks {missing[0]} of the config' + (' and others' if len(missing) > 1 else ''))
    return converted

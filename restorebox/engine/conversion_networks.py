"""Conversion of public weights of NAFNet, Restormer, PromptIR, PReNet and gUNet by patterns of layer names."""

from __future__ import annotations

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from restorebox.engine.conversion import unwrapped
from restorebox.errors import CheckpointError

# pattern of a layer's name in the public file -> its name in ours; called with the match and the number of halvings
Rules = tuple[tuple[str, Callable[[re.Match, int], str]], ...]

NAF_PARTS = {
    'norm1': 'norm1',
    'conv1': 'enter',
    'conv2': 'depthwise',
    'sca.1': 'attention.conv',
    'conv3': 'leave',
    'norm2': 'norm2',
    'conv4': 'expand',
    'conv5': 'reduce',
}
NAFNET: Rules = (
    (r'intro', lambda m, n: 'backbone.enter'),
    (r'ending', lambda m, n: 'head.conv'),
    (r'downs\.(\d+)', lambda m, n: f'backbone.down.{m[1]}'),
    (r'ups\.(\d+)\.0', lambda m, n: f'backbone.up.{n - 1 - int(m[1])}'),
    (r'encoders\.(\d+\.\d+)\.(.+)', lambda m, n: f'backbone.before.{m[1]}.{NAF_PARTS.get(m[2])}'),
    (r'middle_blks\.(\d+)\.(.+)', lambda m, n: f'backbone.process.{m[1]}.{NAF_PARTS.get(m[2])}'),
    (
        r'decoders\.(\d+)\.(\d+)\.(.+)',
        lambda m, n: f'backbone.behind.{n - 1 - int(m[1])}.{m[2]}.{NAF_PARTS.get(m[3])}',
    ),
)
TRANSFORMER_PARTS = {
    'norm1.body': 'norm1',
    'norm2.body': 'norm2',
    'attn': 'attention',  # its temperature
    'attn.qkv': 'attention.enter',
    'attn.qkv_dwconv': 'attention.depthwise',
    'attn.project_out': 'attention.leave',
    'ffn.project_in': 'feed_forward.enter',
    'ffn.dwconv': 'feed_forward.depthwise',
    'ffn.project_out': 'feed_forward.leave',
}
RESTORMER: Rules = (
    (r'patch_embed\.proj', lambda m, n: 'backbone.enter'),
    (r'output', lambda m, n: 'head.conv'),
    (r'down(\d)_\d\.body\.0', lambda m, n: f'backbone.down.{int(m[1]) - 1}'),
    (r'up\d_(\d)\.body\.0', lambda m, n: f'backbone.up.{int(m[1]) - 1}'),
    (r'reduce_chan_level(\d)', lambda m, n: f'backbone.join.{int(m[1]) - 2}'),
    (
        r'encoder_level(\d)\.(\d+)\.(.+)',
        lambda m, n: f'backbone.before.{int(m[1]) - 1}.{m[2]}.{TRANSFORMER_PARTS.get(m[3])}',
    ),
    (r'latent\.(\d+)\.(.+)', lambda m, n: f'backbone.process.{m[1]}.{TRANSFORMER_PARTS.get(m[2])}'),
    (
        r'decoder_level(\d)\.(\d+)\.(.+)',
        lambda m, n: f'backbone.behind.{int(m[1]) - 1}.{m[2]}.{TRANSFORMER_PARTS.get(m[3])}',
    ),
    (r'refinement\.(\d+)\.(.+)', lambda m, n: f'backbone.refine.{m[1]}.{TRANSFORMER_PARTS.get(m[2])}'),
)
PROMPTIR: Rules = (
    *RESTORMER,
    (r'prompt(\d)', lambda m, n: f'backbone.prompts.{int(m[1]) - 1}.generate'),  # the prompts themselves
    (r'prompt(\d)\.linear_layer', lambda m, n: f'backbone.prompts.{int(m[1]) - 1}.generate.choose'),
    (r'prompt(\d)\.conv3x3', lambda m, n: f'backbone.prompts.{int(m[1]) - 1}.generate.conv'),
    (
        r'noise_level(\d)\.(.+)',
        lambda m, n: f'backbone.prompts.{int(m[1]) - 1}.block.{TRANSFORMER_PARTS.get(m[2])}',
    ),
    (r'reduce_noise_level(\d)', lambda m, n: f'backbone.prompts.{int(m[1]) - 1}.leave'),
)
PRENET: Rules = (
    (r'conv0\.0', lambda m, n: 'backbone.enter'),
    (r'conv_ifog', lambda m, n: 'backbone.gates'),  # joined by _join_gates
    (r'res_conv(\d)\.(\d)', lambda m, n: f'backbone.blocks.{int(m[1]) - 1}.{m[2]}'),
    (r'conv\.0', lambda m, n: 'backbone.leave'),
)
GUNET_PARTS = {
    'norm': 'norm',
    'conv.Wv.0': 'value',
    'conv.Wv.1': 'depthwise',
    'conv.Wg.0': 'gate',
    'conv.proj': 'leave',
}


def _gunet_row(index: int, levels: int) -> str:
    """Return our name of a row of blocks; the authors number them through encoder and decoder."""
    if index == levels:
        return 'process'
    return f'before.{index}' if index < levels else f'behind.{2 * levels - index}'


GUNET: Rules = (
    (r'inconv\.proj', lambda m, n: 'backbone.enter'),
    (r'outconv\.proj\.0', lambda m, n: 'head.conv'),
    (r'skips\.(\d+)', lambda m, n: f'backbone.skip.{m[1]}'),
    (r'downs\.(\d+)\.proj', lambda m, n: f'backbone.down.{m[1]}'),
    (r'ups\.(\d+)\.proj\.0', lambda m, n: f'backbone.up.{m[1]}'),
    (r'fusions\.(\d+)\.mlp\.1', lambda m, n: f'backbone.fuse.{m[1]}.hidden'),
    (r'fusions\.(\d+)\.mlp\.3', lambda m, n: f'backbone.fuse.{m[1]}.select'),
    (
        r'layers\.(\d+)\.blocks\.(\d+)\.(.+)',
        lambda m, n: f'backbone.{_gunet_row(int(m[1]), n)}.{m[2]}.{GUNET_PARTS.get(m[3])}',
    ),
)
RULES: dict[str, Rules] = {
    'nafnet': NAFNET,
    'restormer': RESTORMER,
    'promptir': PROMPTIR,
    'prenet': PRENET,
    'gunet': GUNET,
}
# NAFNet's scales are tensors of a block; ours are those of the convolutions that they scale
SCALES = {'beta': 'conv3', 'gamma': 'conv5'}
# layers that the authors of PromptIR define and never call
UNUSED = re.compile(r'(chnl_reduce\d|reduce_noise_channel_\d)')


def convert_by_rules(state: dict[str, Tensor], network: nn.Module, kind: str) -> dict[str, Tensor]:
    """Rename a public network's weights to our names.

    Args:
        state: weights under the names of the authors' code.
        network: our network; only names and shapes are read.
        kind: a key of :data:`RULES`.

    Returns:
        A state dict of ``network``. A last layer without a bias gets zeros if ours has one.

    Raises:
        CheckpointError: a weight is missing, unknown or of another shape.
    """
    own = network.state_dict()
    levels = sum(1 for name in own if re.fullmatch(r'backbone\.down\.\d+\.weight', name))
    state = unwrapped(state)
    if kind == 'promptir':  # trained as the member `net` of a Lightning module
        state = {key.removeprefix('net.'): value for key, value in state.items()}
    elif kind == 'prenet':
        state = _join_gates(state)
    converted: dict[str, Tensor] = {}
    for key, value in state.items():
        name = _our_name(key, RULES[kind], levels)
        if name is None and kind == 'promptir' and UNUSED.match(key):
            continue
        if name not in own:
            raise CheckpointError(f'its {key} is not in the network of the config; the sizes may differ')
        # scales, linear layers and prompts have further axes of length 1 on one side
        if [n for n in value.shape if n != 1] != [n for n in own[name].shape if n != 1]:
            raise CheckpointError(
                f'its {key} is {tuple(value.shape)}, {name} of the config is {tuple(own[name].shape)}'
            )
        converted[name] = value.reshape(own[name].shape)
    if 'head.conv.bias' in own and 'head.conv.weight' in converted:
        converted.setdefault('head.conv.bias', torch.zeros(own['head.conv.weight'].shape[0]))
    missing = sorted(own.keys() - converted.keys())
    if missing:
        raise CheckpointError(f'it lacks {missing[0]} of the config, and {len(missing) - 1} more')
    return converted


def _our_name(key: str, rules: Rules, levels: int) -> str | None:
    """Return our name of a public weight; None if no rule matches."""
    layer, _, tensor = key.rpartition('.')
    own = 'prompts' if tensor == 'prompt_param' else tensor
    if tensor in SCALES:
        layer, own = f'{layer}.{SCALES[tensor]}', 'scale'
    for pattern, name in rules:
        if match := re.fullmatch(pattern, layer):
            return f'{name(match, levels)}.{own}'
    return None


def _join_gates(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Join PReNet's four convolutions of the LSTM to one, in the order of our network."""
    state = dict(state)
    for tensor in ('weight', 'bias'):
        names = [f'conv_{gate}.0.{tensor}' for gate in 'ifog']
        missing = [name for name in names if name not in state]
        if missing:
            raise CheckpointError(f'it lacks {missing[0]}; is it a PReNet without LSTM?')
        parts = [state.pop(name) for name in names]
        if len({part.shape for part in parts}) > 1:
            raise CheckpointError('the shapes of its conv_i, conv_f, conv_o and conv_g differ')
        state[f'conv_ifog.{tensor}'] = torch.cat(parts)
    return state

"""Public networks written as functions of their state dicts, from the papers' equations.

Names and shapes are those of the authors' files, so that the functions serve as references for outputs, numbers of
weights and conversion.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor
from torch.nn import functional as F

State = dict[str, Tensor]


def drawn(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    """Random weights: matrices that keep the variance, vectors near one half, positive where they are variances."""
    rng = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes.items():
        if name.endswith('num_batches_tracked'):
            state[name] = torch.tensor(0)
            continue
        value = torch.randn(shape, generator=rng)
        fan = max(torch.Size(shape[1:]).numel(), 1)
        matrix = len(shape) in (2, 4) and fan > 1 and shape[0] > 1
        state[name] = value / fan**0.5 if matrix else 0.5 + 0.1 * value
    return state


# -- Restormer and PromptIR ------------------------------------------------------------------------------------------


def block_shapes(at: str, c: int, heads: int, centred: bool = True, expansion: float = 2.66) -> dict:
    hidden = int(c * expansion)
    norms = [
        f'{at}.{norm}.body.{tensor}' for norm in ('norm1', 'norm2') for tensor in ('weight', 'bias')[: 1 + centred]
    ]
    return {
        **{name: (c,) for name in norms},
        f'{at}.attn.temperature': (heads, 1, 1),
        f'{at}.attn.qkv.weight': (3 * c, c, 1, 1),
        f'{at}.attn.qkv_dwconv.weight': (3 * c, 1, 3, 3),
        f'{at}.attn.project_out.weight': (c, c, 1, 1),
        f'{at}.ffn.project_in.weight': (2 * hidden, c, 1, 1),
        f'{at}.ffn.dwconv.weight': (2 * hidden, 1, 3, 3),
        f'{at}.ffn.project_out.weight': (c, hidden, 1, 1),
    }


def restormer_shapes(
    c: int = 48, blocks=(4, 6, 6, 8), refinement: int = 4, heads=(1, 2, 4, 8), centred: bool = True, prompts=None
) -> dict:
    """Four levels; ``prompts``: (count, widths, sizes) for PromptIR."""
    shapes = {'patch_embed.proj.weight': (c, 3, 3, 3), 'output.weight': (3, 2 * c, 3, 3)}
    rows = [(f'encoder_level{i + 1}', c * 2**i, i) for i in range(3)] + [('latent', 8 * c, 3)]
    rows += [(f'decoder_level{i + 1}', max(c * 2**i, 2 * c), i) for i in range(3)]
    for name, width, level in rows:
        for j in range(blocks[level]):
            shapes |= block_shapes(f'{name}.{j}', width, heads[level], centred)
    for j in range(refinement):
        shapes |= block_shapes(f'refinement.{j}', 2 * c, heads[0], centred)
    for i in range(3):
        shapes[f'down{i + 1}_{i + 2}.body.0.weight'] = (c * 2**i // 2, c * 2**i, 3, 3)
        shapes[f'up{i + 2}_{i + 1}.body.0.weight'] = (4 * c * 2**i, c * 2 ** (i + 1), 3, 3)
    shapes['reduce_chan_level2.weight'] = (2 * c, 4 * c, 1, 1)
    shapes['reduce_chan_level3.weight'] = (4 * c, 8 * c, 1, 1)
    if prompts:
        count, widths, sizes = prompts
        shapes['up4_3.body.0.weight'] = (8 * c, 4 * c, 3, 3)
        shapes['reduce_chan_level3.weight'] = (4 * c, 6 * c, 1, 1)
        for i, (width, size) in enumerate(zip(widths, sizes, strict=True), 1):
            inside = c * 2**i
            shapes[f'prompt{i}.prompt_param'] = (1, count, width, size, size)
            shapes |= {f'prompt{i}.linear_layer.weight': (count, inside), f'prompt{i}.linear_layer.bias': (count,)}
            shapes[f'prompt{i}.conv3x3.weight'] = (width, width, 3, 3)
            shapes |= block_shapes(f'noise_level{i}', inside + width, heads[2])
            shapes[f'reduce_noise_level{i}.weight'] = (min(c * 4, c * 2 ** max(i, 1)), inside + width, 1, 1)
    return shapes


def promptir_unused(c: int = 48) -> dict:
    """Layers that the authors' code defines and never calls."""
    outs = (64, 128, 256)
    return {
        **{f'chnl_reduce{i + 1}.weight': (outs[i], (64, 128, 320)[i], 1, 1) for i in range(3)},
        **{f'reduce_noise_channel_{i + 1}.weight': (c * 2**i, c * 2**i + outs[i], 1, 1) for i in range(3)},
    }


def _norm(s: State, at: str, x: Tensor) -> Tensor:
    mean, deviation = x.mean(1, keepdim=True), (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    bias = s.get(f'{at}.body.bias')
    weight = s[f'{at}.body.weight'][:, None, None]
    return x / deviation * weight if bias is None else (x - mean) / deviation * weight + bias[:, None, None]


def _block(s: State, at: str, x: Tensor) -> Tensor:
    n, c, height, width = x.shape
    y = F.conv2d(_norm(s, f'{at}.norm1', x), s[f'{at}.attn.qkv.weight'])
    y = F.conv2d(y, s[f'{at}.attn.qkv_dwconv.weight'], padding=1, groups=3 * c)
    heads = len(s[f'{at}.attn.temperature'])
    q, k, v = y.reshape(n, 3, heads, c // heads, height * width).unbind(1)
    cosines = torch.einsum('nhip,nhjp->nhij', F.normalize(q, dim=-1), F.normalize(k, dim=-1))
    y = torch.einsum('nhij,nhjp->nhip', (cosines * s[f'{at}.attn.temperature']).softmax(-1), v)
    x = x + F.conv2d(y.reshape(x.shape), s[f'{at}.attn.project_out.weight'])
    y = F.conv2d(_norm(s, f'{at}.norm2', x), s[f'{at}.ffn.project_in.weight'])
    y = F.conv2d(y, s[f'{at}.ffn.dwconv.weight'], padding=1, groups=y.shape[1])
    half = y.shape[1] // 2
    return x + F.conv2d(F.gelu(y[:, :half]) * y[:, half:], s[f'{at}.ffn.project_out.weight'])


def _row(s: State, at: str, x: Tensor) -> Tensor:
    for j in range(sum(1 for name in s if re.fullmatch(rf'{at}\.\d+\.attn\.temperature', name))):
        x = _block(s, f'{at}.{j}', x)
    return x


def _prompted(s: State, level: int, x: Tensor) -> Tensor:
    if f'prompt{level}.prompt_param' not in s:
        return x
    at = f'prompt{level}'
    share = F.linear(x.mean((2, 3)), s[f'{at}.linear_layer.weight'], s[f'{at}.linear_layer.bias']).softmax(1)
    prompt = (share[:, :, None, None, None] * s[f'{at}.prompt_param']).sum(1)
    prompt = F.conv2d(F.interpolate(prompt, x.shape[2:], mode='bilinear'), s[f'{at}.conv3x3.weight'], padding=1)
    x = _block(s, f'noise_level{level}', torch.cat((x, prompt), 1))
    return F.conv2d(x, s[f'reduce_noise_level{level}.weight'])


def restormer(s: State, picture: Tensor) -> Tensor:
    """Restormer, and PromptIR if there are prompts."""
    x = F.conv2d(picture, s['patch_embed.proj.weight'], padding=1)
    skips = []
    for i in (1, 2, 3):
        x = _row(s, f'encoder_level{i}', x)
        skips.append(x)
        x = F.pixel_unshuffle(F.conv2d(x, s[f'down{i}_{i + 1}.body.0.weight'], padding=1), 2)
    x = _row(s, 'latent', x)
    for i in (3, 2, 1):
        x = F.conv2d(_prompted(s, i, x), s[f'up{i + 1}_{i}.body.0.weight'], padding=1)
        x = torch.cat((F.pixel_shuffle(x, 2), skips.pop()), 1)
        if i > 1:
            x = F.conv2d(x, s[f'reduce_chan_level{i}.weight'])
        x = _row(s, f'decoder_level{i}', x)
    return F.conv2d(_row(s, 'refinement', x), s['output.weight'], padding=1) + picture


# -- PReNet ----------------------------------------------------------------------------------------------------------


def prenet_shapes(c: int = 32) -> dict:
    convs = {'conv0.0': (c, 6), 'conv.0': (3, c), **{f'conv_{gate}.0': (c, 2 * c) for gate in 'ifgo'}}
    convs |= {f'res_conv{i}.{j}': (c, c) for i in range(1, 6) for j in (0, 2)}
    return {
        **{f'{name}.weight': (*sizes, 3, 3) for name, sizes in convs.items()},
        **{f'{name}.bias': (sizes[0],) for name, sizes in convs.items()},
    }


def prenet(s: State, picture: Tensor, stages: int = 6) -> list[Tensor]:
    """The results of all stages."""

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, s[f'{name}.weight'], s[f'{name}.bias'], padding=1)

    results, x = [], picture
    h = c = torch.zeros_like(picture[:, :1]).expand(-1, len(s['conv0.0.bias']), -1, -1)
    for _ in range(stages):
        x = torch.cat((conv('conv0.0', torch.cat((picture, x), 1)).relu(), h), 1)
        c = conv('conv_f.0', x).sigmoid() * c + conv('conv_i.0', x).sigmoid() * conv('conv_g.0', x).tanh()
        x = h = conv('conv_o.0', x).sigmoid() * c.tanh()
        for i in range(1, 6):
            x = (conv(f'res_conv{i}.2', conv(f'res_conv{i}.0', x).relu()).relu() + x).relu()
        x = conv('conv.0', x) + picture
        results.append(x)
    return results


# -- gUNet -----------------------------------------------------------------------------------------------------------


def gunet_shapes(c: int = 24, depths=(2, 2, 2, 4, 2, 2, 2), kernel: int = 5) -> dict:
    shapes = {}

    def conv(name: str, out: int, inside: int, size: int, bias: bool = True) -> None:
        shapes[f'{name}.weight'] = (out, inside, size, size)
        if bias:
            shapes[f'{name}.bias'] = (out,)

    half = len(depths) // 2
    widths = [c * 2 ** min(i, 2 * half - i) for i in range(len(depths))]
    conv('inconv.proj', c, 3, 3)
    conv('outconv.proj.0', 3, c, 3)
    for i, (depth, w) in enumerate(zip(depths, widths, strict=True)):
        for j in range(depth):
            at = f'layers.{i}.blocks.{j}'
            shapes |= {f'{at}.norm.{tensor}': (w,) for tensor in ('weight', 'bias', 'running_mean', 'running_var')}
            shapes[f'{at}.norm.num_batches_tracked'] = ()
            conv(f'{at}.conv.Wv.0', w, w, 1)
            conv(f'{at}.conv.Wv.1', w, 1, kernel)
            conv(f'{at}.conv.Wg.0', w, w, 1)
            conv(f'{at}.conv.proj', w, w, 1)
    for i in range(half):
        w = widths[i]
        conv(f'skips.{i}', w, w, 1)
        conv(f'downs.{i}.proj', 2 * w, w, 2)
        conv(f'ups.{i}.proj.0', 4 * w, 2 * w, 1)
        conv(f'fusions.{i}.mlp.1', max(w // 8, 4), w, 1, bias=False)
        conv(f'fusions.{i}.mlp.3', 2 * w, max(w // 8, 4), 1, bias=False)
    return shapes


def gunet(s: State, picture: Tensor) -> Tensor:
    """gUNet in evaluation mode."""

    def conv(name: str, x: Tensor, **kwargs) -> Tensor:
        return F.conv2d(x, s[f'{name}.weight'], s.get(f'{name}.bias'), **kwargs)

    def reflected(name: str, x: Tensor, **kwargs) -> Tensor:
        pad = s[f'{name}.weight'].shape[-1] // 2
        return conv(name, F.pad(x, (pad, pad, pad, pad), mode='reflect'), **kwargs)

    def row(i: int, x: Tensor) -> Tensor:
        j = 0
        while f'layers.{i}.blocks.{j}.norm.weight' in s:
            at = f'layers.{i}.blocks.{j}'
            tensors = (s[f'{at}.norm.{name}'] for name in ('running_mean', 'running_var', 'weight', 'bias'))
            y = F.batch_norm(x, *tensors)
            v = reflected(f'{at}.conv.Wv.1', conv(f'{at}.conv.Wv.0', y), groups=x.shape[1])
            x = x + conv(f'{at}.conv.proj', v * conv(f'{at}.conv.Wg.0', y).sigmoid())
            j += 1
        return x

    half = sum(1 for name in s if re.fullmatch(r'skips\.\d+\.bias', name))
    x, skips = reflected('inconv.proj', picture), []
    for i in range(half):
        x = row(i, x)
        skips.append(conv(f'skips.{i}', x))
        x = conv(f'downs.{i}.proj', x, stride=2)
    x = row(half, x)
    for i in reversed(range(half)):
        x = F.pixel_shuffle(conv(f'ups.{i}.proj.0', x), 2)
        both = torch.stack((x, skips[i]), 1)
        share = both.sum(1).mean((2, 3), keepdim=True)
        share = conv(f'fusions.{i}.mlp.3', conv(f'fusions.{i}.mlp.1', share).relu())
        x = (both * share.unflatten(1, (2, -1)).softmax(1)).sum(1)
        x = row(2 * half - i, x)
    return reflected('outconv.proj.0', x) + picture

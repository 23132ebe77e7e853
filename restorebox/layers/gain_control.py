"""Divisive gain control across channels and its inverses, efficient in time and memory.

Schwartz and Simoncelli, "Natural signal statistics and sensory gain control" (Nature Neuroscience 2001); as a network
layer GDN, Ballé et al. (ICLR 2016), whose non-negative parametrisation is used; for restoration Li et al., "Learning
Disentangled Feature Representation for Hybrid-distorted Image Restoration" (ECCV 2020), equations 4 and 7.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from restorebox.errors import ConfigError
from restorebox.layers.precision import at_least_float32, traced, without_autocast
from restorebox.registry import nearest

PEDESTAL = 2.0**-36  # added under the square root of a parameter, which bounds the gradient at zero
LEAST_BIAS = 1e-6
# start -> weight of the channel itself, sum of the weights of all channels, bias
STARTS = {'own': (0.1, 0.0, 1.0), 'pooled': (0.0, 1.0, 0.01)}
CHUNK = 2**17  # elements per block on a CPU: intermediate results stay in the cache
KEPT = 2**20  # elements of x up to which n is stored: memory is small, and the product with w is not repeated


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient below the bound is kept if a step would increase x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ((x >= ctx.bound) | (grad < 0)), None


class _NonNegative(nn.Module):
    """A parameter of at least ``least``: stored as its square root, bounded by :class:`_LowerBound`."""

    def __init__(self, start: Tensor, least: float = 0.0) -> None:
        super().__init__()
        self.bound = (least + PEDESTAL) ** 0.5
        self.root = nn.Parameter((start + PEDESTAL).sqrt().to(torch.get_default_device()))

    def forward(self) -> Tensor:
        # a tracer can't record custom autograd functions, and needs no gradients
        bounded = self.root.clamp_min if torch.jit.is_tracing() else partial(_LowerBound.apply, self.root)
        return bounded(self.bound) ** 2 - PEDESTAL


def _pieces(x: Tensor) -> list[tuple[slice, slice, slice]]:
    """Split ``(N, C, P)`` into index blocks of pixels or of pictures that fit a CPU's cache."""
    whole = slice(None)
    if x.device.type != 'cpu':
        return [(whole, whole, whole)]
    number, channels, pixels = x.shape
    step = max(CHUNK // channels, 1)
    if pixels > step:
        return [
            (slice(sample, sample + 1), whole, slice(first, first + step))
            for sample in range(number)
            for first in range(0, pixels, step)
        ]
    several = max(step // max(pixels, 1), 1)
    return [(slice(first, first + several), whole, whole) for first in range(0, number, several)]


class _Gain(torch.autograd.Function):
    """x_i n_i^(-1/2), or x_i n_i^(1/2), with n_i = sum_j w_ij s_j^2 + b_i; saves x, s and, if ``keep``, n for backward.

    ``s`` is None if it is x itself.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, s: Tensor | None, weight: Tensor, bias: Tensor, inverse: bool, keep: bool
    ) -> Tensor:
        kept = torch.empty_like(x.flatten(2), dtype=weight.dtype) if keep else None
        ctx.save_for_backward(x, s, weight, bias, kept)
        ctx.inverse = inverse
        out = torch.empty_like(x, memory_format=torch.contiguous_format)
        flat, result = x.flatten(2), out.flatten(2)
        flat_s = flat if s is None else s.flatten(2)
        scratch = _Scratch(weight)
        with without_autocast(x):
            for piece in _pieces(flat):
                part = flat[piece].to(weight.dtype)
                source = part if s is None else flat_s[piece].to(weight.dtype)
                square = torch.mul(source, source, out=scratch(0, source))
                pooled = _pool(weight, bias, square, scratch(1, source) if kept is None else kept[piece])
                root = (torch.sqrt if inverse else torch.rsqrt)(pooled, out=square)
                if result.dtype == part.dtype:
                    torch.mul(root, part, out=result[piece])
                else:
                    result[piece] = root.mul_(part)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        with without_autocast(grad):
            return _Gain._gradients(ctx, grad)

    @staticmethod
    def _gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, s, weight, bias, kept = ctx.saved_tensors
        dx = torch.empty_like(x, memory_format=torch.contiguous_format)
        ds = x if s is None else torch.empty_like(s, memory_format=torch.contiguous_format)
        dweight, dbias = torch.zeros_like(weight), torch.zeros_like(bias)
        flat, flat_grad, flat_dx = x.flatten(2), grad.flatten(2), dx.flatten(2)
        flat_s, flat_ds = (flat, flat_dx) if s is None else (s.flatten(2), ds.flatten(2))
        scratch = _Scratch(weight)
        for piece in _pieces(flat):
            part = flat[piece].to(weight.dtype)
            slope = flat_grad[piece].to(weight.dtype)
            source = part if s is None else flat_s[piece].to(weight.dtype)
            square = torch.mul(source, source, out=scratch(0, source))
            pooled = _pool(weight, bias, square, scratch(1, source)) if kept is None else kept[piece]
            # The gradient of n_i is g_i x_i n_i^(-1/2) / 2, or -g_i x_i n_i^(-3/2) / 2. Without the factor it is
            # ``through``; s_j then gets twice that factor, +-1, and weight and bias get it at the end.
            target = flat_dx[piece] if flat_dx.dtype == weight.dtype else scratch(2, source)
            if ctx.inverse:
                root = torch.sqrt(pooled, out=target)
                through = torch.mul(slope, part, out=scratch(3, source)).div_(root)
                direct = root.mul_(slope)
            else:
                root = torch.rsqrt(pooled, out=target)
                direct = root.mul_(slope)
                through = torch.mul(direct, part, out=scratch(3, source)).div_(pooled)
            dweight.add_(torch.matmul(through, square.mT).sum(0))
            dbias.add_(through.sum((0, 2)))
            back = torch.matmul(weight.mT, through, out=square)  # in its memory: new pages cost more than a pass
            sign = 1 if ctx.inverse else -1
            if s is None:
                direct.addcmul_(back, source, value=sign)
            else:
                flat_ds[piece] = back.mul_(source).mul_(sign)
            if flat_dx.dtype != weight.dtype:
                flat_dx[piece] = direct
        factor = 0.5 if ctx.inverse else -0.5
        return dx, None if s is None else ds, dweight.mul_(factor), dbias.mul_(factor), None, None


class _Scratch:
    """Intermediate results of one block after the other in the same memory, which stays in the cache."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.buffers: dict[int, Tensor] = {}

    def __call__(self, number: int, block: Tensor) -> Tensor:
        """Return memory for a result of a block's shape; its content is undefined."""
        if number not in self.buffers or self.buffers[number].numel() < block.numel():
            self.buffers[number] = self.like.new_empty(block.numel())
        return self.buffers[number][: block.numel()].view(block.shape)


def _pool(weight: Tensor, bias: Tensor, square: Tensor, out: Tensor) -> Tensor:
    """Return sum_j w_ij square_j + b_i in ``out``."""
    count = square.shape[0]
    return torch.baddbmm(bias[:, None], weight.expand(count, -1, -1), square, out=out)


class GainControl(nn.Module):
    """D_i = S_i / sqrt(sum_j w_ij S_j^2 + b_i) at each pixel, across channels; and its inverses.

    ``w_ij`` is the weight of channel j in the pool of channel i. w and b are non-negative, b at least 1e-6. Computed in
    float32 (float64 for float64 input) even under autocast: the squares of half-precision activations overflow. For
    the backward pass the input is saved, and up to a million elements also n.

    Args:
        channels: C.
        start: initial w and b, one of ``STARTS``. ``'own'``: w = 0.1 times the identity, b = 1, as in GDN; features of
            an image in [0, 1] are so small beside b that the divisor is nearly constant. ``'pooled'`` (not from the
            papers): w_ij = 1 / C, b = 0.01, so that the squares of all channels outweigh b from the beginning.

    Raises:
        ConfigError: an unknown start.
    """

    def __init__(self, channels: int, start: str = 'own') -> None:
        super().__init__()
        if start not in STARTS:
            raise ConfigError(f"GainControl: start is '{start}'; {nearest(str(start), tuple(STARTS))}")
        own, pooled, bias = STARTS[start]
        # on the CPU: arithmetic on the meta device, where weights files are checked, imports PyTorch's compiler
        weight = torch.full((channels, channels), pooled / channels, device='cpu')
        self.pool = _NonNegative(weight + own * torch.eye(channels, device='cpu'))
        self.offset = _NonNegative(torch.full((channels,), bias, device='cpu'), LEAST_BIAS)

    @property
    def weight(self) -> Tensor:
        """w, ``(C, C)``."""
        return self.pool()

    @property
    def bias(self) -> Tensor:
        """b, ``(C,)``."""
        return self.offset()

    def _apply_gain(self, x: Tensor, inverse: bool, s: Tensor | None = None) -> Tensor:
        if traced():  # compilers and exporters fuse the plain expression themselves
            wide = at_least_float32(x)
            normaliser = self.normaliser(wide if s is None else s)
            return (wide * normaliser if inverse else wide / normaliser).to(x.dtype)
        dtype = x.dtype if x.dtype == torch.float64 else torch.float32
        keep = torch.is_grad_enabled() and x.numel() <= KEPT
        return _Gain.apply(x, s, self.weight.to(dtype), self.bias.to(dtype), inverse, keep)

    def forward(self, x: Tensor) -> Tensor:
        """Divide ``(N, C, H, W)``; the result has the same shape and type (Li et al., equation 4)."""
        return self._apply_gain(x, inverse=False)

    def multiply(self, x: Tensor) -> Tensor:
        """Return x_i sqrt(sum_j w_ij x_j^2 + b_i) (Li et al., equation 7).

        This inverts :meth:`forward` only for w = 0, since it pools its own input instead of the divided one.
        """
        return self._apply_gain(x, inverse=True)

    def restore(self, p: Tensor, s: Tensor) -> Tensor:
        """Multiply p by the normaliser of :meth:`forward` for ``s``: the inverse if p is ``forward(s)``.

        Linear in p, while :meth:`multiply` grows with the square of its input.
        """
        return self._apply_gain(p, inverse=True, s=s)

    def normaliser(self, x: Tensor) -> Tensor:
        """Return sqrt(sum_j w_ij x_j^2 + b_i), float32 or float64: ``forward(x) * normaliser(x)`` is x."""
        x = at_least_float32(x)
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        with without_autocast(x):
            return nn.functional.conv2d(x * x, weight[:, :, None, None], bias).sqrt()

    def variation(self, x: Tensor) -> Tensor:
        """Return how much the divisor varies over an image, a scalar: standard deviation over pixels / mean.

        It is averaged over images and channels. 0 means that the layer is a constant factor per channel.
        """
        n = self.normaliser(x.detach()).flatten(2)
        return (n.std(2, correction=0) / n.mean(2)).mean()

    def solve(self, d: Tensor) -> Tensor:
        """Return the S with ``forward(S) = d``, exactly: a linear system in S^2 per pixel.

        With v = d^2 and u = S^2: (I - diag(v) w) u = diag(v) b. For every output d of :meth:`forward` such an S exists.
        """
        wide = at_least_float32(d)
        v = wide.square().movedim(1, -1)
        weight, bias = self.weight.to(v.dtype), self.bias.to(v.dtype)
        system = torch.eye(v.shape[-1], dtype=v.dtype, device=v.device) - v[..., None] * weight
        u = torch.linalg.solve(system, v * bias).movedim(-1, 1)
        # the square root has an infinite gradient at zero; zeros are kept
        size = torch.where(u > 0, u, 1.0).sqrt() * (u > 0)
        return (torch.sign(wide) * size).to(d.dtype)


INVERSES = ('paper', 'stored', 'solve')


def check_inverse(inverse: str, owner: str) -> None:
    """Refuse an unknown kind of inverse.

    Raises:
        ConfigError: names the layer.
    """
    if inverse not in INVERSES:
        raise ConfigError(f"{owner}: inverse is '{inverse}'; it must be 'paper', 'stored' or 'solve'")

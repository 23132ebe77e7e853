"""Restoration of pictures of any size in bounded memory: whole if possible, otherwise in overlapping tiles.

The outer ``margin`` of a tile lacks context and is discarded. Over the next ``blend`` pixels neighbouring tiles are
blended by raised-cosine weights::

    |<- margin ->|<- blend ->|        tile i        |<- blend ->|<- margin ->|
                                                    |<- margin ->|<- blend ->|      tile i + 1 ...

Only one row of tiles is kept as floats; finished pixel rows are rounded into the result.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import cv2
import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from restorebox.diffusion.windows import MIB, SCRATCH, PeakBytes
from restorebox.errors import ConfigError, PictureError, out_of_memory
from restorebox.inference.exported import ExportedRestorer
from restorebox.inference.feature_means import feature_means, reads_feature_means
from restorebox.layers import statistics_layers
from restorebox.pixels import to_array, to_tensor, writeable
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.strength import checked_strength

BLEND = 32  # width in pixels of the blending zone
UNKNOWN = 128  # receptive field in pixels that is assumed where the network has none or it is unknown
LONG = 60.0  # seconds of a picture above which its expected time is said
PROBE = 192  # side in pixels of the input for the memory measurement


def axis_tiles(length: int, size: int, overlap: int, stride: int) -> list[tuple[int, int]]:
    """Return (start, end) of tiles of similar length along an axis.

    Args:
        length: length of the axis in pixels.
        size: maximum tile size, a multiple of ``stride``; the last tile may be up to ``stride`` - 1 longer.
        overlap: minimum overlap of neighbours.
        stride: tiles start at multiples of it, for the same alignment as the whole picture.
    """
    if length <= size:
        return [(0, length)]
    # starts are rounded down, which may increase a distance by up to a stride
    number = 1 + math.ceil((length - size) / (size - overlap - stride))
    size = math.ceil((length + (number - 1) * (overlap + stride)) / number / stride) * stride
    starts = [(length - size) * i // (number - 1) // stride * stride for i in range(number)]
    return [(start, start + size if i < number - 1 else length) for i, start in enumerate(starts)]


def axis_weights(tiles: list[tuple[int, int]], margin: int, blend: int) -> list[Tensor]:
    """Return the blending weights of each tile along an axis; they sum to 1 at every pixel."""
    length = tiles[-1][1]
    weights = []
    for first, end in tiles:
        place = torch.arange(first, end, dtype=torch.float32) + 0.5
        weight = torch.ones(end - first)
        if first > 0:
            weight *= _ramp((place - first - margin) / blend)
        if end < length:
            weight *= _ramp((end - margin - place) / blend)
        weights.append(weight)
    total = torch.zeros(length)
    for (first, end), weight in zip(tiles, weights, strict=True):
        total[first:end] += weight
    return [weight / total[first:end] for (first, end), weight in zip(tiles, weights, strict=True)]


def _ramp(x: Tensor) -> Tensor:
    """Raised-cosine ramp: 0 for x <= 0, 1 for x >= 1."""
    return 0.5 - 0.5 * torch.cos(math.pi * x.clamp(0, 1))


def expected_time(seconds: float, tiles: list[int], pixels: int, passes: int = 1) -> str | None:
    """Return a note on the time that the remaining tiles of a picture will take; None below :data:`LONG` seconds.

    Args:
        seconds: time of the first tile.
        tiles: number of pixels of each tile.
        pixels: number of pixels of the picture.
        passes: over all tiles, counted as equally long.
    """
    left = seconds * (passes * sum(tiles) / tiles[0] - 1)
    if left < LONG:
        return None
    share = sum(tiles) / pixels
    less = f'; their margins make it {share:.1f} times the work, less with more --memory' if share > 1.5 else ''
    count = f'{len(tiles)} tiles' + (f' in {passes} passes' if passes > 1 else '')
    return f'about {math.ceil(left / 60)} more minutes: {count}, the first took {seconds:.1f} s{less}'


class Tiler:
    """Tiled restoration of pictures of any size.

    Args:
        restorer: in evaluation mode.
        memory: memory of the network in MiB, without picture and result. The tile size is chosen accordingly, down to
            a minimum.
        ensemble: self-ensemble, the mean over eight flips and rotations of every tile, at eight times the cost.
        bf16: run the networks in bfloat16 (autocast); pictures, blending and results stay float32.
        strength: 0 returns the picture without running the network, 1 what the network gives, others what
            :meth:`BaseRestorer.at_strength` gives; up to 2. It may be changed between two calls.

    Raises:
        ConfigError: ``memory`` is not positive, or ``strength`` is out of range.
    """

    def __init__(
        self,
        restorer: BaseRestorer,
        memory: float = 1024,
        ensemble: bool = False,
        bf16: bool = False,
        strength: float = 1.0,
    ) -> None:
        if not memory > 0:
            raise ConfigError(f'memory is {memory}; it must be a positive number of MiB')
        self.restorer = restorer
        self.memory = memory
        self.ensemble = ensemble
        self.bf16 = bf16
        self.strength = strength
        needs = restorer.needs
        self.stride = needs.stride
        self.device = next(
            restorer.parameters(), torch.empty(0)
        ).device  # an exported one has none, and takes the CPU's
        window = restorer.statistics_window or 0
        layers = any(statistics_layers(restorer.role(name)) for name in restorer.deployed)
        # radius of the receptive field, or of the window of statistics if that is larger
        self.radius = max(needs.receptive_field or UNKNOWN, window if layers else 0) // 2
        self._discouraged = needs.tiling == 'discouraged'
        self._reads_means = reads_feature_means(restorer)
        # an exported model states its memory, which can't be measured in PyTorch
        self._pixel_bytes: float | None = getattr(restorer, 'pixel_bytes', None)

    @property
    def strength(self) -> float:
        """Strength of the restoration."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._strength = checked_strength(strength)

    def autocast(self) -> AbstractContextManager:
        """Return the autocast context for bfloat16, or a null context."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    @property
    def pixel_bytes(self) -> float:
        """Memory of the network in bytes per pixel, measured at first access."""
        if self._pixel_bytes is None:
            # larger than the window, since windowed statistics take more memory
            side = max(PROBE, (self.restorer.statistics_window or 0) + 64, self.restorer.needs.min_size)
            probe = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(self.device)
            with self.autocast(), PeakBytes() as seen:
                self.restorer.restore(probe, shared=self.restorer.estimate_shared(probe))
            self._pixel_bytes = SCRATCH * seen.peak / (side * side)
        return self._pixel_bytes

    def fits(self, height: int, width: int, memory: float | None = None) -> bool:
        """Return whether a picture can be restored whole with ``memory`` MiB; None for the tiler's."""
        if self.restorer.needs.tiling == 'noise' or max(height, width) <= PROBE:
            return True
        return height * width * self.pixel_bytes <= (memory or self.memory) * MIB

    def plan(
        self, height: int, width: int, memory: float | None = None
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
        """Plan the tiles of a picture that does not fit.

        Args:
            height: of the picture.
            width: of the picture.
            memory: in MiB; None for the tiler's.

        Returns:
            (start, end) of the tile rows, of the tile columns, and the margin, in pixels.
        """
        stride = self.stride
        pixels = (memory or self.memory) * MIB / self.pixel_bytes
        side = max(math.isqrt(int(pixels)), PROBE, self.restorer.needs.min_size)
        # limited, since a large receptive field with little memory would spend most time on margins
        margin = min(self.radius, side // 6)
        overlap = 2 * margin + BLEND
        across = min(width, side)
        down = max(side, min(height, int(pixels / across)))
        if down >= height:
            across = max(side, int(pixels / height))
        sizes = (math.ceil(size / stride) * stride for size in (down, across))
        rows, columns = (axis_tiles(n, size, overlap, stride) for n, size in zip((height, width), sizes, strict=True))
        return rows, columns, margin

    def __call__(self, picture: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Restore a picture; when memory runs out, start again with smaller tiles.

        Args:
            picture: ``(H, W, 3)`` RGB, uint8, uint16, or float32 in [0, 1].
            progress: called with (done, total) tiles, or steps of a sampler; starts again with smaller tiles.

        Returns:
            An array of the same shape and dtype.

        Raises:
            PictureError: the network's output is not finite.
            MemoryError, RuntimeError: not enough memory for the smallest tiles, see :func:`out_of_memory
                <restorebox.errors.out_of_memory>`.
        """
        if self.strength == 0:
            return picture.copy()
        height, width = picture.shape[:2]
        memory = self.memory
        while True:
            try:
                return self._restored(picture, memory, progress)
            except Exception as error:
                less = self._reduced_memory(height, width, memory) if out_of_memory(error) else None
                if less is None:
                    raise
                memory = less
            if self.device.type != 'cpu':
                getattr(torch, self.device.type).empty_cache()

    def batch(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Restore pictures of one size in as few passes as the memory allows; samplers and tiles take one each.

        Results may differ by rounding from those of single pictures, since libraries sum batches in another order.

        Args:
            pictures: ``(H, W, 3)`` RGB of one size and dtype, see :meth:`__call__`.

        Returns:
            Arrays of the same shape and dtype, in the same order.

        Raises:
            PictureError: unequal sizes or dtypes, or not three channels; or see :meth:`__call__`, where it is not known
                which picture caused it.
            MemoryError, RuntimeError: see :meth:`__call__`.
        """
        kinds = sorted({(each.shape, each.dtype.name) for each in pictures})
        if len(kinds) > 1 or any(len(shape) != 3 or shape[-1] != 3 for shape, _ in kinds):
            raise PictureError(f'a batch must have one size and dtype, (H, W, 3); it has {kinds}')
        most = 1
        single = isinstance(self.restorer, ExportedRestorer) and not self.restorer.generator.batched
        if len(pictures) > 1 and self.strength > 0 and self.restorer.needs.tiling == 'spatial' and not single:
            height, width = pictures[0].shape[:2]
            most = int(self.memory * MIB / (self.pixel_bytes * height * width))
        if most < 2:
            return [self(picture) for picture in pictures]
        out: list[np.ndarray] = []
        for first in range(0, len(pictures), most):
            x = torch.cat([to_tensor(picture, self.device) for picture in pictures[first : first + most]])
            out += [to_array(y, pictures[0].dtype) for y in self._restore(x, self._estimate(x))]
        return out

    def _reduced_memory(self, height: int, width: int, memory: float) -> float | None:
        """Return half the memory of the failed attempt; None if tiles can't be smaller."""
        if self._pixel_bytes is None or self.restorer.needs.tiling == 'noise' or max(height, width) <= PROBE:
            return None
        less = min(memory, height * width * self._pixel_bytes / MIB) / 2
        smallest = max(PROBE, self.restorer.needs.min_size) ** 2 * self._pixel_bytes / MIB
        return less if less > smallest / 2 else None

    def _restored(self, picture: np.ndarray, memory: float, progress: Callable[[int, int], None] | None) -> np.ndarray:
        """Restore a picture with ``memory`` MiB, see :meth:`__call__`."""
        height, width = picture.shape[:2]
        if self.fits(height, width, memory):
            x = to_tensor(picture, self.device)
            y = self._restore(x, self._estimate(x), progress)
            return to_array(y[0], picture.dtype)
        if self._discouraged:
            self._discouraged = False  # once
            needed = math.ceil(height * width * self.pixel_bytes / MIB)
            print_log(
                f"{height}x{width} is restored in tiles, which the network's authors discourage; {needed} MiB of "
                'memory restore it whole',
                'current',
                logging.WARNING,
            )
        shared = self._shared(picture, memory)
        rows, columns, margin = self.plan(height, width, memory)
        across = [w.to(self.device) for w in axis_weights(columns, margin, BLEND)]
        downs = [w.to(self.device) for w in axis_weights(rows, margin, BLEND)]
        out = np.empty_like(picture)
        count, started = itertools.count(1), time.monotonic()
        areas = [(b - a) * (d - c) for a, b in rows for c, d in columns]
        passes = 2 if self._reads_means else 1

        def done() -> None:
            number, taken = next(count), time.monotonic() - started
            if number == 1 and (note := expected_time(taken, areas, height * width, passes)):
                print_log(f'{height}x{width}: {note}', 'current', logging.WARNING)
            if progress:
                progress(number, passes * len(areas))

        def tile(top: int, bottom: int, left: int, right: int) -> Tensor:
            return to_tensor(picture[top:bottom, left:right], self.device)

        if self._reads_means:
            shared = self._with_means(shared, tile, rows, columns, done)
        pending = torch.zeros(3, 0, width, device=self.device)  # pixel rows that overlap the next row of tiles
        for i, (top, bottom) in enumerate(rows):
            band = torch.zeros(3, bottom - top, width, device=self.device)
            band[:, : pending.shape[1]] = pending
            for (left, right), weight in zip(columns, across, strict=True):
                y = self._restore(tile(top, bottom, left, right), shared)[0]
                band[..., left:right] += y * (downs[i][:, None] * weight)
                done()
            end = rows[i + 1][0] if i + 1 < len(rows) else height
            out[top:end] = to_array(band[:, : end - top].clamp_(0, 1), picture.dtype)
            pending = band[:, end - top :]
        return out

    @torch.no_grad()
    def layers(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """Return further layers that the method estimates, such as the transmission; only for untiled pictures.

        Args:
            picture: see :meth:`__call__`.

        Returns:
            Layer name -> ``(H, W, 3)`` of the same dtype; empty for most methods.
        """
        plain = type(self.restorer).infer is BaseRestorer.infer or self.restorer.needs.tiling == 'noise'
        if plain or not self.fits(*picture.shape[:2]):
            return {}
        x = to_tensor(picture, self.device)
        out = self.restorer.restore(x, shared=self.restorer.estimate_shared(x))
        return {name: to_array(y[0].expand(3, -1, -1), picture.dtype) for name, y in out.items() if name != 'pred'}

    def _shared(self, picture: np.ndarray, memory: float) -> dict[str, Tensor] | None:
        """Estimate the values shared by all tiles from a downscaled copy that fits the memory."""
        if self.restorer.needs.global_statistics:  # from all pixels, in bands: those of a downscaled copy differ
            whole = torch.from_numpy(writeable(picture)).permute(2, 0, 1)[None]
            shared = self.restorer.estimate_shared(whole)
            return {name: value.to(self.device) for name, value in shared.items()} if shared else shared
        if type(self.restorer).estimate_shared is BaseRestorer.estimate_shared:
            return None
        height, width = picture.shape[:2]
        scale = min(1.0, math.sqrt(memory * MIB / self.pixel_bytes / (height * width)))
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return self._estimate(to_tensor(small, self.device))

    def _with_means(
        self,
        shared: dict[str, Tensor] | None,
        tile: Callable[[int, int, int, int], Tensor],
        rows: list[tuple[int, int]],
        columns: list[tuple[int, int]],
        done: Callable[[], None] | None = None,
    ) -> dict[str, Tensor]:
        """Return ``shared`` with the means of features over the whole picture, see :func:`feature_means`."""
        means = feature_means(self.restorer, tile, rows, columns, shared, self.autocast, done)
        for value in means.values():
            self._check_finite(value)
        return {**(shared or {}), **means}

    def _check_finite(self, x: Tensor) -> None:
        if not torch.isfinite(x).all():
            raise PictureError('the network gave NaN' + ('; try it with the precision fp32' if self.bf16 else ''))

    def _estimate(self, x: Tensor) -> dict[str, Tensor] | None:
        with self.autocast():
            return self.restorer.estimate_shared(x)

    def _restore(
        self, x: Tensor, shared: dict[str, Tensor] | None, progress: Callable[[int, int], None] | None = None
    ) -> Tensor:
        """Restore ``(N, 3, H, W)`` in [0, 1]; with ``ensemble`` the mean over eight flips and rotations."""
        if not self.ensemble:
            return self._once(x, shared, progress)
        if self._reads_means and not (shared and self.restorer.needs.feature_means[0] in shared):
            # of the upright picture, as for tiles
            rows, columns = ([(0, side)] for side in x.shape[-2:])
            shared = self._with_means(shared, lambda *_: x, rows, columns)
        total = torch.zeros_like(x)
        for turns, flip in itertools.product(range(4), (False, True)):
            turned = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
            y = torch.rot90(self._once(turned.contiguous(), shared, progress), -turns, (-2, -1))
            total += y.flip(-1) if flip else y
        return total / 8

    def _once(self, x: Tensor, shared: dict[str, Tensor] | None, progress: Callable[[int, int], None] | None) -> Tensor:
        # fixed seed for samplers, so that results do not depend on the order of pictures
        rng = torch.Generator(x.device).manual_seed(0)
        with self.autocast():
            out = self.restorer.restore(x, shared=shared, rng=rng, progress=progress)
        self._check_finite(out['pred'])
        return out['pred'] if self.strength == 1 else self.restorer.at_strength(x, out, self.strength)

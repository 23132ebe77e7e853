"""Pictures of any size in bounded memory: whole where they fit, otherwise in overlapping tiles.

A tile's outer ``margin`` sees another surrounding than it would in the whole picture, so it is thrown away; across the
next ``blend`` pixels neighbours fade into each other (raised cosine)::

    |<- margin ->|<- blend ->|        tile i        |<- blend ->|<- margin ->|
                                                    |<- margin ->|<- blend ->|      tile i + 1 ...

Only the rows of one band of tiles are held as floats; finished ones are rounded into the result.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import cv2
import numpy as np
import torch
from torch import Tensor

from restorebox.diffusion.windows import MIB, SCRATCH, PeakBytes
from restorebox.errors import ConfigError, PictureError, out_of_memory
from restorebox.layers import statistics_layers
from restorebox.pixels import to_array, to_tensor
from restorebox.restorers.base import BaseRestorer

BLEND = 32  # pixels over which tiles fade into each other
PROBE = 192  # side in pixels of the picture with which memory is measured


def axis_tiles(length: int, size: int, overlap: int, stride: int) -> list[tuple[int, int]]:
    """(first, end) of tiles along an axis, all of about the same length.

    Args:
        length: of the axis in pixels.
        size: of a tile at most, a multiple of ``stride``; the last may be up to ``stride`` - 1 longer.
        overlap: of neighbours at least.
        stride: every tile begins at a multiple of it, as the whole picture does.
    """
    if length <= size:
        return [(0, length)]
    # beginnings are rounded down, which may bring two of them apart by up to a stride
    number = 1 + math.ceil((length - size) / (size - overlap - stride))
    size = math.ceil((length + (number - 1) * (overlap + stride)) / number / stride) * stride
    starts = [(length - size) * i // (number - 1) // stride * stride for i in range(number)]
    return [(start, start + size if i < number - 1 else length) for i, start in enumerate(starts)]


def axis_weights(tiles: list[tuple[int, int]], margin: int, blend: int) -> list[Tensor]:
    """How much each tile counts at each of its pixels along an axis; over the tiles the sum is 1 at every pixel."""
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
    """0 up to 0, 1 from 1, half a cosine between."""
    return 0.5 - 0.5 * torch.cos(math.pi * x.clamp(0, 1))


class Tiler:
    """A restorer for pictures of any size.

    Args:
        restorer: in evaluation mode.
        memory: MiB that the network's work may take besides the picture and the result. Tiles are chosen to fit; where
            not even small ones do, small ones are taken.
        ensemble: restore the eight flips and rotations of every tile and take their mean: eight times the work.
        bf16: run the networks in bfloat16 (autocast); pictures, blending and results stay float32.

    Raises:
        ConfigError: ``memory`` is not positive.
    """

    def __init__(
        self, restorer: BaseRestorer, memory: float = 1024, ensemble: bool = False, bf16: bool = False
    ) -> None:
        if not memory > 0:
            raise ConfigError(f'memory is {memory}; it must be a positive number of MiB')
        self.restorer = restorer
        self.memory = memory
        self.ensemble = ensemble
        self.bf16 = bf16
        needs = restorer.needs
        self.stride = needs.stride
        self.device = next(
            restorer.parameters(), torch.empty(0)
        ).device  # an exported one has none, and takes the CPU's
        window = restorer.statistics_window or 0
        layers = any(statistics_layers(restorer.role(name)) for name in restorer.deployed)
        # what a pixel sees through convolutions, or takes its statistics from
        self.reach = max(needs.receptive_field or 0, window if layers else 0) // 2
        # what runs elsewhere can't be watched at work, and says itself what it takes
        self._pixel: float | None = getattr(restorer, 'pixel_bytes', None)

    def numbers(self) -> AbstractContextManager:
        """What the networks run in: autocast to bfloat16, or nothing."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    @property
    def pixel_bytes(self) -> float:
        """Bytes that the network takes per pixel of a picture, measured when first asked for."""
        if self._pixel is None:
            # past the window, since layers with statistics take more memory there
            side = max(PROBE, (self.restorer.statistics_window or 0) + 64, self.restorer.needs.min_size)
            probe = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(self.device)
            with self.numbers(), PeakBytes() as seen:
                self.restorer.restore(probe, shared=self.restorer.estimate_shared(probe))
            self._pixel = SCRATCH * seen.peak / (side * side)
        return self._pixel

    def fits(self, height: int, width: int, memory: float | None = None) -> bool:
        """Whether a picture is restored whole, with the tiler's memory or less."""
        if self.restorer.needs.tiling == 'noise' or max(height, width) <= PROBE:
            return True
        return height * width * self.pixel_bytes <= (memory or self.memory) * MIB

    def plan(
        self, height: int, width: int, memory: float | None = None
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]], int]:
        """Tiles for a picture that does not fit.

        Args:
            height: of the picture.
            width: of the picture.
            memory: MiB; None for the tiler's.

        Returns:
            (first, end) of the rows of tiles, of their columns, and the margin: all in pixels.
        """
        stride = self.stride
        pixels = (memory or self.memory) * MIB / self.pixel_bytes
        side = max(math.isqrt(int(pixels)), PROBE, self.restorer.needs.min_size)
        # a network that sees far would spend all its time on margins where memory is short
        margin = min(self.reach, side // 6)
        overlap = 2 * margin + BLEND
        across = min(width, side)
        down = max(side, min(height, int(pixels / across)))
        if down >= height:
            across = max(side, int(pixels / height))
        sizes = (math.ceil(size / stride) * stride for size in (down, across))
        rows, columns = (axis_tiles(n, size, overlap, stride) for n, size in zip((height, width), sizes, strict=True))
        return rows, columns, margin

    def __call__(self, picture: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Restore a picture; in smaller tiles where less memory is there than was said.

        Args:
            picture: ``(H, W, 3)`` RGB, uint8, uint16, or float32 in [0, 1].
            progress: called with (done, total) tiles, or steps of a sampler; from the beginning with smaller tiles.

        Returns:
            An array of the same shape and kind.

        Raises:
            PictureError: the network gave numbers that are not finite.
            MemoryError, RuntimeError: not enough even for the smallest tiles; which, :func:`out_of_memory
                <restorebox.errors.out_of_memory>` knows.
        """
        height, width = picture.shape[:2]
        memory: float | None = self.memory
        while True:
            try:
                return self._restored(picture, memory, progress)
            except Exception as error:
                memory = self._less(height, width, memory) if out_of_memory(error) else None
                if memory is None:
                    raise
            if self.device.type == 'cuda':
                torch.cuda.empty_cache()

    def _less(self, height: int, width: int, memory: float) -> float | None:
        """Half the memory that a picture was restored with; None where it can't be cut smaller."""
        if self._pixel is None or self.restorer.needs.tiling == 'noise' or max(height, width) <= PROBE:
            return None
        less = min(memory, height * width * self._pixel / MIB) / 2
        smallest = max(PROBE, self.restorer.needs.min_size) ** 2 * self._pixel / MIB
        return less if less > smallest / 2 else None

    def _restored(self, picture: np.ndarray, memory: float, progress: Callable[[int, int], None] | None) -> np.ndarray:
        """See :meth:`__call__`, with this memory or not at all."""
        height, width = picture.shape[:2]
        if self.fits(height, width, memory):
            x = to_tensor(picture, self.device)
            y = self._restore(x, self._estimate(x), progress)
            return to_array(y[0], picture.dtype)
        shared = self._shared(picture, memory)
        rows, columns, margin = self.plan(height, width, memory)
        across = [w.to(self.device) for w in axis_weights(columns, margin, BLEND)]
        downs = [w.to(self.device) for w in axis_weights(rows, margin, BLEND)]
        out = np.empty_like(picture)
        count = itertools.count(1)
        total = len(rows) * len(columns)
        carried = torch.zeros(3, 0, width, device=self.device)  # rows that the next band of tiles adds to
        for i, (top, bottom) in enumerate(rows):
            band = torch.zeros(3, bottom - top, width, device=self.device)
            band[:, : carried.shape[1]] = carried
            for (left, right), weight in zip(columns, across, strict=True):
                y = self._restore(to_tensor(picture[top:bottom, left:right], self.device), shared)[0]
                band[..., left:right] += y * (downs[i][:, None] * weight)
                if progress:
                    progress(next(count), total)
            done = rows[i + 1][0] if i + 1 < len(rows) else height
            out[top:done] = to_array(band[:, : done - top].clamp_(0, 1), picture.dtype)
            carried = band[:, done - top :]
        return out

    @torch.no_grad()
    def layers(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """What the method estimates besides the picture, of one that is restored whole; nothing of larger ones.

        Args:
            picture: see :meth:`__call__`.

        Returns:
            Layer -> ``(H, W, 3)`` of the same kind. Methods whose networks give a picture alone have none.
        """
        plain = type(self.restorer).infer is BaseRestorer.infer or self.restorer.needs.tiling == 'noise'
        if plain or not self.fits(*picture.shape[:2]):
            return {}
        x = to_tensor(picture, self.device)
        out = self.restorer.restore(x, shared=self.restorer.estimate_shared(x))
        return {name: to_array(y[0].expand(3, -1, -1), picture.dtype) for name, y in out.items() if name != 'pred'}

    def _shared(self, picture: np.ndarray, memory: float) -> dict[str, Tensor] | None:
        """What all tiles agree on, estimated from the picture made small enough for the memory."""
        if self.restorer.needs.global_statistics:  # of all pixels, in bands: a smaller copy has others
            whole = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
            return {name: value.to(self.device) for name, value in self.restorer.estimate_shared(whole).items()}
        if type(self.restorer).estimate_shared is BaseRestorer.estimate_shared:
            return None  # the copy as floats would be for nothing
        height, width = picture.shape[:2]
        scale = min(1.0, math.sqrt(memory * MIB / self.pixel_bytes / (height * width)))
        size = (max(1, int(width * scale)), max(1, int(height * scale)))
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return self._estimate(to_tensor(small, self.device))

    def _estimate(self, x: Tensor) -> dict[str, Tensor] | None:
        with self.numbers():
            return self.restorer.estimate_shared(x)

    def _restore(
        self, x: Tensor, shared: dict[str, Tensor] | None, progress: Callable[[int, int], None] | None = None
    ) -> Tensor:
        """``(1, 3, H, W)`` in [0, 1] -> the same; with ``ensemble`` the mean over its eight positions."""
        if not self.ensemble:
            return self._once(x, shared, progress)
        total = torch.zeros_like(x)
        for turns, flip in itertools.product(range(4), (False, True)):
            turned = torch.rot90(x.flip(-1) if flip else x, turns, (-2, -1))
            y = torch.rot90(self._once(turned.contiguous(), shared, progress), -turns, (-2, -1))
            total += y.flip(-1) if flip else y
        return total / 8

    def _once(self, x: Tensor, shared: dict[str, Tensor] | None, progress: Callable[[int, int], None] | None) -> Tensor:
        # what a sampler draws is the same for every picture, so that its place in a folder makes no difference
        rng = torch.Generator(x.device).manual_seed(0)
        with self.numbers():
            y = self.restorer.restore(x, shared=shared, rng=rng, progress=progress)['pred']
        if not torch.isfinite(y).all():
            raise PictureError('the network gave NaN' + ('; try it with the precision fp32' if self.bf16 else ''))
        return y

"""Python interface: restoration of arrays, picture files and videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from restorebox.datasets.decoding import MAX_PIXELS
from restorebox.errors import ConfigError, PictureError
from restorebox.files import DEFAULT_MODEL
from restorebox.inference.clips import Note, warn
from restorebox.inference.devices import find_device
from restorebox.inference.exported import ExportedRestorer
from restorebox.inference.files import PictureFile, read_file, write_file
from restorebox.inference.frame_restorer import FrameRestorer
from restorebox.inference.inputs import find_pictures
from restorebox.inference.models import load_model, models_with_weights, supported_precision
from restorebox.inference.precision import choose_precision
from restorebox.inference.tiles import Tiler
from restorebox.inference.video import is_video, read_frames, restore_video
from restorebox.restorers.base import BaseRestorer
from restorebox.restorers.strength import checked_strength

MEMORY = 1024  # MiB
BACKENDS = ('torch', 'onnxruntime')
Source = np.ndarray | str | os.PathLike


class RestoreInferencer:
    """Restoration of pictures of any size with any model, without resizing.

    Args:
        model: a model's name (``restorebox models`` lists them), a training checkpoint (.pth), a published file
            (.safetensors), ``URL#sha256=DIGITS``; with ``checkpoint`` the path of a config or a model's name.
        checkpoint: weights for a config.
        device: such as ``'cuda:1'``, ``'xpu'`` or ``'mps'``; None for a GPU if there is one. For an ONNX file a key of
            :data:`PROVIDERS <restorebox.inference.providers.PROVIDERS>`; None for the CPU.
        memory: memory of the network in MiB; larger pictures are restored in tiles, see :class:`Tiler`.
        ensemble: self-ensemble, the mean over the eight flips and rotations, at eight times the cost.
        precision: ``'fp32'``, ``'bf16'``, or ``'auto'``: bf16 if the device supports it and the model's metafile
            allows it.
        backend: ``'torch'``, or ``'onnxruntime'`` for an ONNX file written by ``restorebox export``; None to decide by
            the model's suffix.
        max_pixels: maximum number of pixels of a file over all pages, since a small file can claim any size. Reading
            takes about 12 bytes of memory per pixel, 32 for 16 bits.
        strength: S in input + S (restored - input), clipped, before rounding; 0 returns the input, 1 the restored
            picture, up to 2 extrapolates. Models that estimate layers of rain apply it by layers, see
            :func:`mix_layers <restorebox.restorers.strength.mix_layers>`. Change it later by ``tiler.strength``.
        temporal: whether frames of videos are filtered against flicker, see
            :class:`TemporalFilter <restorebox.inference.temporal.TemporalFilter>`; otherwise they are independent.

    Attributes:
        precision: ``'fp32'`` or ``'bf16'``; ``'onnxruntime'`` for ONNX files.
        runs_on: the device, or for ONNX files the execution providers and their numbers of nodes.

    Raises:
        ConfigError, CheckpointError, ExportError: see :func:`load_model` and :class:`ExportedNetwork
            <restorebox.inference.exported.ExportedNetwork>`.
    """

    def __init__(
        self,
        model: str | os.PathLike = DEFAULT_MODEL,
        checkpoint: str | os.PathLike | None = None,
        *,
        device: str | torch.device | None = None,
        memory: float = MEMORY,
        ensemble: bool = False,
        precision: str = 'auto',
        backend: str | None = None,
        max_pixels: int = MAX_PIXELS,
        strength: float = 1.0,
        temporal: bool = True,
    ) -> None:
        checked_strength(strength)  # before the model is loaded
        if max_pixels < 1:
            raise ConfigError(f'max_pixels is {max_pixels}; it must be positive')
        self.max_pixels = max_pixels
        onnx = Path(model).suffix == '.onnx'
        if backend not in (None, *BACKENDS) or (backend is not None and onnx != (backend == 'onnxruntime')):
            raise ConfigError(
                f"backend '{backend}' does not run {model}: 'onnxruntime' runs files named *.onnx, which `restorebox "
                "export` makes; 'torch' runs all else"
            )
        if onnx and (checkpoint is not None or precision != 'auto'):
            raise ConfigError(
                f'model {model}: has its weights and their precision inside; give no checkpoint or precision'
            )
        if onnx:
            exported = ExportedRestorer(str(model), str(device or 'cpu'))
            self.restorer: BaseRestorer = exported
            self.precision, self.runs_on = 'onnxruntime', exported.generator.providers
        else:
            device = find_device(device)
            self.runs_on = str(device)
            supported = supported_precision(str(model)) if checkpoint is None else None
            self.precision = choose_precision(precision, supported, device)
            self.restorer = load_model(str(model), None if checkpoint is None else str(checkpoint), device)
        self.temporal = temporal
        self.tiler = Tiler(self.restorer, memory, ensemble, self.precision == 'bf16', strength)

    @staticmethod
    def list_models() -> list[str]:
        """Return the names of the models that have weights, the default first."""
        return models_with_weights()

    def __call__(
        self, source: Source | Iterable[Source], progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray | list[np.ndarray] | Iterator[np.ndarray]:
        """Restore pictures and return them.

        Args:
            source: an array, see :meth:`restore_array`; a file, a folder, a glob pattern; or several of these.
            progress: called with (done, total) tiles or steps of each picture.

        Returns:
            An array for an array or a single picture file. A list of arrays, sorted by name, for all else and for files
            of several pages or frames. Arrays of files are ``(H, W)`` grey, ``(H, W, 2)`` grey and alpha,
            ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, uint8 or uint16. For a video file, an iterator of its frames,
            ``(H, W, 3)``; videos in folders are ignored.

        Raises:
            PictureError: a picture can't be read, an array has an unsupported shape or dtype, or ``source`` is of
                another type.
            DataError: a folder without pictures, or a pattern without matches.
        """
        if isinstance(source, np.ndarray):
            return self.restore_array(source, progress)
        if isinstance(source, (str, os.PathLike)):
            if is_video(source):
                return map(self.frame_restorer(), read_frames(source, max_pixels=self.max_pixels))
            found = [path for path, _ in find_pictures(source)]
            files = (self.restore_file(path, progress=progress) for path in found)
            layers = [page.layers for file in files for page in file.pages]
            # a missing file is reported when it is read
            return layers[0] if found == [Path(source)] and len(layers) == 1 else layers
        if isinstance(source, torch.Tensor) or not isinstance(source, Iterable):
            kind = type(source).__name__
            raise PictureError(
                f'an object of type {kind} is no picture; it must be an array, a path, or several of these'
            )
        restored: list[np.ndarray] = []
        for each in source:
            done: Any = self(each, progress)
            restored += done if isinstance(done, list) else [done]
        return restored

    def restore_array(self, picture: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Restore one array.

        Args:
            picture: ``(H, W)``, ``(H, W, 1)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, where alpha is passed
                through; uint8, uint16, or float in [0, 1].
            progress: see :meth:`__call__`.

        Returns:
            The same shape and dtype. The network computes with float32.

        Raises:
            PictureError: unsupported shape or dtype, values outside [0, 1], or the network's output is not finite.
        """
        array = _checked(picture)
        if self.tiler.strength == 0:
            return picture.copy()  # exact also for grey floats, whose mean over three channels is rounded
        grey = array.ndim == 2 or array.shape[-1] == 1
        colours = np.repeat(array.reshape(*array.shape[:2], 1), 3, -1) if grey else array[..., :3]
        alpha = picture[..., 3] if array.ndim == 3 and array.shape[-1] == 4 else None
        done = PictureFile(self.tiler(colours, progress), alpha, grey)
        return done.layers.reshape(array.shape).astype(picture.dtype, copy=False)

    def restore_picture(self, picture: PictureFile, progress: Callable[[int, int], None] | None = None) -> PictureFile:
        """Restore the colours of all pages or frames; alpha channel and metadata are kept.

        Args:
            picture: as :func:`restorebox.inference.files.read_file` returns it; it is not changed.
            progress: see :meth:`__call__`.

        Raises:
            PictureError: the network's output is not finite.
        """
        return picture.restored(lambda colours: self.tiler(colours, progress))

    def restore_batch(self, pictures: Sequence[PictureFile]) -> list[PictureFile]:
        """Restore pictures of one size and bit depth with a single page each in common passes, see :meth:`Tiler.batch`.

        Args:
            pictures: as for :meth:`restore_picture`.

        Raises:
            PictureError, MemoryError, RuntimeError: see :meth:`Tiler.batch`.
        """
        colours = self.tiler.batch([picture.colours for picture in pictures])
        return [replace(picture, colours=each) for picture, each in zip(pictures, colours, strict=True)]

    def restore_file(
        self,
        path: str | os.PathLike,
        target: str | os.PathLike | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> PictureFile:
        """Restore one file.

        Args:
            path: the file.
            target: output file, in the format of its suffix; None to write nothing.
            progress: see :meth:`__call__`.

        Returns:
            The restored picture with its metadata and all pages or frames; ``notes`` has what could not be kept.

        Raises:
            PictureError: the file can't be read, the network's output is not finite, or the target's format can't hold
                the picture.
            OSError: the target can't be written.
        """
        picture = read_file(Path(path), self.max_pixels)
        try:
            restored = self.restore_picture(picture, progress)
        except PictureError as error:
            raise PictureError(f'{path}: {error}') from None
        if target is not None:
            restored.notes = [*restored.notes, *write_file(restored, Path(target))]
        return restored

    def restore_video(
        self,
        path: str | os.PathLike,
        target: str | os.PathLike,
        progress: Callable[[int, int], None] | None = None,
        note: Note = warn,
        frames: FrameRestorer | None = None,
        only_if_damaged: bool = False,
    ) -> int:
        """Restore a video into a file; frame rate, time stamps and audio are kept.

        Args:
            path: the video.
            target: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``, written atomically.
            progress: called with (done, total) frames; total is 0 if the file does not state it.
            note: called with a line for each thing that is changed or not kept; by default a Python warning.
            frames: a new :meth:`frame_restorer`, to read its findings and flicker afterwards.
            only_if_damaged: write nothing if nothing is found; ``frames`` must be examined.

        Returns:
            Number of frames.

        Raises:
            PictureError, OSError, MissingPackageError: see :func:`restorebox.inference.video.restore_video`.
            NothingFound: with ``only_if_damaged``.
        """
        frames = frames or self.frame_restorer(only_if_damaged)
        check = frames.check_damage if only_if_damaged else None
        return restore_video(path, target, frames, progress, note, check, self.max_pixels)

    def frame_restorer(self, examined: bool = False) -> FrameRestorer:
        """Return a function that restores the frames of one clip in order, with the temporal filter if it is on.

        Args:
            examined: whether to examine what was found.
        """
        return FrameRestorer(self.tiler, self.tiler.strength, self.temporal, examined)


def _checked(picture: np.ndarray) -> np.ndarray:
    """Check shape, dtype and range of an array; returns uint8, uint16 or float32."""
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[-1] not in (1, 3, 4)) or 0 in picture.shape:
        raise PictureError(f'an array of shape {picture.shape} is no picture; it must be (H, W), or (H, W, 1, 3 or 4)')
    if picture.dtype in (np.uint8, np.uint16):
        return picture
    if not np.issubdtype(picture.dtype, np.floating):
        raise PictureError(f'an array of {picture.dtype} is no picture; it must be uint8, uint16 or float in [0, 1]')
    if not (np.isfinite(picture).all() and picture.min() >= 0 and picture.max() <= 1):
        raise PictureError('an array of floats must lie in [0, 1]; divide one of bytes by 255')
    return picture.astype(np.float32, copy=False)


def restore(
    source: Source | Iterable[Source],
    model: str | os.PathLike = DEFAULT_MODEL,
    checkpoint: str | os.PathLike | None = None,
    *,
    device: str | torch.device | None = None,
    memory: float = MEMORY,
    ensemble: bool = False,
    precision: str = 'auto',
    backend: str | None = None,
    max_pixels: int = MAX_PIXELS,
    strength: float = 1.0,
    temporal: bool = True,
) -> np.ndarray | list[np.ndarray] | Iterator[np.ndarray]:
    """Restore pictures with a model: ``restore('rainy.jpg')``.

    Args:
        source: see :meth:`RestoreInferencer.__call__`.
        model: see :class:`RestoreInferencer`, which should be used directly for several calls with one model.
        checkpoint: see :class:`RestoreInferencer`, as for all further arguments.
        device: computing device.
        memory: in MiB.
        ensemble: whether to use self-ensemble.
        precision: ``'fp32'``, ``'bf16'`` or ``'auto'``.
        backend: ``'torch'``, ``'onnxruntime'`` or None.
        max_pixels: maximum number of pixels of a file.
        strength: 0 to 2.
        temporal: whether frames of videos are filtered against flicker.

    Returns:
        See :meth:`RestoreInferencer.__call__`.

    Raises:
        RestoreboxError: one line with what is wrong with the model or the pictures.
    """
    inferencer = RestoreInferencer(
        model,
        checkpoint,
        device=device,
        memory=memory,
        ensemble=ensemble,
        precision=precision,
        backend=backend,
        max_pixels=max_pixels,
        strength=strength,
        temporal=temporal,
    )
    return inferencer(source)

"""Restore arrays and files from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch

from restorebox.datasets.decoding import MAX_PIXELS
from restorebox.errors import ConfigError, PictureError
from restorebox.inference.clips import Note, warn
from restorebox.inference.exported import ExportedRestorer
from restorebox.inference.files import PictureFile, read_file, write_file
from restorebox.inference.inputs import find_pictures
from restorebox.inference.models import borne_precision, load_model
from restorebox.inference.precision import choose_precision
from restorebox.inference.tiles import Tiler
from restorebox.inference.video import is_video, read_frames, restore_video
from restorebox.restorers.base import BaseRestorer

DEFAULT_MODEL = 'weather'
MEMORY = 1024  # MiB
BACKENDS = ('torch', 'onnxruntime')
Source = np.ndarray | str | os.PathLike


def default_device() -> torch.device:
    """The GPU of this process under torchrun, the first one otherwise, the CPU where there is none."""
    if not torch.cuda.is_available():
        return torch.device('cpu')
    return torch.device('cuda', int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count())


class RestoreInferencer:
    """Any picture, of any size, through any model; never resized.

    Args:
        model: a model's name (``restorebox models`` lists them), a training checkpoint (.pth), a published file
            (.safetensors), ``URL#sha256=DIGITS``; with ``checkpoint`` the path of a config or a model's name.
        checkpoint: weights for a config.
        device: such as ``'cuda:1'``; None for a GPU where there is one.
        memory: MiB that the network's work may take; larger pictures are restored in tiles, see :class:`Tiler`.
        ensemble: the mean over the eight flips and rotations: eight times the work.
        precision: ``'fp32'``, ``'bf16'``, or ``'auto'``: bf16 where the device has it and the model's metafile says
            that it bears it.
        backend: ``'torch'``, or ``'onnxruntime'`` for an ONNX file that ``restorebox export`` made, which runs on the
            CPU; None for what the model's suffix says.
        max_pixels: that a file may have, all its pages together. A small file may claim any number, so that larger ones
            are read only when asked for; about 12 bytes of memory a pixel, 32 with 16 bits.

    Attributes:
        precision: ``'fp32'`` or ``'bf16'``, whichever it is; ``'onnxruntime'`` for its files, which have their own.

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
    ) -> None:
        if max_pixels < 1:
            raise ConfigError(f'max_pixels is {max_pixels}; it must be positive')
        self.max_pixels = max_pixels
        onnx = Path(model).suffix == '.onnx'
        if backend not in (None, *BACKENDS) or (backend is not None and onnx != (backend == 'onnxruntime')):
            raise ConfigError(
                f"backend '{backend}' does not run {model}: 'onnxruntime' runs files named *.onnx, which `restorebox "
                "export` makes; 'torch' runs all else"
            )
        if onnx and (checkpoint is not None or str(device or 'cpu') != 'cpu' or precision != 'auto'):
            raise ConfigError(
                f'model {model}: has its weights inside and runs on the CPU; give no checkpoint, device or precision'
            )
        if onnx:
            device = 'cpu'
        try:
            device = torch.device(device) if device is not None else default_device()
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # torch asserts that it was built for the device
            reason = str(error).splitlines()[0]
            raise ConfigError(f"device '{device}': {reason}; 'cpu' is always there") from None
        if onnx:
            self.restorer: BaseRestorer = ExportedRestorer(model)
            self.precision = 'onnxruntime'
        else:
            borne = borne_precision(str(model)) if checkpoint is None else None
            self.precision = choose_precision(precision, borne, device)
            self.restorer = load_model(str(model), None if checkpoint is None else str(checkpoint), device)
        self.tiler = Tiler(self.restorer, memory, ensemble, bf16=self.precision == 'bf16')

    def __call__(
        self, source: Source | Iterable[Source], progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray | list[np.ndarray] | Iterator[np.ndarray]:
        """Restore pictures and return them.

        Args:
            source: an array, see :meth:`restore_array`; a file, a folder, a glob pattern; or several of these.
            progress: called with (done, total) tiles or steps of each picture.

        Returns:
            An array for an array or a file; a list of them, in the order of the names, for all else, and for a file of
            several pages or frames. Files become
            ``(H, W)`` grey, ``(H, W, 2)`` grey and alpha, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, uint8 or uint16. A
            video file becomes an iterator of its frames, ``(H, W, 3)``; in folders only pictures are looked for.

        Raises:
            PictureError: a picture that can't be read, or an array of another form.
            DataError: a folder without pictures, a pattern that fits none.
        """
        if isinstance(source, np.ndarray):
            return self.restore_array(source, progress)
        if isinstance(source, (str, os.PathLike)):
            if is_video(source):
                return map(self.tiler, read_frames(source))
            found = [path for path, _ in find_pictures(source)]
            files = (self.restore_file(path, progress=progress) for path in found)
            layers = [page.layers for file in files for page in file.pages]
            # a file that is missing is named where it is read
            return layers[0] if found == [Path(source)] and len(layers) == 1 else layers
        restored: list[np.ndarray] = []
        for each in source:
            done = self(each, progress)
            restored += done if isinstance(done, list) else [done]
        return restored

    def restore_array(self, picture: np.ndarray, progress: Callable[[int, int], None] | None = None) -> np.ndarray:
        """Restore one array.

        Args:
            picture: ``(H, W)``, ``(H, W, 1)`` grey, ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA, where alpha is passed
                through; uint8, uint16, or float in [0, 1].
            progress: see :meth:`__call__`.

        Returns:
            The same shape and kind (float32 for any float).

        Raises:
            PictureError: another form, values outside [0, 1], or a network that gives numbers that are not finite.
        """
        array = _checked(picture)
        grey = array.ndim == 2 or array.shape[-1] == 1
        colours = np.repeat(array.reshape(*array.shape[:2], 1), 3, -1) if grey else array[..., :3]
        alpha = array[..., 3] if array.ndim == 3 and array.shape[-1] == 4 else None
        done = PictureFile(self.tiler(np.ascontiguousarray(colours), progress), alpha, grey)
        return done.layers.reshape(array.shape)

    def restore_picture(self, picture: PictureFile, progress: Callable[[int, int], None] | None = None) -> PictureFile:
        """Restore what was read from a file, all its pages or frames; what it has besides the colours stays.

        Args:
            picture: as :func:`restorebox.inference.files.read_file` gives it; it is not changed.
            progress: see :meth:`__call__`.

        Raises:
            PictureError: the network gives numbers that are not finite.
        """
        return picture.restored(lambda colours: self.tiler(colours, progress))

    def restore_file(
        self,
        path: str | os.PathLike,
        target: str | os.PathLike | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> PictureFile:
        """Restore one file.

        Args:
            path: the file.
            target: where to write the result, in the format of its suffix; None for nowhere.
            progress: see :meth:`__call__`.

        Returns:
            The restored picture with what its file has besides, all pages or frames; what could not be kept is in its
            ``notes``.

        Raises:
            PictureError: the file can't be read, the network gives numbers that are not finite, or the target's format
                can't hold the picture.
            OSError: the target can't be written.
        """
        picture = read_file(path, self.max_pixels)
        try:
            restored = self.restore_picture(picture, progress)
        except PictureError as error:
            raise PictureError(f'{path}: {error}') from None
        if target is not None:
            restored.notes = [*restored.notes, *write_file(restored, target)]
        return restored

    def restore_video(
        self,
        path: str | os.PathLike,
        target: str | os.PathLike,
        progress: Callable[[int, int], None] | None = None,
        note: Note = warn,
    ) -> int:
        """Restore a clip frame by frame into a file; rate, time stamps and sound are kept.

        Args:
            path: the clip.
            target: ``.mp4``, ``.m4v``, ``.mov`` or ``.mkv``, written whole or not at all.
            progress: called with (done, total) frames; total is 0 where the clip does not say.
            note: takes a line about each thing that is changed or left out; by default they are Python warnings.

        Returns:
            How many frames.

        Raises:
            PictureError, OSError, MissingPackageError: see :func:`restorebox.inference.video.restore_video`.
        """
        return restore_video(path, target, self.tiler, progress, note)


def _checked(picture: np.ndarray) -> np.ndarray:
    """An array of a kind and form that can be restored."""
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
) -> np.ndarray | list[np.ndarray] | Iterator[np.ndarray]:
    """Restore pictures with a model: ``restore('rainy.jpg')``.

    Args:
        source: see :meth:`RestoreInferencer.__call__`, which says what comes back as well.
        model: see :class:`RestoreInferencer`, of which one should be kept where several calls use one model.
        checkpoint: see there.
        device: see there.
        memory: see there.
        ensemble: see there.
        precision: see there.
        backend: see there.
        max_pixels: see there.

    Raises:
        RestoreboxError: says in a line what is wrong with the model or the pictures.
    """
    options = {'device': device, 'memory': memory, 'ensemble': ensemble, 'precision': precision, 'backend': backend}
    return RestoreInferencer(model, checkpoint, max_pixels=max_pixels, **options)(source)

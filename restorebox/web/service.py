"""Restoration service behind the web page: size limits, restoration, scores and estimated layers."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from restorebox.errors import ConfigError, PictureError
from restorebox.inference import RestoreInferencer
from restorebox.inference.clips import FrameSizeError
from restorebox.inference.files import PictureFile, picture_size, read_file, target_name, write_file
from restorebox.inference.findings import examine
from restorebox.inference.models import models_with_weights
from restorebox.inference.video import restore_video
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_float, to_uint8

PROTOCOLS = ('psnr_y', 'ssim_y')
PREVIEW_PIXELS = 8e6  # pixels of a preview; larger pictures are shown smaller, the file to download has full size
MAX_FRAMES = 600  # of a video; 24 seconds at 25 frames per second
MAX_VIDEO_PIXELS = MAX_FRAMES * 1920 * 1080  # of all its frames
TITLES = {
    'physics': 'by physics alone',
    'streak': 'streaks',
    'transmission': 'transmission',
    'airlight': 'airlight',
    'depth': 'depth',
}


class TooLargeError(PictureError):
    """A file or a picture exceeds the limits of the server."""


@dataclass(frozen=True)
class Limits:
    """Limits on requests.

    Attributes:
        megabytes: maximum size of a file in MiB.
        megapixels: maximum size of a picture.
        waiting: maximum number of requests in the queue.
        seconds: maximum time of a request to ``restorebox serve`` from the first byte to the result; jobs have none.
    """

    megabytes: int = 32
    megapixels: int = 50
    waiting: int = 16
    seconds: int = 120


@dataclass
class RestorationResult:
    """Result of a restoration, as shown on the page.

    Attributes:
        before: preview of the input, ``(H, W, 3)`` uint8, upright.
        after: preview of the restored picture, likewise.
        file: restored picture at full size, with the metadata of its input.
        layers: (title, ``(H, W, 3)`` uint8) of further layers that the method estimates.
        scores: rows of (name, score per protocol); empty without a clean reference.
        summary: one line with size, model, strength, and what was found.
        scale: the size at which the previews show the picture; empty at full size.
    """

    before: np.ndarray
    after: np.ndarray
    file: Path
    layers: list[tuple[str, np.ndarray]] = field(default_factory=list)
    scores: list[tuple[str, ...]] = field(default_factory=list)
    summary: str = ''
    scale: str = ''


class RestorationService:
    """Restoration of uploaded pictures, one at a time, with one model in memory.

    Args:
        models: name on the page -> model of :class:`RestoreInferencer`. The first is loaded at once, so that errors are
            reported when the server starts.
        limits: see :class:`Limits`.
        device: see :class:`RestoreInferencer`.
        memory: in MiB, see :class:`RestoreInferencer`.

    Raises:
        RestoreboxError: the first model can't be loaded.
    """

    def __init__(self, models: dict[str, str], limits: Limits, device: str | None = None, memory: float = 1024) -> None:
        self.models = models
        self.limits = limits
        self._device, self._memory = device, memory
        self._lock = Lock()
        self._loaded: tuple[str, RestoreInferencer] | None = None
        self._model(next(iter(models)))

    def _model(self, name: str) -> RestoreInferencer:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # free its memory before the next model is loaded
            self._loaded = name, RestoreInferencer(self.models[name], device=self._device, memory=self._memory)
        return self._loaded[1]

    def _check_model(self, name: str) -> None:
        if name not in self.models:
            raise PictureError(f"this server has no model '{name}'")

    def _inferencer(self, model: str, strength: float) -> RestoreInferencer:
        inferencer = self._model(model)
        inferencer.tiler.strength = strength
        return inferencer

    def read(self, path: Path, name: str) -> PictureFile:
        """Read an uploaded file and check the limits.

        Args:
            path: the file.
            name: the user's name of the file, for messages.

        Raises:
            TooLargeError: above the limits.
            PictureError: not a picture, or removed; one line with the name.
        """
        try:
            status = path.lstat()
        except FileNotFoundError:  # read before, or expired
            raise PictureError(f'{name}: is no longer available; choose it again') from None
        if not stat.S_ISREG(status.st_mode):  # reading a device or pipe might not end, and links are not followed
            raise PictureError(f'{name}: is not a regular file')
        size = status.st_size / 2**20
        if size > self.limits.megabytes:
            raise TooLargeError(
                f'{name}: {size:.1f} MiB, and this server takes files up to {self.limits.megabytes} MiB'
            )
        try:
            width, height = picture_size(path) or (0, 0)
            if width * height > self.limits.megapixels * 1e6:
                raise TooLargeError(
                    f'{name}: {width}x{height} are {width * height / 1e6:.1f} megapixels, and this server takes '
                    f'pictures up to {self.limits.megapixels}; `restorebox restore` takes any'
                )
            picture = read_file(path)
            if picture.more:
                raise PictureError(
                    f'{name}: holds {len(picture.pages)} pages or frames, and this server takes single pictures; '
                    '`restorebox restore` keeps them all'
                )
            return picture
        except PictureError as error:
            raise type(error)(str(error).replace(str(path), name)) from None

    def restore_batch(
        self,
        sources: Sequence[PictureFile],
        model: str,
        strength: float = 1.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[PictureFile]:
        """Restore pictures of one shape and dtype, together where they fit the memory.

        Args:
            sources: degraded pictures; they are not changed.
            model: a key of ``models``.
            strength: see :class:`RestoreInferencer`.
            progress: called with (done, total) tiles or steps of a single picture; several have no progress.

        Raises:
            ConfigError: the strength is out of range.
            PictureError: unknown model, or the network's output for one of the pictures is not finite.
            RestoreboxError: the model can't be loaded.
        """
        self._check_model(model)
        with self._lock:
            inferencer = self._inferencer(model, strength)
            if len(sources) == 1:
                return [inferencer.restore_picture(sources[0], progress)]
            return inferencer.restore_batch(sources)

    def restore(
        self,
        source: PictureFile,
        name: str,
        folder: Path,
        model: str,
        reference: PictureFile | None = None,
        progress: Callable[[int, int], None] | None = None,
        strength: float = 1.0,
    ) -> RestorationResult:
        """Restore a picture.

        Args:
            source: degraded picture.
            name: file name of the picture.
            folder: folder for the output file.
            model: a key of ``models``.
            reference: clean picture of the same size, or None.
            progress: called with (done, total) tiles or steps.
            strength: see :class:`RestoreInferencer`.

        Raises:
            ConfigError: the strength is out of range.
            PictureError: unknown model, a reference of another size, or the result can't be written.
            RestoreboxError: the model can't be loaded.
        """
        self._check_model(model)
        height, width = source.colours.shape[:2]
        if reference is not None and reference.colours.shape != source.colours.shape:
            h, w = reference.colours.shape[:2]
            raise PictureError(f'the clean picture is {w}x{h} and the other one {width}x{height}; sizes must be equal')
        with self._lock:  # two restorations at once would need twice the memory
            inferencer = self._inferencer(model, strength)
            before = source.colours
            try:
                restored = inferencer.restore_picture(source, progress)
                layers = inferencer.tiler.layers(before)
            except PictureError as error:
                raise PictureError(f'not restored: {error}') from None
        summary = f'{width}x{height} by {model}'
        if strength != 1:
            summary += f' at strength {strength:g}'
        if strength > 0:
            summary += f'; found: {examine(source, restored, strength)}'
        target = Path(target_name(name))
        file = folder / f'{target.stem}_restored{target.suffix}'
        write_file(restored, file)
        scores = []
        if reference is not None:
            truth = to_float(reference.colours, np.float64)
            for row, picture in (('before', before), ('after', restored.colours)):
                scores.append(
                    (row, *(f'{protocol(each)(to_float(picture, np.float64), truth):.4g}' for each in PROTOCOLS))
                )
        return RestorationResult(
            before=_preview(before),
            after=_preview(restored.colours),
            file=file,
            layers=[(TITLES.get(each, each), _preview(layer)) for each, layer in layers.items()],
            scores=scores,
            summary=summary,
            scale=_scale(height, width),
        )

    def restore_video(
        self,
        path: Path,
        name: str,
        folder: Path,
        model: str,
        progress: Callable[[int, int], None],
        strength: float = 1.0,
    ) -> tuple[Path, str]:
        """Restore a video of at most ``MAX_FRAMES`` frames, each within the limit of megapixels.

        Args:
            path: uploaded file.
            name: the user's name of the file, for messages.
            folder: folder for the output file.
            model: a key of ``models``.
            progress: called with (done, total) frames.
            strength: see :class:`RestoreInferencer`.

        Returns:
            The restored video, MP4, and a line with its frames, the model, and what was found.

        Raises:
            TooLargeError: above the limits.
            ConfigError: the strength is out of range.
            PictureError: unknown model, not a video, or it can't be restored or written.
            MissingPackageError: PyAV is not installed.
            RestoreboxError: the model can't be loaded.
        """
        self._check_model(model)
        pixels, largest = 0, int(self.limits.megapixels * 1e6)

        def report(done: int, total: int) -> None:
            if max(done, total) > MAX_FRAMES:
                raise TooLargeError(
                    f'{name}: has more than {MAX_FRAMES} frames; `restorebox restore` takes videos of any length'
                )
            progress(done, total)

        def frame(picture: np.ndarray) -> np.ndarray:
            nonlocal pixels
            pixels += picture.shape[0] * picture.shape[1]
            if pixels > MAX_VIDEO_PIXELS:
                raise TooLargeError(
                    f'{name}: has more than {MAX_VIDEO_PIXELS / 1e6:.0f} megapixels in all frames; '
                    '`restorebox restore` takes any number'
                )
            return frames(picture)

        notes: list[str] = []
        target = folder / 'restored.mp4'
        with self._lock:
            frames = self._inferencer(model, strength).frame_restorer(True)
            try:
                count = restore_video(path, target, frame, report, notes.append, max_pixels=largest)
            except FrameSizeError as error:
                size = f'frames of {error.size[0]}x{error.size[1]}' if all(error.size) else 'frames too large to decode'
                raise TooLargeError(f'{name}: {size}; this server takes {self.limits.megapixels} MP') from None
            except PictureError as error:
                raise type(error)(str(error).replace(str(path), name)) from None
        found = '' if frames.findings is None else f'; found: {frames.findings.median}'
        kept = [note.replace(str(path), name).replace(str(target), name) for note in notes]
        return target, '; '.join([f'{count} frames by {model} at strength {strength:g}{found}', *kept])


def page_models(names: Sequence[str], given: str | None) -> dict[str, str]:
    """Return the models that the page offers, label -> model: the given one first, then those with published weights.

    Args:
        names: names of models with weights.
        given: a name, a weights file, or ``URL#sha256=DIGITS``; None for none.
    """
    first: dict[str, str] = {}
    if given is not None:
        first[given if given in names else Path(given.partition('#')[0]).name] = given
    return first | {name: name for name in names if name not in first}


def served_models(given: Sequence[str] | None) -> dict[str, str]:
    """Return the models that the HTTP service offers, name -> model.

    Args:
        given: names, weights files, or ``URL#sha256=DIGITS``; None for all with published weights.

    Raises:
        ConfigError: two have the same name.
    """
    names = models_with_weights()
    if given is None:
        return page_models(names, None)
    models: dict[str, str] = {}
    for each in given:
        name = each if each in names else Path(each.partition('#')[0]).name
        if name in models:
            raise ConfigError(f"--model: two models are named '{name}'; rename one of the files")
        models[name] = each
    return models


def _preview(picture: np.ndarray) -> np.ndarray:
    """Convert to uint8 and scale down to at most ``PREVIEW_PIXELS``."""
    import cv2

    picture = to_uint8(picture)
    height, width = _preview_size(*picture.shape[:2])
    if (height, width) == picture.shape[:2]:
        return picture
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _preview_size(height: int, width: int) -> tuple[int, int]:
    factor = (PREVIEW_PIXELS / (height * width)) ** 0.5
    return (height, width) if factor >= 1 else (max(1, round(height * factor)), max(1, round(width * factor)))


def _scale(height: int, width: int) -> str:
    shown = _preview_size(height, width)
    if shown == (height, width):
        return ''
    return f'Shown at {100 * shown[1] / width:.0f} %; the download has full size.'

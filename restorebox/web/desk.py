"""What the page does for a visitor, without the page: limits, restoring, scores, layers."""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import numpy as np

from restorebox.errors import PictureError
from restorebox.inference import RestoreInferencer
from restorebox.inference.files import PictureFile, picture_size, read_file, target_name, write_file
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_float, to_uint8

PROTOCOLS = ('psnr_y', 'ssim_y')
SHOWN = 1600  # longer side in pixels of what the browser gets to show; the file to download has all
TITLES = {
    'physics': 'by physics alone',
    'streak': 'streaks',
    'transmission': 'transmission',
    'airlight': 'airlight',
    'depth': 'depth',
}


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for.

    Attributes:
        megabytes: of a file.
        megapixels: of a picture.
        waiting: visitors in the queue.
    """

    megabytes: int = 32
    megapixels: int = 50
    waiting: int = 16


@dataclass
class Answer:
    """What the page shows.

    Attributes:
        before: ``(H, W, 3)`` uint8, upright, shrunk to the screen.
        after: the same of the restored picture.
        file: the restored picture in full, with what its file had besides.
        layers: (title, ``(H, W, 3)`` uint8) of what the method estimates besides.
        scores: rows of (name, score per protocol); empty without a clean reference.
        said: a line about what was done.
    """

    before: np.ndarray
    after: np.ndarray
    file: Path
    layers: list[tuple[str, np.ndarray]] = field(default_factory=list)
    scores: list[tuple[str, ...]] = field(default_factory=list)
    said: str = ''


class Desk:
    """Restores what visitors bring, one picture at a time, with one model in memory.

    Args:
        models: name on the page -> what :class:`RestoreInferencer` takes as its model; the first is loaded at once, so
            that a mistake is seen when the server starts.
        limits: see :class:`Limits`.
        device: see :class:`RestoreInferencer`.
        memory: MiB, see there.

    Raises:
        RestoreboxError: the first model can't be loaded.
    """

    def __init__(self, models: dict[str, str], limits: Limits, device: str | None = None, memory: float = 1024) -> None:
        self.models = models
        self.limits = limits
        self._options = {'device': device, 'memory': memory}
        self._lock = Lock()
        self._loaded: tuple[str, RestoreInferencer] | None = None
        self._model(next(iter(models)))

    def _model(self, name: str) -> RestoreInferencer:
        if self._loaded is None or self._loaded[0] != name:
            self._loaded = None  # before the next one comes, since both may not fit
            self._loaded = name, RestoreInferencer(self.models[name], **self._options)
        return self._loaded[1]

    def read(self, path: Path, name: str) -> PictureFile:
        """A visitor's file, if it is within the limits.

        Args:
            path: where it lies.
            name: what the visitor calls it.

        Raises:
            PictureError: too large, no picture, or gone; one line with the name.
        """
        try:
            state = path.lstat()
        except FileNotFoundError:  # read once already, or swept
            raise PictureError(f'{name}: it is no longer here; choose it again') from None
        if not stat.S_ISREG(state.st_mode):  # a device or a pipe has no end, and a link leads elsewhere
            raise PictureError(f'{name}: is no regular file')
        size = state.st_size / 2**20
        if size > self.limits.megabytes:
            raise PictureError(f'{name}: {size:.1f} MiB, and this page takes files up to {self.limits.megabytes} MiB')
        try:
            width, height = picture_size(path) or (0, 0)
            if width * height > self.limits.megapixels * 1e6:
                raise PictureError(
                    f'{name}: {width}x{height} are {width * height / 1e6:.1f} megapixels, and this page takes pictures '
                    f'up to {self.limits.megapixels}; `restorebox restore` takes any'
                )
            picture = read_file(path)
            if picture.more:
                raise PictureError(
                    f'{name}: holds {len(picture.pages)} pages or frames, and this page takes single pictures; '
                    '`restorebox restore` keeps them all'
                )
            return picture
        except PictureError as error:
            raise PictureError(str(error).replace(str(path), name)) from None

    def restore(
        self,
        source: PictureFile,
        name: str,
        folder: Path,
        model: str,
        reference: PictureFile | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Answer:
        """Restore a picture.

        Args:
            source: the picture.
            name: of its file.
            folder: where the result's file goes.
            model: one of ``models``.
            reference: the clean picture, of the same size, or None.
            progress: called with (done, total) tiles or steps.

        Raises:
            PictureError: another model than those on the page, a reference of another size, or a result that can't be
                written.
            RestoreboxError: the model can't be loaded.
        """
        if model not in self.models:
            raise PictureError(f"this page has no model '{model}'")
        height, width = source.colours.shape[:2]
        if reference is not None and reference.colours.shape != source.colours.shape:
            h, w = reference.colours.shape[:2]
            raise PictureError(f'the clean picture is {w}x{h} and the other one {width}x{height}; both must be alike')
        with self._lock:  # two at once would need twice the memory
            inferencer = self._model(model)
            before = source.colours
            try:
                restored = inferencer.restore_picture(source, progress)
                layers = inferencer.tiler.layers(before)
            except PictureError as error:
                raise PictureError(f'not restored: {error}') from None
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
        return Answer(
            before=_shown(before),
            after=_shown(restored.colours),
            file=file,
            layers=[(TITLES.get(each, each), _shown(layer)) for each, layer in layers.items()],
            scores=scores,
            said=f'{width}x{height} by {model}',
        )


def page_models(names: Sequence[str], given: str | None) -> dict[str, str]:
    """The models that a page offers: the one that was given first, then those with published weights.

    Args:
        names: of models with weights.
        given: a name, a file of weights, or ``URL#sha256=DIGITS``.
    """
    label = None if given is None else given if given in names else Path(given.partition('#')[0]).name
    first = {} if label is None else {label: given}
    return first | {name: name for name in names if name != label}


def _shown(picture: np.ndarray) -> np.ndarray:
    """uint8, small enough for a screen."""
    import cv2

    picture = to_uint8(picture)
    scale = SHOWN / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)

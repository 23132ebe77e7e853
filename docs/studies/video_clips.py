"""Clips for docs/studies/video_flicker.py: windows that move over photographs, with rain drawn anew in every frame.

The camera path has sub-pixel motion. A window is cut out of a photograph by an affine map, so the true flow and the
clean clip are known. Rain keeps its mean angle, density and size over a clip; its streaks are independent per frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from restorebox.datasets.reading import read_picture
from restorebox.degradations.compose import build_degradation
from restorebox.pixels import to_float, to_uint8

SIZE = (321, 481)  # height, width
COUNT = 48
Path_ = Callable[[int], tuple[float, float, float, float]]  # frame -> x, y of the centre, scale, angle in degrees


def handheld(i: int) -> tuple[float, float, float, float]:
    """A hand-held camera: small shifts and rotations, and a slow zoom."""
    return 0.83 * i + 6 * np.sin(i / 5), 5 * np.sin(i / 7) + 0.31 * i, 1 + 0.003 * i, 0.8 * np.sin(i / 9)


def pan(i: int) -> tuple[float, float, float, float]:
    """A pan of 4.3 pixels per frame."""
    return 4.3 * i, 0.2 * i, 1.0, 0.0


def still(i: int) -> tuple[float, float, float, float]:
    """A camera on a tripod."""
    return 0.0, 0.0, 1.0, 0.0


LINE_RAIN = dict(type='LineRain', density=(0.003, 0.003), length=(26, 26), width=(0.65, 0.65), angle=(12, 12))
VARIED_RAIN = dict(
    type='VariedRain',
    density=(0.02, 0.02),
    length=(22, 22),
    width=(0.9, 0.9),
    angle=(-15, -15),
    swing=(4, 4),
    spread=(2, 2),
    opacity=(0.6, 0.6),
    patchiness=(0, 0),  # a pattern of the density, and mist, would be drawn anew in every frame
    mist=(0, 0),
)


@dataclass(frozen=True)
class Shot:
    """A clip, or a part of it up to a cut.

    Attributes:
        photograph: path below the data folder.
        path: camera path.
        rain: config of the rain, or None.
        count: number of frames.
        start: of the window's centre on the photograph, as fractions of the free width and height.
        light: frame -> factor on the brightness, such as of a fade.
        object: path of a photograph; a part of it moves over the scene by ``speed`` pixels per frame.
        speed: horizontal speed of the object in pixels per frame.
    """

    photograph: str
    path: Path_
    rain: dict | None = field(default_factory=lambda: dict(VARIED_RAIN))
    count: int = COUNT
    start: tuple[float, float] = (0.2, 0.3)
    light: Callable[[int], float] = lambda i: 1.0
    object: str | None = None
    speed: float = 0.0


def frames(data: Path, shots: list[Shot], seed: int, size: tuple[int, int] = SIZE) -> Iterator[tuple]:
    """Yield (clean, rainy) frames of a clip, HWC uint8; ``shots`` follow each other with cuts."""
    number = 0
    for shot in shots:
        photograph = to_float(read_picture(data / shot.photograph))
        patch = None if shot.object is None else to_float(read_picture(data / shot.object))[100:220, 100:260]
        degradation = None if shot.rain is None else build_degradation(shot.rain)
        fixed = None if degradation is None else degradation.sample(np.random.default_rng(seed), (*size, 3))
        for i in range(shot.count):
            clean = window(photograph, shot, i, size)
            if patch is not None:
                clean = pasted(clean, patch, (30 + shot.speed * i) % (size[1] + 160) - 160, size[0] / 3)
            clean = to_uint8(np.clip(clean * np.float32(shot.light(i)), 0, 1))
            rainy = clean
            if degradation is not None:
                rng = np.random.default_rng([seed, number])
                rainy = to_uint8(degradation.apply(clean, fixed | {'seed': int(rng.integers(2**31))})['lq'])
            number += 1
            yield clean, rainy


def window(photograph: np.ndarray, shot: Shot, i: int, size: tuple[int, int]) -> np.ndarray:
    """Cut frame ``i`` out of a photograph."""
    x, y, scale, angle = shot.path(i)
    height, width = size
    free = np.maximum(0, np.array(photograph.shape[1::-1]) - (width, height))
    centre = np.array([width / 2, height / 2]) + free * shot.start + (x, y)
    turn = cv2.getRotationMatrix2D((0, 0), angle, 1 / scale)[:, :2]
    matrix = np.column_stack([turn, centre - turn @ (width / 2, height / 2)])
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(photograph, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)


def pasted(clean: np.ndarray, patch: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return a frame with a patch at (x, y), with sub-pixel precision."""
    matrix = np.float64([[1, 0, x], [0, 1, y]])
    size = clean.shape[1::-1]
    mask = cv2.warpAffine(np.ones(patch.shape[:2], np.float32), matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    moved = cv2.warpAffine(patch, matrix, size, flags=cv2.INTER_LINEAR)
    return clean * (1 - mask) + moved

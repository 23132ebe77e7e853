"""Transforms for content that is rare in photograph sets: flat areas, skies, documents, night scenes, small scales."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from restorebox.datasets.transforms import GeometricTransform
from restorebox.degradations import build_degradation
from restorebox.degradations.fields import cloud, smooth_field
from restorebox.errors import ConfigError, DataError
from restorebox.pixels import to_float, to_uint8
from restorebox.registry import TRANSFORMS

FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)
LETTERS = 'abcdefghijklmnopqrstuvwxyzabcdeeeiinorstABCDEGHMRST0123456789.,:;-()/'


def make_flat(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw one colour, a gradient, or a sky with clouds: HWC float32 in [0, 1]."""
    kind = rng.integers(4)
    grey = rng.random() < 0.5
    ends = rng.random((2, 1 if grey else 3), dtype=np.float32).repeat(3 if grey else 1, 1)
    if kind == 0:
        return np.broadcast_to(ends[0], (*size, 3)).copy()
    if kind == 1:
        along = np.linspace(0, 1, size[0], dtype=np.float32)[:, None, None]
        ends[1] = ends[0] + (ends[1] - ends[0]) * rng.uniform(0.05, 1)
        field = np.broadcast_to(along, (*size, 1))
        field = field if rng.random() < 0.6 else smooth_field(size, (2, 3), rng)[..., None]
        return ends[0] * (1 - field) + ends[1] * field
    # a clear, cloudy or misty sky without degradation
    blue = np.asarray([0.25, 0.45, 0.75], np.float32)
    top = blue * rng.uniform(0.6, 1.3) + rng.uniform(-0.08, 0.08, 3).astype(np.float32)
    low = top + (1 - top) * np.float32(rng.uniform(0.2, 0.8))
    down = np.linspace(0, 1, size[0], dtype=np.float32)[:, None, None]
    clear = top * (1 - down) + low * down
    puffs = np.clip((cloud(size, rng.uniform(0.2, 0.8), rng, 5) - rng.uniform(0.2, 0.7)) * rng.uniform(1, 4), 0, 1)
    white = np.float32(rng.uniform(0.7, 1))
    return np.clip(clear * (1 - puffs[..., None]) + white * puffs[..., None], 0, 1)


def make_page(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw a document or a screenshot with text, lines and boxes: HWC float32 in [0, 1]."""
    height, width = size
    dark = rng.random() < 0.3
    paper = rng.uniform(0.0, 0.2) if dark else rng.uniform(0.85, 1)
    page = np.empty((height, width, 3), np.uint8)
    page[:] = _colour(paper + rng.uniform(-0.05, 0.05, 3) * (rng.random() < 0.5))
    ink = _colour((rng.uniform(0.7, 1) if dark else rng.uniform(0, 0.35)) + rng.uniform(-0.1, 0.1, 3))
    for _ in range(rng.integers(0, 7)):  # panels, buttons, charts
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        right, low = left + int(rng.integers(8, max(width // 2, 9))), top + int(rng.integers(8, max(height // 2, 9)))
        colour = _colour(rng.random(3) if rng.random() < 0.5 else paper + rng.uniform(-0.2, 0.2, 3))
        cv2.rectangle(page, (left, top), (right, low), colour, -1 if rng.random() < 0.7 else 1)
    for _ in range(rng.integers(0, 6)):
        x, y, to_x, to_y = rng.integers(0, (width, height, width, height)).tolist()
        end = (to_x, y) if rng.random() < 0.4 else (x, to_y) if rng.random() < 0.5 else (to_x, to_y)
        cv2.line(page, (x, y), end, ink, int(rng.integers(1, 3)), cv2.LINE_AA)
    if rng.random() < 0.9:
        font, scale = FONTS[int(rng.integers(len(FONTS)))], rng.uniform(0.3, 1.1)
        line, left = int(34 * scale * rng.uniform(0.9, 1.6)) + 4, int(rng.integers(0, max(width // 3, 1)))
        for y in range(int(rng.integers(5, 40)), height, line):
            if rng.random() < 0.15:
                continue
            letters = rng.integers(0, len(LETTERS), rng.integers(3, 60))
            text = ''.join(' ' if k % 6 == 5 else LETTERS[k] for k in letters.tolist())
            cv2.putText(page, text, (left, y), font, scale, ink, 1 + int(scale > 0.8), cv2.LINE_AA)
    return to_float(page)


def _colour(values: np.ndarray) -> list[int]:
    """Convert three values in [0, 1] to integers in [0, 255]."""
    return to_uint8(values).tolist()


@TRANSFORMS.register_module()
class DrawnPictures(BaseTransform):
    """Replace a pair with probability ``p`` by a drawn one: flat areas, skies, documents, screenshots.

    A network trained on photographs only mistakes a white page for a veil. Drawn pictures have a separate degradation,
    since a veil over a flat picture can't be distinguished from a flat picture.

    Args:
        p: probability, in [0, 1].
        recipe: config or name of the degradation of drawn pictures.
        pages: fraction of documents and screenshots, in [0, 1]; the others are flat or skies.

    Raises:
        ConfigError: ``p`` or ``pages`` is outside [0, 1].
    """

    def __init__(self, p: float, recipe: dict | str, pages: float = 0.5) -> None:
        for name, value in (('p', p), ('pages', pages)):
            _check_share('DrawnPictures', name, value)
        self.p = p
        self.pages = pages
        self.recipe = build_degradation(recipe)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``lq`` and ``gt`` of a sample; to be used after ``Degrade``."""
        rng = results['rng']
        if rng.random() < self.p:
            draw = make_page if rng.random() < self.pages else make_flat
            clear = draw(results['gt'].shape[:2], rng)
            clear = to_uint8(clear)
            results['gt'] = clear
            results['lq'] = self.recipe(clear, rng)['lq']
        return results


@TRANSFORMS.register_module()
class Night(BaseTransform):
    """Convert a photograph with probability ``p`` to a night scene: darker, tinted, with glowing bright regions.

    Args:
        p: probability, in [0, 1].
        role: role of the clean picture; to be used before ``Degrade``.

    Raises:
        ConfigError: ``p`` is outside [0, 1].
    """

    def __init__(self, p: float, role: str = 'gt') -> None:
        _check_share('Night', 'p', p)
        self.p = p
        self.role = role

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the picture by a uint8 picture of the same size."""
        rng = results['rng']
        if rng.random() < self.p:
            picture = to_float(results[self.role])
            dark = picture ** np.float32(rng.uniform(1.0, 1.6)) * np.float32(rng.uniform(0.3, 0.8))
            tint = np.asarray([rng.uniform(0.7, 1.1), rng.uniform(0.8, 1), rng.uniform(0.8, 1.2)], np.float32)
            lit = np.clip((picture.mean(-1, keepdims=True) - rng.uniform(0.7, 0.9)) * 6, 0, 1)
            glow = cv2.GaussianBlur(lit, (0, 0), max(picture.shape[:2]) * rng.uniform(0.01, 0.05)).reshape(lit.shape)
            lamp = np.asarray([1, rng.uniform(0.75, 1), rng.uniform(0.45, 1)], np.float32)
            night = dark * tint * (1 - lit) + (picture * lit + glow * rng.uniform(0.1, 0.5)) * lamp
            results[self.role] = to_uint8(night)
        return results


@TRANSFORMS.register_module()
class Illuminant(BaseTransform):
    """Change the colour of the light with probability ``p``: from candle light, over daylight, to a clear blue sky.

    The channels of both pictures are multiplied by the colour of the light, of which the largest channel is 1. After
    ``Degrade``, the light scattered by haze and rain has this colour too. Gamma-encoded channels are multiplied, which
    is a multiplication of linear ones if the encoding is a power.

    Args:
        p: probability, in [0, 1].
        roles: roles of the pictures, HWC RGB, uint8 or float32 in [0, 1].

    Raises:
        ConfigError: ``p`` is outside [0, 1].
    """

    def __init__(self, p: float, roles: Sequence[str] = ('lq', 'gt')) -> None:
        _check_share('Illuminant', 'p', p)
        self.p = p
        self.roles = tuple(roles)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Multiply the pictures by the colour.

        Raises:
            DataError: a role is missing, or its picture is not HWC RGB.
        """
        rng = results['rng']
        for role in self.roles:
            if role not in results:
                raise DataError(f"Illuminant: sample {results.get('name')} has no role '{role}'")
            shape = results[role].shape
            if len(shape) != 3 or shape[2] != 3:
                raise DataError(f"Illuminant: '{role}' of {results.get('name')} has the shape {shape}, not HxWx3")
        chosen, warm, strength = rng.random(3)  # always three draws, as in ShrinkPictures
        if chosen < self.p:
            light = np.asarray([1, 1 - 0.35 * strength, 1 - 0.8 * strength], np.float32)
            if warm > 0.75:
                light = np.asarray([1 - 0.5 * strength, 1 - 0.2 * strength, 1], np.float32)
            for role in self.roles:
                lit = to_float(results[role]) * light
                results[role] = to_uint8(lit) if results[role].dtype == np.uint8 else lit
        return results


@TRANSFORMS.register_module()
class ShrinkPictures(BaseTransform):
    """Downscale a picture with probability ``p`` by a random factor, so that crops of large pictures vary in scale.

    Args:
        least: minimum length of the shorter side in pixels; smaller pictures are not changed.
        p: probability, in [0, 1].
        role: role of the picture.

    Raises:
        ConfigError: ``p`` is outside [0, 1], or ``least`` below 1.
    """

    def __init__(self, least: int, p: float = 1.0, role: str = 'gt') -> None:
        _check_shrinking('ShrinkPictures', p, least)
        self.least = least
        self.p = p
        self.role = role

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Downscale by area averaging; the logarithm of the factor is uniformly distributed."""
        rng, picture = results['rng'], results[self.role]
        chosen, exponent = rng.random(2)  # always two draws, so that later draws don't depend on the picture's size
        short = min(picture.shape[:2])
        if chosen < self.p and short > self.least:
            factor = (self.least / short) ** exponent
            height, width = (max(round(side * factor), self.least) for side in picture.shape[:2])
            results[self.role] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        return results


@TRANSFORMS.register_module()
class SmallWindow(GeometricTransform):
    """With probability ``p``, crop a window of random size, the same in all roles of a scene: a small picture.

    Global statistics of a small part of a photograph, such as a piece of sky, resemble those of haze. Put it after
    ``Degrade`` and before ``SurveyScene``; a ``RandomWindow`` behind it pads the window by reflection.

    Args:
        p: probability, in [0, 1].
        least: minimum length of a side in pixels; height and width are drawn apart, log-uniformly up to the picture's.
        roles: see :class:`GeometricTransform <restorebox.datasets.transforms.GeometricTransform>`.

    Raises:
        ConfigError: ``p`` is outside [0, 1], or ``least`` below 1.
    """

    def __init__(self, p: float, least: int = 1, roles: Sequence[str] | None = None) -> None:
        super().__init__(roles)
        _check_shrinking('SmallWindow', p, least)
        self.p = p
        self.least = least

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
        """Draw top, left, height and width. Always five draws, so that later ones don't depend on the outcome."""
        chosen, *exponents, down, right = rng.random(5)
        if chosen >= self.p:
            return 0, 0, height, width
        sides = []
        for side, exponent in zip((height, width), exponents, strict=True):
            least = min(self.least, side)
            sides.append(min(side, round(least * (side / least) ** exponent)))
        return int(down * (height - sides[0] + 1)), int(right * (width - sides[1] + 1)), sides[0], sides[1]

    def move(self, picture: np.ndarray, drawn: tuple[int, int, int, int]) -> np.ndarray:
        """Crop."""
        top, left, height, width = drawn
        return picture[top : top + height, left : left + width]


def _check_shrinking(owner: str, p: object, least: object) -> None:
    if not isinstance(least, int) or least < 1:
        raise ConfigError(f'{owner}: least is {least!r}; it must be a number of pixels')
    _check_share(owner, 'p', p)


def _check_share(owner: str, name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigError(f'{owner}: {name} is {value!r}; it must be from 0 to 1')

"""Measurements of single pictures and pairs: each file is read once, and a few hundred bytes per picture are kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from restorebox.datasets.inspection import clean, duplicates, pairs
from restorebox.datasets.inspection.luminance import luminance
from restorebox.datasets.inspection.picture_sets import CLEAN_ROLES, Picture
from restorebox.datasets.reading import read_picture
from restorebox.errors import PictureError


@dataclass(frozen=True)
class Task:
    """One picture to read, or a degraded picture and its clean partner.

    Args:
        picture_set: index of the data set.
        roles: roles of the pictures.
        pictures: the pictures, in the order of the roles.
        fingerprints: roles for which to compute the fingerprint.
        quality: roles for which to measure noise, blocking, blur and streaks.
    """

    picture_set: int
    roles: tuple[str, ...]
    pictures: tuple[Picture, ...]
    fingerprints: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()


@dataclass
class Measurements:
    """Results of a task.

    Args:
        unreadable: role -> error message.
        sizes: role -> (width, height) in pixels.
        fingerprints: role -> result of :func:`duplicates.fingerprint`.
        quality: role -> result of :func:`clean.measure`.
        pair: comparison of the two pictures, if both could be read.
        scenes: (degraded, clean) as 32x32 float16, if the pair is suspicious; used to search its true partner.
    """

    unreadable: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    fingerprints: dict[str, np.ndarray | None] = field(default_factory=dict)
    quality: dict[str, np.ndarray | None] = field(default_factory=dict)
    pair: pairs.PairComparison | None = None
    scenes: tuple[np.ndarray, np.ndarray] | None = None


@lru_cache(maxsize=1)
def decoded_picture(path: str) -> np.ndarray:
    """Read a picture and cache the last one.

    Successive tasks often read the same file: side-by-side pairs, or one clean picture of several degraded ones.
    """
    return read_picture(path)


def read_plane(picture: Picture) -> np.ndarray:
    """Return the luminance of a picture: HW float32 in [0, 255].

    Raises:
        PictureError: unreadable, or the width is not a multiple of the number of parts.
    """
    array = decoded_picture(picture.path)
    if picture.part is not None:
        k, n = picture.part
        width = array.shape[1] // n
        if width * n != array.shape[1] or width == 0:
            raise PictureError(f"{picture.path}: a width of {array.shape[1]} can't be split into {n} equal pictures")
        array = array[:, k * width : (k + 1) * width]
    return luminance(array)


def examine(task: Task) -> Measurements:
    """Read and measure the pictures of a task."""
    result = Measurements()
    planes: dict[str, np.ndarray] = {}
    # The clean picture is read last, so that it is still cached for the next degraded one.
    for role, picture in zip(task.roles, task.pictures, strict=True):
        try:
            plane = planes[role] = read_plane(picture)
        except PictureError as error:
            result.unreadable[role] = str(error)
            continue
        result.sizes[role] = (plane.shape[1], plane.shape[0])
        if role in task.fingerprints:
            result.fingerprints[role] = duplicates.fingerprint(plane)
        if role in task.quality:
            result.quality[role] = clean.measure(plane)
    if task.roles == ('lq', 'gt') and len(planes) == 2:
        result.pair = pairs.compare(planes['lq'], planes['gt'])
        if result.pair.is_suspicious:
            degraded, target = pairs.scene_of(planes['lq']), pairs.scene_of(planes['gt'])
            assert degraded is not None, 'a suspicious pair has a correlation, so both scenes exist'
            assert target is not None
            result.scenes = (degraded.astype(np.float16), target.astype(np.float16))
    return result


def is_clean(role: str) -> bool:
    """Return whether pictures of a role are meant to be clean."""
    return role in CLEAN_ROLES

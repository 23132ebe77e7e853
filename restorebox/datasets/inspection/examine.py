"""Extraction of the features that the checks need: one read and a few hundred bytes per picture."""

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
    """Read one picture, or a degraded one and its clean partner: role -> picture.

    Args:
        picture_set: index of the data set.
        roles: of the pictures.
        pictures: in the order of the roles.
        prints: roles whose fingerprint is wanted.
        measures: roles whose cleanness is wanted.
    """

    picture_set: int
    roles: tuple[str, ...]
    pictures: tuple[Picture, ...]
    prints: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()


@dataclass
class Facts:
    """What reading gave, by role where several pictures were read.

    Args:
        bad: role -> why it can't be read.
        sizes: role -> (width, height).
        prints: role -> see :func:`duplicates.fingerprint`.
        measures: role -> see :func:`clean.measure`.
        pair: how both go together, where both could be read.
        scenes: (lq, gt) at 32x32 of a pair that looks wrong, to look for its true partner.
    """

    bad: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    prints: dict[str, np.ndarray | None] = field(default_factory=dict)
    measures: dict[str, np.ndarray | None] = field(default_factory=dict)
    pair: pairs.PairFacts | None = None
    scenes: tuple[np.ndarray, np.ndarray] | None = None


@lru_cache(maxsize=1)
def decoded_picture(path: str) -> np.ndarray:
    """Neighbours in a list often share a file: halves side by side, or one clean picture of several degraded ones."""
    return read_picture(path)


def read_plane(picture: Picture) -> np.ndarray:
    """Luminance of a picture: HW float32 in [0, 255].

    Raises:
        PictureError: it can't be read, or its width can't be divided.
    """
    array = decoded_picture(picture.path)
    if picture.part is not None:
        k, n = picture.part
        width = array.shape[1] // n
        if width * n != array.shape[1] or width == 0:
            raise PictureError(f"{picture.path}: a width of {array.shape[1]} can't be split into {n} equal pictures")
        array = array[:, k * width : (k + 1) * width]
    return luminance(array)


def examine(task: Task) -> Facts:
    """Read a task's pictures and look at them."""
    facts, planes = Facts(), {}
    # the clean one last, so that it is still in memory for the next degraded one
    for role, picture in zip(task.roles, task.pictures, strict=True):
        try:
            planes[role] = read_plane(picture)
        except PictureError as error:
            facts.bad[role] = str(error)
            continue
        facts.sizes[role] = planes[role].shape[::-1]
        if role in task.prints:
            facts.prints[role] = duplicates.fingerprint(planes[role])
        if role in task.measures:
            facts.measures[role] = clean.measure(planes[role])
    if task.roles == ('lq', 'gt') and len(planes) == 2:
        facts.pair = pairs.compare(planes['lq'], planes['gt'])
        if facts.pair.scene is not None and facts.pair.scene < pairs.SAME_SCENE and not facts.pair.here:
            facts.scenes = tuple(pairs.scene_of(planes[role]).astype(np.float16) for role in ('lq', 'gt'))
    return facts


def is_clean(role: str) -> bool:
    """Whether pictures of a role are said to be clean."""
    return role in CLEAN_ROLES

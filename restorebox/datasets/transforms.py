"""Transforms of the data pipeline: loading, cropping, flipping, rotation, degradation, packing.

Every array in a sample's dict is a role (``lq``, ``gt``, ``hq`` and physics layers such as ``streak``). All roles but
``hq`` and ``real`` show the same scene and share one crop window, flip and rotation. Those two are unrelated pictures
with separate draws. Random numbers come from ``results['rng']`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image

from restorebox.datasets.cache import PictureCache
from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.errors import ConfigError, DataError, PictureError
from restorebox.registry import TRANSFORMS, nearest
from restorebox.sample import RestorationSample
from restorebox.values import Count, Fraction, Names, Pixels, Positive

UNRELATED = ('hq', 'real')
RESAMPLING = {
    'nearest': Image.Resampling.NEAREST,
    'area': Image.Resampling.BOX,
    'bilinear': Image.Resampling.BILINEAR,
    'bicubic': Image.Resampling.BICUBIC,
    'lanczos': Image.Resampling.LANCZOS,
}

Results = dict[str, Any]


@TRANSFORMS.register_module()
class LoadPictures(BaseTransform):
    """Read the file of every role: HWC RGB, uint8, or float32 in [0, 1] for 16-bit files.

    A file shared by two roles is decoded once; a side-by-side file is split.

    Args:
        cache: cache folder of decoded pictures, see :class:`~restorebox.datasets.cache.PictureCache`; None means no
            cache.
        cache_gib: maximum size of the cache in GiB.
    """

    def __init__(self, cache: str | None = None, cache_gib: Positive = 20.0) -> None:
        self.read = read_picture if cache is None else PictureCache(cache, cache_gib).read

    def transform(self, results: Results) -> Results:
        """Add the pictures of all roles.

        Raises:
            PictureError: a file can't be read, or the width of a side-by-side file can't be divided.
        """
        decoded = {path: self.read(path) for path in dict.fromkeys(results['paths'].values())}
        for role, path in results['paths'].items():
            picture = decoded[path]
            if role in results.get('halves', {}):
                k, n = results['halves'][role]
                width = picture.shape[1] // n
                if width * n != picture.shape[1] or width == 0:
                    raise PictureError(f"{path}: a width of {picture.shape[1]} can't be split into {n} equal pictures")
                picture = picture[:, k * width : (k + 1) * width]
            results[role] = picture
        return results


class GeometricTransform(BaseTransform):
    """Base class of geometric transforms: one draw for all roles of a scene, separate ones for ``hq`` and ``real``.

    Args:
        roles: roles to transform; None means all roles of the sample.
    """

    def __init__(self, roles: Names | None = None) -> None:
        self.roles = roles

    def transform(self, results: Results) -> Results:
        """Transform the roles.

        Raises:
            DataError: a role is missing, or roles of one scene differ in size.
            ConfigError: a role has several candidates, see :class:`Degrade`.
        """
        present = _roles(results, self.roles)
        several = [role for role in present if results[role].ndim == 4]
        if several:
            raise ConfigError(
                f"{type(self).__name__} follows a Degrade with several candidates of '{several[0]}'; put it before "
                'Degrade'
            )
        scene = [role for role in present if role not in UNRELATED]
        for group in (scene, *([role] for role in UNRELATED if role in present)):
            if group:
                height, width = _common_size(results, group)
                drawn = self.draw(results['rng'], height, width)
                for role in group:
                    results[role] = self.move(results[role], drawn)
        return results

    def draw(self, rng: np.random.Generator, height: int, width: int) -> Any:
        """Draw the parameters for a scene of this size, to be passed to :meth:`move`."""
        raise NotImplementedError

    def move(self, picture: np.ndarray, drawn: Any) -> np.ndarray:
        """Transform one picture or layer, HW or HWC."""
        raise NotImplementedError


@TRANSFORMS.register_module()
class Resize(GeometricTransform):
    """Resize with antialiasing.

    Args:
        size: (height, width) in pixels.
        short: length of the shorter side, instead of ``size``; the aspect ratio is kept.
        interpolation: 'bicubic', 'bilinear', 'area', 'lanczos' or 'nearest'.
        roles: see :class:`GeometricTransform`.
    """

    def __init__(
        self,
        size: tuple[Pixels, Pixels] | None = None,
        short: Pixels | None = None,
        interpolation: str = 'bicubic',
        roles: Names | None = None,
    ) -> None:
        super().__init__(roles)
        if (size is None) == (short is None):
            raise ConfigError(f'Resize takes either size=(height, width) or short=pixels, not {size} and {short}')
        if interpolation not in RESAMPLING:
            raise ConfigError(f"Resize has no interpolation '{interpolation}'; {nearest(interpolation, [*RESAMPLING])}")
        self.size = None if size is None else _as_size(size, 'Resize')
        self.short = short
        self.interpolation = interpolation

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        """Return the new (height, width)."""
        if self.size is not None:
            return self.size
        assert self.short is not None  # the constructor requires size or short
        factor = self.short / min(height, width)
        return max(1, round(height * factor)), max(1, round(width * factor))

    def move(self, picture: np.ndarray, drawn: tuple[int, int]) -> np.ndarray:
        """Resize; uint8 stays uint8, float32 is clipped to the range of its values."""
        size, resample = (drawn[1], drawn[0]), RESAMPLING[self.interpolation]
        if picture.dtype == np.uint8 and picture.shape[2:] == (3,):
            return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, resample))
        kind = np.uint8 if picture.dtype == np.uint8 else np.float32  # Pillow supports float images of one channel only
        planes = np.ascontiguousarray(picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1), dtype=kind)
        resized = np.stack([np.asarray(Image.fromarray(plane).resize(size, resample)) for plane in planes], axis=-1)
        return resized.clip(planes.min(), planes.max()).reshape(*drawn, *picture.shape[2:])


@TRANSFORMS.register_module()
class RandomWindow(GeometricTransform):
    """Crop a random window, the same in all roles of a scene. Smaller pictures are first padded by reflection.

    Args:
        size: (height, width) in pixels, or one number for a square.
        roles: see :class:`GeometricTransform`.
    """

    def __init__(self, size: Pixels | tuple[Pixels, Pixels], roles: Names | None = None) -> None:
        super().__init__(roles)
        self.size = _as_size(size, type(self).__name__)

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        """Draw top and left of the window. Always two draws, so that later draws don't depend on the picture's size."""
        top, left = rng.random(2)
        return int(top * (max(0, height - self.size[0]) + 1)), int(left * (max(0, width - self.size[1]) + 1))

    def move(self, picture: np.ndarray, drawn: tuple[int, int]) -> np.ndarray:
        """Pad if needed, then crop."""
        (top, left), (height, width) = drawn, self.size
        return _pad_to(picture, height, width)[top : top + height, left : left + width]


@TRANSFORMS.register_module()
class CentreWindow(RandomWindow):
    """Crop the centre window, for validation at equal sizes. Arguments as in :class:`RandomWindow`."""

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        """Return top and left of the window."""
        return max(0, height - self.size[0]) // 2, max(0, width - self.size[1]) // 2


@TRANSFORMS.register_module()
class Flip(GeometricTransform):
    """Flip with probability ``p``.

    Args:
        p: probability in [0, 1].
        direction: 'horizontal' swaps left and right, 'vertical' top and bottom.
        roles: see :class:`GeometricTransform`.
    """

    def __init__(self, p: Fraction = 0.5, direction: str = 'horizontal', roles: Names | None = None) -> None:
        super().__init__(roles)
        if direction not in ('horizontal', 'vertical'):
            raise ConfigError(f"Flip's direction is 'horizontal' or 'vertical', not {direction!r}")
        self.p = p
        self.direction = direction

    def draw(self, rng: np.random.Generator, height: int, width: int) -> bool:
        """Draw whether to flip."""
        return rng.random() < self.p

    def move(self, picture: np.ndarray, drawn: bool) -> np.ndarray:
        """Return a flipped view; :class:`Pack` makes it contiguous."""
        if not drawn:
            return picture
        return picture[:, ::-1] if self.direction == 'horizontal' else picture[::-1]


@TRANSFORMS.register_module()
class Rotate90(GeometricTransform):
    """Rotate by 90 degrees counter-clockwise with probability ``p``; with both flips this gives all eight orientations.

    Args:
        p: probability in [0, 1].
        roles: see :class:`GeometricTransform`.
    """

    def __init__(self, p: Fraction = 0.5, roles: Names | None = None) -> None:
        super().__init__(roles)
        self.p = p

    def draw(self, rng: np.random.Generator, height: int, width: int) -> bool:
        """Draw whether to rotate."""
        return rng.random() < self.p

    def move(self, picture: np.ndarray, drawn: bool) -> np.ndarray:
        """Return a rotated view, with height and width swapped."""
        return np.rot90(picture) if drawn else picture


@TRANSFORMS.register_module()
class Degrade(BaseTransform):
    """Render a degraded picture from a clean one.

    Args:
        recipe: config of one of DEGRADATIONS, or the name of a recipe.
        source: role of the clean picture, which is not changed.
        target: role of the degraded picture, HWC float32 in [0, 1]. Physics layers of the degradation are added under
            their names, its parameters under 'parameters' (see ``keep`` of :class:`Pack`).
        candidates: number of degradations drawn per sample. If above 1, training uses the one with the largest loss of
            the current model (adversarial augmentation by random search over the parameters). Target and layers then
            have an additional first axis, and only :class:`Pack` may follow.

    Raises:
        ConfigError: ``candidates`` below 1.
    """

    def __init__(self, recipe: dict | str, source: str = 'gt', target: str = 'lq', candidates: Count = 1) -> None:
        if not isinstance(candidates, int) or candidates < 1:
            raise ConfigError(f'Degrade: candidates is {candidates!r}; it must be an integer, 1 or more')
        self.recipe = build_degradation(recipe)
        self.source = source
        self.target = target
        self.candidates = candidates
        self.gives = (target,)  # roles that this transform adds

    def transform(self, results: Results) -> Results:
        """Add the degraded picture and the layers.

        Raises:
            DataError: the source is missing, or the target exists already.
        """
        _roles(results, (self.source,))
        if self.target in results and self.target != self.source:
            raise DataError(
                f"Degrade would overwrite '{self.target}' of {results['name']}, which was read from a file; "
                'for a data set of clean pictures only, set lq=None'
            )
        drawn = [self.recipe(results[self.source], results['rng']) for _ in range(self.candidates)]
        rendered = drawn[0]
        if self.candidates > 1:
            shared = [key for key in rendered if all(key in each for each in drawn)]  # recipes may differ in layers
            rendered = {key: [each[key] for each in drawn] for key in shared}
            for key, value in rendered.items():
                if isinstance(value[0], np.ndarray):
                    rendered[key] = np.stack(value)
        results[self.target] = rendered.pop('lq')
        results.update(rendered)
        return results


@TRANSFORMS.register_module()
class CopyRole(BaseTransform):
    """Copy a role: ``lq`` equal to ``gt`` trains a network to reproduce its input.

    Args:
        source: existing role.
        target: role to add.
    """

    def __init__(self, source: str = 'gt', target: str = 'lq') -> None:
        self.source = source
        self.target = target
        self.gives = (target,)

    def transform(self, results: Results) -> Results:
        """Add the target role.

        Raises:
            DataError: the source is missing, or the target exists already.
        """
        _roles(results, (self.source,))
        if self.target in results:
            raise DataError(f"CopyRole would overwrite '{self.target}' of {results['name']}")
        results[self.target] = results[self.source]
        return results


@TRANSFORMS.register_module()
class Pack(BaseTransform):
    """Convert arrays to contiguous CHW tensors; uint8 stays uint8 (a quarter of the data to transfer), else float32.

    Args:
        roles: roles to pack; None means all roles of the sample.
        keep: further keys of the sample to store in the metainfo, e.g. ('parameters',).
    """

    def __init__(self, roles: Names | None = None, keep: Sequence[str] = ()) -> None:
        self.roles = roles
        self.keep = tuple(keep)

    def transform(self, results: Results) -> Results:
        """Return ``inputs`` (role -> tensor) and ``data_samples`` (name, index, paths, bad and the keys of ``keep``).

        Raises:
            DataError: a role or key is missing.
        """
        inputs = {role: _to_tensor(results[role]) for role in _roles(results, self.roles)}
        missing = [key for key in self.keep if key not in results]
        if missing:
            raise DataError(f"Pack is to keep '{missing[0]}', not in the sample; {nearest(missing[0], [*results])}")
        known = {key: results[key] for key in ('name', 'index', 'paths', 'bad', *self.keep)}
        return {'inputs': inputs, 'data_samples': RestorationSample(metainfo=known)}


def _roles(results: Results, wanted: Sequence[str] | None) -> list[str]:
    """Return the wanted roles, or every array of the sample."""
    present = [key for key, value in results.items() if isinstance(value, np.ndarray)]
    for role in wanted or ():
        if role not in present:
            raise DataError(f"sample {results.get('name')} has no role '{role}'; it has {', '.join(present) or 'none'}")
    return present if wanted is None else list(wanted)


def _common_size(results: Results, roles: list[str]) -> tuple[int, int]:
    """Return the common height and width of the roles."""
    first = roles[0]
    size = results[first].shape[:2]
    for role in roles[1:]:
        if results[role].shape[:2] != size:
            sizes = [
                '{} {} is {}x{}'.format(r, results.get('paths', {}).get(r, '(rendered)'), *results[r].shape[1::-1])
                for r in (first, role)
            ]
            raise DataError(f'pictures of one scene differ in size (width x height): {", ".join(sizes)}')
    return size


def _as_size(size: int | Sequence[int], name: str) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or not all(isinstance(n, int) and n > 0 for n in pair):
        raise ConfigError(f'{name}: size is a number of pixels or (height, width), 1 or more; it is {size!r}')
    return pair[0], pair[1]


def _pad_to(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Pad at the bottom and right by reflection, repeated for small pictures; works for 1x1."""
    down, right = max(0, height - picture.shape[0]), max(0, width - picture.shape[1])
    if not down and not right:
        return picture
    return np.pad(picture, ((0, down), (0, right)) + ((0, 0),) * (picture.ndim - 2), mode='reflect')


def _to_tensor(picture: np.ndarray) -> torch.Tensor:
    """Convert HW or HWC to CHW and KHWC to KCHW; copied, since it may be a view of a larger or a read-only array."""

    planes = picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, -3)
    return torch.from_numpy(np.array(planes, dtype=None if picture.dtype == np.uint8 else np.float32, order='C'))

"""Depth for pictures that have none: a made-up field, one that follows the picture's edges, or a network's estimate.

Depth is relative here: float32 in (0, 1], 1 is the farthest that the picture shows. From a disparity D in [0, 1] (1 is
nearest) it is d = 1 / (D + 0.1), divided by its maximum, as in the renderer of Li, Cheong and Tan (CVPR 2019).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from restorebox.degradations.base import as_range, draw_seed
from restorebox.errors import ConfigError, WeightsError
from restorebox.pixels import to_uint8

GRID = (48, 64)  # rows and columns on which the field is made up; its features are larger than a cell
HORIZONS = ((0.25, 0.5), (0.02, 0.55))
PARTS = 14  # of a picture, each at a distance of its own
FAR = 0.1  # disparity that is added to all, so that the sky has a finite depth


class DepthSource:
    """Where a renderer takes the depth from, with the record that makes it the same again.

    Args:
        source: 'field' for a made-up one, 'edges' for a made-up one whose edges are the picture's, or a folder with a
            depth network in the form of the package ``transformers`` (config.json, preprocessor_config.json,
            model.safetensors).
        horizon: range of the height of the field's horizon, as a share of the picture's height from the top; None for
            (0.25, 0.5), and (0.02, 0.55) with edges, which suits rooms and views from above as well.
        roughness: range of the smooth variation, as a standard deviation in units of disparity.
    """

    def __init__(
        self,
        source: str = 'field',
        horizon: tuple[float, float] | None = None,
        roughness: tuple[float, float] = (0.03, 0.1),
    ) -> None:
        if not isinstance(source, str) or not source:
            raise ConfigError(f"depth is 'field', 'edges' or the folder of a depth network; it is {source!r}")
        self.source = source
        self.horizon = as_range(horizon or HORIZONS[source == 'edges'], 'depth: horizon', 0, 0.9)
        self.roughness = as_range(roughness, 'depth: roughness', 0, 1)

    def sample(self, rng: np.random.Generator) -> dict[str, Any]:
        """A field's numbers and seed; of a network only where it lies. The same number of draws for all."""
        field = {'horizon': float(rng.uniform(*self.horizon)), 'roughness': float(rng.uniform(*self.roughness))}
        seed = draw_seed(rng)
        made_up = self.source in ('field', 'edges')
        return {'source': self.source, **field, 'seed': seed} if made_up else {'source': self.source}

    @staticmethod
    def render(scene: np.ndarray, record: dict[str, Any], given: np.ndarray | None = None) -> np.ndarray:
        """Depth of a scene (HWC float32 in [0, 1]) -> HxWx1 float32 in (0, 1].

        Args:
            scene: the clear picture.
            record: as :meth:`sample` gives it.
            given: a measured depth, which is taken instead.

        Raises:
            ConfigError: the given depth has another size, or holds values outside of [0, 1].
        """
        if given is not None:
            return _checked(given, scene.shape[:2])
        if record['source'] == 'field':
            return depth_field(scene.shape[:2], record)[..., None]
        if record['source'] == 'edges':
            return depth_by_edges(scene, record)[..., None]
        return from_disparity(estimate_disparity(scene, record['source']))[..., None]


def from_disparity(disparity: np.ndarray) -> np.ndarray:
    """d = 1 / (D + 0.1), divided by its maximum; D is HW in [0, 1], 1 is nearest -> HW float32 in (0, 1]."""
    depth = 1 / (np.clip(disparity, 0, 1) + np.float32(FAR))
    return (depth / depth.max()).astype(np.float32)


def depth_field(size: tuple[int, int], record: dict[str, Any]) -> np.ndarray:
    """A made-up outdoor scene: ground up to a horizon, something that stands there, and smooth variation.

    Seen by a level camera, the ground's disparity grows in proportion to the distance below the horizon.

    Args:
        size: (height, width) in pixels; the same record gives the same scene in any size.
        record: 'horizon' and 'roughness' as in :class:`DepthSource`, 'seed'.

    Returns:
        HW float32 in (0, 1].
    """
    disparity = _outdoors(record, np.random.default_rng(record['seed']))
    enlarged = cv2.resize(disparity, size[::-1], interpolation=cv2.INTER_CUBIC)
    return from_disparity(enlarged.reshape(size))


def _outdoors(record: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """The disparity of :func:`depth_field` on the grid, float32."""
    below = (np.linspace(0, 1, GRID[0], dtype=np.float32)[:, None] - record['horizon']) / (1 - record['horizon'])
    disparity = np.maximum(below, 0)
    # What stands there is nearer than the horizon behind it, the less the higher up; it comes and goes smoothly, since
    # an edge would betray itself wherever the picture has none.
    height = np.clip(1 + np.minimum(below, 0) * (1 - record['horizon']) / record['horizon'], 0, 1)
    things = 0.3 * _smooth(rng, (3, 5)) * height
    disparity = disparity + things * np.exp(-np.maximum(below, 0) * 4)
    disparity += np.float32(record['roughness']) * (2 * _smooth(rng, (6, 8)) - 1) * np.clip(disparity * 3, 0.1, 1)
    return disparity.astype(np.float32)


def depth_by_edges(scene: np.ndarray, record: dict[str, Any]) -> np.ndarray:
    """A made-up depth whose edges are those of the picture: haze ends where a thing ends.

    Parts of the picture of like place and colour have a distance of their own in front of the scene of
    :func:`depth_field`, and what looks like sky has none. A guided filter (He, Sun and Tang, TPAMI 2013) fits that to
    the picture.

    Args:
        scene: HWC float32 in [0, 1].
        record: as in :func:`depth_field`.

    Returns:
        HW float32 in (0, 1].
    """
    rng, (height, width) = np.random.default_rng(record['seed']), scene.shape[:2]
    ground = _outdoors(record, rng)
    small = cv2.resize(scene, GRID[::-1], interpolation=cv2.INTER_AREA)
    y, x = np.meshgrid(*(np.linspace(0, 1, side, dtype=np.float32) for side in GRID), indexing='ij')
    features = np.stack((y, x, *(2 * small[..., c] for c in range(3))), -1)
    centres = features.reshape(-1, 5)[rng.integers(0, y.size, PARTS)]
    part = ((features[..., None, :] - centres) ** 2).sum(-1).argmin(-1)
    offsets = rng.uniform(0.02, 0.35, PARTS).astype(np.float32)
    below = np.clip((y - record['horizon']) / (1 - record['horizon']), 0, 1)
    disparity = np.clip(ground + offsets[part] * (1 - 0.6 * below), 0, 1)
    # sky: bright, smooth and high up
    grey = small.mean(-1)
    rough = cv2.GaussianBlur((grey - cv2.GaussianBlur(grey, (0, 0), 1.5)) ** 2, (0, 0), 1.5) ** 0.5
    bright = np.clip((small[..., 2] - 0.45) * 4, 0, 1) * np.clip(1 - rough * 25, 0, 1)
    disparity = disparity * (1 - bright * np.clip(1.3 - y / max(record['horizon'] + 0.2, 0.3), 0, 1))
    slope, offset = _guided(small.mean(-1), disparity.astype(np.float32))
    full = scene.mean(-1)
    slope, offset = (cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR) for part in (slope, offset))
    fitted = slope.reshape(height, width) * full + offset.reshape(height, width)
    return from_disparity(fitted.astype(np.float32))


def _guided(guide: np.ndarray, plane: np.ndarray, reach: int = 4, eps: float = 3e-3) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset of the guided filter, HW each: slope * guide + offset is the filtered plane."""

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (2 * reach + 1, 2 * reach + 1))

    centre, level = mean(guide), mean(plane)
    slope = (mean(guide * plane) - centre * level) / (mean(guide * guide) - centre**2 + eps)
    return mean(slope), mean(level - slope * centre)


def _smooth(rng: np.random.Generator, knots: tuple[int, int]) -> np.ndarray:
    """A smooth random field on the grid, through (rows, columns) of random knots; float32 in [0, 1]."""
    field = cv2.resize(rng.random(knots, dtype=np.float32), GRID[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(field, 0, 1)


def _checked(given: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    depth = np.asarray(given, np.float32)
    if depth.shape not in (size, (*size, 1)):
        raise ConfigError(f'the depth is {"x".join(map(str, depth.shape))}, the picture {size[0]}x{size[1]}')
    if not (depth.min() >= 0 and depth.max() <= 1):  # also refuses NaN
        raise ConfigError(f'depth is relative, within [0, 1]; this one is within [{depth.min():g}, {depth.max():g}]')
    return depth.reshape(*size, 1)


@lru_cache(maxsize=1)  # a network is large, and a data set uses one
def _load_network(folder: str) -> tuple[Any, Any]:
    """The picture processor and the network of a folder; nothing is fetched, no pickle is read."""
    if not Path(folder).is_dir() or not any(Path(folder).glob('*.safetensors')):
        raise WeightsError(f'{folder} is no folder with a depth network: config.json and *.safetensors are looked for')
    try:
        from transformers import AutoImageProcessor, AutoModelForDepthEstimation
    except ImportError as error:
        raise ConfigError(
            f"the depth network {folder} needs the package transformers: pip install 'restorebox[optional]'"
        ) from error
    processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    network = AutoModelForDepthEstimation.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    return processor, network.eval()


def estimate_disparity(scene: np.ndarray, folder: str) -> np.ndarray:
    """A depth network's disparity of a scene, scaled to [0, 1].

    The same on one machine; between machines it may differ in the last bits, as networks do.

    Args:
        scene: HWC float32 in [0, 1].
        folder: of the network, see :class:`DepthSource`.

    Returns:
        HW float32 in [0, 1], 1 is nearest.

    Raises:
        WeightsError: the folder has no safetensors.
        ConfigError: the package transformers is not installed.
    """
    import torch  # here, because rendering needs it for nothing else

    processor, network = _load_network(folder)
    inputs = processor(images=to_uint8(scene), return_tensors='pt')
    with torch.inference_mode():
        predicted = network(**inputs).predicted_depth
    plane = predicted.reshape(predicted.shape[-2:]).float().numpy()
    if getattr(network.config, 'depth_estimation_type', 'relative') == 'metric':
        plane = 1 / np.maximum(plane, 1e-3)  # such networks give metres, the others disparity
    spread = float(plane.max() - plane.min())
    scaled = (plane - plane.min()) / (spread if spread > 0 else 1)
    return cv2.resize(scaled.astype(np.float32), scene.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(
        scene.shape[:2]
    )

"""Depth for pictures without depth data: a synthetic field, an edge-aligned synthetic field, or a network's estimate.

Depth is relative: float32 in (0, 1], 1 is the farthest point of the picture. It is computed from a disparity D in
[0, 1] (1 is nearest) as d = 1 / (D + 0.1), divided by its maximum, as in Li, Cheong and Tan (CVPR 2019).
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

GRID = (48, 64)  # rows and columns of the grid on which fields are generated; their features are larger than a cell
HORIZONS = ((0.25, 0.5), (0.02, 0.55))  # default range for 'field', for 'edges'
PARTS = 14  # number of segments with separate disparity offsets in depth_by_edges
FAR = 0.1  # added to the disparity, so that the sky has a finite depth


class DepthSource:
    """Source of a renderer's depth, with a record from which the depth can be reproduced.

    Args:
        source: 'field' for a synthetic depth, 'edges' for a synthetic depth aligned to the picture's edges, or the
            folder of a depth network in the format of the package ``transformers`` (config.json,
            preprocessor_config.json, model.safetensors).
        horizon: range of the horizon's position, as a fraction of the picture's height from the top. None is
            (0.25, 0.5) for 'field' and (0.02, 0.55) for 'edges', which also suits indoor scenes and views from above.
        roughness: range of the amplitude of the smooth variation, in units of disparity.
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
        """Draw the record: 'source' and, for a synthetic depth, 'horizon', 'roughness' and 'seed'.

        The number of draws is the same for all sources, so that later draws do not depend on the source.
        """
        field = {'horizon': float(rng.uniform(*self.horizon)), 'roughness': float(rng.uniform(*self.roughness))}
        seed = draw_seed(rng)
        synthetic = self.source in ('field', 'edges')
        return {'source': self.source, **field, 'seed': seed} if synthetic else {'source': self.source}

    @staticmethod
    def render(scene: np.ndarray, record: dict[str, Any], given: np.ndarray | None = None) -> np.ndarray:
        """Return the depth of a scene, HxWx1 float32 in (0, 1].

        Args:
            scene: the clean picture, HWC float32 in [0, 1].
            record: as :meth:`sample` returns it.
            given: measured depth, HxW or HxWx1 in [0, 1], that replaces the recorded one.

        Raises:
            ConfigError: the given depth has another size, or values outside [0, 1].
        """
        if given is not None:
            return _checked(given, scene.shape[:2])
        if record['source'] == 'field':
            return depth_field(scene.shape[:2], record)[..., None]
        if record['source'] == 'edges':
            return depth_by_edges(scene, record)[..., None]
        return from_disparity(estimate_disparity(scene, record['source']))[..., None]


def from_disparity(disparity: np.ndarray) -> np.ndarray:
    """Return d = 1 / (D + 0.1), divided by its maximum, HW float32 in (0, 1]; D is HW in [0, 1], 1 is nearest."""
    depth = 1 / (np.clip(disparity, 0, 1) + np.float32(FAR))
    return (depth / depth.max()).astype(np.float32)


def depth_field(size: tuple[int, int], record: dict[str, Any]) -> np.ndarray:
    """Return the depth of a synthetic outdoor scene: ground up to a horizon, objects on it, and smooth variation.

    For a level camera, the ground's disparity is proportional to the distance below the horizon.

    Args:
        size: (height, width) in pixels; the same record gives the same scene at any size.
        record: dict with 'horizon' and 'roughness' as in :class:`DepthSource`, and 'seed'.

    Returns:
        HW float32 in (0, 1].
    """
    disparity = _outdoors(record, np.random.default_rng(record['seed']))
    enlarged = cv2.resize(disparity, size[::-1], interpolation=cv2.INTER_CUBIC)
    return from_disparity(enlarged.reshape(size))


def _outdoors(record: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Return the disparity of :func:`depth_field` on the grid, float32."""
    below = (np.linspace(0, 1, GRID[0], dtype=np.float32)[:, None] - record['horizon']) / (1 - record['horizon'])
    disparity = np.maximum(below, 0)
    # Objects are nearer than the horizon behind them; the difference decreases with height. They vary smoothly, since
    # a depth edge would be visible where the picture has none.
    height = np.clip(1 + np.minimum(below, 0) * (1 - record['horizon']) / record['horizon'], 0, 1)
    objects = 0.3 * _smooth(rng, (3, 5)) * height
    disparity = disparity + objects * np.exp(-np.maximum(below, 0) * 4)
    disparity += np.float32(record['roughness']) * (2 * _smooth(rng, (6, 8)) - 1) * np.clip(disparity * 3, 0.1, 1)
    return disparity.astype(np.float32)


def depth_by_edges(scene: np.ndarray, record: dict[str, Any]) -> np.ndarray:
    """Return a synthetic depth whose edges follow those of the picture.

    Segments of similar position and colour get a random disparity offset on top of :func:`depth_field`'s scene; regions
    that look like sky get disparity 0. A guided filter (He, Sun and Tang, TPAMI 2013) aligns the result to the picture.

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
    # sky: bright, smooth and near the upper edge
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
    """Return slope and offset of the guided filter, HW each: slope * guide + offset is the filtered plane."""

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, (2 * reach + 1, 2 * reach + 1))

    centre, level = mean(guide), mean(plane)
    slope = (mean(guide * plane) - centre * level) / (mean(guide * guide) - centre**2 + eps)
    return mean(slope), mean(level - slope * centre)


def _smooth(rng: np.random.Generator, knots: tuple[int, int]) -> np.ndarray:
    """Return a smooth random field on the grid from (rows, columns) of random knots, float32 in [0, 1]."""
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
    """Load the image processor and the network of a folder, without downloads and without reading pickles."""
    if not Path(folder).is_dir() or not any(Path(folder).glob('*.safetensors')):
        raise WeightsError(f'{folder} is no folder with a depth network: it needs config.json and *.safetensors')
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
    """Estimate the disparity of a scene with a depth network and scale it to [0, 1].

    The result is deterministic on one machine; on another machine the last bits may differ.

    Args:
        scene: HWC float32 in [0, 1].
        folder: folder of the network, see :class:`DepthSource`.

    Returns:
        HW float32 in [0, 1], 1 is nearest.

    Raises:
        WeightsError: the folder contains no safetensors file.
        ConfigError: the package transformers is not installed.
    """
    import torch  # imported here, since rendering does not need it otherwise

    processor, network = _load_network(folder)
    inputs = processor(images=to_uint8(scene), return_tensors='pt')
    with torch.inference_mode():
        predicted = network(**inputs).predicted_depth
    plane = predicted.reshape(predicted.shape[-2:]).float().numpy()
    if getattr(network.config, 'depth_estimation_type', 'relative') == 'metric':
        plane = 1 / np.maximum(plane, 1e-3)  # metric networks predict metres, the others disparity
    spread = float(plane.max() - plane.min())
    scaled = (plane - plane.min()) / (spread if spread > 0 else 1)
    return cv2.resize(scaled.astype(np.float32), scene.shape[1::-1], interpolation=cv2.INTER_LINEAR).reshape(
        scene.shape[:2]
    )

"""Frechet Inception distance (FID; Heusel et al. 2017, https://arxiv.org/abs/1706.08500), based on ``pytorch-fid``."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.logging import print_log
from scipy.linalg import LinAlgWarning
from torch import Tensor, nn
from torch.nn import functional as F

from restorebox.encoders.frozen import INCEPTION_FILE, LazyFrozen, load_state, randomise, weights_file
from restorebox.errors import ConfigError, DataError, PictureError, WeightsError
from restorebox.metrics.base import (
    NO_INPUT,
    RestorationMetric,
    is_finite,
    picture_pairs,
    sample_index,
    saved_tensor,
    why_undefined,
)
from restorebox.pixels import to_tensor
from restorebox.registry import METRICS, nearest
from restorebox.values import Count

DIMS = {64: 0, 192: 1, 768: 2, 2048: 3}
"""Feature dimension -> block index of pytorch-fid."""

SIDE = 299
"""Input side of Inception in pixels; pictures are resized bilinearly without keeping the aspect ratio."""

PICTURE_ENDINGS = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


def inception_network(weights: str = 'pretrained', dims: int = 2048) -> nn.Module:
    """Build pytorch-fid's InceptionV3 up to the block with ``dims`` features.

    Args:
        weights: ``'pretrained'`` (see :func:`restorebox.encoders.frozen.weights_file`), ``'random'`` (for tests) or the
            path of a state dict.
        dims: 64, 192, 768 or 2048 (as in the paper).

    Returns:
        A module that maps RGB ``(N, 3, 299, 299)`` in [0, 1] to a list with one tensor ``(N, dims, h, w)``.

    Raises:
        WeightsError: the file is missing or does not match the network.
    """
    path = None
    if weights != 'random':
        path = weights_file(INCEPTION_FILE) if weights == 'pretrained' else Path(weights)
        state = load_state(path)
    from pytorch_fid import inception

    made: list[nn.Module] = []
    make = inception._inception_v3

    def keep(*args: object, **named: object) -> nn.Module:
        made.append(make(*args, **named))
        return made[0]

    def load(url: str, progress: bool = True) -> dict[str, Tensor]:
        return randomise(made[0]).state_dict() if path is None else state

    # The library would download and unpickle the weights itself; patch it to use our file.
    with (
        mock.patch.object(inception, '_inception_v3', keep),
        mock.patch.object(inception, 'load_state_dict_from_url', load),
    ):
        try:
            return inception.InceptionV3([DIMS[dims]])
        except RuntimeError as error:
            raise WeightsError(f"{path} does not hold the weights of pytorch-fid's InceptionV3") from error


@METRICS.register_module()
class FID(RestorationMetric):
    """FID between the set of predictions and a set of clean pictures.

    ::

        pred ------> Inception --> mean, covariance --+
                                                      +-> |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))
        clean set -> Inception --> mean, covariance --+

    ``input/fid`` is the FID of the degraded inputs. Pictures are first quantised to 8 bits. If the weights file is
    missing, one warning is logged and the score is skipped.

    Args:
        weights: see :func:`inception_network`.
        dims: feature dimension: 64, 192, 768 or 2048 (as in the paper; others are not comparable with it).
        batch_size: number of pictures per forward pass.
        reference: folder of clean pictures, for unpaired sets; None uses the ``gt`` of each picture.
        do_nothing: also compute ``input/fid`` if every picture has an ``lq`` (of the size of ``gt``, if available).

    Raises:
        ConfigError: ``dims`` is not one of these values.
        DataError: ``reference`` contains no pictures.
    """

    def __init__(
        self,
        weights: str = 'pretrained',
        dims: int = 2048,
        batch_size: Count = 8,
        reference: str | None = None,
        do_nothing: bool = True,
    ) -> None:
        super().__init__()
        if dims not in DIMS:
            raise ConfigError(f'FID: dims is {dims}; {nearest(str(dims), [str(size) for size in DIMS])}')
        self.dims = dims
        self.batch_size = batch_size
        self.do_nothing = do_nothing
        self.reference = None if reference is None else _pictures_of(Path(reference))
        self._reference_features: np.ndarray | None = None
        self._network = LazyFrozen(partial(inception_network, weights, dims))

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Compute the Inception features of a batch.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred``, optionally ``gt`` and ``lq`` (CHW RGB in [0, 1]), ``name``, ``index``.

        Raises:
            DataError: a picture without ``index``, or without ``gt`` if there is no ``reference``.
        """
        rows: list[dict] = []
        keys: list[tuple[dict, str]] = []
        pictures: list[Tensor] = []
        for sample in data_samples:
            row: dict[str, Any] = {
                'index': sample_index(sample),
                'name': sample['name'],
                'why': {'input/fid': NO_INPUT},
            }
            rows.append(row)
            if self.reference is not None:
                found = {'': sample['pred']}
                if self.do_nothing and sample.get('lq') is not None:
                    found['input/'] = sample['lq']
            elif sample.get('gt') is None:
                raise DataError(f"picture '{sample['name']}' has no gt; give FID a reference folder of clean pictures")
            else:
                found = {**picture_pairs(sample, self.do_nothing), 'clean': sample['gt']}
            for role, picture in found.items():
                row[role] = None
                if is_finite(picture) and is_finite(found.get('clean', picture)):
                    keys.append((row, role))
                    pictures.append(picture)
                else:
                    row['why'][f'{role}fid'] = why_undefined(role, picture, found.get('clean'))
        self.results += rows
        if not pictures or self.is_absent('fid'):
            return
        try:
            for (row, role), vector in zip(keys, self._activations(pictures), strict=True):
                row[role] = vector
        except WeightsError as error:
            self.mark_absent('fid', error)

    @torch.no_grad()
    def _activations(self, pictures: Sequence[Tensor]) -> np.ndarray:
        """Map CHW pictures of any sizes to features ``(len, dims)``, float32."""
        found = []
        for start in range(0, len(pictures), self.batch_size):
            batch = [
                # the same resize as in the library, which leaves pictures of this size unchanged
                F.interpolate(saved_tensor(picture)[None], size=(SIDE, SIDE), mode='bilinear', align_corners=False)
                for picture in pictures[start : start + self.batch_size]
            ]
            features = self._network(torch.cat(batch))[0]
            found.append(F.adaptive_avg_pool2d(features, 1).flatten(1).cpu().numpy())
        return np.concatenate(found)

    def evaluate(self, size: int) -> dict[str, float]:
        """See :meth:`RestorationMetric.evaluate`; the features of ``reference`` are computed at the first call."""
        if self.reference is not None and self._reference_features is None:
            rank, ranks = get_dist_info()
            share = self.reference[rank::ranks]
            features = np.zeros((0, self.dims), np.float32)
            if not self.is_absent('fid'):
                try:
                    features = np.concatenate([features, *(self._activations([_read(path)]) for path in share)])
                except WeightsError as error:
                    self.mark_absent('fid', error)
            self._reference_features = np.concatenate(all_gather_object(features))
        return super().evaluate(size)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the distances over the set.

        Args:
            results: features by role, sorted by index.
        """
        self.table = []
        if self.is_absent('fid'):
            return {}
        reference = self._reference_features
        clean = [row['clean'] for row in results] if reference is None else list(reference)
        fewest = min(len(results), len(clean))
        if fewest < 2:
            self.mark_absent_in_set('fid', f'it needs at least 2 pictures, there is {fewest}')
            return {}
        if fewest < self.dims:
            line = f'fid of {fewest} pictures with {self.dims} features is biased: compare sets of equal size only'
            print_log(line, 'current', logging.WARNING)
        metrics = {}
        for prefix in ('', 'input/'):
            name = f'{prefix}fid'
            bad = [row for row in results if row.get(prefix) is None]
            if not any(prefix in row for row in results):
                continue
            if bad:
                metrics[name] = math.nan
                self.mark_undefined(name, bad, results)
            else:
                try:
                    metrics[name] = frechet_distance(np.stack([row[prefix] for row in results]), np.stack(clean))
                except ValueError as error:
                    self.mark_absent_in_set(name, f'the matrix square root of the covariances is not real: {error}')
        return metrics


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Compute pytorch-fid's distance between two sets of features, each ``(count, dims)`` with count >= 2.

    Raises:
        ValueError: the matrix square root is not real.
    """
    from pytorch_fid.fid_score import calculate_frechet_distance

    a, b = a.astype(np.float64), b.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # from its call of scipy's sqrtm
        warnings.simplefilter('ignore', LinAlgWarning)  # singular covariance of few pictures, which FID warns about
        return float(calculate_frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)))


def _pictures_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob('*') if path.suffix.lower() in PICTURE_ENDINGS)
    if not found:
        raise DataError(f'FID: reference {folder} is no folder with pictures ({", ".join(PICTURE_ENDINGS)})')
    return found


def _read(path: Path) -> Tensor:
    """Read a picture as ``(3, H, W)`` RGB in [0, 1]."""
    data = np.frombuffer(path.read_bytes(), np.uint8)  # OpenCV can't open paths that are not UTF-8
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise PictureError(f"{path} can't be read as a picture")
    return to_tensor(bgr[..., ::-1])[0]

"""Frechet Inception distance (Heusel et al. 2017, https://arxiv.org/abs/1706.08500), computed by ``pytorch-fid``."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
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
"""Size of the activations -> pytorch-fid's block."""

SIDE = 299
"""Inception's input side in pixels; pictures are resized to it bilinearly, whatever their aspect."""

PICTURE_ENDINGS = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


def inception_network(weights: str = 'pretrained', dims: int = 2048) -> nn.Module:
    """pytorch-fid's InceptionV3 up to the block that gives ``dims`` features.

    Args:
        weights: ``'pretrained'`` (see :func:`restorebox.encoders.frozen.weights_file`), ``'random'`` (tests) or the
            path of a state dict.
        dims: 64, 192, 768 or 2048 (the paper's).

    Returns:
        A module called with RGB ``(N, 3, 299, 299)`` in [0, 1]; gives a list of one ``(N, dims, h, w)``.

    Raises:
        WeightsError: the file is absent or does not fit.
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

    # The library downloads and unpickles on its own; it gets our file instead.
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
    """Distance between the sets of restored and of clean pictures.

    ::

        pred ------> Inception --> mean, covariance --+
                                                      +-> |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))
        clean set -> Inception --> mean, covariance --+

    ``input/fid`` is the same for the degraded inputs. Pictures are read as they would be saved, in 8 bit. An absent
    weights file costs one warning; the run goes on without the score.

    Args:
        weights: see :func:`inception_network`.
        dims: size of the activations: 64, 192, 768 or 2048 (the paper's; others are not comparable with it).
        batch_size: pictures that go through the network at once.
        reference: folder of clean pictures, for sets without partners; None takes each picture's ``gt``.
        do_nothing: also give ``input/fid``, where every picture has an ``lq`` (of the size of ``gt``, if there is one).

    Raises:
        ConfigError: ``dims`` is not offered.
        DataError: ``reference`` holds no pictures.
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
        """Take a batch's activations.

        Args:
            data_batch: not used.
            data_samples: dicts with ``pred`` and maybe ``gt`` and ``lq`` (CHW RGB in [0, 1]), ``name``, ``index``.

        Raises:
            DataError: a picture without ``index``; or without ``gt`` when there is no ``reference``.
        """
        rows, keys, pictures = [], [], []
        for sample in data_samples:
            row = {'index': sample_index(sample), 'name': sample['name'], 'why': {'input/fid': NO_INPUT}}
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
        """CHW pictures of any sizes -> ``(len, dims)`` float32."""
        found = []
        for start in range(0, len(pictures), self.batch_size):
            batch = [
                # the library's own resize: a second one to the same size changes nothing
                F.interpolate(saved_tensor(picture)[None], size=(SIDE, SIDE), mode='bilinear', align_corners=False)
                for picture in pictures[start : start + self.batch_size]
            ]
            features = self._network(torch.cat(batch))[0]
            found.append(F.adaptive_avg_pool2d(features, 1).flatten(1).cpu().numpy())
        return np.concatenate(found)

    def evaluate(self, size: int) -> dict[str, float]:
        """See :meth:`RestorationMetric.evaluate`; with a ``reference``, its activations are taken first, once."""
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
        """The distances over the set.

        Args:
            results: activations by role, in the set's order.
        """
        self.table = []
        if self.is_absent('fid'):
            return {}
        clean = self._reference_features
        if clean is None:
            clean = [row['clean'] for row in results]
        fewest = min(len(results), len(clean))
        if fewest < 2:
            self.give_up('fid', f'it needs at least 2 pictures, there is {fewest}')
            return {}
        if fewest < self.dims:
            line = (
                f'fid of {fewest} pictures with {self.dims} features is biased and inexact: compare equal counts only'
            )
            print_log(line, 'current', logging.WARNING)
        metrics = {}
        for prefix in ('', 'input/'):
            name = f'{prefix}fid'
            bad = [row for row in results if row.get(prefix) is None]
            if not any(prefix in row for row in results):  # the set has no such row
                continue
            if bad:
                metrics[name] = math.nan
                self.mark_undefined(name, bad, results)
            else:
                try:
                    metrics[name] = frechet_distance(np.stack([row[prefix] for row in results]), np.stack(clean))
                except ValueError as error:  # the library's word for a matrix root that is not real
                    self.give_up(name, f'the covariances have no real root: {error}')
        return metrics


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """pytorch-fid's distance of two sets of activations, each ``(count, dims)`` with count >= 2.

    Raises:
        ValueError: the matrix root is not real.
    """
    from pytorch_fid.fid_score import calculate_frechet_distance

    a, b = a.astype(np.float64), b.astype(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', DeprecationWarning)  # its call of scipy's sqrtm
        warnings.simplefilter('ignore', LinAlgWarning)  # singular with fewer pictures than features: FID says so itself
        return float(calculate_frechet_distance(a.mean(0), np.cov(a, rowvar=False), b.mean(0), np.cov(b, rowvar=False)))


def _pictures_of(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob('*') if path.suffix.lower() in PICTURE_ENDINGS)
    if not found:
        raise DataError(f'FID: reference {folder} is no folder with pictures ({", ".join(PICTURE_ENDINGS)})')
    return found


def _read(path: Path) -> Tensor:
    """``(3, H, W)`` RGB in [0, 1]."""
    data = np.frombuffer(path.read_bytes(), np.uint8)  # OpenCV opens no name that is not UTF-8
    bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if bgr is None:
        raise PictureError(f"{path} can't be read as a picture")
    return to_tensor(bgr[..., ::-1])[0]

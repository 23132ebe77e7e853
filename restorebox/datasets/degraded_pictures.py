"""Data set of degraded pictures without clean ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from restorebox.datasets import pairing as pairings
from restorebox.datasets.base import BasePictures
from restorebox.registry import DATASETS
from restorebox.values import Fraction, Samples, Whole


@DATASETS.register_module()
class DegradedPictures(BasePictures):
    """Degraded pictures ``lq`` without clean ones, to be restored and scored by scores that need no ground truth.

    Args:
        data_root: folder of the data set.
        split: sub-folder of ``data_root``, '' for none.
        lq: folder of the pictures within the split, '' for the split itself.
        pipeline: transforms or their configs.
        bad_picture: 'error' or 'skip', see :class:`~restorebox.datasets.base.BasePictures`.
        seed: seed of all random draws; set by a Runner.
        test_mode: don't replace unreadable pictures.
        lazy_init: don't read the list of files before it is needed.
        limit: keep the first N records.
        names: text file with the names of the records to keep, see :class:`~restorebox.datasets.base.BasePictures`.
        fraction: keep this fraction of the records, the same ones each time.

    Raises:
        DataError: the folder is missing or has no pictures.
    """

    def __init__(
        self,
        data_root: str | Path,
        split: str = 'test',
        lq: str = 'lq',
        pipeline: Sequence[dict | Callable] = (),
        bad_picture: str = 'error',
        seed: Whole = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
        limit: Samples | None = None,
        names: str | Path | None = None,
        fraction: Fraction | None = None,
    ) -> None:
        self.roles: tuple[str, ...] = ('lq',)
        self.folders = {'lq': lq}
        super().__init__(data_root, split, pipeline, bad_picture, seed, test_mode, lazy_init, limit, names, fraction)

    def load_data_list(self) -> list[dict]:
        """List one record per picture."""
        return pairings.single(Path(self.data_prefix['lq']), 'lq', self.split)

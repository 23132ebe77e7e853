"""Data sets of picture files: paired, clean only, or unpaired."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from restorebox.datasets import pairing as pairings
from restorebox.datasets.base import BasePictures
from restorebox.errors import ConfigError, DataError
from restorebox.registry import DATASETS, nearest
from restorebox.values import Fraction, Samples, Whole

PAIRINGS = ('same_name', 'template', 'side_by_side', 'list_file')


@DATASETS.register_module()
class PairedPictures(BasePictures):
    """Pairs of degraded pictures ``lq`` and clean pictures ``gt``; or clean pictures only, to be degraded.

    All files, including list files, are in ``data_root/split``.

    Args:
        data_root: folder of the data set.
        split: sub-folder of ``data_root``, '' for none.
        lq: folder of the degraded pictures within the split, '' for the split itself. None: there are only clean
            pictures, and :class:`~restorebox.datasets.transforms.Degrade` in the pipeline renders ``lq``.
        gt: folder of the clean pictures.
        pairing: 'same_name' (equal except for the suffix), 'template' (needs ``template``), 'side_by_side' (both in one
            file of ``data_root/split``) or 'list_file' (needs ``list_file``). The last two ignore ``lq`` and ``gt``.
        template: patterns of the names without suffix, e.g. ``dict(lq='{name}_*_*', gt='{name}')``.
        order: roles of a side-by-side file, from left to right.
        list_file: text file with a degraded and a clean file per line, see
            :func:`~restorebox.datasets.pairing.from_list_file`.
        layers: roles of ground-truth layers, of ``'streak'``, ``'transmission'``, ``'airlight'``. Each has a folder of
            its name in the split, with a picture of the same name for each degraded one.
        real: any folder of real degraded pictures without clean counterparts. One of them is drawn for each sample as
            role ``real``.
        pipeline: transforms or their configs.
        bad_picture: 'error' or 'skip', see :class:`~restorebox.datasets.base.BasePictures`.
        seed: seed of all random draws; set by a Runner.
        test_mode: don't replace unreadable pictures.
        lazy_init: don't read the list of files before it is needed.
        limit: keep the first N records.
        names: text file with the names of the records to keep, see :class:`~restorebox.datasets.base.BasePictures`.
        fraction: keep this fraction of the records, the same ones each time.

    Raises:
        ConfigError: contradictory arguments.
        DataError: missing folders, or pictures without a counterpart.
    """

    def __init__(
        self,
        data_root: str | Path,
        split: str = 'train',
        lq: str | None = 'lq',
        gt: str = 'gt',
        pairing: str = 'same_name',
        template: dict[str, str] | None = None,
        order: Sequence[str] = ('lq', 'gt'),
        list_file: str | None = None,
        layers: Sequence[str] = (),
        real: str | Path | None = None,
        pipeline: Sequence[dict | Callable] = (),
        bad_picture: str = 'error',
        seed: Whole = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
        limit: Samples | None = None,
        names: str | Path | None = None,
        fraction: Fraction | None = None,
    ) -> None:
        if pairing not in PAIRINGS:
            raise ConfigError(f"PairedPictures has no pairing '{pairing}'; {nearest(str(pairing), PAIRINGS)}")
        if lq is None and pairing != 'same_name':
            raise ConfigError(f"lq=None means clean pictures only, which pairing='{pairing}' contradicts; leave it out")
        if gt is None:
            raise ConfigError('gt is the folder of clean pictures; without one use UnpairedPictures')
        if set(template or ()) != ({'lq', 'gt'} if pairing == 'template' else set()):
            raise ConfigError(
                "template=dict(lq='{name}_*', gt='{name}') goes with pairing='template' and with no other; "
                f'here pairing={pairing!r} and template={template}'
            )
        if list_file is None and pairing == 'list_file':
            raise ConfigError("pairing='list_file' needs the key 'list_file', a text file with two pictures per line")
        if list_file is not None and pairing != 'list_file':
            raise ConfigError(f"list_file goes with pairing='list_file'; here pairing='{pairing}'")
        if sorted(order) != ['gt', 'lq']:
            raise ConfigError(f"order is ('lq', 'gt') or ('gt', 'lq'), not {order!r}")
        if layers and lq is None:
            raise ConfigError('layers are those of degraded pictures; with lq=None, Degrade renders both')
        self.pairing = pairing
        self.template = template or {}
        self.order = (order[0], order[1])
        self.list_file = list_file or ''
        self.layers = tuple(layers)
        self.real = None if real is None else Path(real)
        self.roles: tuple[str, ...] = ('gt',) if lq is None else ('lq', 'gt', *self.layers)
        self.folders = {'gt': gt} if lq is None else {'lq': lq, 'gt': gt, **{layer: layer for layer in self.layers}}
        super().__init__(data_root, split, pipeline, bad_picture, seed, test_mode, lazy_init, limit, names, fraction)

    def load_data_list(self) -> list[dict]:
        """List the records, see :mod:`restorebox.datasets.pairing`."""
        records = self._pairs()
        for layer in self.layers:
            pairings.add_layer(records, layer, Path(self.data_prefix[layer]), self.split)
        if self.real is not None:
            self._real = [record['paths']['real'] for record in pairings.single(self.real, 'real', self.split)]
        return records

    def complete(self, results: dict[str, Any]) -> None:
        """Draw the picture of role ``real``."""
        if self.real is not None:
            results['paths']['real'] = self._real[int(results['rng'].integers(len(self._real)))]

    def _pairs(self) -> list[dict]:
        root = Path(self.data_root, self.split)
        folders = {role: Path(folder) for role, folder in self.data_prefix.items()}
        if 'lq' not in self.roles:
            return pairings.single(folders['gt'], 'gt', self.split)
        if self.pairing == 'template':
            return pairings.by_template(folders['lq'], folders['gt'], self.template, self.split)
        if self.pairing == 'side_by_side':
            return pairings.side_by_side(root, self.order, self.split)
        if self.pairing == 'list_file':
            return pairings.from_list_file(root / self.list_file, root, self.split)
        return pairings.same_name(folders['lq'], folders['gt'], self.split)


@DATASETS.register_module()
class UnpairedPictures(BasePictures):
    """Degraded pictures ``lq`` and unrelated clean pictures ``hq``, for unpaired training.

    The length is that of the larger folder. Record i has the degraded picture ``i % n_lq``; the clean one is drawn
    randomly for every sample, so that the order of the files does not pair the two.

    Args:
        data_root: folder of the data set.
        split: sub-folder of ``data_root``, '' for none.
        lq: folder of the degraded pictures within the split. None: there are only clean pictures. Every second one has
            the role ``scene``, from which :class:`~restorebox.datasets.transforms.Degrade` with ``source='scene'``
            renders ``lq``, and the others are ``hq``: no picture is in both domains.
        hq: folder of the clean pictures, different from ``lq``.
        pipeline: transforms or their configs.
        bad_picture: 'error' or 'skip', see :class:`~restorebox.datasets.base.BasePictures`.
        seed: seed of all random draws; set by a Runner.
        test_mode: don't replace unreadable pictures.
        lazy_init: don't read the list of files before it is needed.
        pairing: must be None; accepted for a clear error message.
        limit: keep the first N records.
        names: text file with the names of the degraded pictures to keep, see
            :class:`~restorebox.datasets.base.BasePictures`.
        fraction: keep this fraction of the records, the same ones each time.

    Raises:
        ConfigError: ``pairing`` is given, or both folders are the same.
        DataError: missing or empty folders, or a single picture, which can't be in both domains.
    """

    def __init__(
        self,
        data_root: str | Path,
        split: str = 'train',
        lq: str | None = 'lq',
        hq: str = 'hq',
        pipeline: Sequence[dict | Callable] = (),
        bad_picture: str = 'error',
        seed: Whole = 0,
        test_mode: bool = False,
        lazy_init: bool = False,
        pairing: None = None,
        limit: Samples | None = None,
        names: str | Path | None = None,
        fraction: Fraction | None = None,
    ) -> None:
        if pairing is not None:
            raise ConfigError(f'UnpairedPictures has no pairing ({pairing!r} given); use PairedPictures for pairs')
        if lq is not None and os.path.normpath(lq) == os.path.normpath(hq):
            self._refuse_same_folder(split, lq)
        self.roles: tuple[str, ...] = ('scene', 'hq') if lq is None else ('lq', 'hq')
        self.folders = {'hq': hq} if lq is None else {'lq': lq, 'hq': hq}
        super().__init__(data_root, split, pipeline, bad_picture, seed, test_mode, lazy_init, limit, names, fraction)

    def load_data_list(self) -> list[dict]:
        """List one record per picture of the larger folder; the smaller one is repeated."""
        hq = Path(self.data_prefix['hq'])
        clean = pairings.single(hq, 'hq', self.split)
        if self.roles[0] == 'scene':
            if len(clean) < 2:
                raise DataError(f"split '{self.split}': {hq} has one picture; unpaired training needs two or more")
            degraded = [{**record, 'paths': {'scene': record['paths']['hq']}} for record in clean[::2]]
            clean = clean[1::2]
        else:
            lq = Path(self.data_prefix['lq'])
            if lq.resolve() == hq.resolve():
                self._refuse_same_folder(self.split, lq)
            degraded = pairings.single(lq, 'lq', self.split)
        # Clean path j is stored in record j and looked up there when drawn: a separate list of strings would be copied
        # to every worker.
        self._n_hq = len(clean)
        records = []
        for i in range(max(len(degraded), len(clean))):
            record, partner = degraded[i % len(degraded)], clean[i % len(clean)]
            records.append({'name': record['name'], 'paths': {**record['paths'], **partner['paths']}})
        return records

    def complete(self, results: dict[str, Any]) -> None:
        """Draw the picture of role ``hq``."""
        drawn = int(results['rng'].integers(min(self._n_hq, len(self))))
        results['paths']['hq'] = self.get_data_info(drawn)['paths']['hq']

    @staticmethod
    def _refuse_same_folder(split: str, folder: str | Path) -> None:
        raise ConfigError(
            f"split '{split}': lq and hq are the same folder {folder}; hq must be other, clean pictures "
            '(for pairs use PairedPictures, for clean pictures only use lq=None and Degrade)'
        )

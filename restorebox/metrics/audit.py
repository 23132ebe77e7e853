"""Scores of a folder of results in all variants, and which of them agree with published numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from restorebox.datasets.reading import list_pictures, read_picture
from restorebox.errors import DataError, PictureError
from restorebox.metrics.no_reference import NO_REFERENCE, why_without_number
from restorebox.metrics.protocols import CAP
from restorebox.metrics.published import Claim
from restorebox.metrics.variants import CROPS, Variant, measure, psnr_of_mse, variants
from restorebox.pixels import to_float

USUAL = (Variant('psnr', 'rgb'), Variant('psnr', 'y'), Variant('ssim', 'rgb'), Variant('ssim', 'y'))
"""Variants whose settings are changed one at a time to show effects."""


@dataclass
class Audit:
    """Scores of a folder.

    Attributes:
        protocols: the variants that were computed; empty without ground truth.
        per_picture: a dict per picture: ``name``, then the scores.
        mean: name of a score -> mean over the pictures, nan if a picture has none.
        undefined: name of a score without mean -> reason.
        missing: clean pictures without a result.
        surplus: results without a clean picture, which are not scored.
        refused: pair that can't be scored -> reason.
        identical: pictures equal to their clean picture, which score 100 dB.
    """

    protocols: list[Variant] = field(default_factory=list)
    per_picture: list[dict] = field(default_factory=list)
    mean: dict[str, float] = field(default_factory=dict)
    undefined: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    identical: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Effect:
    """Difference of means when one kind of setting changes.

    Attributes:
        kind: ``'colour'``, ``'window'``, ``'crop'``, ``'rounding'`` or ``'mean'``.
        before: name of the variant before the change.
        after: name of the variant after it.
        difference: in dB for PSNR.
    """

    kind: str
    before: str
    after: str
    difference: float


def pair_by_name(results: Path, gt: Path) -> tuple[list[tuple[str, Path, Path]], list[str], list[str]]:
    """Pair the pictures of two folders, with their sub-folders, by name without suffix.

    Returns:
        Pairs of name, result and clean picture; names of the clean pictures without result; names of the results
        without clean picture.

    Raises:
        DataError: a folder has no pictures, or two of one name; the folders are the same; or no names are equal.
    """
    if results.resolve() == gt.resolve():
        raise DataError(f'{results}: results and ground truth are the same folder')
    ours, clean = _by_name(results), _by_name(gt)
    pairs = [(name, ours[name], clean[name]) for name in clean if name in ours]
    if not pairs:
        raise DataError(
            f"no picture of {results} has the name of one of {gt}: '{next(iter(ours))}' and '{next(iter(clean))}' are "
            'the first of each; names must be equal except for the suffix'
        )
    return pairs, [name for name in clean if name not in ours], [name for name in ours if name not in clean]


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_pictures(folder, recursive=True):
        name = path.relative_to(folder).with_suffix('').as_posix()
        if name in found:
            raise DataError(f'{folder}: {found[name].name} and {path.name} have one name; delete or rename one')
        found[name] = path
    return found


def score_pairs(
    results: Path,
    gt: Path,
    crops: tuple[int, ...] = CROPS,
    threads: int = 1,
    advance: Callable[[int], None] = lambda total: None,
) -> Audit:
    """Compute all variants for the pictures of two folders.

    Args:
        results: folder of results.
        gt: folder of the clean pictures.
        crops: numbers of border pixels.
        threads: pictures scored at the same time.
        advance: called with the number of pairs after each of them.

    Raises:
        DataError: see :func:`pair_by_name`; or no pair can be scored.
    """
    pairs, missing, surplus = pair_by_name(results, gt)
    audit = Audit(missing=missing, surplus=surplus)

    def score(pair: tuple[str, Path, Path]) -> tuple[dict[str, float], dict[str, float], bool] | str:
        try:
            pred, clean = (read_picture(path) for path in pair[1:])
        except PictureError as error:
            return str(error)
        if pred.shape != clean.shape:
            sizes = ' and '.join(f'{each.shape[1]}x{each.shape[0]}' for each in (pred, clean))
            return f'result and clean picture differ in size: {sizes}'
        deep = not pred.dtype == clean.dtype == np.uint8
        wanted = [each for each in variants(crops, deep) if not each.pooled]
        values, errors = measure(to_float(pred, np.float64), to_float(clean, np.float64), wanted)
        return values, errors, deep

    all_errors: list[dict[str, float]] = []
    deep = False
    with ThreadPoolExecutor(threads) as pool:
        for pair, found in zip(pairs, pool.map(score, pairs), strict=True):
            advance(len(pairs))
            if isinstance(found, str):
                audit.refused[pair[0]] = found
                continue
            values, errors, of_deep = found
            audit.per_picture.append({'name': pair[0], **values})
            all_errors.append(errors)
            deep = deep or of_deep
    if not audit.per_picture:
        name, reason = next(iter(audit.refused.items()))
        raise DataError(f'none of the {len(pairs)} pairs can be scored; {name}: {reason}')
    audit.protocols = variants(crops, deep)
    audit.identical = [row['name'] for row in audit.per_picture if row['psnr_rgb'] == CAP]
    for each in audit.protocols:
        name = replace(each, pooled=False).name
        rounded = replace(each, pooled=False, unrounded=False).name
        for row, errors in zip(audit.per_picture, all_errors, strict=True):
            row.setdefault(name, row[rounded])  # pictures of 8 bits among deeper ones
            if each.score == 'psnr':
                errors.setdefault(name, errors[rounded])
        if each.pooled:
            audit.mean[each.name] = psnr_of_mse(float(np.mean([errors[name] for errors in all_errors])))
        else:
            _add_mean(audit, each.name, lambda row: 'the picture is too small for its window or crop')
    return audit


def score_alone(results: Path, threads: int = 1, advance: Callable[[int], None] = lambda total: None) -> Audit:
    """Compute the scores without reference for the pictures of a folder.

    Args:
        results: the folder.
        threads: pictures scored at the same time.
        advance: called with the number of pictures after each of them.

    Raises:
        DataError: the folder has no pictures, or none that can be read.
    """
    files = _by_name(results)
    audit = Audit()
    reasons: dict[str, dict[str, str]] = {}

    def score(path: Path) -> tuple[dict[str, float], dict[str, str]] | str:
        try:
            picture: NDArray = to_float(read_picture(path), np.float64)
        except PictureError as error:
            return str(error)
        values = {name: function(picture) for name, function in NO_REFERENCE.items()}
        return values, {name: why_without_number(name, picture) for name in values if math.isnan(values[name])}

    with ThreadPoolExecutor(threads) as pool:
        for name, found in zip(files, pool.map(score, files.values()), strict=True):
            advance(len(files))
            if isinstance(found, str):
                audit.refused[name] = found
            else:
                audit.per_picture.append({'name': name, **found[0]})
                reasons[name] = found[1]
    if not audit.per_picture:
        name, reason = next(iter(audit.refused.items()))
        raise DataError(f'none of the {len(files)} pictures can be scored; {reason}')
    for protocol in NO_REFERENCE:
        _add_mean(audit, protocol, lambda row: reasons[row['name']][protocol])  # noqa: B023 - called at once
    return audit


def _add_mean(audit: Audit, name: str, reason: Callable[[dict], str]) -> None:
    audit.mean[name] = float(np.mean([row[name] for row in audit.per_picture]))
    bad = [row for row in audit.per_picture if not math.isfinite(row[name])]
    if bad:
        audit.undefined[name] = f'{len(bad)} of {len(audit.per_picture)} pictures ({bad[0]["name"]}: {reason(bad[0])})'


def effects(audit: Audit) -> list[Effect]:
    """Return the effect of each single change from the variants of :data:`USUAL`; without nan."""
    found = []
    for usual in USUAL:
        for each in audit.protocols:
            kinds = usual.differences(each)
            if each.score == usual.score and len(kinds) == 1:
                found.append(_effect(audit, kinds[0], usual, each))
    return [each for each in found if math.isfinite(each.difference)]


def _effect(audit: Audit, kind: str, before: Variant, after: Variant) -> Effect:
    return Effect(kind, before.name, after.name, audit.mean[after.name] - audit.mean[before.name])


def matches(audit: Audit, claim: Claim) -> list[Variant]:
    """Return the variants whose mean is the claimed number to its rounding; the fewest settings first."""
    found = [each for each in audit.protocols if each.score == claim.score and claim.agrees(audit.mean[each.name])]
    return sorted(found, key=lambda each: len(each.settings))


def nearest_variants(audit: Audit, claim: Claim, count: int = 5) -> list[Variant]:
    """Return the variants whose means are nearest to a claimed number."""
    known = [each for each in audit.protocols if each.score == claim.score and math.isfinite(audit.mean[each.name])]
    return sorted(known, key=lambda each: (abs(audit.mean[each.name] - claim.value), len(each.settings)))[:count]


def steps(audit: Audit, target: Variant) -> list[Effect]:
    """Return the changes from the usual variant of RGB to another, one kind of setting at a time.

    The sum of the differences is that of the two means. The order is that of :meth:`Variant.differences`.
    """
    before = Variant(target.score, 'rgb')
    keys = {'colour': 'colour', 'window': 'window', 'crop': 'crop', 'rounding': 'unrounded', 'mean': 'pooled'}
    found = []
    for kind in before.differences(target):
        after = replace(before, **{keys[kind]: getattr(target, keys[kind])})
        found.append(_effect(audit, kind, before, after))
        before = after
    return found


def problems(audit: Audit) -> Sequence[str]:
    """Return why the scores are not those of the whole set, one line each."""
    lines = []
    if audit.missing:
        lines.append(f'{len(audit.missing)} clean pictures have no result: {_some(audit.missing)}')
    lines += [f'not scored: {name}: {reason}' for name, reason in audit.refused.items()]
    lines += [f'{name} is nan: {reason}' for name, reason in audit.undefined.items()]
    return lines


def _some(names: Sequence[str], count: int = 3) -> str:
    return ', '.join(names[:count]) + (f' and {len(names) - count} more' if len(names) > count else '')

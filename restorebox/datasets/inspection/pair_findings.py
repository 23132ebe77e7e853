"""Findings about pairs, derived from their measurements."""

from __future__ import annotations

import numpy as np

from restorebox.datasets.inspection import pairs
from restorebox.datasets.inspection.examine import Measurements, Task
from restorebox.datasets.inspection.findings import ERROR, WARNING, Finding
from restorebox.datasets.inspection.luminance import correlation

MIN_CONTRAST = 0.5  # ratio of the standard deviations of detail, clean to degraded, required to judge a pair
MAX_SEARCHED = 1000  # suspicious pairs among which true partners are searched


def pair_findings(measured: list[tuple[Task, Measurements]], split: str) -> list[Finding]:
    """Return the findings about the suspicious or shifted pairs of one data set.

    Pairs of different scenes are errors; if the true partner is found among the other suspicious pairs, it is named.
    Uncertain cases are warnings. Shifts are warnings, unless they are so large that they show at 32x32.
    """
    found = [_shift_finding(task, result.pair, split) for task, result in measured if result.pair and not result.scenes]
    suspicious = [
        (task, result.sizes, result.pair, result.scenes) for task, result in measured if result.pair and result.scenes
    ]
    partners = _true_partners([scenes for *_, scenes in suspicious[:MAX_SEARCHED]])
    for i, (task, sizes, pair, scenes) in enumerate(suspicious):
        lq, gt = task.pictures
        names = f'{lq.path} and {gt.path}'
        degraded, clean = (each.astype(np.float32) for each in scenes)
        value = pair.correlation
        assert value is not None, 'a suspicious pair has a correlation'
        flip = pairs.find_flip(degraded, clean)
        severity, kind = ERROR, 'wrong_partner'
        if i in partners:
            other = suspicious[partners[i]][0].pictures[1]
            text = f'{names}: different scenes (correlation {value:.2f}); the partner looks like {other.path}'
        elif pair.shifted_correlation >= pairs.SHIFTED_SCENE:
            width, height = sizes['lq']
            kind = 'misaligned'
            coarse = (pair.relative_shift[0] * height, pair.relative_shift[1] * width)
            text = f'{names}: shifted by {_shift_text(*(pair.shift if pair.shift and pair.is_shifted else coarse))}'
        elif flip:
            text = f'{names}: the degraded picture is {flip}'
        elif not _is_conclusive(degraded, clean):
            continue
        elif value < pairs.OTHER_SCENE:
            text = f'{names}: different scenes (correlation {value:.2f})'
        else:
            severity = WARNING
            text = f'{names}: possibly different scenes (correlation {value:.2f})'
        found.append(_finding(kind, severity, split, task, text, value))
    return found


def _is_conclusive(degraded: np.ndarray, clean: np.ndarray) -> bool:
    """Return whether a low correlation shows that the scenes differ.

    Independent rain or noise lowers the correlation of a true pair to the ratio of the standard deviations,
    std(clean) / std(degraded). For a nearly empty scene, such as sky, this ratio is low.
    """
    return float(clean.std()) >= MIN_CONTRAST * float(degraded.std())


def _true_partners(scenes: list[tuple[np.ndarray, np.ndarray]]) -> dict[int, int]:
    """Map the index of a suspicious pair to the index of the pair that holds its true clean picture, if found."""
    found = {}
    for i, (degraded, _) in enumerate(scenes):
        values = [correlation(degraded.astype(np.float32), clean.astype(np.float32)) for _, clean in scenes]
        values[i] = -1.0
        best = int(np.argmax(values))
        if values[best] >= pairs.SAME_SCENE:
            found[i] = best
    return found


def _shift_finding(task: Task, pair: pairs.PairComparison, split: str) -> Finding:
    lq, gt = task.pictures
    assert pair.shift is not None, 'a pair without scenes is only passed on if it is shifted'
    text = f'{lq.path} and {gt.path}: shifted by {_shift_text(*pair.shift)}'
    return _finding('misaligned', WARNING, split, task, text, float(np.hypot(*pair.shift)))


def _shift_text(down: float, right: float) -> str:
    vertical = f'{abs(down):.1f} pixels {"down" if down > 0 else "up"}'
    horizontal = f'{abs(right):.1f} {"right" if right > 0 else "left"}'
    return f'{vertical} and {horizontal}'


def _finding(kind: str, severity: str, split: str, task: Task, text: str, value: float) -> Finding:
    files, parts = tuple(p.path for p in task.pictures), tuple(p.part for p in task.pictures)
    return Finding(kind, severity, split, files, text, round(value, 4), parts)

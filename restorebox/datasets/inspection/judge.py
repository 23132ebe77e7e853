"""Findings about pairs from their measurements."""

from __future__ import annotations

import numpy as np

from restorebox.datasets.inspection import pairs
from restorebox.datasets.inspection.examine import Facts, Task
from restorebox.datasets.inspection.findings import ERROR, WARNING, Finding
from restorebox.datasets.inspection.luminance import correlation

TELLING = 0.5  # standard deviation of the clean side's detail against the degraded side's
LOOK_UP = 1000  # doubtful pairs among which true partners are looked for


def judge_pairs(measured: list[tuple[Task, Facts]], split: str) -> list[Finding]:
    """Findings about the doubtful pairs of one data set.

    A pair of different scenes is an error, and its true partner is named where it is that of another doubtful pair. One
    that can't be told for certain is a warning. So is a shifted one, unless the shift is so large that it shows in a
    picture of 32x32.
    """
    found = [_shifted(task, facts.pair, split) for task, facts in measured if facts.scenes is None]
    doubtful = [(task, facts) for task, facts in measured if facts.scenes is not None]
    partners = _true_partners([facts.scenes for _, facts in doubtful[:LOOK_UP]])
    for i, (task, facts) in enumerate(doubtful):
        lq, gt = task.pictures
        scene = facts.pair.scene
        names = f'{lq.path} and {gt.path}'
        degraded, clean = (each.astype(np.float32) for each in facts.scenes)
        turned = pairs.mirrored(degraded, clean)
        if i in partners:
            other = doubtful[partners[i]][0].pictures[1]
            severity, kind = ERROR, 'wrong_partner'
            text = f'{names}: different scenes (likeness {scene:.2f}); the partner looks like {other.path}'
        elif facts.pair.moved >= pairs.MOVED_SCENE:
            width, height = facts.sizes['lq']
            about = (facts.pair.cells[0] * height, facts.pair.cells[1] * width)
            severity, kind = ERROR, 'misaligned'
            text = f'{names}: shifted by {_shift_words(*(facts.pair.shift if facts.pair.is_shifted else about))}'
        elif turned:
            severity, kind = ERROR, 'wrong_partner'
            text = f'{names}: the degraded picture is {turned}'
        elif not _can_tell(degraded, clean):
            continue
        elif scene < pairs.OTHER_SCENE:
            severity, kind = ERROR, 'wrong_partner'
            text = f'{names}: different scenes (likeness {scene:.2f})'
        else:
            severity, kind = WARNING, 'wrong_partner'
            text = f'{names}: perhaps different scenes (likeness {scene:.2f})'
        found.append(_finding(kind, severity, split, task, text, scene))
    return found


def _can_tell(degraded: np.ndarray, clean: np.ndarray) -> bool:
    """Whether a low correlation says anything: that of an empty sky and the rain before it is low, too.

    With independent rain or noise of its own a degraded picture correlates with its partner by the ratio of their
    standard deviations.
    """
    return float(clean.std()) >= TELLING * float(degraded.std())


def _true_partners(scenes: list[tuple[np.ndarray, np.ndarray]]) -> dict[int, int]:
    """Index of a doubtful pair -> index of the pair whose clean side is its true partner, where there is one."""
    found = {}
    for i, (degraded, _) in enumerate(scenes):
        likeness = [correlation(degraded.astype(np.float32), clean.astype(np.float32)) for _, clean in scenes]
        likeness[i] = -1.0
        best = int(np.argmax(likeness))
        if likeness[best] >= pairs.SAME_SCENE:
            found[i] = best
    return found


def _shifted(task: Task, facts: pairs.PairFacts, split: str) -> Finding:
    lq, gt = task.pictures
    text = f'{lq.path} and {gt.path}: shifted by {_shift_words(*facts.shift)}'
    return _finding('misaligned', WARNING, split, task, text, float(np.hypot(*facts.shift)))


def _shift_words(down: float, right: float) -> str:
    vertical = f'{abs(down):.1f} pixels {"down" if down > 0 else "up"}'
    sideways = f'{abs(right):.1f} {"right" if right > 0 else "left"}'
    return f'{vertical} and {sideways}'


def _finding(kind: str, severity: str, split: str, task: Task, text: str, value: float) -> Finding:
    files, parts = tuple(p.path for p in task.pictures), tuple(p.part for p in task.pictures)
    return Finding(kind, severity, split, files, text, round(value, 4), parts)

"""Frames of a clip: filtered or not, and findings in a bounded number of evenly spaced frames."""

import numpy as np
import pytest

from restorebox.inference import frame_restorer
from restorebox.inference.findings import Findings
from restorebox.inference.frame_restorer import SAMPLES, ClipFindings, FrameRestorer, NothingFound
from tests.inference.test_temporal import rainy, scene


@pytest.mark.parametrize('count', [1, 5, SAMPLES, SAMPLES + 1, 1000])
def test_findings_come_from_evenly_spaced_frames(count, monkeypatch):
    seen = []

    def find(degraded, restored, strength):
        seen.append(degraded)
        return Findings(float(degraded), {'veil': float(degraded)} if degraded % 2 else {})

    monkeypatch.setattr(frame_restorer, 'find_damage', find)
    findings = ClipFindings()
    for i in range(count):
        findings.add(i, i, 1.0)
    assert findings.sampled == min(count, SAMPLES) or SAMPLES / 2 < findings.sampled <= SAMPLES
    spacing = 2 ** max(0, int(np.ceil(np.log2(count / SAMPLES))))
    assert findings.median.change == np.median(range(0, count, spacing))
    assert len(seen) <= SAMPLES + SAMPLES / 2 * np.ceil(np.log2(max(1, count / SAMPLES)))


def test_the_median_is_over_all_sampled_frames(monkeypatch):
    each = iter([{'veil': 4.0, 'streaks': 2.0}, {'veil': 6.0}, {'veil': 5.0}])
    monkeypatch.setattr(frame_restorer, 'find_damage', lambda *_: Findings(1.0, next(each)))
    findings = ClipFindings()
    for _ in range(3):
        findings.add(None, None, 1.0)
    assert findings.median == Findings(1.0, {'veil': 5.0})
    assert (findings.damaged, findings.sampled) == (3, 3)


def test_frames_are_filtered_unless_told_otherwise():
    network = {i: rainy(i, 1 / 3) for i in range(3)}
    frames = [rainy(i) for i in range(3)]
    outputs = {}
    for temporal in (True, False):
        each = iter(network.values())
        work = FrameRestorer(lambda _, each=each: next(each), 1.0, temporal)
        outputs[temporal] = [work(frame) for frame in frames]
        assert (work.flicker is not None) == temporal
        assert work.findings is None
    assert all(np.array_equal(a, b) for a, b in zip(outputs[False], network.values(), strict=True))
    assert np.array_equal(outputs[True][0], network[0])
    assert not np.array_equal(outputs[True][2], network[2])


@pytest.mark.parametrize(('damaged', 'filtered'), [(set(), set()), ({0, 1, 2}, {1, 2}), ({0}, {1})])
def test_a_clip_in_which_little_is_found_is_not_filtered(damaged, filtered, monkeypatch):
    """Found in the first of two frames is half of them, in the first of three is less."""
    each = iter([Findings(1.0, {'streaks': 2.0} if i in damaged else {}) for i in range(3)])
    monkeypatch.setattr(frame_restorer, 'find_damage', lambda *_: next(each))
    network = [rainy(i, 1 / 3) for i in range(3)]
    made = iter(network)
    work = FrameRestorer(lambda _: next(made), 1.0, temporal=True)
    changed = {i for i in range(3) if not np.array_equal(work(rainy(i)), network[i])}
    assert changed == filtered
    assert work.flicker.pairs == len(filtered)


def test_strength_zero_is_the_input_without_filter_or_findings():
    work = FrameRestorer(lambda x: x, 0.0, temporal=True, examined=True)
    assert np.array_equal(work(rainy(0)), rainy(0))
    assert work.flicker is None
    assert work.findings is None
    work.check_damage()


def test_damage_of_one_frame_is_damage():
    damaged = FrameRestorer(lambda x: 255 - x if x[0, 0, 0] == 7 else x, 1.0, temporal=False, examined=True)
    work = FrameRestorer(lambda x: x, 1.0, temporal=True, examined=True)
    for i in range(3):
        frame = scene(i)
        work(frame)
        frame[0, 0, 0] = 7 if i == 1 else 0
        damaged(frame)
    damaged.check_damage()
    with pytest.raises(NothingFound):
        work.check_damage()


def test_ten_bits_and_colour_tags_of_a_filtered_clip_are_kept(tmp_path):
    """PQ and BT.2020 of an HDR clip, restored at 10 bits; steps finer than 8 bits are left in the output."""
    from restorebox.inference.video import restore_video
    from tests.inference.small_clips import av, make_clip

    tags = dict(color_primaries=9, color_trc=16, colorspace=9)
    path, target = tmp_path / 'a.mkv', tmp_path / 'b.mkv'
    make_clip(path, 4, pixels='yuv420p10le', colours=tags, matrix=9, encoder={'crf': '1'})
    work = FrameRestorer(lambda x: np.minimum(x, 65000) + np.uint16(500), 1.0, temporal=True)
    kinds = []

    def restore(frame):
        made = work(frame)
        kinds.append((frame.dtype, made.dtype, len(np.unique(made % 257)) > 1))
        return made

    restore_video(path, target, restore)
    assert kinds == [(np.uint16, np.uint16, True)] * 4
    assert work.flicker.pairs == 3
    with av.open(str(target)) as source:
        context = source.streams.video[0].codec_context
        assert context.pix_fmt == 'yuv420p10le'
        assert {name: getattr(context, name) for name in tags} == tags

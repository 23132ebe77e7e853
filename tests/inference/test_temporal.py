"""The temporal filter against flicker: it lowers it under motion, and leaves cuts, stable models and inputs alone."""

import numpy as np
import pytest

from restorebox.inference import temporal
from restorebox.inference.temporal import Flicker, TemporalFilter
from tests.inference.moving import texture

SIZE, COUNT = (72, 96), 12


def scene(i, speed=1, seed=0):
    """Frame ``i`` of a pan over a texture, HWC uint8."""
    picture = texture(SIZE[0], SIZE[1] + 40, seed)[:, speed * i : speed * i + SIZE[1]]
    return np.rint(30 + 180 * picture).astype(np.uint8)


def streaks(i):
    """Bright streaks in frame ``i``, which are those of no other frame."""
    rng, layer = np.random.default_rng([5, i]), np.zeros((*SIZE, 1), np.uint8)
    for y, x in zip(rng.integers(0, SIZE[0] - 12, 40), rng.integers(0, SIZE[1], 40), strict=True):
        layer[y : y + 12, x] = 45
    return layer


def rainy(i, share=1.0, speed=1, seed=0):
    return scene(i, speed, seed) + (share * streaks(i)).astype(np.uint8)


def error(made, clean):
    return np.mean([np.square(a.astype(float) - b).mean() for a, b in zip(made, clean, strict=True)])


def filtered(pairs, **options):
    work = TemporalFilter(**options)
    return [work(*pair) for pair in pairs], work.flicker


@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
def test_flicker_is_lowered_under_motion_and_the_frames_come_nearer_to_the_scene(kind):
    """A model that leaves a third of each streak."""
    clean = [scene(i) for i in range(COUNT)]
    restored = [rainy(i, 1 / 3) for i in range(COUNT)]
    factor = {np.uint8: np.uint8(1), np.uint16: np.uint16(257), np.float32: np.float32(1 / 255)}[kind]
    pairs = [((rainy(i) * factor).astype(kind), (restored[i] * factor).astype(kind)) for i in range(COUNT)]
    made, flicker = filtered(pairs)
    assert {each.dtype for each in made} == {np.dtype(kind)}
    assert flicker.pairs == COUNT - 1
    assert flicker.cuts == 0
    assert flicker.after < 0.5 * flicker.before
    assert error([each / factor for each in made], clean) < 0.8 * error(restored, clean)


def test_blended_residuals_put_the_streaks_back():
    clean = [scene(i, 0) for i in range(COUNT)]
    pairs = [(rainy(i, speed=0), rainy(i, 1 / 3, speed=0)) for i in range(COUNT)]
    pictures, _ = filtered(pairs)
    residuals, _ = filtered(pairs, domain='residual')
    assert error(residuals, clean) > error([after for _, after in pairs], clean) > error(pictures, clean)


def test_nothing_of_the_scene_before_a_cut_is_left():
    pairs = [(rainy(i, seed=i // 6), rainy(i, 1 / 3, seed=i // 6)) for i in range(COUNT)]
    made, flicker = filtered(pairs)
    assert flicker.cuts == 1
    assert flicker.pairs == COUNT - 2
    assert np.array_equal(made[6], pairs[6][1])
    assert not np.array_equal(made[7], pairs[7][1])


def test_a_cut_at_the_second_frame():
    pairs = [(rainy(i, seed=min(i, 1)), rainy(i, 1 / 3, seed=min(i, 1))) for i in range(4)]
    made, flicker = filtered(pairs)
    later, _ = filtered(pairs[1:])
    assert flicker.cuts == 1
    assert np.array_equal(made[0], pairs[0][1])
    assert all(np.array_equal(*each) for each in zip(made[1:], later, strict=True))
    assert not np.array_equal(made[2], pairs[2][1])


def test_a_stable_model_on_a_still_scene_stays_as_it_is():
    frame = scene(0)
    for restored in (frame, 255 - frame):  # a model that changes nothing, and one that changes all
        made, flicker = filtered([(frame, restored)] * 5)
        assert max(np.abs(each.astype(int) - restored).max() for each in made) <= 1
        assert flicker.after <= flicker.before + 1e-9


def test_what_the_model_left_alone_does_not_drag_a_moving_object():
    """An object jumps by more than its size: neither ghost nor hole."""
    frames = []
    for i in range(6):
        frame = np.full((*SIZE, 3), 90, np.uint8)
        frame[20:40, 14 * i : 14 * i + 10] = 220
        frames.append(frame)
    made, _ = filtered([(each, each + 4) for each in frames])
    frames = [each + 4 for each in frames]
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(made, frames, strict=True)) <= 3


def test_where_the_model_changes_nothing_the_frames_stay_as_they_are():
    frames = [rainy(i) for i in range(4)]
    made, flicker = filtered([(each, each) for each in frames])
    assert all(np.array_equal(a, b) for a, b in zip(made, frames, strict=True))
    assert flicker.after == flicker.before > 0


def test_strength_scales_the_filter():
    changes = []
    for strength in (0.0, 0.5, 1.0):
        pairs = [(rainy(i), rainy(i, 1 / 3)) for i in range(4)]
        made, _ = filtered(pairs, strength=strength)
        changes.append(error(made, [after for _, after in pairs]))
    assert changes[0] == 0
    assert 0 < changes[1] < changes[2]


def test_a_change_of_size_starts_anew():
    work = TemporalFilter()
    for size in ((40, 50), (50, 40), (50, 40)):
        frame = np.full((*size, 3), 100, np.uint8)
        assert np.array_equal(work(frame, frame), frame)
    assert work.flicker.pairs == 1


def test_the_line_says_what_was_measured():
    assert str(Flicker()) == 'flicker not measured: no two neighbouring frames to compare'
    line = str(Flicker(before=0.008, after=0.002, pairs=2, cuts=1))
    assert line == ('flicker (warping error, 1/1000): 4.000 before the temporal filter, 1.000 after (-75 %), 1 cut(s)')
    assert str(Flicker(pairs=3)).endswith('0.000 before the temporal filter, 0.000 after')


def test_the_limits_are_in_order():
    assert 0 < temporal.MOST < 1
    assert temporal.LONGEST / (temporal.LONGEST + 1) > temporal.MOST, 'the limit on the count hides the one on weights'

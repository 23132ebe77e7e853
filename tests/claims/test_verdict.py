"""Verdicts on made-up results, and their error rates by simulation."""

import numpy as np
import pytest

from restorebox.claims.verdict import VERDICTS, Side, judge, repeated

BASE = {0: 20.0, 1: 21.0, 2: 19.0}
RESTORED = dict.fromkeys(BASE, 2.0)


def side(*differences, gains=RESTORED, margin=0.1):
    return Side({seed: BASE[seed] + difference for seed, difference in enumerate(differences)}, gains, margin)


OTHER = side(0, 0, 0)


@pytest.mark.parametrize(
    ('better', 'options', 'verdict'),
    [
        (side(0.5, 0.4, 0.6), {'size': 0.5}, 'holds'),
        (side(1.5, -0.4, 0.6), {'size': 0.5}, 'inconclusive'),
        (side(0.1, 0.5, 1.2), {}, 'inconclusive'),  # three of one sign
        (side(-0.5, -0.4, -0.6), {'size': 0.5}, 'contradicted'),
        (side(3.0), {'size': 3.0}, 'inconclusive'),
        (side(1.5, 1.45), {'size': 3.0}, 'holds'),
        (Side({0: 21.0, 1: None}, RESTORED), {}, 'failed'),
        (Side({0: 21.0, 1: float('nan')}, RESTORED), {}, 'failed'),
        (Side({0: float('inf')}, RESTORED), {}, 'failed'),
        (Side({}), {}, 'not run'),
        (side(0.05, -0.05, 0.0), {'tolerance': 0.3}, 'equivalent'),
        (side(0.1, -0.2, 0.3), {'tolerance': 0.3}, 'inconclusive'),  # each within the tolerance
        (side(5.0, 5.1, 4.9), {'tolerance': 0.3}, 'contradicted'),
        (side(-5.0, -5.1, -4.9), {'tolerance': 0.3}, 'contradicted'),
        (side(0.1), {'tolerance': 0.3}, 'inconclusive'),
        (side(-0.5, -0.4, -0.6), {'lower_is_better': True}, 'holds'),
        (side(0.5, 0.4, 0.6), {'control': (side(0.1, -0.1, 0), OTHER)}, 'holds'),
        (side(0.5, 0.4, 0.6), {'control': (side(0.1, 0.11, 0.09), OTHER)}, 'holds'),
        (side(0.5, 0.4, 0.6), {'control': (side(0.5, 0.4, 0.6), OTHER)}, 'void'),
        (side(0.5, 0.4, 0.6), {'control': (side(0.7, 0.71, 0.69), OTHER)}, 'void'),
        (side(0.5, 0.4, 0.6), {'control': (side(0.4, -0.3, 0.7), OTHER)}, 'inconclusive'),
        (side(0.5, 0.4, 0.6), {'control': (Side({}), Side({}))}, 'inconclusive'),
        (side(0.5, 0.4, 0.6, gains={0: 0.2, 1: 3.0}), {}, 'inconclusive'),  # restores on average only
        (side(0.5, 0.4, 0.6, gains={}), {}, 'holds'),  # the input is the target
    ],
)
def test_judge(better, options, verdict):
    outcome = judge(better, OTHER, **options)
    assert outcome.verdict == verdict
    assert verdict in VERDICTS


@pytest.mark.parametrize('options', [{}, {'tolerance': 2.0}])
def test_two_sides_that_leave_their_input_as_it_was_are_void(options):
    idle = dict.fromkeys(BASE, 0.05)
    assert judge(side(0.5, 0.4, 0.6, gains=idle), side(0, 0, 0, gains=idle), **options).verdict == 'void'
    assert judge(side(0.5, 0.4, 0.6), side(0, 0, 0, gains=idle), **options).verdict != 'void'


def test_a_side_that_does_not_restore_cannot_contradict_a_claim():
    idle = dict.fromkeys(BASE, 0.05)
    outcome = judge(side(-0.5, -0.4, -0.6), side(0, 0, 0, gains=idle))
    assert outcome.verdict == 'inconclusive'
    assert 'improve its input by 0.1' in outcome.note


def test_figures_are_of_the_seeds_that_both_sides_have():
    outcome = judge(Side({1: 22.0, 2: 22.0, 7: 99.0}, RESTORED), OTHER, size=4)
    assert (outcome.seeds, outcome.mean, outcome.ratio) == ((1, 2), 2.0, 0.5)
    assert outcome.low == pytest.approx(2.0 - 12.706, abs=0.001)


def seeds(differences, gain=2.0):
    base = {seed: 20.0 + seed / 7 for seed in differences}
    gains = dict.fromkeys(differences, gain)
    return Side({seed: base[seed] + more for seed, more in differences.items()}, gains, 0.1), Side(base, gains, 0.1)


def test_seeds_from_five_on_are_a_repetition():
    for further, verdict in ((0.55, 'holds'), (-0.5, 'contradicted')):
        found = repeated(*seeds({0: 0.5, 1: 0.52, 5: further, 7: further + 0.01}))
        assert (found.first, found.further.verdict) == ('holds', verdict)
        assert found.further.seeds == (5, 7)
        assert found.further.mean == pytest.approx(further + 0.005)
    assert repeated(*seeds({0: 0.5, 1: 0.5, 5: 0.5})) is None
    assert repeated(*seeds({0: 0.5, 1: 0.5, 2: 0.5, 4: 0.5})) is None
    lower = repeated(*seeds({0: 0.5, 1: 0.52, 5: 0.5, 6: 0.51}), lower_is_better=True)
    assert (lower.first, lower.further.verdict) == ('contradicted', 'contradicted')
    same = repeated(*seeds({0: 0.1, 1: 0.11, 5: -0.1, 6: -0.11}), tolerance=0.3)
    assert (same.first, same.further.verdict) == ('equivalent', 'equivalent')
    control = seeds({0: 0.1, 1: 0.11, 5: 0.6, 6: 0.61})
    void = repeated(*seeds({0: 0.5, 1: 0.52, 5: 0.5, 6: 0.52}), control=control)
    assert (void.first, void.further.verdict) == ('holds', 'void')


def test_what_is_needed():
    assert judge(side(3.0), OTHER).needs == '1 more seed for a spread'
    assert (
        judge(side(1.5, -0.4, 0.6), OTHER).needs == 'about 11 more seeds'
    )  # 14: t(13) 0.950 / sqrt(14) = 0.549 < 0.567
    assert 'more than 100' in judge(side(1.5, -1.4, 0.0), OTHER).needs
    assert judge(side(0.5, 0.4, 0.6), OTHER).needs == ''


def verdicts(rng, effect, seeds=5):
    """Verdicts of 1,000 made-up claims; paired differences have a standard deviation of 1."""
    found = []
    for _ in range(1000):
        common, noise = rng.normal(25, 2, seeds), rng.normal(0, 0.5**0.5, (2, seeds))
        other, better = common + noise[0], common + noise[1] + effect
        gains = dict.fromkeys(range(seeds), 5.0)
        found.append(judge(Side(dict(enumerate(better)), gains), Side(dict(enumerate(other)), gains)).verdict)
    return found


def test_no_effect_holds_in_at_most_one_case_of_twenty():
    assert verdicts(np.random.default_rng(0), 0.0).count('holds') <= 50


def test_an_effect_of_two_standard_deviations_holds_in_four_cases_of_five():
    assert verdicts(np.random.default_rng(1), 2.0).count('holds') >= 800

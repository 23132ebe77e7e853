"""Verdicts on made-up results."""

import pytest

from restorebox.claims.verdict import VERDICTS, judge, judge_groups

BASE = {0: 20.0, 1: 21.0, 2: 19.0}


def side(*differences):
    return {seed: BASE[seed] + difference for seed, difference in enumerate(differences)}


@pytest.mark.parametrize(
    ('better', 'options', 'verdict'),
    [
        (side(0.5, 0.4, 0.6), {'size': 0.5}, 'reproduced'),
        (side(1.5, -0.4, 0.6), {'size': 0.5}, 'direction only'),
        (side(-0.5, -0.4, -0.6), {'size': 0.5}, 'not reproduced'),
        (side(0.5, -0.9, 0.1), {'size': 0.5}, 'not reproduced'),
        ({0: 21.0}, {'size': 3.0}, 'insufficient seeds'),
        (side(1.5, 1.4), {'size': 3.0}, 'reproduced'),
        (side(0.5, 0.4), {'size': 0.5}, 'insufficient seeds'),
        (side(0.5, 0.4), {}, 'insufficient seeds'),
        ({**side(0.5, 0.4), 2: None}, {'size': 0.5}, 'failed'),
        ({0: None}, {'size': 0.5}, 'failed'),
        ({**side(0.5, 0.4), 2: float('nan')}, {'size': 0.5}, 'failed'),
        ({**side(0.5, 0.4), 2: float('inf')}, {'size': 0.5}, 'failed'),
        ({}, {'size': 0.5}, 'not run'),
        (side(0.1, -0.2, 0.0), {'tolerance': 0.3}, 'equivalent'),
        (side(5.0, -5.0, 0.0), {'tolerance': 0.3}, 'not reproduced'),
        (side(0.1), {'tolerance': 0.3, 'size': 2.0}, 'insufficient seeds'),
        (side(-0.5, -0.4, -0.6), {'lower_is_better': True}, 'reproduced'),
    ],
)
def test_judge(better, options, verdict):
    outcome = judge(better, BASE, metric='psnr_y', **options)
    assert outcome.verdict == verdict
    assert verdict in VERDICTS


def test_figures_are_of_the_seeds_that_both_sides_have():
    outcome = judge({1: 22.0, 2: 22.0, 7: 99.0}, BASE, metric='psnr_y', size=2)
    assert (outcome.seeds, outcome.mean, outcome.lowest, outcome.highest) == ((1, 2), 2.0, 1.0, 3.0)


def test_an_ssim_needs_three_seeds():
    assert judge({0: 0.9, 1: 0.9}, {0: 0.1, 1: 0.1}, metric='ssim_y', size=2).verdict == 'insufficient seeds'


def test_each_group_of_seeds_has_a_verdict_of_its_own():
    better, other = {seed: 1.0 for seed in range(8)}, dict.fromkeys(range(8), 0.0)
    better |= {4: -5.0, 7: None}
    groups = judge_groups(better, other, metric='psnr_y', size=0.5)
    assert [(each.seeds, each.verdict) for each in groups] == [
        ((0, 1, 2), 'reproduced'),
        ((3, 4, 5), 'not reproduced'),
    ]  # 6 alone is too few
    assert len(judge_groups(better, other, metric='psnr_y', size=2.0)) == 3
    assert judge_groups(dict.fromkeys(range(3), 1.0), other, metric='psnr_y', size=2.0) == []
    assert [each.verdict for each in judge_groups(better, other, metric='psnr_y', tolerance=1.5)] == [
        'equivalent',
        'not reproduced',
    ]

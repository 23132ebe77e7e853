"""Fits of loss curves whose law is known."""

import json

import numpy as np
import pytest

from restorebox.claims.analyses.convergence import (
    analyze_convergence,
    constant_part,
    fit,
    held_out,
    measure_convergence,
)
from restorebox.errors import ConfigError

STEPS = np.arange(10.0, 1010, 10)
NOISE = np.random.default_rng(0).normal(0, 0.002, len(STEPS))
CURVES = {
    'one': 0.2 + 0.8 * np.exp(-STEPS / 100),
    'two': 0.2 + 0.5 * np.exp(-STEPS / 30) + 0.4 * np.exp(-STEPS / 400),
    'power': 0.1 + 1.0 * (1 + STEPS / 20) ** -0.5,
}


def test_a_fit_finds_the_time_constants():
    found = fit(STEPS, CURVES['two'], 'two')
    assert found['parameters'] == pytest.approx([30, 400], rel=0.01)
    assert found['rms'] < 1e-4
    assert fit(STEPS, CURVES['one'], 'one')['parameters'] == pytest.approx([100], rel=0.01)


def test_held_out_errors_prefer_the_law_that_made_the_curve():
    errors = {name: {law: held_out(STEPS, curve + NOISE, law) for law in CURVES} for name, curve in CURVES.items()}
    assert errors['two']['two'] < 0.5 * errors['two']['one']
    assert errors['power']['power'] < errors['power']['two'] < errors['power']['one']
    assert errors['one']['two'] == pytest.approx(errors['one']['one'], rel=0.15)  # a second stage is not needed


def test_only_the_constant_learning_rate_counts():
    rates = [(step, 1e-3 if step <= 20 else 5e-4) for step in (10, 20, 30, 40)]
    series = {'loss_l1': [(step, float(step)) for step in (10, 20, 30, 40)], 'generator/lr': rates}
    assert constant_part(series, 'loss_l1')[0].tolist() == [10, 20]


@pytest.mark.parametrize(('mode', 'chance'), [('lsgan', 0.25), ('vanilla', 0.693147)])
def test_the_balance_is_relative_to_an_undecided_discriminator(mode, chance):
    pairs = [(step, 9.0) for step in range(90)] + [(step, chance / 2) for step in range(90, 100)]
    mean = measure_convergence({'loss_l1': (), 'loss_d': pairs}, 'loss_l1', mode)['mean']
    assert mean['balance'] == {'discriminator': pytest.approx(0.5, rel=1e-5), 'generator': None}
    assert mean['convergence'] == {'one': None, 'two': None, 'power': None}


def test_a_log_is_read_fitted_and_drawn(tmp_path):
    log = tmp_path / '2026' / 'vis_data' / 'scalars.json'
    log.parent.mkdir(parents=True)
    with pytest.raises(ConfigError, match='has no log of a training'):
        analyze_convergence(tmp_path / 'empty', None, None, tmp_path)
    values = zip(STEPS.astype(int).tolist(), CURVES['two'].tolist(), strict=True)
    lines = [json.dumps({'lr': 1e-3, 'loss_l1': value, 'loss': value, 'step': step}) for step, value in values]
    log.write_text('\n'.join(lines))
    figures = analyze_convergence(tmp_path, None, None, tmp_path / 'out')
    assert figures['term'] == 'loss_l1'
    assert 'balance' not in figures['mean']
    assert json.loads((tmp_path / 'out' / 'convergence.json').read_text())['mean'] == figures['mean']
    assert (tmp_path / 'out' / 'convergence.png').stat().st_size > 5000
    with pytest.raises(ConfigError, match=r'--term loss_x: .* it has loss_l1'):
        analyze_convergence(tmp_path, None, 'loss_x', tmp_path / 'out')


def test_a_flat_loss_is_predicted_by_every_law():
    """As that of an untrained network: its held-out error is its noise, however the first points lie."""
    steps = np.arange(10, 910, 10, dtype=float)
    for seed in range(12):
        values = 1 + 0.05 * np.random.default_rng(seed).standard_normal(len(steps))
        values[0] += 0.3
        for law in ('one', 'two', 'power'):
            assert held_out(steps, values, law) < 0.12, (seed, law)

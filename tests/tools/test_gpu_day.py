"""tools/benchmarks/gpu_day.py: its plan, and a few parts in miniature on the CPU."""

import json
import time
from argparse import Namespace
from functools import partial

import gpu_day
import pytest
import torch
from gpu_day_plan import Part, estimate, parts
from gpu_day_steps import Side, fused

from restorebox.cli.common import guarded
from tests.processes import refused

MACHINE = {'figures': {'device': 'cpu', 'cores': 2, 'libraries': {'torch': '2'}}}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in a folder of its own; parts are answered by ``answers``, in the place of processes."""

    def run(*words, answers=None):
        started = []

        def answer(args, name, limit, more=None):
            if name == 'machine':
                return MACHINE
            started.append(name)
            return (answers or {}).get(name, {'error': 'Error: nothing'})

        monkeypatch.setattr(gpu_day, 'run_part', answer)
        gpu_day.main(['--work-dir', str(tmp_path / 'w'), *words])
        return started, json.loads((tmp_path / 'w/gpu_day.json').read_text())

    return run


def test_an_estimate_follows_what_was_measured():
    known = [Part('tests', 100), Part('step_times/a/loop', 30), Part('step_times/b/loop', 60), Part('sampling', 50)]
    assert estimate(known[2], {}, known) == 60
    assert estimate(known[2], {'tests': 50}, known) == 30
    assert estimate(known[2], {'tests': 50, 'step_times/a/loop': 90}, known) == 180
    assert estimate(known[3], {'tests': 50, 'step_times/a/loop': 90}, known) == pytest.approx(50 * (0.5 + 3) / 2)


def test_a_side_has_the_option_that_its_variant_names_and_leaves_global_settings_as_they_were():
    args = Namespace(device='cpu', miniature=True, seed=0)
    sides = {variant: Side(args, 'fdrnet', variant) for variant in ('eager', 'unchecked', 'tf32', 'cudnn_benchmark')}
    assert [side.restorer.checks_finite for side in sides.values()] == [True, False, True, True]
    assert [side.tf32 for side in sides.values()] == [None, None, True, None]
    assert [side.benchmark for side in sides.values()] == [False, False, False, True]
    assert not torch.backends.cudnn.benchmark
    assert not torch.backends.cuda.matmul.allow_tf32
    assert Side(args, 'fdrnet', 'fused').wrapper.optimizer.defaults['fused']
    several = fused({'constructor': 'x', 'generator': {'optimizer': {'type': 'Adam'}}})
    assert several == {'constructor': 'x', 'generator': {'optimizer': {'type': 'Adam', 'fused': True}}}


def test_every_part_of_the_plan_has_a_name_and_a_guess():
    names = [part.name for part in parts(with_cut=True)]
    assert len({*names}) == len(names)
    assert names[-1] == 'training'
    assert len(parts(with_cut=False)) == len(names) - 1
    assert all(part.guess > 0 for part in parts(with_cut=True))


def test_a_part_that_fails_is_recorded_and_later_calls_do_the_rest(command):
    nccl = {'backend': 'gloo', 'all_reduce_mib': 1, 'all_reduce_seconds': 0.1, 'gradient_differs_by': 0.0}
    answers = {'tests': {'error': 'RuntimeError: CUDA error'}, 'nccl': {'figures': nccl}}
    started, record = command('--piece-minutes', '2.5', '--pairs', '6', answers=answers)
    assert record['parts']['tests'] == {
        'state': 'put off',
        'error': 'is expected to take 180 s, 150 s are left in this piece',
    }
    assert record['parts']['nccl']['figures'] == nccl
    assert 'tests' not in started
    again, record = command('--pairs', '6', answers=answers)
    assert again == ['tests']  # the others were done or failed
    assert (record['parts']['tests']['state'], record['parts']['tests']['error']) == (
        'failed',
        'RuntimeError: CUDA error',
    )
    assert [piece['parts'] for piece in record['pieces']] == [started, again]
    assert record['parts']['training'] == {'state': 'put off', 'error': 'needs --data-root'}


def test_a_part_stopped_at_the_end_of_a_piece_gets_a_longer_one_or_fails(command, monkeypatch):
    clock = iter(range(0, 10**9, 10))
    monkeypatch.setattr(time, 'monotonic', lambda: next(clock))
    answers = {'restore/24': {'error': 'late', 'stopped': True}}
    _, record = command('--only', 'restore/24', '--piece-minutes', '1', answers=answers)
    assert record['parts']['restore/24']['state'] == 'put off'
    assert record['parts']['restore/24']['at_least'] == 10
    monkeypatch.setattr(time, 'monotonic', lambda: 0.0)
    _, record = command('--only', 'restore/24', '--piece-minutes', '1', answers=answers)
    assert 'longer than a whole piece' in record['parts']['restore/24']['error']


def test_the_time_of_all_calls_together_is_limited(command, tmp_path):
    _, record = command('--only', 'nccl')
    record['used_seconds'] = 27.9 * 60
    (tmp_path / 'w/gpu_day.json').write_text(json.dumps(record))
    started, record = command()
    assert started == []
    assert '6 s are left' in record['parts']['tests']['error']


def test_mistakes_are_a_line(tmp_path, capsys, command):
    work = ['--work-dir', str(tmp_path / 'w')]
    line = partial(lambda words: refused(partial(guarded, partial(gpu_day.main, [*work, *words])), capsys))
    assert 'does not exist yet' in line(['--table'])
    assert '--only restor: is none of tests, nccl' in line(['--only', 'restor'])
    assert 'is no folder' in line(['--cut', str(tmp_path / 'nowhere')])
    command('--only', 'nccl')
    assert 'was measured with seed 0, now it is 1' in line(['--seed', '1'])
    (tmp_path / 'w/gpu_day.json').write_text('[]')
    assert 'holds no results' in line([])
    with pytest.raises(SystemExit):
        gpu_day.parse(['--pairs', '5'])
    assert 'an interval needs 6 or more' in capsys.readouterr().err


@pytest.mark.slow
def test_parts_run_in_miniature_on_the_cpu(tmp_path, capsys):
    (tmp_path / 'cut').mkdir()
    words = ['--device', 'cpu', '--miniature', '--pairs', '6', '--work-dir', str(tmp_path / 'w')]
    only = ['step_times/cut', 'step_times/fdrnet/loop']
    gpu_day.main([*words, '--cut', str(tmp_path / 'cut'), '--only', *only])
    record = json.loads((tmp_path / 'w/gpu_day.json').read_text())
    states = {name: part['state'] for name, part in record['parts'].items()}
    assert states == {'step_times/fdrnet/loop': 'done', 'step_times/cut/peer': 'failed'}
    assert 'has no models/cut_model.py' in record['parts']['step_times/cut/peer']['error']
    loop = record['parts']['step_times/fdrnet/loop']['figures']
    assert (loop['pairs'], loop['crop'], loop['compared']) == (6, [64, 64], ['bare loop', 'training loop'])
    assert 0 < loop['interval'][0] <= loop['ratio'] <= loop['interval'][1]
    capsys.readouterr()
    gpu_day.main([*words, '--table'])
    text = capsys.readouterr().out
    assert text == (tmp_path / 'w/gpu_day.md').read_text() + '\n'
    assert '| fdrnet | 1 x 64x64 | training loop / bare loop |' in text
    assert '| step_times/cut/peer | failed | error: --cut' in text

"""reproduce as a user runs it: instant lists, a plan that survives kill -9, a failed run that is a row."""

import fcntl
import json
import re
import shutil
import subprocess
import sys
import time

import pytest

from restorebox.claims import reproduction, runs
from restorebox.claims.ledger import read_all, select
from restorebox.claims.pictures import draw_pictures
from restorebox.claims.records import changed, unknown
from tests.conftest import REPO, long
from tests.processes import call, environment, one_line_error, run, succeed

TINY = ('reproduce.py', 'fdrnet/C2', '--budget', 'tiny', '--device', 'cpu', '--work-dir', 'w', '--docs', 'd')


@pytest.mark.parametrize('option', ['--list', '--status'])
def test_lists_import_no_torch(tmp_path, option):
    call = f"from restorebox.cli.main import main; main(['reproduce', '{option}'])"
    code = f"import sys; {call}; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    lines = result.stdout.splitlines()
    assert lines[-1] == 'False'
    assert int(lines[-2].split()[0]) >= 34


def test_an_unknown_claim_is_one_line(tmp_path):
    assert "no method 'fdrnt' has claims; did you mean 'fdrnet'" in one_line_error(
        call('reproduce.py', 'fdrnt', '--list', cwd=tmp_path)
    )


@long
@pytest.mark.slow
def test_kill_and_go_on(tmp_path):
    command = [sys.executable, str(REPO / 'tools' / 'reproduce.py'), *TINY[1:]]
    first = tmp_path / 'd' / 'runs' / 'fdrnet' / 'tiny' / 'no_aux_s0.json'
    with open(tmp_path / 'output.txt', 'w') as out:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=out, stderr=subprocess.STDOUT)
        try:  # the second run is under way, at best with a checkpoint
            until = time.monotonic() + 900
            while process.poll() is None and time.monotonic() < until:
                if first.is_file() and list(tmp_path.glob('w/fdrnet/tiny/full_s0_*/iter_1.pth')):
                    break
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    assert first.is_file(), (tmp_path / 'output.txt').read_text()
    second = first.with_name('full_s0.json')
    assert not second.exists()
    stamp = first.stat().st_mtime_ns
    result = succeed(run(*TINY, cwd=tmp_path))
    assert 'done   fdrnet/tiny/no_aux_s0' in result.stdout
    assert '1 of 2 runs to do' in result.stdout
    assert first.stat().st_mtime_ns == stamp
    stored = json.loads(second.read_text())
    assert stored['mean']['psnr_rgb'] > 0
    assert unknown(stored) == []
    assert len(stored['per_picture']) == 2
    assert changed(stored, tmp_path / 'd') == []
    output = next(tmp_path.glob('w/fdrnet/tiny/full_s0_*/output.txt')).read_text()
    assert output.count('starting at step 0') == 1  # the second start found the checkpoint of the first
    assert 'C2' in (tmp_path / 'd' / 'fdrnet.md').read_text()
    assert '0 of 2 runs to do' in succeed(call(*TINY, cwd=tmp_path)).stdout


@pytest.mark.slow
def test_a_failed_run_is_a_row_that_says_so(tmp_path):
    (tmp_path / 'nowhere').mkdir()
    result = call(*TINY, '--data-root', 'nowhere', cwd=tmp_path)
    assert '2 runs failed' in one_line_error(result)
    assert 'fdrnet/C2 tiny: failed' in result.stdout
    rows = json.loads((tmp_path / 'd' / 'fdrnet.json').read_text())['rows']
    row = next(row for row in rows if row['id'] == 'C2')
    assert row['verdict'] == 'failed'
    assert 'nowhere' in row['note']


def test_stored_results_of_other_pictures_are_not_taken_for_ones_own(tmp_path):
    """The folder has one photograph that is none of those with which the stored results were made."""
    draw_pictures(tmp_path / 'mine')
    words = ('reproduce.py', 'raindiffusion/C6', '--seeds', '1', '--plan', '--data-root')
    stored = ('--docs', str(REPO / 'docs/claims'))
    line = one_line_error(call(*words, 'mine', *stored, cwd=tmp_path))
    assert 'has a stored result of other pictures than those in mine; keep yours apart by --docs FOLDER' in line
    assert 'data none: no such folder' in one_line_error(call(*words, 'none', *stored, cwd=tmp_path))
    assert 'to do' in succeed(call(*words, 'mine', '--docs', 'own', cwd=tmp_path)).stdout


def test_a_checkout_without_confirm_is_an_error(tmp_path):
    words = ('reproduce.py', 'fdrnet/C2', '--status', '--against', '.')
    assert '--against: only with --confirm' in call(*words, cwd=tmp_path).stderr


def test_a_plan_without_runs_says_why(tmp_path):
    out = succeed(call('reproduce.py', 'fdrnet/C6', '--plan', cwd=tmp_path)).stdout
    assert '0 of 0 runs to do\nfdrnet/C6 small: not run; ' in out


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """Runs that take no time; their scores are in the dict, model -> (input's, restored) psnr_rgb, and are noted."""
    given = {'scores': {}, 'trained': []}
    (tmp_path / 'data').mkdir()

    def trained(config, seed, folder, *, overrides, **options):
        model = re.fullmatch(r'(.+)_s\d+_\w{8}', folder.name)[1]
        given['trained'].append(model)
        given['overrides'] = overrides
        for name in ('iter_9.pth', 'scores.json'):
            (folder / name).touch()
        before, after = given['scores'].get(model, (20.0, 25.0))
        mean = {'psnr_rgb': after, 'input/psnr_rgb': before}
        return {'mean': mean, 'overrides': dict(overrides), 'checkpoint': {'path': '', 'sha256': 'f' * 64}}

    monkeypatch.setattr(runs, 'train_and_test', trained)
    given['probe'] = {'psnr_rgb': 21.0}
    monkeypatch.setattr(reproduction, 'measure_probe', lambda *_: given['probe'])
    return given


def options(tmp_path):
    return reproduction.Options(tmp_path / 'w', tmp_path / 'd', str(tmp_path / 'data'), 'cpu', lambda: None)


def test_where_a_run_started_is_stored_by_name(tmp_path, made_up):
    chosen = select(read_all(), 'heavy_rain/C6-psnr')
    assert reproduction.reproduce(chosen, 'small', [0], options(tmp_path)) == []
    assert made_up['trained'] == ['residue', 'stage2']
    assert made_up['overrides']['load_from'].startswith(str(tmp_path))
    stored = json.loads((tmp_path / 'd/runs/heavy_rain/small/stage2_s0.json').read_text())
    assert stored['overrides']['load_from'] == 'heavy_rain/small/residue_s0'


def test_weights_that_a_run_starts_from_are_trained_again_where_they_are_gone(tmp_path, made_up, capsys):
    """A stored result is not enough: weights stay in the work directory of the machine that trained them."""
    chosen = select(read_all(), 'heavy_rain/C6-psnr')
    reproduction.reproduce(chosen, 'small', [0], options(tmp_path))
    shutil.rmtree(tmp_path / 'w')
    planned = runs.plan(chosen, 'small', [0])
    assert runs.to_execute(planned, tmp_path / 'd', tmp_path / 'w') == []
    (tmp_path / 'd/runs/heavy_rain/small/stage2_s0.json').unlink()
    capsys.readouterr()
    reproduction.show_plan(planned, tmp_path / 'd', tmp_path / 'w')
    line = next(line for line in capsys.readouterr().out.splitlines() if 'residue_s0' in line)
    assert line.startswith('  to do')
    assert f'another run starts from its weights, which are not in {tmp_path / "w"}' in line
    made_up['trained'].clear()
    assert reproduction.reproduce(chosen, 'small', [0], options(tmp_path)) == []
    assert made_up['trained'] == ['residue', 'stage2']


def test_half_trained_weights_are_not_what_a_run_starts_from(tmp_path, made_up):
    """The training that makes weights again was killed: a checkpoint, but no scores; or only the scores are left."""
    chosen = select(read_all(), 'heavy_rain/C6-psnr')
    reproduction.reproduce(chosen, 'small', [0], options(tmp_path))
    (tmp_path / 'd/runs/heavy_rain/small/stage2_s0.json').unlink()
    first, second = runs.plan(chosen, 'small', [0])
    docs, work = tmp_path / 'd', tmp_path / 'w'
    assert runs.to_execute([first, second], docs, work) == [second]
    for name in ('scores.json', 'iter_9.pth'):
        (first.folder(work) / name).unlink()
        assert runs.to_execute([first, second], docs, work) == [first, second]
        (first.folder(work) / name).touch()


def test_a_training_whose_weights_are_gone_is_no_complete_one(tmp_path, monkeypatch):
    ran = []

    def command(arguments, log, lock, environment):
        ran.append(arguments[0])
        (tmp_path / 'iter_1.pth').touch()

    monkeypatch.setattr(runs, '_run_command', command)
    (tmp_path / 'scores.json').write_text('{"mean": {}}')
    for expected in (['train', 'test'], ['train', 'test']):  # the second call finds it complete
        assert runs.train_and_test('a.py', 0, tmp_path) == {'mean': {}}
        assert ran == expected


def test_a_baseline_that_does_not_restore_ends_the_claim(tmp_path, made_up, capsys):
    made_up['scores']['no_aux'] = (20.0, 20.05)
    chosen = select(read_all(), 'fdrnet/C2')
    reproduction.reproduce(chosen, 'small', [0, 1], options(tmp_path))
    assert made_up['trained'] == ['no_aux']
    line = capsys.readouterr().out.splitlines()[-1]
    assert 'fdrnet/C2: its baseline, no auxiliary branch, does not restore at small' in line
    assert 'gain over the input +0.050, needed +0.1' in line
    made_up['trained'].clear()
    reproduction.reproduce(chosen, 'tiny', [0], options(tmp_path))
    assert made_up['trained'] == ['no_aux', 'full']


def test_a_baseline_that_does_not_restore_is_trained_on_beside_a_side_that_does(tmp_path, made_up):
    made_up['scores']['no_aux'] = (20.0, 20.05)
    chosen = select(read_all(), 'fdrnet/C2')
    full = next(run for run in runs.plan(chosen, 'small', [0]) if run.model == 'full')
    runs.execute(full, tmp_path / 'w', tmp_path / 'd', data_root=str(tmp_path), environment={})
    made_up['trained'].clear()
    reproduction.reproduce(chosen, 'small', [0, 1], options(tmp_path))
    assert made_up['trained'] == ['no_aux', 'no_aux', 'full']


def test_a_baseline_that_restores_is_followed_by_the_others(tmp_path, made_up):
    reproduction.reproduce(select(read_all(), 'fdrnet/C2'), 'small', [0, 1], options(tmp_path))
    assert made_up['trained'] == ['no_aux', 'full', 'no_aux', 'full']


def test_a_run_begun_with_other_data_is_not_resumed(tmp_path, made_up):
    chosen = select(read_all(), 'fdrnet/C2')
    reproduction.reproduce(chosen, 'small', [0], options(tmp_path))
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'a.png').write_bytes(b'a')
    one = runs.plan(chosen, 'small', [0])[0]
    before = runs.read_result(one, tmp_path / 'd')
    after = runs.execute(one, tmp_path / 'w', tmp_path / 'd', data_root=str(tmp_path / 'other'), environment={})
    assert before['data'] != after['data']
    folder = one.folder(tmp_path / 'w')
    assert folder.with_name(f'{folder.name}_before1').is_dir()


def test_status_shows_what_runs_and_what_is_stale(tmp_path, made_up, capsys):
    chosen = select(read_all(), 'fdrnet/C2')
    reproduction.reproduce(chosen, 'small', [0], options(tmp_path))
    full = next(run for run in runs.plan(chosen, 'small', [0]) if run.model == 'full')
    path = full.stored(tmp_path / 'd')
    path.write_text(json.dumps({**json.loads(path.read_text()), 'digest': 'other'}))
    with open(full.folder(tmp_path / 'w') / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        capsys.readouterr()
        reproduction.show_status(chosen, tmp_path / 'd', tmp_path / 'w')
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith('fdrnet/C2 small: stale')
    assert 'was inconclusive; changed or unknown: config; needs the runs again' in lines[0]
    assert lines[1] == 'running: fdrnet/small/full_s0'
    assert lines[2].startswith('stored runs: 1 done, 1 stale, 0 failed')
    reproduction.show_status(chosen, tmp_path / 'd', tmp_path / 'w')
    assert 'running' not in capsys.readouterr().out


def test_status_finds_its_records_from_any_folder(tmp_path):
    lines = succeed(call('reproduce.py', 'infoaccum', '--status', cwd=tmp_path)).stdout.splitlines()
    assert lines[-2].endswith(str(REPO / 'docs' / 'claims'))
    assert int(re.search(r'(\d+) done', lines[-2])[1]) + int(re.search(r'(\d+) stale', lines[-2])[1]) >= 14


def test_the_environment_of_a_medium_run_has_one_thread(monkeypatch):
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    assert runs.run_environment('cpu', one_core=True)['OMP_NUM_THREADS'] == '1'
    assert 'OMP_NUM_THREADS' not in runs.run_environment('auto')
    assert runs.run_environment('cuda:2')['CUDA_VISIBLE_DEVICES'] == '2'

"""reproduce as a user runs it: instant lists, a plan that survives kill -9, a failed run that is a row."""

import json
import subprocess
import sys
import time

import pytest

from restorebox.claims import runs
from restorebox.claims.ledger import read_all
from tests.conftest import REPO
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


@pytest.mark.slow
def test_kill_and_go_on(tmp_path):
    command = [sys.executable, str(REPO / 'tools' / 'reproduce.py'), *TINY[1:]]
    first = tmp_path / 'd' / 'runs' / 'fdrnet' / 'tiny' / 'full_s0.json'
    with open(tmp_path / 'output.txt', 'w') as out:
        process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=out, stderr=subprocess.STDOUT)
        try:  # the second run is under way, at best with a checkpoint
            until = time.monotonic() + 900
            while process.poll() is None and time.monotonic() < until:
                if first.is_file() and list(tmp_path.glob('w/fdrnet/tiny/no_aux_s0_*/iter_1.pth')):
                    break
                time.sleep(0.02)
        finally:
            process.kill()
            process.wait()
    assert first.is_file(), (tmp_path / 'output.txt').read_text()
    second = first.with_name('no_aux_s0.json')
    assert not second.exists()
    stamp = first.stat().st_mtime_ns
    result = succeed(run(*TINY, cwd=tmp_path))
    assert 'done   fdrnet/tiny/full_s0' in result.stdout
    assert '1 of 2 runs to do' in result.stdout
    assert first.stat().st_mtime_ns == stamp
    assert json.loads(second.read_text())['mean']['psnr_rgb'] > 0
    output = next(tmp_path.glob('w/fdrnet/tiny/no_aux_s0_*/output.txt')).read_text()
    assert output.count('starting at step 0') == 1  # the second start found the checkpoint of the first
    assert 'C2' in (tmp_path / 'd' / 'fdrnet.md').read_text()
    assert '0 of 2 runs to do' in succeed(call(*TINY, cwd=tmp_path)).stdout


@pytest.mark.slow
def test_a_failed_run_is_a_row_that_says_so(tmp_path):
    result = call(*TINY, '--data-root', 'nowhere', cwd=tmp_path)
    assert '2 of 2 runs failed' in one_line_error(result)
    rows = json.loads((tmp_path / 'd' / 'fdrnet.json').read_text())['rows']
    row = next(row for row in rows if row['id'] == 'C2')
    assert row['verdict'] == 'failed'
    assert 'nowhere' in row['note']


def test_where_a_run_started_is_stored_by_name(tmp_path, monkeypatch):
    ledger = read_all()['heavy_rain']
    claims = [claim for claim in ledger.claims if claim.id == 'C6-psnr']
    stage2 = runs.plan([(ledger, claims)], 'small', [0])[1]
    assert stage2.spec.start
    given = {}

    def trained(*args, overrides, **options):
        given.update(overrides)
        return {'mean': {'psnr_y': 20.0}, 'overrides': dict(overrides)}

    monkeypatch.setattr(runs, 'train_and_test', trained)
    monkeypatch.setattr(runs, 'last_checkpoint', lambda folder: folder / 'iter_9.pth')
    stored = runs.execute(stage2, tmp_path / 'w', tmp_path / 'd', data_root=None, environment={})
    assert given['load_from'].startswith(str(tmp_path))
    assert stored['overrides']['load_from'] == 'heavy_rain/small/residue_s0'

"""A short form of the campaign; and that its oracle finds a fault of each kind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.campaign import cases, checkpoint_faults, checkpoints, kills, pictures
from tests.campaign.cases import fork, run_case
from tests.campaign.picture_files import WRITERS
from tests.campaign.reference import decode, difference
from tests.campaign.run import FULL, summary, table
from tests.conftest import REPO
from tests.processes import environment

pytestmark = pytest.mark.slow

SHORT = {'pictures': 16, 'checkpoints': 16, 'configs': 20, 'videos': 10, 'kills': 3}


def test_short_campaign(tmp_path):
    out = tmp_path / 'campaign.json'
    words = [word for group, count in SHORT.items() for word in (f'--{group}', str(count))]
    command = [sys.executable, str(REPO / 'tests/campaign/run.py'), *words, '--out', str(out)]
    ran = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f'{ran.stdout[-5000:]}\n{ran.stderr[-2000:]}'
    groups = json.loads(out.read_text())['groups']
    assert {group: row['cases'] for group, row in groups.items()} == SHORT
    for group, row in groups.items():
        assert row['right'] + row['warned'] + row['refused'] == row['cases'], group
        assert row['right'] + row['warned'] >= 2, (
            f'{group}: hardly anything got through, so that hardly anything was judged'
        )
    assert (tmp_path / 'campaign.md').read_text() == table(json.loads(out.read_text()))


def test_the_stored_run_was_whole_found_nothing_and_is_on_the_page():
    told = json.loads((REPO / 'docs/results/campaign.json').read_text())
    assert (REPO / 'docs/results/campaign.md').read_text() == table(told)
    assert {group: row['cases'] for group, row in told['groups'].items()} == FULL
    assert told['violations'] == []


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """What ``prepare`` of the groups makes that are played here."""
    homes = {}
    for module in (pictures, checkpoints, kills):
        homes[module] = tmp_path_factory.mktemp('shared')
        ran = fork(lambda module=module: module.prepare(homes[module]), homes[module].with_suffix('.prepare'))
        assert ran.code == 0, ran.err
    return homes


def kinds(result):
    return {kind for kind, _ in result.violations}


def good_folder(case):
    """A folder of good pictures through ``restore``, by the oracle of the group."""
    Path('in').mkdir()
    for i, name in enumerate((*pictures.GOOD, 'subject.png')):
        Image.fromarray(pictures.neighbour(i)).save(Path('in', name))
    expected = decode(Path('in/subject.png').read_bytes())
    return pictures.restore(case, Path('in/subject.png'), expected, expected)


def around_restore(then):
    """A plant: ``restore`` as it is, and something after it."""

    def plant():
        from restorebox.cli import restore

        main = restore.main
        restore.main = lambda argv: (main(argv), then())

    return plant


def instead(name, function):
    """A plant: a function in place of one of the project's."""

    def plant():
        module, _, attribute = name.rpartition('.')
        __import__(module)
        setattr(sys.modules[module], attribute, function)

    return plant


def raising(error):
    def function(*args, **kwargs):
        raise error

    return function


def brighter():
    """A plant: pictures come out brighter than they are."""
    from restorebox.inference.tiles import Tiler

    call = Tiler.__call__
    Tiler.__call__ = lambda *args, **kwargs: call(*args, **kwargs) // 2 + 1


def unwritten():
    """A plant: the first picture is left out without a word."""
    from restorebox.inference import files

    write = files.write_file
    files.write_file = lambda picture, path, quality: [] if 'a_good' in str(path) else write(picture, path, quality)


PLANTS = {
    'traceback': instead('restorebox.cli.restore.main', raising(ValueError('a mistake of ours'))),
    'crash': instead('restorebox.cli.restore.main', lambda argv: os.kill(os.getpid(), signal.SIGKILL)),
    'hang': instead('restorebox.cli.restore.main', lambda argv: time.sleep(1000)),
    'silent': brighter,
    'lost': unwritten,
    'leftover': around_restore(lambda: Path('out/.a.png.1.tmp').write_bytes(b'')),
    'lines': around_restore(lambda: sys.exit(3)),
}


@pytest.mark.parametrize('kind', PLANTS)
def test_a_planted_fault_is_found(kind, shared, tmp_path, monkeypatch):
    if kind == 'hang':
        monkeypatch.setattr(cases, 'DEADLINE', 1)
    found = run_case('pictures', good_folder, 0, tmp_path, shared[pictures], PLANTS[kind])
    assert kind in kinds(found), found


def test_without_a_fault_nothing_is_found(shared, tmp_path):
    found = run_case('pictures', good_folder, 0, tmp_path, shared[pictures])
    assert not found.violations
    assert found.outcome == 'right'


def test_an_error_of_several_lines_and_control_characters_are_found(shared, tmp_path):
    def plant():
        def main(argv):
            print('error: first\nsecond \x1b[31m', file=sys.stderr)
            sys.exit(1)

        instead('restorebox.cli.restore.main', main)()

    found = run_case('pictures', good_folder, 0, tmp_path, shared[pictures], plant)
    assert (
        len([text for kind, text in found.violations if kind == 'lines' and ('several' in text or 'control' in text)])
        == 2
    )


def test_a_program_that_runs_is_found(shared, tmp_path):
    def play(case):
        import torch

        content = torch.load(case.shared / 'change.pth', weights_only=True)
        payload = {'type': 'os.makedirs', 'name': checkpoint_faults.CANARY}
        Path('data').symlink_to(case.shared / 'data')
        draft = checkpoint_faults.Draft('.pth', content['state_dict'], {'model': payload})
        Path('weights.pth').write_bytes(draft.data())
        outcome = checkpoints.judge(
            case, 'info', Path('weights.pth'), draft, checkpoints.use(case, 'info', Path('weights.pth'))
        )
        checkpoints.canary(case)
        return outcome

    held = run_case('checkpoints', play, 0, tmp_path, shared[checkpoints])
    assert (held.outcome, held.violations) == ('refused', [])
    trusting = instead('restorebox.engine.published.checked_config', lambda cfg: cfg)
    assert 'ran' in kinds(run_case('checkpoints', play, 0, tmp_path, shared[checkpoints], trusting))


def test_files_that_are_not_replaced_in_one_step_are_found(shared, tmp_path):
    def plant():
        replace = os.replace

        def slow(old, new):
            data = Path(old).read_bytes()
            Path(new).write_bytes(data[: len(data) // 2])
            time.sleep(1)  # as long as the case, so that some kill meets it
            replace(old, new)

        os.replace = slow

    found = []
    for seed in range(0, 60, 6):  # restores, until a kill meets the replacement
        found.append(run_case('kills', kills.play, seed, tmp_path, shared[kills], plant))
        assert found[-1].what.startswith('restore')
        if 'silent' in kinds(found[-1]):
            return
    pytest.fail(f'not found: {[result.what for result in found]}')


def test_a_campaign_that_fails_itself_is_no_success(tmp_path):
    found = run_case('pictures', raising(RuntimeError('a mistake of the campaign')), 0, tmp_path, tmp_path)
    assert kinds(found) == {'campaign'}
    told = summary([found])
    assert told['groups']['pictures']['right'] == 0
    assert told['violations'][0]['seed'] == 0


def test_a_case_is_its_seed(shared, tmp_path):
    once, again, other = (run_case('pictures', pictures.play, seed, tmp_path, shared[pictures]) for seed in (3, 3, 4))
    assert once == again
    assert once.what != other.what


@pytest.mark.parametrize('kind', WRITERS)
def test_valid_files_are_valid(kind):
    """Else the oracle would expect nothing of them."""
    writer, count = WRITERS[kind]
    for form in range(count):
        data = writer(np.random.default_rng(form), form)
        decoded = decode(data, f'.{kind}')
        assert decoded.frames, f'{kind} {form}: {decoded.reason}'
        assert difference(decoded, decoded) is None

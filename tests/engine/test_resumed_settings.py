"""--resume with a config that differs from that of the checkpoint: allowed changes, warnings and errors."""

import shutil

import pytest

from restorebox.engine import load_file
from tests.engine.test_resume import equal
from tests.factories import write_pairs
from tests.processes import one_line_error, run, succeed, write_config

pytestmark = pytest.mark.slow
PARTS = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers', 'random_states')


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    """Pairs, two configs of 8 samples (4 steps), and a finished training of each."""
    folder = tmp_path_factory.mktemp('home')
    write_pairs(folder / 'data', 'train', 4)
    write_pairs(folder / 'data', 'test', 2)
    text = write_config(folder / 'toy.py', folder / 'data', samples=8).read_text()
    decay = "dict(type='LinearLR', start_factor=1.0, end_factor=1e-8, by_epoch=False, begin=4, end=8)"
    halve = "dict(type='StepLR', by_epoch=False, step_size=6, gamma=0.5)"
    for name, schedule in (('decay', decay), ('halve', halve)):
        (folder / f'{name}.py').write_text(f'{text}\nparam_scheduler = [{schedule}]\n')
        succeed(run('train.py', f'{name}.py', '--work-dir', name, cwd=folder))
    return folder


def resume(home, name, work_dir, *options):
    shutil.copytree(home / name, home / work_dir)
    where = ('--work-dir', work_dir, '--resume', '--cfg-options')
    return run('train.py', f'{name}.py', *where, *options, cwd=home)


def rate(path):
    return load_file(path)['optimizer']['param_groups'][0]['lr']


def test_a_schedule_that_ended_is_stretched_and_another_rate_is_not_applied(home):
    assert rate(home / 'decay' / 'iter_4.pth') < 1e-10
    options = ('train_cfg.max_samples=16', 'optim_wrapper.optimizer.lr=0.5', 'default_hooks.checkpoint.every_samples=2')
    result = succeed(resume(home, 'decay', 'longer', *options, 'default_hooks.checkpoint.max_keep=9'))
    said = result.stdout + result.stderr
    assert 'not applied: optim_wrapper.optimizer.lr 0.5 (the checkpoint has 0.001)' in said
    assert '--cfg-options load_from=' in said
    assert 'the schedule was written for 8 samples and is stretched to 16: lr 1e-11 -> 0.001' in said
    # linear from 1e-3 at step 4 to 1e-11 at step 7, where MMEngine's end a step early
    assert [rate(home / 'longer' / f'iter_{step}.pth') for step in (5, 6)] == pytest.approx([2e-3 / 3, 1e-3 / 3])
    assert load_file(home / 'longer' / 'iter_5.pth')['meta']['schedule_samples'] == 8
    # killed and resumed by the same command it goes on as if it had not been
    shutil.copytree(home / 'longer', home / 'killed')
    for step in (6, 7, 8):
        (home / 'killed' / f'iter_{step}.pth').unlink()
    where = ('--work-dir', 'killed', '--resume', '--cfg-options')
    succeed(run('train.py', 'decay.py', *where, *options, 'default_hooks.checkpoint.max_keep=9', cwd=home))
    straight, resumed = (load_file(home / d / 'iter_8.pth') for d in ('longer', 'killed'))
    assert {part: equal(straight[part], resumed[part]) for part in PARTS} == {part: [] for part in PARTS}


def test_a_schedule_without_an_end_goes_on_as_in_a_longer_run(home):
    longer = ('train_cfg.max_samples=16', 'train_cfg.val_samples=8')
    succeed(resume(home, 'halve', 'on', *longer))
    succeed(run('train.py', 'halve.py', '--work-dir', 'once', '--cfg-options', *longer, cwd=home))
    straight, resumed = (load_file(home / d / 'iter_8.pth') for d in ('once', 'on'))
    assert rate(home / 'once' / 'iter_8.pth') == 2.5e-4
    assert {part: equal(straight[part], resumed[part]) for part in PARTS} == {part: [] for part in PARTS}


def test_a_schedule_without_by_epoch_is_the_same(home):
    text = (home / 'halve.py').read_text()
    (home / 'bare.py').write_text(text.replace('by_epoch=False, step_size', 'step_size'))
    assert text != (home / 'bare.py').read_text()
    shutil.copytree(home / 'halve', home / 'bare')
    (home / 'bare' / 'iter_4.pth').unlink()  # as if it had been killed before its end
    result = succeed(run('train.py', 'bare.py', '--work-dir', 'bare', '--resume', cwd=home))
    assert 'the schedule' not in result.stdout + result.stderr
    straight, resumed = (load_file(home / d / 'iter_4.pth') for d in ('halve', 'bare'))
    assert {part: equal(straight[part], resumed[part]) for part in PARTS} == {part: [] for part in PARTS}


def test_another_schedule_holds_from_here_on(home):
    options = ('param_scheduler.0.gamma=0.1', 'train_cfg.max_samples=16', 'train_cfg.val_samples=8')
    result = succeed(resume(home, 'halve', 'other', *options))
    assert 'the schedule follows the config: lr 0.0005 -> 0.0001' in result.stdout + result.stderr
    assert rate(home / 'other' / 'iter_8.pth') == pytest.approx(1e-5)
    assert 'settings differ' not in result.stdout + result.stderr


def test_other_changes_are_named(home):
    options = ('model.losses.l1.weight=7', 'train_cfg.max_samples=16', 'train_cfg.val_samples=8')
    result = succeed(resume(home, 'halve', 'weight', *options))
    said = result.stdout + result.stderr
    assert 'settings differ from those of the run that is resumed: model.losses.l1.weight' in said


def test_another_training_set_is_named(home):
    """Also one of equal size, in which a pair has another name."""
    pairs, longer = home / 'data' / 'train', ('train_cfg.max_samples=16', 'train_cfg.val_samples=8')
    said = {}
    for case in ('same', 'renamed', 'fewer'):
        for role in ('lq', 'gt'):
            last = max((pairs / role).iterdir())
            if case == 'renamed':
                last.rename(last.with_stem('another'))
            elif case == 'fewer':
                last.unlink()
        result = succeed(resume(home, 'halve', case, *longer))
        found = [line for line in (result.stdout + result.stderr).splitlines() if 'training set has changed' in line]
        said[case] = found[0].split('changed ')[1] if found else ''
    after = ': the run goes on in another order of samples'
    assert said == {'same': '', 'renamed': f'(files of other names){after}', 'fewer': f'(4 -> 3 samples){after}'}


def test_another_kind_of_optimiser_is_refused(home):
    line = one_line_error(resume(home, 'halve', 'sgd', 'optim_wrapper.optimizer.type=SGD'))
    assert 'was trained with optim_wrapper.optimizer.type Adam, this run has SGD' in line

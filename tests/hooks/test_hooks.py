"""Hooks in a real run, in this process."""

import itertools
import json
import math
import re
import shutil
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from restorebox.engine import load_file
from restorebox.engine.config import load_config
from restorebox.errors import CheckpointError, ConfigError, NonFiniteError
from restorebox.figures import read_scalars, save_curves, save_sheet
from restorebox.hooks.checkpoint import RestorationCheckpointHook
from restorebox.hooks.ema import RoleEMAHook
from restorebox.registry import RUNNERS
from tests.conftest import REPO
from tests.factories import write_pairs
from tests.processes import write_config

pytestmark = pytest.mark.slow

NUMBER = itertools.count()


def config_for(folder, **kwargs) -> Config:
    write_pairs(folder / 'data', 'train', 5)
    write_pairs(folder / 'data', 'test', 3)
    cfg = load_config(write_config(folder / 'toy.py', folder / 'data', **kwargs))
    cfg.work_dir, cfg.launcher = str(folder / 'w'), 'none'
    cfg.experiment_name = f'hooks_{next(NUMBER)}'  # MMEngine gives two runs of one name and second one log
    return cfg


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A run of 20 steps of 2, a checkpoint each 10."""
    folder = tmp_path_factory.mktemp('run')
    runner = RUNNERS.build(config_for(folder))
    runner.train()
    return runner, folder / 'w'


def test_files_of_a_run(finished):
    _, work_dir = finished
    assert {p.name for p in work_dir.glob('*.pth')} == {'iter_10.pth', 'iter_20.pth', 'best_psnr_y.pth'}
    assert Image.open(work_dir / 'curves.png').width > 300
    assert Image.open(work_dir / 'sheets' / 'val_20.png').height > 100
    assert load_file(work_dir / 'best_psnr_y.pth')['meta']['psnr_y'] > 0


def test_the_schedule_is_in_samples(finished):
    runner, _ = finished
    assert runner.max_iters == 20
    assert runner.train_loop.samples == 40
    assert runner.param_schedulers[0].T_max == 20


def test_the_average_follows_its_formula_and_is_kept_beside_the_weights(finished):
    runner, work_dir = finished
    checkpoint = load_file(work_dir / 'iter_20.pth')
    live, average = checkpoint['state_dict'], checkpoint['ema_state_dict']
    assert checkpoint['ema_steps'] == 20
    assert set(average) == {k for k in live if k.startswith('generator.')}
    assert any(not torch.equal(average[k], live[k]) for k in average)
    now = runner.restorer.state_dict()
    assert all(torch.equal(now[k], live[k]) for k in live), 'validation left the average in the model'


def test_average_arithmetic():
    hook = RoleEMAHook(decay=0.5)
    net = torch.nn.Linear(1, 1, bias=False)
    restorer = type('R', (), {'deployed': ('generator',), 'role': lambda self, _: net})()
    runner = type('Runner', (), {'restorer': restorer, 'optim_wrapper': SimpleNamespace(_accumulative_counts=1)})()
    torch.nn.init.constant_(net.weight, 1.0)
    hook.before_train(runner)
    expected = 1.0
    for step, value in enumerate((2.0, 3.0, 5.0)):
        runner.iter = step
        torch.nn.init.constant_(net.weight, value)
        hook.after_train_iter(runner, step, {}, {})
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert math.isclose(hook.average['generator.weight'].item(), expected, rel_tol=1e-6)


def test_testing_uses_the_average(finished, tmp_path):
    _, work_dir = finished
    checkpoint = load_file(work_dir / 'iter_20.pth')
    cfg = load_config(work_dir / 'toy.py')
    cfg.train_dataloader = cfg.train_cfg = cfg.optim_wrapper = cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    cfg.load_from, cfg.work_dir, cfg.launcher, cfg.resume = str(work_dir / 'iter_20.pth'), str(tmp_path), 'none', False
    runner = RUNNERS.build(cfg)
    runner.test()
    now = runner.restorer.state_dict()
    assert all(torch.equal(now[k], v) for k, v in checkpoint['ema_state_dict'].items())
    scores = json.loads((tmp_path / 'scores.json').read_text())
    schema = json.loads((REPO / 'restorebox/schemas/scores-1.json').read_text())
    jsonschema.validate(scores, schema)
    for change in ({'version': 2}, {'mean': {'psnr_y': 'high'}}, {'more': 1}, {'checkpoint': {'path': None}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(scores | change, schema)
    assert scores['count'] == 3
    assert scores['training']['steps'] == 20
    assert scores['training']['samples'] == 40
    assert len(scores['checkpoint']['sha256']) == 64
    assert scores['inference'] == {'mode': 'whole', 'statistics_window': 32}
    assert {'psnr_y', 'input/psnr_y'} <= set(scores['mean'])


@pytest.mark.parametrize(('steps', 'logged'), [(5, [3, 5]), (6, [3, 6]), (2, [2])])
def test_the_last_step_is_logged(tmp_path, steps, logged):
    cfg = config_for(tmp_path, samples=2 * steps)
    cfg.default_hooks.logger.interval = 3
    RUNNERS.build(cfg).train()
    log = next((tmp_path / 'w').glob('*/*.log')).read_text()
    assert re.findall(r'Iter\(train\) \[ *(\d+)/', log) == [str(step) for step in logged]


def test_history_is_capped(tmp_path):
    cfg = config_for(tmp_path, samples=12)
    cfg.default_hooks.history.length = 3
    runner = RUNNERS.build(cfg)
    runner.train()
    buffers = runner.message_hub.log_scalars
    assert len(buffers['train/loss'].data[0]) == 3


def test_nan_stops_with_step_term_and_last_checkpoint(tmp_path):
    cfg = config_for(tmp_path, samples=40)
    runner = RUNNERS.build(cfg)
    original = runner.restorer.losses

    def losses(step, inputs, prepared):
        terms = original(step, inputs, prepared)
        return {k: v * float('nan') for k, v in terms.items()} if runner.iter == 12 else terms

    runner.restorer.losses = losses
    with pytest.raises(NonFiniteError, match=r'stopped at step 13: generator: loss_l1 = nan; last good .*iter_10\.pth'):
        runner.train()
    load_file(tmp_path / 'w' / 'iter_10.pth')


def test_spoilt_weights_are_not_saved(finished, tmp_path):
    runner, work_dir = finished
    weight = next(runner.restorer.generator.parameters())
    kept = weight.data.clone()
    weight.data[0] = float('inf')
    try:
        with pytest.raises(
            CheckpointError, match=r'weight generator\.\S+ is NaN or infinite; last good checkpoint: \S+iter_20\.pth'
        ):
            runner.save_checkpoint(str(work_dir), 'iter_99.pth')
    finally:
        weight.data.copy_(kept)
    assert not (work_dir / 'iter_99.pth').exists()


def test_bfloat16_trains(tmp_path):
    cfg = config_for(tmp_path, samples=8)
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    runner = RUNNERS.build(cfg)
    seen = set()
    runner.restorer.generator.backbone.down[1].register_forward_hook(
        lambda _m, _i, out: seen.add((runner.restorer.training, out.dtype))
    )
    runner.train()
    assert (True, torch.bfloat16) in seen
    assert (False, torch.float32) in seen
    assert all(p.dtype == torch.float32 for p in runner.restorer.parameters())


@pytest.mark.parametrize(
    ('kwargs', 'message'), [(dict(rule='more'), "'greater' or 'less'"), (dict(max_keep=0), 'at least 1')]
)
def test_checkpoint_hook_refuses(kwargs, message):
    with pytest.raises(ConfigError, match=message):
        RestorationCheckpointHook(every_samples=10, **kwargs)


def test_a_score_that_is_not_measured_cannot_be_the_best(tmp_path):
    cfg = config_for(tmp_path, samples=4)
    cfg.default_hooks.checkpoint.save_best = 'psnr_z'
    with pytest.raises(ConfigError, match="save_best is 'psnr_z'; did you mean 'psnr_y'"):
        RUNNERS.build(cfg).train()


def test_sheet_holds_the_pictures(tmp_path):
    red, blue = np.zeros((30, 40, 3), np.uint8), np.zeros((900, 1200, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    save_sheet([[('a', red), ('b', red)], [('c', blue)]], tmp_path / 's.png')
    sheet = np.asarray(Image.open(tmp_path / 's.png'))
    colours, counts = np.unique(sheet.reshape(-1, 3), axis=0, return_counts=True)
    found = {tuple(c): n for c, n in zip(colours.tolist(), counts.tolist(), strict=True)}
    assert found[(255, 0, 0)] == 2 * 30 * 40
    assert found[(0, 0, 255)] == 480 * 360  # shrunk to fit, in proportion
    assert [p.name for p in tmp_path.iterdir()] == ['s.png']


def test_curves_of_a_resumed_and_killed_run(tmp_path):
    first, second = tmp_path / '1.json', tmp_path / '2.json'
    first.write_text('{"loss": 2.0, "iter": 1}\n{"loss": 1.0, "iter": 2}\n{"loss": 0.')
    second.write_text('{"loss": 1.5, "iter": 2}\n{"psnr_y": 30.0, "step": 2}\n')
    assert read_scalars([first, second]) == {'loss': [(1, 2.0), (2, 1.5)], 'psnr_y': [(2, 30.0)]}
    with open(second, 'ab') as file:  # of another program, or damaged
        file.write(b'[1]\n3\nnull\n{"loss": 1, "step": "x"}\n\xff\xfe\n' + b'[' * 100_000 + b'\n')
    assert read_scalars([first, second]) == {'loss': [(1, 2.0), (2, 1.5)], 'psnr_y': [(2, 30.0)]}
    save_curves([first, second], tmp_path / 'c.png')
    assert Image.open(tmp_path / 'c.png').width > 300


def test_a_used_work_directory_is_refused_unless_resumed(tmp_path):
    RUNNERS.build(config_for(tmp_path, samples=8)).train()
    before = {p.name: p.read_bytes() for p in (tmp_path / 'w').glob('*.pth')}
    with pytest.raises(ConfigError, match=r'holds checkpoints of an earlier run .*give --resume or another'):
        RUNNERS.build(config_for(tmp_path, samples=4)).train()
    assert {p.name: p.read_bytes() for p in (tmp_path / 'w').glob('*.pth')} == before


def test_resume_takes_the_run_itself_not_load_from(tmp_path):
    cfg = config_for(tmp_path, samples=8)
    RUNNERS.build(cfg).train()
    shutil.copy(tmp_path / 'w' / 'iter_2.pth', tmp_path / 'first_stage.pth')
    cfg = config_for(tmp_path, samples=8)
    cfg.load_from, cfg.resume = str(tmp_path / 'first_stage.pth'), True
    runner = RUNNERS.build(cfg)
    runner.train()
    assert runner.iter == 4
    assert not runner._train_loop.waited, 'it trained although the run was finished'


def test_the_best_survives_a_resume_and_a_missed_validation_is_made_up(tmp_path):
    cfg = config_for(tmp_path, samples=8)
    cfg.train_cfg.val_samples = 4
    RUNNERS.build(cfg).train()
    work_dir = tmp_path / 'w'
    best = load_file(work_dir / 'best_psnr_y.pth')
    best['meta']['psnr_y'] = 99.0  # a best that nothing beats
    torch.save(best, work_dir / 'best_psnr_y.pth')
    (work_dir / 'iter_4.pth').unlink()
    cfg = config_for(tmp_path, samples=8)
    cfg.train_cfg.val_samples, cfg.resume = 4, True
    runner = RUNNERS.build(cfg)
    validated = []
    original = runner.call_hook

    def watch(name, **kwargs):
        if name == 'before_val':
            validated.append(runner.iter)
        return original(name, **kwargs)

    runner.call_hook = watch
    runner.train()
    assert validated == [4], 'a validation that was made is made again'
    assert load_file(work_dir / 'best_psnr_y.pth')['meta']['psnr_y'] == 99.0


def test_a_validation_that_was_interrupted_is_made_up(tmp_path):
    cfg = config_for(tmp_path, samples=8)
    runner = RUNNERS.build(cfg)
    original = runner.call_hook

    def killed(name, **kwargs):
        if name == 'before_val':
            raise KeyboardInterrupt
        return original(name, **kwargs)

    runner.call_hook = killed
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert load_file(tmp_path / 'w' / 'iter_4.pth')['meta']['validated'] is False
    cfg = config_for(tmp_path, samples=8)
    cfg.resume = True
    RUNNERS.build(cfg).train()
    assert load_file(tmp_path / 'w' / 'best_psnr_y.pth')['meta']['iter'] == 4


def test_a_checkpoint_that_a_rank_does_not_see_is_refused(tmp_path, monkeypatch):
    """Nodes with folders of their own would start at different steps and average gradients of different models."""
    RUNNERS.build(config_for(tmp_path, samples=4)).train()
    cfg = config_for(tmp_path, samples=8)
    cfg.resume = True
    runner = RUNNERS.build(cfg)
    monkeypatch.setattr('restorebox.engine.runner.all_gather_object', lambda value: [value, False])
    with pytest.raises(CheckpointError, match='not every rank sees it; the work directory must be shared'):
        runner.train()


def test_the_test_set_does_not_depend_on_the_training_seed(tmp_path):
    cfg = config_for(tmp_path)
    cfg.randomness.seed = 7
    runner = RUNNERS.build(cfg)
    assert runner.build_dataloader(cfg.train_dataloader).dataset.seed == 7
    assert runner.build_dataloader(cfg.val_dataloader).dataset.seed == 0


def test_a_config_without_hooks_saves_with_ours(tmp_path):
    cfg = config_for(tmp_path, samples=4)
    cfg.default_hooks = None
    RUNNERS.build(cfg).train()
    assert (tmp_path / 'w' / 'iter_2.pth').is_file()

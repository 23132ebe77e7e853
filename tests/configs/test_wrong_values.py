"""What check-config refuses in one line: values of the wrong kind, options and numbers that contradict each other."""

import copy
import sys

import pytest

from restorebox.engine import build_check
from restorebox.engine.config import TOP_KEYS, load_config
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from tests.configs.mutations import mutate, write

UNET5 = configs_dir() / 'unet' / 'unet5_paired.py'  # 400,000 samples, batch 1, Adam at 2e-4
ALL = sorted(p for p in configs_dir().glob('*/*.py') if p.parent.name != '_base_')
FROM_RUNNER, FROM_HOOKS = 'from mmengine.runner import', 'from mmengine.hooks import'


def child(tmp_path, text):
    config = tmp_path / 'c.py'
    config.write_text(f"_base_ = '{UNET5}'\n{text}\n")
    return str(config)


def refused(tmp_path, text):
    with pytest.raises(ConfigError) as caught:
        check_config(child(tmp_path, text))
    assert '\n' not in str(caught.value)
    return str(caught.value)


def steps(*between, batch=1):
    pipeline = ', '.join(["dict(type='LoadPictures')", *between, "dict(type='Pack')"])
    return f'train_dataloader = dict(batch_size={batch}, dataset=dict(pipeline=[{pipeline}]))'


def schedule(**numbers):
    return f'param_scheduler = [dict({", ".join(f"{k}={v!r}" for k, v in numbers.items())})]'


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (steps("dict(type='Flip', p=2)"), 'pipeline.1: Flip: p is 2; it must be a finite number from 0 to 1'),
        (steps("dict(type='Rotate90', p=float('nan'))"), 'p is nan'),
        (steps("dict(type='RandomWindow', size='256')"), "size is '256'"),
        (steps("'Flip'"), "pipeline.1 is 'Flip'; it must be a dict"),
        (steps("dict(type='Flip', roles=['gd'])"), "pipeline.1: sample a picture has no role 'gd'"),
        (steps("dict(tipe='Flip')"), "pipeline.1: needs the key 'type'"),
        ('train_dataloader = dict(dataset=dict(pipeline=[]))', "must end with dict(type='Pack')"),
        ("model = dict(generator=dict(backbone=dict(value_range=[1, 0])))", 'value_range is [1, 0]'),
        ('model = dict(generator=dict(backbone=dict(base_width=0)))', 'base_width is 0; it must be a whole number'),
        ('model = dict(generator=dict(backbone=dict(base_width=10**9)))', 'base_width is 1000000000'),
        ("model = dict(generator=dict(channels_last='no'))", "channels_last is 'no'; it must be True or False"),
        ('model = dict(generator=[])', 'generator is []; it must be a dict'),
        ('model = dict(generator=dict(head=None))', 'head is None; it must be a dict'),
        ("model = dict(losses=[dict(type='L1Loss')])", "losses is [{'type': 'L1Loss'}]; it must be a dict"),
        ("model = dict(losses=dict(_delete_=True, x=dict(type='L1Loss', weight=0)))", 'nothing would be trained'),
        ("model = dict(losses=dict(x=dict(type='L1Loss', weight=-1)))", 'weight is -1'),
        ('model = {5: 5}', 'the key 5 is no string'),
        ('model = dict(_delete_=True)', "config, model: needs the key 'type'"),
        ("model = dict(type=5)", 'type is 5; it must be the name of a component'),
        ('train_dataloader = [dict()]', 'train_dataloader is [{}]; it must be a dict'),
        ('train_dataloader = dict(persistent_workers=True, num_workers=0)', 'persistent_workers=True applies to'),
        ('train_dataloader = dict(prefetch_factor=2, num_workers=0)', 'prefetch_factor=2 applies to workers'),
        ('test_dataloader = dict(timeout=5, num_workers=0)', 'timeout=5 applies to workers'),
        ('test_dataloader = dict(drop_last=True)', 'drop_last=True drops pictures'),
        ('train_dataloader = dict(shuffle=True)', 'shuffle=True contradicts the sampler'),
        ("train_dataloader = dict(batch_sampler=dict(type='BatchSampler'))", 'batch_sampler'),
        ("train_dataloader = dict(pin_memory='yes')", "pin_memory is 'yes'; it must be True or False"),
        ("val_dataloader = dict(sampler=dict(type='InfiniteSampler'))", 'it is infinite'),
        ("train_dataloader = dict(collate_fn=dict(type='default_collate'))", "use 'collate_roles'"),
        ("train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1)", "restorebox has 'SampleTrainLoop'"),
        ("train_cfg = dict(type='IterBasedTrainLoop')", 'max_samples = iterations x batch x ranks'),
        ("train_cfg = dict(type='mmengine.IterBasedTrainLoop')", 'max_samples = iterations x batch x ranks'),
        (f"{FROM_RUNNER} TestLoop\ntest_cfg = dict(type=TestLoop)", 'TestLoop is not derived from RestorationTestLoop'),
        ("val_cfg = dict(type='ValLoop')", "restorebox has 'RestorationValLoop'"),
        ('train_cfg = dict(max_iters=10)', "no key 'max_iters'; restorebox has 'max_samples' (iterations"),
        ('train_cfg = dict(runner=1)', "SampleTrainLoop has no key 'runner'; known: max_samples, sync_every, val_sam"),
        ('train_cfg = dict(sync_every=0)', 'sync_every is 0; it must be'),
        ("compile = dict(role=['generator'])", "no key 'role'"),
        ("compile = dict(roles=['generator'], mode='fast')", "mode is 'fast'"),
        ("env_cfg = dict(tf32='yes')", "tf32 is 'yes'"),
        ("static_graph = 'yes'", "static_graph is 'yes'"),
        ('default_hooks = dict(checkpoint=dict(interval=5))', "no key 'interval'; restorebox has 'every_samples'"),
        ('default_hooks = dict(checkpoint=dict(by_epoch=False))', "'by_epoch'; leave it out: numbers are samples"),
        ("model = dict(losses=dict(x=dict(type='L1Loss', loss_weight=1)))", "restorebox has 'weight'"),
        ("custom_hooks = [dict(type='EMAHook')]", "restorebox has 'RoleEMAHook'; EMAHook averages all networks"),
        (f'{FROM_HOOKS} EMAHook\ncustom_hooks = [dict(type=EMAHook)]', "restorebox has 'RoleEMAHook'"),
        ("val_evaluator = dict(_delete_=True, metrics=[dict(type='PictureScores')])", 'metrics without it: val_eval'),
        ("model = dict(losses=dict(x=dict(type='AdversarialLoss')))", "use model.type='AdversarialRestorer' with"),
        (
            "train_dataloader = dict(sampler=dict(_delete_=True, type='InfiniteSampler'))",
            "config, train_dataloader.sampler: InfiniteSampler can't skip samples when a run is resumed",
        ),
        ("model = dict(type='AdversarialRestorer')", "model: AdversarialRestorer needs the key 'discriminator'"),
        ('model = dict(generator=dict(backbone=dict(_delete_=True, levels=3)))', "backbone: needs the key 'type'"),
        ("model = dict(losses=dict(x=dict(type='SemanticLoss')))", "SemanticLoss needs the key 'encoder'"),
        ("model = dict(generator=dict(_delete_=True, head=dict(type='PictureHead')))", "needs the key 'backbone'"),
        (schedule(type='StepLR'), "StepLR needs the key 'step_size'"),
        ("train_dataloader = dict(dataset=dict(pipeline=[dict(type='RandomWindow')]))", "Window needs the key 'size'"),
        ("model = dict(data_preprocessor=dict(type='DataPreprocessor'))", "no data preprocessor is called 'DataPrepr"),
        ("model = dict(generator=dict(_delete_=True, type='RRDBNet'))", 'it is not included, see docs/coming_from.md'),
        ("custom_imports = dict(imports=['edge_l11'])", "(No module named 'edge_l11'); the folder of a module"),
        (schedule(type='CosineAnnealingLR', T_max=0), 'T_max is 0; it must be a finite number above 0'),
        (schedule(type='CosineAnnealingLR', T_max=400_000, eta_min=1), 'eta_min is 1, above the lr of 0.0002'),
        (
            'optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0)}))\n'
            + schedule(type='CosineAnnealingLR', T_max=400_000, eta_min=1e-6),
            'eta_min raises the rate of weights that lr_mult=0 fixes; use eta_min_ratio',
        ),
        (schedule(type='StepLR', step_size=0), 'step_size is 0'),
        (schedule(type='StepLR', step_size=9000, gamma=-1), 'the rate becomes -0.0002 at sample 9,000'),
        (schedule(type='StepLR', step_size=9000, gamma=10), 'the rate becomes 2 at'),
        (schedule(type='MultiStepLR', milestones=['a']), "milestones.0 is 'a'"),
        (schedule(type='LinearLR', begin=50, end=5), 'it must end after it begins'),
        (schedule(type='LinearLR', begin=500_000, end=600_000), 'begins at 500,000, but max_samples is 400,000'),
        (schedule(type='LinearLR', start_factor=1.0, end_factor=0.0, end=100_000), 'which trains nothing'),
        (schedule(type='ExponentialLR', gamma=0.99), 'which trains nothing'),
        ("optim_wrapper = dict(optimizer=dict(lr='1e-3'))", "lr is '1e-3'; it must be a finite number"),
        ('optim_wrapper = dict(optimizer=dict(lr=0))', 'lr is 0: nothing would be trained'),
        ('optim_wrapper = dict(optimizer=dict(betas=0.9))', 'betas is 0.9; it must be a list of 2'),
        ('optim_wrapper = dict(clip_grad=dict(max_norm=-1))', 'max_norm is -1'),
        ('optim_wrapper = dict(clip_grad=dict(max_nrom=1))', "did you mean 'max_norm'"),
        ("optim_wrapper = dict(clip_grad=dict(type='value', max_norm=1))", "needs the key 'clip_value'"),
        ('train_cfg = dict(max_samples=1e5)', 'max_samples is 100000.0; it must be a whole number'),
        ('randomness = dict(seed=True)', 'seed is True'),
        ('env_cfg = 5', 'env_cfg is 5; it must be a dict'),
        ("env_cfg = dict(mp_cfg=dict(mp_start_method='froge'))", "it must be 'fork' or 'spawn' or 'forkserver'"),
        ('log_processor = dict(by_epoch=True)', 'config, log_processor: by_epoch=True, but train_cfg counts samples'),
        ('default_hooks = dict(logger=dict(log_metric_by_epoch=True))', 'logger: log_metric_by_epoch=True'),
        ("custom_hooks = [dict(type='CheckpointHook', by_epoch=True)]", "restorebox has 'RestorationCheckpointHook'"),
        ('log_processor = dict(window_size=0)', 'window_size is 0'),
        ("visualizer = dict(vis_backends='tensorboard')", "vis_backends is 'tensorboard'"),
        ('default_hooks = dict(logger=5)', 'default_hooks.logger is 5; it must be a dict or None'),
        ("default_hooks = dict(ema=dict(decay='a'))", "decay is 'a'"),
        ("default_hooks = dict(checkpoint=dict(save_best='psnr_yy'))", "save_best is 'psnr_yy'; did you mean 'psnr_y'"),
        ("custom_hooks = [dict(type='BadPictureHook', priority='HIGHER')]", "there is no priority 'HIGHER'"),
        ('custom_hooks = [None]', 'custom_hooks.0 is None'),
        ('val_evaluator = []', 'it is empty'),
        ("default_scope = 'mmdet'", "must be 'restorebox'"),
        ("runner_type = 'X'", "no runner is called 'X'"),
        ("runner_type = 'Runner'", 'Runner is not derived from RestorationRunner'),
    ],
)  # fmt: skip
def test_is_refused_in_one_line(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


def test_a_window_that_is_not_square_before_rotate90(tmp_path):
    turned = ("dict(type='RandomWindow', size=(256, 288))", "dict(type='Rotate90', p=0.5)")
    line = refused(tmp_path, steps(*turned, batch=2))
    assert 'a window of 256x288 before Rotate90 gives pictures of two sizes' in line
    check_config(child(tmp_path, steps(*turned, batch=1)))  # each its own batch
    check_config(child(tmp_path, steps(turned[0], "dict(type='Rotate90', p=1)", batch=2)))  # all of them turned


def test_a_package_that_a_backend_needs(tmp_path, monkeypatch):
    text = "visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='WandbVisBackend')])"
    monkeypatch.setattr(build_check, 'find_spec', lambda name: None)
    assert 'vis_backends.1: WandbVisBackend needs the package wandb' in refused(tmp_path, text)
    monkeypatch.setattr(build_check, 'find_spec', lambda name: object())
    check_config(child(tmp_path, text))


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (schedule(type='LinearLR', start_factor=1.0, end_factor=0.1, end=100_000), 'it ends at sample 100,000'),
        (schedule(type='CosineAnnealingLR', T_max=800_000), 'it is cut off'),
        (schedule(type='MultiStepLR', milestones=[500_000]), 'it never changes the rate'),
        (
            "param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=1000), dict("
            "type='CosineAnnealingLR', begin=1000, end=400_000, eta_min=1e-4)]",
            None,  # 1e-4 is below the optimiser's own rate, not below that of the first step
        ),
        (schedule(type='LinearLR', start_factor=0.1, end=1000), None),  # a warm-up ends early by nature
        (schedule(type='MultiStepLR', milestones=[100_000, 200_000]), None),
        (schedule(type='PolyLR', power=0.9, end=400_000), None),
        (schedule(type='OneCycleLR', eta_max=1e-3, total_steps=400_000), None),
    ],
)
def test_schedules_that_are_hardly_meant_are_noted(tmp_path, text, expected):
    notes = check_config(child(tmp_path, text))
    assert bool(notes) == bool(expected)
    assert all(expected in note for note in notes)


def test_a_length_from_the_command_line_is_a_trial(tmp_path):
    """Its schedule may begin after it: that is noted, and no mistake."""
    assert ['it begins at 200,000, but max_samples is 400' in n for n in check_config(str(UNET5), _length(400))] == [
        True
    ]
    with pytest.raises(ConfigError, match='it begins at 200,000, but max_samples is 400'):
        check_config(child(tmp_path, 'train_cfg = dict(max_samples=400)'))


def _length(samples):
    return {'train_cfg.max_samples': samples}


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('train_dataloader.pin_memory', True),
        ('test_dataloader.num_workers', 0),
        ('model.generator.init', 'normal'),
        ('optim_wrapper.clip_grad', {'max_norm': 1.0}),
        ('auto_scale_lr.enable', False),
    ],
)
def test_a_key_that_something_reads_may_be_set(key, value):
    check_config(str(UNET5), {key: value})


@pytest.mark.parametrize(
    ('key', 'nearest'),
    [
        ('train_dataloader.pin_memoyr', 'pin_memory'),
        ('model.generator.inti', 'init'),
        ('default_hooks.chekpoint', 'checkpoint'),
    ],
)
def test_a_key_that_nothing_reads_is_refused(key, nearest):
    with pytest.raises(ConfigError, match=f"did you mean '{nearest}'"):
        check_config(str(UNET5), {key: None})


@pytest.mark.parametrize(
    ('name', 'content', 'expected'),
    [
        ('a.py', b"_base_ = 'a.py'", 'its _base_ leads back to'),
        ('a.py', b"_base_ = 'absent.py'", 'line 1: its _base_ absent.py is no file'),
        ('a.py', b'_base_ = 5', 'line 1: _base_ must be a path or a list of paths'),
        ('a.py', b'x = 1\nmodel = = 5', 'a.py, line 2: invalid syntax'),
        ('a.py', b'model = dict(\n', "'(' was never closed"),
        ('a.py', b'a = ' + b'[' * 3000, 'too many nested parentheses'),
        ('a.py', b'd = 5\nfor _ in range(5000):\n    d = [d]\nmodel = dict(x=d)\n', 'nested too deeply'),
        ('a.py', b'import sys; sys.exit(0)', 'it ends the program'),
        ('a.py', b'1 / 0', 'ZeroDivisionError'),
        ('a.py', b'\x00', 'null bytes'),
        ('a.py', bytes(range(256)), 'no text in UTF-8'),
        ('a.py', b'', "needs the key 'model'"),
        ('a.py', b'<html></html>', 'line 1: invalid syntax'),
        ('a.yaml', b'model: [', 'ParserError'),
        ('a.yaml', b'_base_: a.yaml', 'its _base_ leads back to itself'),
        ('a.json', b'{"model": ', 'JSONDecodeError'),
        ('a.json', b'[1]', 'AttributeError'),
        ('a.txt', b'model = 5', 'Only py/yml/yaml/json'),
        ('folder', None, 'it is a folder'),
    ],
)
def test_files_that_are_no_config(tmp_path, name, content, expected):
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        check_config(str(path))
    assert expected in str(caught.value)
    assert '\n' not in str(caught.value)


def test_bases_may_meet_again(tmp_path):
    """Two bases with a base in common are no circle."""
    (tmp_path / 'root.py').write_text(f"_base_ = '{UNET5}'\n")
    (tmp_path / 'left.py').write_text("_base_ = 'root.py'\nlog_level = 'INFO'\n")
    (tmp_path / 'c.py').write_text("_base_ = 'left.py'\n")
    check_config(str(tmp_path / 'c.py'))


@pytest.mark.parametrize('seed', range(0, 40 * 4500, 4500))
def test_a_mutated_config_passes_or_is_refused_in_one_line(tmp_path, seed):
    """Evenly over all configs; what passes was built on the meta device on the way."""
    base = load_config(str(ALL[seed // 4500 * len(ALL) // 40])).to_dict()
    made, what = mutate(copy.deepcopy({key: value for key, value in base.items() if key in TOP_KEYS}), seed)
    (tmp_path / 'c.py').write_text(write(made))
    line = ''
    try:
        check_config(str(tmp_path / 'c.py'))
    except ConfigError as error:
        line = str(error)
    assert '\n' not in line, what
    assert len(line) < 700, what


def test_checking_prints_no_environment_variable(tmp_path, capfd):
    config = tmp_path / 'c.py'
    config.write_text("_base_ = '{{$RESTOREBOX_CONFIGS:}}/unet/unet5_paired.py'\n")
    assert check_config(str(config)) == []
    assert 'RESTOREBOX_CONFIGS' not in ''.join(capfd.readouterr())


@pytest.mark.parametrize(
    ('module', 'text', 'expected'),
    [
        ('x = 1\nraise ValueError("no")', '', '{module}, line 2: ValueError: no'),
        ('import torch\n\nclass A(torch.nn.Modul):\n    pass', '', "{module}, line 3: AttributeError: module 'torch"),
        ('import no_such_package', '', "{module}, line 1: ImportError: Failed to import notes (No module named"),
        ('import sys\nsys.exit(3)', '', '{module}, line 2: it ends the program (sys.exit)'),
        ('', 'a = 1\nb = no_such_name', "{config}, line 4: NameError: name 'no_such_name' is not defined"),
        ('', "custom_imports = ['notes']", "{config}: custom_imports must be dict(imports=['MODULE', ...])"),
    ],
)  # fmt: skip
def test_the_line_of_an_error_is_named(tmp_path, monkeypatch, module, text, expected):
    (tmp_path / 'notes.py').write_text(module)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'notes', raising=False)
    line = refused(tmp_path, f"custom_imports = dict(imports=['notes'], allow_failed_imports=False)\n{text}")
    assert expected.format(module=tmp_path / 'notes.py', config=tmp_path / 'c.py') in line

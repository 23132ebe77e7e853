"""Validation and test count every picture of their set once, or say which they did not."""

import copy
import json
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict

from restorebox.datasets.numbered import Numbered
from restorebox.engine.running import run_config
from restorebox.errors import ConfigError, DataError
from restorebox.hooks.checkpoint import RestorationCheckpointHook
from restorebox.registry import RUNNERS
from tests.factories import write_pairs
from tests.hooks.test_hooks import config_for

pytestmark = pytest.mark.slow


def test_config(folder, counts, **loader):
    """A config that tests an untrained network on sets of so many pictures, with the same names in each."""
    cfg = config_for(folder)
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr'):
        cfg[key] = None
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg[key] = None
    sets = []
    for i, count in enumerate(counts):
        write_pairs(folder / f'set{i}', 'test', count, seed=i)
        sets.append({**copy.deepcopy(cfg.test_dataloader.dataset), 'data_root': str(folder / f'set{i}')})
    several = dict(type='ConcatPictures', datasets={f'set{i}': each for i, each in enumerate(sets)})
    cfg.test_dataloader.dataset = ConfigDict(sets[0] if len(sets) == 1 else several)
    cfg.test_dataloader.update(loader)
    cfg.default_hooks.sheets.pictures = 3
    return cfg


test_config.__test__ = False


def scores_of(folder):
    return json.loads((folder / 'w' / 'scores.json').read_bytes())


def spoil(restorer, value):
    """Let the network give a value in the second picture."""
    original, calls = restorer.infer, []

    def infer(x, *rest):
        out = original(x, *rest)
        calls.append(x)
        if len(calls) == 2:
            out['pred'] = out['pred'].clone()
            out['pred'][0, :, 3, 3] = value
        return out

    restorer.infer = infer


@pytest.mark.parametrize('batch_size', [1, 2])
def test_sets_in_one_are_all_counted(tmp_path, batch_size):
    runner = run_config(test_config(tmp_path, (2, 5, 3), batch_size=batch_size), 'test')
    scores = scores_of(tmp_path)
    assert (scores['count'], scores['size'], scores['skipped'], scores['problems']) == (10, 10, [], [])
    rows = scores['per_picture']
    assert [row['index'] for row in rows] == list(range(10))
    assert [row['name'] for row in rows] == [f'{i:02d}' for count in (2, 5, 3) for i in range(count)]
    alone = []
    for i in range(3):
        single = test_config(tmp_path / f'alone{i}', (1,))
        single.test_dataloader.dataset.data_root = str(tmp_path / f'set{i}')
        other = RUNNERS.build(single)
        other.restorer.load_state_dict(runner.restorer.state_dict())
        other.test()
        alone += [row['psnr_y'] for row in scores_of(tmp_path / f'alone{i}')['per_picture']]
    assert [row['psnr_y'] for row in rows] == pytest.approx(alone, rel=1e-6)
    assert scores['mean_over_pictures']['psnr_y'] == pytest.approx(np.mean(alone), rel=1e-6)
    by_set = [np.mean(alone[:2]), np.mean(alone[2:7]), np.mean(alone[7:])]
    assert [each['mean']['psnr_y'] for each in scores['sets'].values()] == pytest.approx(by_set, rel=1e-6)
    assert [row['set'] for row in rows] == ['set0'] * 2 + ['set1'] * 5 + ['set2'] * 3
    assert scores['mean']['psnr_y'] == pytest.approx(np.mean(by_set), rel=1e-6)
    assert scores['mean']['psnr_y'] != pytest.approx(np.mean(alone), rel=1e-6), 'the two means must differ here'
    assert sorted(path.name for path in (tmp_path / 'w/sheets').iterdir()) == [f'test_set{i}.png' for i in range(3)]


def test_seventeen_pictures_of_two_sets_have_seventeen_scores(tmp_path):
    run_config(test_config(tmp_path, (12, 5), batch_size=4), 'test')
    scores = scores_of(tmp_path)
    assert (scores['count'], scores['size']) == (17, 17)
    rows = scores['per_picture']
    means = [np.mean([row['psnr_y'] for row in rows if row['set'] == name]) for name in ('set0', 'set1')]
    assert {name: each['count'] for name, each in scores['sets'].items()} == {'set0': 12, 'set1': 5}
    assert scores['mean']['psnr_y'] == pytest.approx(np.mean(means), rel=1e-9)
    assert scores['mean_over_pictures']['psnr_y'] == pytest.approx(np.mean([row['psnr_y'] for row in rows]), rel=1e-9)


@pytest.mark.parametrize(('kind', 'ours'), [('ConcatDataset', 'ConcatPictures'), ('RepeatDataset', 'RepeatPictures')])
def test_wrappers_of_mmengine_are_refused_with_the_name_of_ours(tmp_path, kind, ours):
    cfg = test_config(tmp_path, (1,))
    inner = cfg.test_dataloader.dataset
    given = dict(datasets=[inner]) if kind == 'ConcatDataset' else dict(times=2, dataset=inner)
    cfg.test_dataloader.dataset = dict(type=kind, **given)
    with pytest.raises(ConfigError, match=f"no dataset is called '{kind}'; restorebox has '{ours}'"):
        run_config(cfg, 'test')


def test_a_subset_counts_what_it_has(tmp_path):
    cfg = test_config(tmp_path, (3,))
    cfg.test_dataloader.dataset.limit = 2
    cfg.test_dataloader.sampler.shuffle = True
    run_config(cfg, 'test')
    scores = scores_of(tmp_path)
    assert [row['name'] for row in scores['per_picture']] == ['00', '01']
    assert scores['size'] == 2


def test_skipped_pictures_are_named_and_counted(tmp_path, capsys):
    cfg = test_config(tmp_path, (2, 3))
    for each in cfg.test_dataloader.dataset.datasets.values():
        each.bad_picture = 'skip'
    odd = os.fsencode(tmp_path / 'set1/test/lq') + b'/caf\xe9\x1b[31m\n.png'
    with open(odd, 'wb') as file:
        file.write(b'no picture')
    os.rename(tmp_path / 'set1/test/gt/01.png', odd.replace(b'/lq/', b'/gt/'))
    (tmp_path / 'set1/test/lq/01.png').unlink()
    run_config(cfg, 'test')
    scores = scores_of(tmp_path)
    name = os.fsdecode(b'caf\xe9\x1b[31m\n')
    assert (scores['count'], scores['size'], scores['problems']) == (4, 5, [])
    (skipped,) = scores['skipped']
    assert skipped['name'] == name
    assert skipped['index'] not in [row['index'] for row in scores['per_picture']]
    shown = r'caf\xe9\x1b[31m\n'
    listed = (tmp_path / 'w' / 'skipped_pictures_test.txt').read_text(encoding='utf-8').splitlines()
    assert len(listed) == 1
    assert shown in listed[0]
    out = capsys.readouterr().out
    assert f'1 unreadable and not scored: {shown}' in out
    assert name not in out
    (log,) = (tmp_path / 'w').glob('*/*.log')
    assert shown in log.read_text(encoding='utf-8')


def test_none_scored_is_an_error(tmp_path):
    cfg = test_config(tmp_path, (1,))
    cfg.test_dataloader.dataset.bad_picture = 'skip'
    (tmp_path / 'set0/test/lq/00.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match='test: none of 1 pictures was scored'):
        run_config(cfg, 'test')
    assert scores_of(tmp_path)['skipped'][0]['name'] == '00'


def test_a_picture_in_place_of_another_is_refused(tmp_path):
    cfg = test_config(tmp_path, (3,))
    cfg.test_dataloader.dataset.update(bad_picture='skip', test_mode=False)
    (tmp_path / 'set0/test/lq/01.png').write_bytes(b'no picture')
    with pytest.raises(DataError, match=r'01\.png.* would be scored in its place: set test_mode=True'):
        run_config(cfg, 'test')


@pytest.mark.parametrize(
    ('loader', 'expected'),
    [
        (dict(drop_last=True), 'test_dataloader: drop_last=True drops pictures'),
        (dict(num_batch_per_epoch=1), 'test_dataloader: num_batch_per_epoch=1 drops pictures'),
        (dict(sampler=dict(type='InfiniteSampler', shuffle=False)), 'test_dataloader.sampler: it is infinite'),
    ],
)
def test_loaders_that_leave_pictures_out_are_refused(tmp_path, loader, expected):
    with pytest.raises(ConfigError, match=expected):
        run_config(test_config(tmp_path, (3,), **loader), 'test')


def test_two_metrics_of_one_score_are_refused(tmp_path):
    cfg = test_config(tmp_path, (1,))
    cfg.test_evaluator = [dict(type='PictureScores', protocols=[name, 'psnr_y']) for name in ('ssim_y', 'psnr_rgb')]
    with pytest.raises(ConfigError, match='test_evaluator: two metrics give psnr_y; leave one of them out'):
        run_config(cfg, 'test')


def test_pictures_that_no_batch_had_are_an_error(tmp_path, monkeypatch):
    from mmengine.dataset import DefaultSampler

    monkeypatch.setattr(DefaultSampler, '__iter__', lambda self: iter([0, 1, 1]))
    with pytest.raises(DataError, match=r'test: 2 of 4 pictures were scored; missing, by index: 2, 3$'):
        run_config(test_config(tmp_path, (4,)), 'test')
    scores = scores_of(tmp_path)
    assert scores['count'] == 2
    assert scores['size'] == 4
    assert len(scores['problems']) == 1


@pytest.mark.parametrize('value', [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_an_error(tmp_path, monkeypatch, value, capsys):
    cfg = test_config(tmp_path, (3,), batch_size=1)
    build = RUNNERS.build

    def spoilt(cfg):
        runner = build(cfg)
        spoil(runner.restorer, value)
        return runner

    monkeypatch.setattr(RUNNERS, 'build', spoilt)
    with pytest.raises(DataError, match=r'psnr_y is nan: 1 of 3 .*\(01: the prediction has nan or infinite values\)'):
        run_config(cfg, 'test')
    scores = scores_of(tmp_path)
    assert scores['mean']['psnr_y'] is None
    assert scores['mean']['input/psnr_y'] > 0
    assert scores['count'] == 3
    assert 'the prediction has nan or infinite values' in scores['reasons']['psnr_y']
    assert 'psnr_y is nan: 1 of 3' in capsys.readouterr().out
    assert (tmp_path / 'w/sheets/test.png').is_file()


def test_samples_of_other_types_are_passed_on():
    assert Numbered([{'inputs': {}}, 5])[1] == 5
    assert len(Numbered([1, 2, 3])) == 3


@pytest.mark.parametrize(
    ('name', 'values', 'kept'),
    [
        ('psnr_y', (math.nan, 20.0, math.nan, 25.0, 22.0), [20.0, 25.0]),
        ('psnr_y', (math.inf, 20.0), [20.0]),
        ('psnr_y', (math.nan, math.nan), []),
        ('lpips_alex@256', (0.5, math.nan, 0.3, 0.4), [0.5, 0.3]),
        ('fid', (-math.inf, 50.0, 60.0, 40.0), [50.0, 40.0]),
        ('mae_airlight', (0.2, 0.1, 0.3), [0.2, 0.1]),
    ],
)
def test_the_best_is_a_number_and_the_better_one(tmp_path, name, values, kept):
    saved, said = [], []
    runner = SimpleNamespace(
        work_dir=tmp_path,
        iter=7,
        _train_loop=object(),
        save_checkpoint=lambda folder, file, meta: saved.append((file, meta[name])),
        logger=SimpleNamespace(info=lambda line: None, warning=said.append),
    )
    hook = RestorationCheckpointHook(every_samples=2, save_best=name)
    for value in values:
        hook.after_val_epoch(runner, {name: value})
    assert saved == [(f'best_{name}.pth', value) for value in kept]
    assert len(said) == sum(not math.isfinite(value) for value in values)


def test_a_best_that_is_no_number_blocks_no_resumed_run(tmp_path):
    torch.save({'meta': {'psnr_y': math.nan}, 'state_dict': {}}, tmp_path / 'best_psnr_y.pth')
    hook = RestorationCheckpointHook(every_samples=2, save_best='psnr_y')
    assert hook._best_on_disk(SimpleNamespace(work_dir=tmp_path)) is None


def test_a_rule_that_contradicts_the_score_is_refused():
    with pytest.raises(ConfigError, match="rule is 'greater', but a lower lpips_vgg is better"):
        RestorationCheckpointHook(every_samples=2, save_best='lpips_vgg', rule='greater')
    assert RestorationCheckpointHook(every_samples=2, save_best='own', rule='less').rule == 'less'

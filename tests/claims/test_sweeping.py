"""Sweeps run by the engine of the claims: resumed, recorded, drawn; of the papers and of any config."""

import json
import re

import pytest

from restorebox.claims import records, runs
from restorebox.claims.ledger import Ledger
from restorebox.claims.records import store_names
from restorebox.claims.sweep_pages import limits, sweep_content, sweeps_section, write_sweep
from restorebox.claims.sweeping import select_sweep, sweep_of_config
from restorebox.claims.sweeps import expand
from restorebox.cli.main import main
from restorebox.errors import ConfigError
from tests.factories import write_pairs
from tests.processes import refused

OVER = 'model.generator.backbone.levels'


def made_up(docs, scores):
    """A ledger with one sweep, and stored results: model -> {seed: score, or None for a stale one}."""
    curve = {'label': 'U-Net', 'model': 'm', 'key': 'model.generator.backbone.levels', 'values': [1, 2, 3]}
    node = {'id': 'f', 'where': 'Fig 1', 'axis': 'N', 'metric': 'psnr_rgb', 'curves': {'c': curve}}
    models = {'m': {'small': 'unet/unet_demo.py'}}
    sweeps, points = expand('file', [node], models)
    ledger = Ledger('m', '', '', {'small': {'config': 'unet/unet_demo.py'}}, models | points, (), sweeps)
    for model, values in scores.items():
        for seed, score in values.items():
            run = runs.Run('m', model, 'small', seed, ledger.spec(model, 'small'))
            digest = run.digest if score is not None else 'x'
            mean = {'psnr_rgb': score or 9.0, 'input/psnr_rgb': 20.0}
            code = store_names({}, docs / 'sources')
            runs.write_json(run.stored(docs), {'digest': digest, 'mean': mean, 'sources': code})
    return ledger, sweeps[0]


def test_scores_have_the_intervals_of_the_claims_and_stale_ones_count_nowhere(tmp_path):
    ledger, sweep = made_up(tmp_path, {'f-c-1': {0: 24.0, 1: 26.0}, 'f-c-2': {0: 27.0, 1: None}})
    first, second, third = sweep_content(ledger, sweep, 'small', tmp_path)['curves'][0]['points']
    assert first['scores'] == {'0': 24.0, '1': 26.0}
    assert (first['low'], first['mean'], first['high']) == pytest.approx((12.294, 25.0, 37.706), abs=1e-3)
    assert (second['mean'], second['low'], second['stale']) == (27.0, None, 1)
    assert (third['scores'], third['mean'], first['input']) == ({}, None, 20.0)
    text = sweeps_section(ledger, tmp_path)
    assert '| U-Net | 25.00 (12.29 to 37.71; 2) | 27.00 (1), 1 stale | not run |' in text
    picture = write_sweep(ledger, sweep, 'small', tmp_path)
    assert picture == tmp_path / 'm_f_small.png'
    assert picture.stat().st_size > 5000
    for path in tmp_path.glob('runs/*/*/*.json'):
        path.unlink()
    assert write_sweep(ledger, sweep, 'small', tmp_path) is None
    assert not list(tmp_path.glob('m_f_small.*'))
    assert 'Not run.' in sweeps_section(ledger, tmp_path)


def test_an_unknown_sweep_is_one_line():
    with pytest.raises(ConfigError, match="no sweep 'infoaccum/fig66'; did you mean 'infoaccum/fig6'"):
        select_sweep('infoaccum/fig66')


@pytest.mark.parametrize(
    ('over', 'rows', 'expected'),
    [
        ('x', ['none'], r'must be KEY=V1,V2'),
        (f'{OVER}=1,,2', ['none'], r'must be KEY=V1,V2'),
        (f'{OVER}=1,1', ['none'], 'given twice'),
        ('model.generator.backbone.level=1', ['none'], "UNet has no key 'level'"),
        (f'{OVER}=9', ['none'], 'levels is 9'),
        (f'{OVER}=1', ['endecodr'], "did you mean 'endecoder'"),
        (f'{OVER}=1,1.0', ['none'], 'given twice'),
        ('randomness.seed=1,2', ['none'], 'the sweep sets randomness for each run'),
        ('work_dir=a,b', ['none'], 'the sweep sets work_dir for each run'),
    ],
)
def test_a_wrong_sweep_of_a_config_is_refused_before_the_first_run(over, rows, expected):
    with pytest.raises(ConfigError, match=expected):
        sweep_of_config('infoaccum/infoaccum_demo.py', over, rows, 'psnr_rgb')


def test_a_score_that_is_not_measured_is_refused_before_the_first_run():
    with pytest.raises(ConfigError, match=r"--score psnr_x: .*doesn't measure it; did you mean 'psnr_y'"):
        sweep_of_config('infoaccum/infoaccum_demo.py', f'{OVER}=1', ['none'], 'psnr_x')


def test_two_sweeps_share_no_name(tmp_path):
    """Of keys with the same last part, of rows and values in another order, and of two configs of one file name."""
    (tmp_path / 'infoaccum_demo.py').write_text("_base_ = '{{$RESTOREBOX_CONFIGS:}}/infoaccum/infoaccum_demo.py'\n")
    given = [
        ('infoaccum/infoaccum_demo.py', 'train_dataloader.batch_size=1,2', ['none']),
        ('infoaccum/infoaccum_demo.py', 'val_dataloader.batch_size=1,2', ['none']),
        (str(tmp_path / 'infoaccum_demo.py'), 'train_dataloader.batch_size=1,2', ['none']),
        ('infoaccum/infoaccum_demo.py', 'train_dataloader.batch_size=1,2', ['endecoder']),
    ]
    names = [
        {(ledger.method, model) for model in sweep.models()}
        for ledger, sweep in (sweep_of_config(*one, 'psnr_rgb') for one in given)
    ]
    assert sum(map(len, names)) == len(set.union(*names)) == 8
    forwards, backwards = (
        sweep_of_config('infoaccum/infoaccum_demo.py', f'model.gan_mode={words}', ['none'], 'psnr_rgb')
        for words in ('lsgan,hinge', 'hinge,lsgan')
    )
    specs = [{name: ledger.spec(name, 'paper') for name in sweep.models()} for ledger, sweep in (forwards, backwards)]
    assert specs[0] == specs[1]


def test_values_may_be_lists():
    _, sweep = sweep_of_config(
        'infoaccum/infoaccum_demo.py',
        'optim_wrapper.generator.optimizer.betas=[0.5,0.9],[0.9,0.99]',
        ['none'],
        'psnr_y',
    )
    assert [point.place for point in sweep.curves[0].points] == ['[0.5, 0.9]', '[0.9, 0.99]']


def test_words_are_points_in_their_order():
    ledger, sweep = sweep_of_config('infoaccum/infoaccum_demo.py', 'model.gan_mode=lsgan,hinge', ['none'], 'psnr_y')
    assert [point.place for point in sweep.curves[0].points] == ['lsgan', 'hinge']
    assert ledger.spec(sweep.models()[1], 'paper').overrides == {'model.gan_mode': 'hinge'}


@pytest.mark.slow
def test_a_config_is_swept_drawn_and_resumed(tmp_path, monkeypatch, capsys):
    """Real trainings of two steps, with a user's own config."""
    monkeypatch.chdir(tmp_path)
    for split in ('train', 'test'):
        write_pairs(tmp_path / 'data/paired', split, 2, size=(32, 40))
    (tmp_path / 'own.py').write_text(
        "_base_ = '{{$RESTOREBOX_CONFIGS:}}/unet/unet5_paired.py'\n"
        'model = dict(generator=dict(backbone=dict(base_width=4)))\n'
        'train_cfg = dict(max_samples=2, val_samples=2)\n'
        "param_scheduler = [dict(type='LinearLR', start_factor=1.0, end_factor=0.1, begin=1, end=2)]\n"
        'default_hooks = dict(checkpoint=dict(every_samples=2))\n'
        'train_dataloader = dict(num_workers=0)\nval_dataloader = dict(num_workers=0)\n'
        'test_dataloader = val_dataloader\n'
    )
    command = [
        'sweep',
        'own.py',
        '--over',
        f'{OVER}=1,2',
        '--seeds',
        '1',
        '--device',
        'cpu',
        '--data-root',
        'data/paired',
    ]
    main([*command, '--plan'])
    planned = capsys.readouterr().out
    assert '2 of 2 runs to do' in planned
    assert '(own, 2): time unknown' in planned.splitlines()[1]
    main(command)
    (picture,) = tmp_path.glob('work_dirs/sweeps/own_levels-????????_paper.png')
    *_, one, two, last = capsys.readouterr().out.splitlines()
    assert last == str(picture.relative_to(tmp_path))
    assert re.fullmatch(rf'own, {OVER} 1: psnr_rgb \d+\.\d\d \(1\)', one)
    assert two.startswith(f'own, {OVER} 2: psnr_rgb ')
    content = json.loads(picture.with_suffix('.json').read_text())
    points = content['curves'][0]['points']
    assert [(point['place'], list(point['scores'])) for point in points] == [(1, ['0']), (2, ['0'])]
    main([*command, '--plan'])
    assert '0 of 2 runs to do' in capsys.readouterr().out
    (tmp_path / 'nowhere').mkdir()
    command[command.index('data/paired')] = 'nowhere'
    assert 'has a stored result of other pictures than those in nowhere' in refused(lambda: main(command), capsys)
    del command[command.index('--data-root') : command.index('nowhere') + 1]  # the folder of the config
    main([*command, '--plan'])
    assert '0 of 2 runs to do' in capsys.readouterr().out
    next((tmp_path / 'data').rglob('*.png')).unlink()
    records.data_names.cache_clear()  # a new process
    assert 'a stored result of other pictures than those in data/paired' in refused(lambda: main(command), capsys)
    assert '2 runs failed' in refused(lambda: main([*command, '--first-seed', '1']), capsys)


def test_an_interval_of_two_unequal_seeds_does_not_set_the_scale(tmp_path):
    ledger, sweep = made_up(tmp_path, {'f-c-1': {0: 25.0, 1: 25.2}, 'f-c-2': {0: 13.0, 1: 6.0}})
    content = sweep_content(ledger, sweep, 'small', tmp_path)
    wide = content['curves'][0]['points'][1]
    assert wide['low'] < -30
    low, high = limits(content, [])
    assert -6 < low < 6 < 25.2 < high < 37

"""FDR-Net's configs: learning rate, equal sizes of what is compared, and that they train."""

import pytest
import torch
from mmengine.registry import DefaultScope

from restorebox.engine.config import load_config
from restorebox.engine.loops import scale_schedule
from restorebox.files import configs_dir
from restorebox.registry import PARAM_SCHEDULERS, RESTORERS

FOLDER = configs_dir() / 'fdrnet'
PAPER = ('div2k_hybrid_fdrnet', 'did_hy_fdrnet', 'gopro_fdrnet', 'rain1200_fdrnet')


def config(name, row=None):
    return load_config(FOLDER / f'{name}.py', row=row)


def size(name, row=None):
    with torch.device('meta'):
        return sum(p.numel() for p in RESTORERS.build(config(name, row).model.to_dict()).parameters())


@pytest.mark.parametrize('name', PAPER)
def test_the_rate_falls_by_a_fifth_every_9000_steps(name):
    cfg = config(name)
    batch = cfg.train_dataloader.batch_size
    assert batch == (28 if name.startswith('div2k') else 8)
    assert cfg.train_cfg.max_samples == 270_000 * batch
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    with DefaultScope.overwrite_default_scope('restorebox'):
        (schedule,) = (
            PARAM_SCHEDULERS.build(dict(scale_schedule(each.to_dict(), batch), optimizer=optimiser))
            for each in cfg.param_scheduler
        )
    rates = {}
    for step in range(1, 18_001):
        optimiser.step()
        schedule.step()
        rates[step] = optimiser.param_groups[0]['lr']
    assert rates[8_999] == pytest.approx(1e-4)
    assert rates[9_000] == pytest.approx(0.8e-4)
    assert rates[17_999] == pytest.approx(0.8e-4)
    assert rates[18_000] == pytest.approx(0.64e-4)


@pytest.mark.parametrize(('row', 'millions'), [(None, 1.663), ('no_aux', 1.215), ('no_fdm', 1.634)])
def test_sizes_of_table_5(row, millions):
    assert round(size('did_hy_fdrnet', row) / 1e6, 3) == millions


def test_the_laptop_twins_of_table_5_are_of_nearly_one_size():
    whole, blocks = size('fdrnet_demo'), size('fdrnet_demo', 'no_fdm')
    assert 0 < whole / blocks - 1 < 0.05
    assert size('fdrnet_demo', 'no_aux') < 0.8 * whole


def test_rows_of_table_6():
    for key, numbers in (('layers', (1, 2, 4, 5)), ('channels', (16, 48, 64))):
        for number in numbers:
            assert config('did_hy_fdrnet', f'{key}{number}').model.generator.backbone[key] == number


def test_svdo_stands_on_every_fd_layer_of_every_phase():
    restorer = RESTORERS.build(config('did_hy_fdrnet').model.to_dict())
    assert len(restorer.feature_taps['svdo']) == 8 * 3
    assert restorer.feature_terms['svdo'].weight == 1e-5
    for name, row in (('did_hy_fdrnet', 'no_fdm'), ('did_hy_dncnn', None), ('div2k_hybrid_owan', None)):
        assert not RESTORERS.build(config(name, row).model.to_dict()).feature_taps


@pytest.mark.parametrize('network', ['fdrnet', 'dncnn', 'owan'])
def test_a_severity_is_tested_with_the_model_of_the_moderate_one(network):
    moderate = config(f'div2k_hybrid_{network}')
    assert moderate.test_dataloader.dataset.split == 'test'
    for severity in ('mild', 'severe'):
        other = config(f'div2k_hybrid_{network}', severity)
        assert other.test_dataloader.dataset.split == f'test_{severity}'
        assert other.model == moderate.model
        assert {'psnr_owan', 'ssim_skimage'} <= set(other.test_evaluator.protocols)

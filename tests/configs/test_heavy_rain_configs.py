"""Configs of heavy rain: which weights fit which config."""

import pytest

from restorebox.engine.config import load_config
from restorebox.registry import RESTORERS

STAGE2 = ('heavy_rain_outdoor_rain_stage2', None)


def shapes(name, row, *roles):
    """Name -> shape of all weights of a config's narrow networks, or of some roles."""
    model = load_config(f'configs/heavy_rain/{name}.py', row=row).model.to_dict()
    for role in ('physics', 'generator', 'discriminator'):
        if role in model:
            model[role]['backbone']['base_width'] = 4
    state = RESTORERS.build(model).state_dict()
    return {key: value.shape for key, value in state.items() if not roles or key.split('.')[0] in roles}


@pytest.mark.parametrize(
    ('before', 'after', 'roles'),
    [
        (('heavy_rain_rain100h_stage1', None), ('heavy_rain_rain100h_stage2', None), ('physics',)),
        (STAGE2, ('heavy_rain_rain100h_finetune', None), ()),
        (('heavy_rain_authors', None), ('heavy_rain_rain100h_finetune', 'authors'), ()),
        (('heavy_rain_authors', None), ('heavy_rain_authors', 'rain100h'), ()),
    ],
)
def test_the_weights_of_one_config_fit_the_next(before, after, roles):
    assert shapes(*before, *roles) == shapes(*after, *roles)


@pytest.mark.parametrize(('row', 'root'), [(None, 'data/outdoor_rain'), ('rain100h', 'data/rain100h')])
def test_no_layer_is_scored_where_the_set_has_none(row, root):
    cfg = load_config('configs/heavy_rain/heavy_rain_authors.py', row=row)
    assert cfg.test_dataloader.dataset.data_root == root
    assert 'layers' not in cfg.test_dataloader.dataset
    scores = [protocol for metric in cfg.test_evaluator for protocol in metric['protocols']]
    assert not {'psnr_streak', 'psnr_transmission', 'mae_airlight'} & set(scores)

"""Losses of features together with losses of pictures."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from restorebox.engine.check import check_types
from restorebox.errors import ConfigError
from restorebox.losses.svdo import SVDOLoss
from restorebox.registry import RESTORERS
from restorebox.restorers import SupervisedRestorer
from tests.factories import SMALL_RESTORERS, random_inputs

SMALL = SMALL_RESTORERS['SupervisedRestorer']
SVDO = dict(type='SVDOLoss', weight=1e-2)


def build(**feature_losses):
    return RESTORERS.build(dict(type='SupervisedRestorer', **SMALL, feature_losses=feature_losses))


def test_the_mean_over_the_taps_that_fit():
    restorer = build(svdo=dict(taps=('down*',), loss=SVDO), last=dict(taps='up2', loss=SVDO))
    assert restorer.feature_taps == {'svdo': ('down1', 'down2'), 'last': ('up2',)}
    inputs = random_inputs(restorer, 2, 16)
    terms = restorer.losses('generator', inputs, {})
    out = restorer.generator(restorer.to_range(inputs['lq']), taps=('down1', 'down2', 'up2'))
    loss = SVDOLoss(weight=1e-2)
    torch.testing.assert_close(terms['loss_svdo'], (loss(out['down1']) + loss(out['down2'])) / 2)
    torch.testing.assert_close(terms['loss_last'], loss(out['up2']))
    torch.testing.assert_close(terms['loss_l1'], (out['picture'] - restorer.to_range(inputs['gt'])).abs().mean())
    terms['loss_svdo'].backward()
    assert restorer.generator.backbone.down[0][0].weight.grad.abs().sum() > 0


def test_a_subclass_reuses_the_prediction():
    restorer, prepared = build(), {}
    terms = restorer.losses('generator', inputs := random_inputs(restorer, 2, 16), prepared)
    target = restorer.to_range(inputs['gt'])
    torch.testing.assert_close(terms['loss_l1'], (prepared['pred'] - target).abs().mean())
    assert prepared['pred'].requires_grad


def test_a_term_that_is_no_scalar_is_one_line():
    class Squared(SupervisedRestorer):
        def losses(self, step, inputs, prepared):
            super().losses(step, inputs, prepared)
            return {'loss_square': prepared['pred'].square()}

    restorer = Squared(**SMALL)
    wrapper = OptimWrapper(torch.optim.SGD(restorer.parameters(), lr=0.1))
    batch = {'inputs': random_inputs(restorer, 2, 16), 'data_samples': []}
    message = r'loss_square: Squared\.losses returned shape \(2, 3, 16, 16\); return a scalar'
    with pytest.raises(ConfigError, match=message):
        restorer.train_step(batch, wrapper)


@pytest.mark.parametrize(
    ('feature_losses', 'expected'),
    [
        (dict(svdo=dict(taps=('dwon*',), loss=SVDO)), "no tap like 'dwon"),
        (dict(svdo=dict(taps=(), loss=SVDO)), 'feature_losses.svdo: it must be dict'),
        (dict(svdo=SVDO), 'feature_losses.svdo: it must be dict'),
        (dict(svdo=dict(taps=('down1',), loss=dict(type='L1Loss'))), 'L1Loss is no loss of a feature map'),
        (dict(l1=dict(taps=('down1',), loss=SVDO)), "both have 'l1'"),
    ],
)
def test_mistakes_are_one_line(feature_losses, expected):
    with pytest.raises(ConfigError, match=expected) as caught:
        build(**feature_losses)
    assert '\n' not in str(caught.value)


def test_a_loss_of_features_does_not_compare_pictures():
    with pytest.raises(ConfigError, match=r'losses\.svdo: SVDOLoss does not compare two pictures'):
        RESTORERS.build(dict(type='SupervisedRestorer', **{**SMALL, 'losses': dict(svdo=SVDO)}))


def test_a_config_names_a_misspelt_loss_of_features():
    model = dict(type='SupervisedRestorer', **SMALL, feature_losses=dict(s=dict(taps='up2', loss=dict(type='SVDLoss'))))
    with pytest.raises(ConfigError, match=r"model\.feature_losses\.s\.loss: no loss is called 'SVDLoss'; did you mean"):
        check_types(dict(model=model))

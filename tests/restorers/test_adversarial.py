"""The paired GAN of pix2pix: formulas of its losses, input of the discriminator, deployed network, errors."""

import pytest
import torch

from restorebox.engine.config import load_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.losses.adversarial import AdversarialLoss
from restorebox.registry import RESTORERS
from restorebox.restorers import Network
from restorebox.restorers.adversarial import AdversarialRestorer
from tests.factories import SMALL_RESTORERS, random_inputs, small_restorer

SMALL = SMALL_RESTORERS['AdversarialRestorer']


def build(**given):
    return AdversarialRestorer(**{**SMALL, **given}).train()


def terms(restorer, step, seed=0):
    inputs = random_inputs(restorer, 2, 16, seed)
    return restorer.losses(step, inputs, restorer.prepare(inputs))


def test_least_squares():
    loss = AdversarialLoss('lsgan')
    real, fake = torch.ones(4), torch.zeros(4)
    assert (loss(real, True) + loss(fake, False)).item() / 2 == 0
    assert loss(fake, True).item() == 1
    half = torch.full((4,), 0.5)
    assert ((loss(half, True) + loss(half, False)) / 2).item() == loss(half, True).item() == 0.25
    for logit in (-30.0, 0.2, 30.0):  # no saturation, however sure the discriminator is
        d = torch.tensor(logit, requires_grad=True)
        loss(d, True).backward()
        assert d.grad.item() == pytest.approx(2 * (logit - 1))
    d = torch.tensor(-30.0, requires_grad=True)
    torch.log(1 - torch.sigmoid(d)).backward()  # the saturating form of the cross entropy
    assert abs(d.grad.item()) < 1e-12


def test_the_discriminator_of_the_paper():
    with torch.device('meta'):
        net = Network(
            dict(type='PatchDiscriminator', in_channels=6, antialias=False, norm='batch'), dict(type='RealnessHead')
        )
        assert net(torch.zeros(1, 6, 256, 256))['realness'].shape == (1, 1, 30, 30)
        ours = RESTORERS.build(load_config(configs_dir() / 'infoaccum' / 'rain800_pix2pix.py').model.to_dict())
    assert sum(p.numel() for p in ours.discriminator.parameters()) == 2_768_705
    assert sum(p.numel() for p in ours.generator.parameters()) == 54_413_955
    assert sum(p.numel() for p in net.parameters()) == 2_768_705
    assert net.needs.receptive_field == 70


def test_it_judges_the_candidate_beside_the_degraded_picture():
    restorer = build()
    seen = []
    restorer.discriminator.register_forward_hook(lambda _m, args, _o: seen.append(args[0].detach()))
    inputs = random_inputs(restorer, 1, 16)
    prepared = restorer.prepare(inputs)
    restorer.losses('discriminator', inputs, prepared)
    lq, gt = (restorer.to_range(inputs[role]) for role in ('lq', 'gt'))
    assert [x.shape[1] for x in seen] == [6, 6]
    assert all(torch.equal(x[:, :3], lq) for x in seen)
    assert torch.equal(seen[0][:, 3:], gt)
    assert torch.equal(seen[1][:, 3:], prepared['pred'].detach())


def test_weights_of_nothing():
    both = terms(build(), 'generator')
    assert set(both) == {'loss_l1', 'loss_adv'}
    assert set(terms(build(losses={}), 'generator')) == {'loss_adv'}
    regression = build(discriminator=None, lambda_gan=0.0)
    assert set(regression.steps) == {'generator'}
    assert not hasattr(regression, 'discriminator')
    inputs = random_inputs(regression, 2, 16)
    prepared = regression.prepare(inputs)
    loss = regression.losses('generator', inputs, prepared)
    torch.testing.assert_close(loss['loss_l1'], 100 * (prepared['pred'] - prepared['gt']).abs().mean())
    assert set(loss) == {'loss_l1'}


def test_only_the_generator_is_deployed():
    restorer = small_restorer('AdversarialRestorer')
    assert restorer.deployed == ('generator',)
    assert {key.split('.')[0] for key in restorer.state_dict()} == {'generator', 'discriminator'}


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (dict(discriminator=None), 'needs a discriminator'),
        (dict(lambda_gan=-1.0), 'lambda_gan is -1.0'),
        (dict(lambda_gan=0.0, losses={}), 'nothing would be learnt'),
        (dict(gan_mode='wgan'), "no mode 'wgan'"),
    ],
)
def test_contradictions_are_refused(given, expected):
    with pytest.raises(ConfigError, match=expected):
        build(**given)


def test_a_network_that_returns_its_input_reconstructs_perfectly(tmp_path):
    from restorebox.datasets.collate import collate_roles
    from restorebox.datasets.pictures import PairedPictures
    from restorebox.metrics.protocols import protocol
    from restorebox.restorers.supervised import SupervisedRestorer
    from tests.factories import write_pairs

    write_pairs(tmp_path, 'train', 2)
    steps = [dict(type='LoadPictures'), dict(type='CopyRole'), dict(type='Pack')]
    data = collate_roles([PairedPictures(tmp_path, lq=None, pipeline=steps)[0]])
    assert torch.equal(data['inputs']['lq'], data['inputs']['gt'])
    identity = SupervisedRestorer(
        dict(backbone=dict(type='UNet', levels=2, base_width=4), head=dict(type='SubPixelHead', residual=True)),
        losses=dict(mse=dict(type='MSELoss')),
    ).eval()
    out = identity.test_step(data)[0]
    as_picture = [x.permute(1, 2, 0).numpy() for x in (out.pred, out.gt)]
    assert protocol('psnr_rgb')(*as_picture) == 100

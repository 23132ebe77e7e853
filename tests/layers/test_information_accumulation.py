"""Every registered stem; channels, identity part and receptive field of InfoAccum."""

import copy

import pytest
import torch
from torch import nn

from restorebox.backbones.unet import UNet
from restorebox.engine.config import load_config
from restorebox.errors import ConfigError
from restorebox.files import configs_dir
from restorebox.layers.information_accumulation import InfoAccum
from restorebox.layers.statistics import LocalStatistics, set_statistics_window, statistics_layers
from restorebox.registry import STEMS
from restorebox.restorers import Network
from restorebox.rows import read_rows

# name -> what makes it small
SMALL = {
    'InfoAccum': dict(layers=2, growth=2),
    'ResidualStem': dict(blocks=1, width=4),
    'ContextualDilated': dict(steps=1, width=4),
    'ContextAggregation': dict(width=4),
    'RecursiveStem': dict(times=2, width=4),
    'AttentiveRecurrent': dict(times=2, width=4),
}


def names():
    STEMS.import_from_location()
    return sorted(name for name, kind in STEMS.module_dict.items() if kind.__module__.startswith('restorebox.'))


def small(name, **given):
    return STEMS.build(dict(type=name, **{'in_channels': 3, 'stride': 1, **SMALL.get(name, {}), **given}))


@pytest.mark.parametrize('name', names())
class TestEveryStem:
    @pytest.mark.parametrize('size', [(8, 8), (17, 9), (1, 1)])
    def test_keeps_the_size_and_has_the_declared_channels(self, name, size):
        stem = small(name)
        x = torch.rand(2, 3, *size)
        assert stem(x).shape == (2, stem.out_channels, *size)

    def test_every_weight_learns_and_the_input_is_reached(self, name):
        stem = small(name)
        x = torch.rand(1, 3, 12, 12, requires_grad=True)
        (stem(x) * torch.linspace(-1, 1, 12)).square().mean().backward()
        assert x.grad.abs().sum() > 0
        assert all(p.grad is not None for p in stem.parameters())
        copy.deepcopy(stem).load_state_dict(stem.state_dict())

    def test_reach_is_what_a_pixel_reads(self, name):
        given = {'norm': None} if name in ('InfoAccum', 'ResidualStem') else {}
        stem = small(name, **given).double().eval()
        for p in stem.parameters():
            nn.init.uniform_(p, 0.01, 0.1, generator=torch.Generator().manual_seed(0))  # no ReLU dies
        for module in stem.modules():
            if isinstance(module, LocalStatistics):  # statistics are not counted
                module.forward = lambda x: x
        side = 2 * stem.reach + 3
        x = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
        grad = torch.autograd.grad(stem(x)[0, :, side // 2, side // 2].sum(), x)[0]
        rows = grad.abs().sum((0, 1, 3)).nonzero().flatten()
        assert int(rows.max() - rows.min()) + 1 == stem.reach

    def test_stands_in_front_of_any_level_of_a_unet(self, name):
        for level, stride in (('down1', 1), ('down2', 2)):
            net = UNet(levels=2, base_width=4, stems={level: dict(type=name, **SMALL[name])})
            assert net.stems[level].reach > 0
            assert net(torch.rand(1, 3, 16, 16))['out'].shape == (1, 8, 8, 8)
            assert net.needs.receptive_field > UNet(levels=2, base_width=4).needs.receptive_field
            norms = [m for m in net.stems[level].modules() if isinstance(m, LocalStatistics)]
            assert all(m.stride == stride for m in norms)


@pytest.mark.parametrize('growth', [1, 4, 12])
@pytest.mark.parametrize('layers', [0, 1, 15])
def test_info_accum_channels(growth, layers):
    with torch.device('meta'):
        stem = InfoAccum(3, layers=layers, growth=growth)
        assert stem.out_channels == 3 + 3 * growth * layers
        x = torch.zeros(1, 3, 37, 53)
        assert stem(x).shape == (1, stem.out_channels, 37, 53)
    if layers == 0:
        x = torch.rand(1, 3, 5, 5)
        assert stem(x) is x


def test_the_papers_size():
    with torch.device('meta'):
        stem = InfoAccum(3)
        net = Network(dict(type='UNet', levels=5, stems=dict(down1=dict(type='InfoAccum'))), dict(type='PictureHead'))
    assert stem.out_channels == 183
    assert sum(p.numel() for m in stem.modules() if isinstance(m, nn.Conv2d) for p in m.parameters()) == 140_940
    assert net.backbone.down[0][0].in_channels == 183


def test_the_input_and_earlier_layers_pass_untouched():
    stem = InfoAccum(3, layers=3, growth=2)
    x = torch.rand(1, 3, 9, 11) * 2 - 1
    out = stem(x)
    assert torch.equal(out[:, :3], x)
    shorter = copy.deepcopy(stem)
    shorter.layers = shorter.layers[:2]
    assert torch.equal(out[:, :15], shorter(x))


def test_one_layer_reads_eleven_pixels():
    stem = InfoAccum(1, layers=1)
    nn.init.ones_(stem.layers[0].branches[2].weight)
    x = torch.zeros(1, 1, 21, 21)
    base = stem(x)[..., 10, 10]
    x[..., 10, 5] = 1.0  # at distance 5
    assert not torch.equal(stem(x)[..., 10, 10], base)
    x.zero_()
    x[..., 10, 4] = 1.0  # at distance 6
    assert torch.equal(stem(x)[..., 10, 10], base)
    assert stem.reach == 11


def test_recomputing_gives_the_same_output_and_gradients():
    torch.manual_seed(0)
    stored = InfoAccum(3, layers=4)
    again = InfoAccum(3, layers=4, recompute=True)
    again.load_state_dict(stored.state_dict())
    pictures, outputs = [], []
    for stem in (stored, again):
        pictures.append(torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).requires_grad_())
        outputs.append(stem(pictures[-1]))
        (outputs[-1] * torch.linspace(-1, 1, 16)).square().mean().backward()
    assert torch.equal(*outputs)
    torch.testing.assert_close(*(x.grad for x in pictures))  # summed in another order
    for a, b in zip(stored.parameters(), again.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad)


def test_the_plain_dense_module_is_one_of_dilation_one():
    plain = InfoAccum(3, layers=5, growth=12, dilations=(1,))
    assert plain.out_channels == InfoAccum(3, layers=5, growth=4).out_channels
    assert plain.reach == 11


def test_local_statistics_reach_into_stems():
    net = UNet(levels=2, base_width=4, stems=dict(down1=dict(type='ContextAggregation', width=4)))
    assert len(statistics_layers(net)) >= 4
    set_statistics_window(net, 16)
    net.eval()
    x = torch.rand(1, 3, 64, 64)
    local = net(x)['out']
    set_statistics_window(net, None)
    assert not torch.equal(net(x)['out'], local)


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (dict(stems=dict(dwon1=dict(type='InfoAccum'))), "no level 'dwon1'; did you mean 'down1'"),
        (dict(stems=dict(down3=dict(type='InfoAccum'))), "no level 'down3'"),
        (dict(stems=dict(down1=dict(type='InfoAcum'))), "no stem is called 'InfoAcum'; did you mean 'InfoAccum'"),
        (dict(stems=dict(down1=dict(type='InfoAccum', layer=3))), "no key 'layer'; did you mean 'layers'"),
        (dict(stems=dict(down1=dict(type='InfoAccum', layers=-1))), 'layers is -1'),
        (dict(stems=dict(down1=dict(type='InfoAccum', norm='batch', recompute=True))), "norm='batch' twice per step"),
    ],
)
def test_mistakes_are_named(given, expected):
    with pytest.raises(ConfigError, match=expected):
        UNet(levels=2, base_width=4, **given)


FIG14 = {
    'infoaccum/rain800_pix2pix.py': ('infoaccum_subpix', 'module_'),
    'infoaccum/reconstruct_unet8.py': ('unet5_infoaccum_subpix', 'reconstruct_module_'),
    'infoaccum/infoaccum_demo.py': (None, 'demo_module_'),
    'infoaccum/reconstruct_demo_unet8.py': ('unet5_infoaccum5_subpix', 'reconstruct_demo_module_'),
}


@pytest.mark.parametrize('config', FIG14)
def test_the_modules_of_fig_14_have_as_many_parameters_as_infoaccum(config):
    own, prefix = FIG14[config]
    rows = [name for name, row in read_rows(configs_dir() / 'infoaccum').items() if name.startswith(prefix)]
    assert len(rows) == 6

    def parameters(row):
        with torch.device('meta'):
            generator = Network(**load_config(config, row=row).model.generator)
        assert type(generator.head).__name__ == 'SubPixelHead'
        return sum(p.numel() for p in generator.parameters())

    wanted = parameters(own)
    for name in rows:
        assert parameters(name) == pytest.approx(wanted, rel=0.01), name

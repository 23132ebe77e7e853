"""Contracts of every registered backbone."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.registry import HEADS
from restorebox.restorers import Network
from tests.factories import backbone_names, given_for, small_backbone

SIZES = [(1, 1), (1, 32), (37, 53), (37, 256), (500, 333)]


@pytest.mark.parametrize('name', backbone_names())
class TestEveryBackbone:
    def test_needs_are_complete(self, name):
        needs = small_backbone(name).needs
        assert needs.stride >= 1
        assert needs.min_size >= 1
        assert needs.in_channels >= 1
        assert needs.value_range in ((0.0, 1.0), (-1.0, 1.0))
        assert needs.tiling in ('spatial', 'noise', 'discouraged')

    def test_taps_by_name(self, name):
        backbone = small_backbone(name)
        size = 2 * max(backbone.needs.stride, backbone.needs.min_size)
        x = torch.rand(2, backbone.needs.in_channels, size, size)
        given = given_for(backbone, 2)
        assert set(backbone(x, **given)) == {'out'}
        features = backbone(x, taps=backbone.tap_names, **given)
        assert set(features) == {'out', *backbone.tap_names}
        assert all(f.shape[0] == 2 and f.dim() == 4 for f in features.values())
        assert {tap: features[tap].shape[1] for tap in backbone.tap_names} == backbone.tap_channels
        with pytest.raises(ConfigError, match='has no tap'):
            backbone(x, taps=('no_such_tap',), **given)

    def test_a_pass_for_taps_alone_stops_at_the_deepest(self, name):
        backbone = small_backbone(name).eval()
        size = 2 * max(backbone.needs.stride, backbone.needs.min_size)
        x = torch.rand(1, backbone.needs.in_channels, size, size)
        given = given_for(backbone, 1)
        whole = backbone(x, taps=backbone.tap_names, **given)
        ran = []
        for module in backbone.modules():
            if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
                module.register_forward_hook(lambda *_: ran.append(1))
        counts = []
        for depth in range(1, len(backbone.tap_names) + 1):
            ran.clear()
            some = backbone(x, taps=backbone.tap_names[:depth], only_taps=True, **given)
            assert set(some) == set(backbone.tap_names[:depth])
            assert all(torch.equal(value, whole[tap]) for tap, value in some.items())
            if backbone.tap_names[depth - 1] not in backbone.needs.feature_means:  # functions of another tap
                counts.append(len(ran))
        ran.clear()
        backbone(x, **given)
        assert counts == sorted(set(counts)), 'each deeper tap costs more convolutions'
        assert counts[-1] <= len(ran)
        with pytest.raises(ConfigError, match='only_taps without a tap'):
            backbone(x, only_taps=True, **given)

    def test_out_is_as_declared(self, name):
        backbone = small_backbone(name)
        size = 2 * max(backbone.needs.stride, backbone.needs.min_size)
        out = backbone(torch.rand(1, backbone.needs.in_channels, size, size), **given_for(backbone, 1))['out']
        assert out.shape[:2] == (1, backbone.out_channels)
        picture = backbone.out_stride <= 2  # only a discriminator may leave out pixels at the border
        for side in out.shape[2:]:
            assert 0 <= size // backbone.out_stride - side <= (0 if picture else 2)

    def test_forward_backward_save_load(self, name, tmp_path):
        backbone = small_backbone(name)
        size = 2 * max(backbone.needs.stride, backbone.needs.min_size)
        x = torch.rand(2, backbone.needs.in_channels, size, size, requires_grad=True)
        given = given_for(backbone, 2)
        features = backbone(x, taps=backbone.tap_names, **given)  # a weight may reach a tap alone
        sum(each.square().mean() for each in features.values()).backward()
        assert x.grad.abs().sum() > 0
        missing = [key for key, p in backbone.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing, f'no gradient: {missing}'
        torch.save(backbone.state_dict(), tmp_path / 'b.pth')
        twin = small_backbone(name)
        twin.load_state_dict(torch.load(tmp_path / 'b.pth', weights_only=True))
        backbone.eval(), twin.eval()
        assert torch.equal(backbone(x, **given)['out'], twin(x, **given)['out'])

    def test_builds_on_the_meta_device(self, name):
        with torch.device('meta'):
            assert all(p.is_meta for p in small_backbone(name).parameters())

    @pytest.mark.parametrize('size', SIZES)
    def test_output_size_is_input_size(self, name, size):
        """Through the picture head and a restorer's padding, for any size from 1x1 up."""
        from restorebox.restorers.supervised import SupervisedRestorer

        backbone = small_backbone(name)
        if backbone.out_stride not in (1, 2):
            pytest.skip('no picture head for this stride: it is not a generator')
        if backbone.given:
            pytest.skip('reads more than a picture: restorers that give it that are walked')
        head = HEADS.build(dict(type='PictureHead', in_channels=backbone.out_channels, scale=backbone.out_stride))
        restorer = SupervisedRestorer(Network(backbone, head), losses=dict(l1=dict(type='L1Loss'))).eval()
        lq = torch.rand(1, 3, *size)
        pred = restorer.restore(lq)['pred']
        assert pred.shape == lq.shape
        assert pred.dtype == torch.float32
        assert 0 <= pred.min() <= pred.max() <= 1

"""The multi-scale head sees the whole map through its pooled levels, and maps of any size."""

import pytest
import torch

from restorebox.heads.pyramid_realness import PyramidRealnessHead
from restorebox.restorers import Network


def logits(head, y):
    return head({'out': y}, torch.empty(0))


@pytest.mark.parametrize('size', [(2, 2), (3, 7), (11, 11), (32, 30)])
def test_one_logit_per_patch_at_any_size(size):
    assert logits(PyramidRealnessHead(4), torch.rand(2, 4, *size)).shape == (2, 1, size[0] - 1, size[1] - 1)


def test_a_distant_feature_acts_through_the_coarsest_level_only():
    y = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    other = y.clone()
    other[..., 15, 15] += 5
    for grids, reaches in (((1,), True), ((2, 4, 8), False)):
        head = PyramidRealnessHead(4, grids=grids, width=2)
        change = (logits(head, other) - logits(head, y))[0, 0, 0, 0].abs().item()
        assert (change > 1e-7) == reaches


def test_it_replaces_the_head_of_a_patch_discriminator():
    net = Network(dict(type='PatchDiscriminator', in_channels=6, base_width=4), dict(type='PyramidRealnessHead'))
    net(torch.rand(1, 6, 64, 64))['realness'].mean().backward()
    assert all(p.grad is not None for p in net.parameters())

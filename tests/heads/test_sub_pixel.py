"""The sub-pixel head: initialisation without checkerboard, and the order of shuffling."""

import pytest
import torch
from torch.nn import functional as F

from restorebox.errors import ConfigError
from restorebox.heads.sub_pixel import SubPixelHead
from restorebox.restorers import Network


def test_it_doubles_and_starts_without_checkerboard():
    head = SubPixelHead(128, 2)
    assert head.conv.out_channels == 12
    y = head({'out': torch.randn(2, 128, 9, 7)}, torch.rand(2, 3, 18, 14))
    assert y.shape == (2, 3, 18, 14)
    blocks = F.pixel_unshuffle(y, 2).view(2, 3, 4, 9, 7)
    assert torch.equal(blocks, blocks[:, :, :1].expand_as(blocks))
    rough = SubPixelHead(128, 2, icnr=False)({'out': torch.randn(1, 128, 9, 7)}, torch.rand(1, 3, 18, 14))
    blocks = F.pixel_unshuffle(rough, 2).view(1, 3, 4, 9, 7)
    assert (blocks - blocks[:, :, :1]).abs().max() > 1e-3


def test_shuffling_is_undone_by_unshuffling():
    x = torch.rand(1, 12, 4, 5)
    assert torch.equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), x)


def test_the_right_index_is_a_bijection_and_the_printed_one_is_not():
    """Eq 15 for C = 3, r = 2 and an input of 2x2: (channel, row, column) of the picture -> of the features."""
    right, printed = set(), set()
    for c in range(3):
        for h in range(4):
            for w in range(4):
                right.add((3 * 2 * (w % 2) + 3 * (h % 2) + c, h // 2, w // 2))
                printed.add((c * 2 * (w % 2) + c * (h % 2) + c, h // 2, w // 2))
    assert len(right) == 48
    assert len(printed) == 28


def test_as_a_residual_it_starts_as_the_identity():
    net = Network(dict(type='UNet', levels=2, base_width=4), dict(type='SubPixelHead', residual=True))
    x = torch.rand(1, 3, 16, 16)
    assert torch.equal(net(x)['picture'], x)


def test_full_size_features_are_refused():
    with pytest.raises(ConfigError, match='use PictureHead'):
        SubPixelHead(8, 1)

"""What a picture head puts around its convolution."""

import pytest
import torch

from restorebox.heads.picture import PictureHead


@pytest.mark.parametrize('residual', [False, True])
@pytest.mark.parametrize('activation', [False, True])
def test_with_and_without_activation(residual, activation):
    head = PictureHead(4, 1, residual=residual, activation=activation)
    torch.nn.init.normal_(head.conv.weight)
    features, x = {'out': torch.randn(2, 4, 7, 6)}, torch.rand(2, 3, 7, 6)
    y = head.conv(features['out'].clamp_min(0) if activation else features['out'])
    if residual:
        y = x + y
    elif activation:
        y = y.tanh()
    torch.testing.assert_close(head(features, x), y)

"""Prompts and the blocks that read them."""

import pytest
import torch

from restorebox.layers import set_statistics_window
from restorebox.layers.prompts import PromptBlock, PromptGenerator


def generator(size, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PromptGenerator(4, 6, 3, size, 1).eval()


def picture(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('size', [1, 4])
@pytest.mark.parametrize('window', [None, 8])
def test_a_prompt_is_the_mixture_by_the_features(size, window):
    module = generator(size)
    set_statistics_window(module, window)
    x = picture(2, 4, 12, 16)
    means = module.mean(x).expand(-1, -1, 12, 16)
    share = torch.nn.functional.conv2d(means, module.choose.weight, module.choose.bias).softmax(1)
    stretched = torch.nn.functional.interpolate(module.prompts, (12, 16), mode='bilinear')
    mixed = (share[:, :, None] * stretched).sum(1)
    torch.testing.assert_close(module(x), module.conv(mixed), atol=1e-5, rtol=1e-4)


def test_a_residual_block_passes_its_input_on_until_it_is_trained():
    block = PromptBlock(4, 4, 6, 3, 1, 1, 1, residual=True)
    x = picture(1, 4, 8, 8)
    assert torch.equal(block(x), x)
    torch.nn.init.ones_(block.leave.weight)
    assert not torch.equal(block(x), x)

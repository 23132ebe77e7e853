"""The logged variation of gain control's divisor."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from restorebox.hooks.gain_variation import GainVariationHook
from restorebox.layers.gain_control import GainControl


def run_step(hook: GainVariationHook, network: nn.Module, iteration: int, x: torch.Tensor) -> dict[str, float]:
    logged: dict[str, float] = {}
    hub = SimpleNamespace(update_scalar=logged.__setitem__)
    runner = SimpleNamespace(restorer=network, iter=iteration, message_hub=hub)
    hook.before_train_iter(runner, iteration)
    network(x)
    hook.after_train_iter(runner, iteration, {}, {})
    return logged


def test_it_logs_the_mean_over_the_layers_at_its_interval_and_leaves_nothing_behind():
    network = nn.Sequential(GainControl(4, 'pooled'), GainControl(4))
    hook = GainVariationHook(interval=10)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    first, second = network[0].variation(x), network[1].variation(network[0](x))
    logged = run_step(hook, network, 20, x)
    assert logged == {'train/gain_variation': pytest.approx(((first + second) / 2).item(), rel=1e-6)}
    assert run_step(hook, network, 21, x) == {}
    assert all(not layer._forward_pre_hooks for layer in network)


def test_a_network_without_gain_control_logs_nothing():
    assert run_step(GainVariationHook(), nn.Conv2d(3, 3, 1), 0, torch.zeros(1, 3, 4, 4)) == {}

"""Which device is used, and what is said about those that are not there."""

import pytest
import torch

from restorebox.errors import ConfigError
from restorebox.inference import devices
from restorebox.inference.devices import default_device, find_device


@pytest.fixture
def machine(monkeypatch):
    """A machine with a number of devices of each kind."""

    def set_up(**counts):
        monkeypatch.setattr(devices, 'device_count', lambda kind: {'cpu': 1, **counts}.get(kind, 0))

    return set_up


@pytest.mark.parametrize(
    ('counts', 'rank', 'device'),
    [
        ({}, '0', 'cpu'),
        ({'mps': 1}, '0', 'mps'),
        ({'mps': 1}, '3', 'mps'),
        ({'xpu': 2}, '1', 'xpu:1'),
        ({'cuda': 2, 'xpu': 1}, '3', 'cuda:1'),
    ],
)
def test_a_gpu_is_the_default_where_there_is_one(machine, monkeypatch, counts, rank, device):
    machine(**counts)
    monkeypatch.setenv('LOCAL_RANK', rank)
    assert str(default_device()) == device


@pytest.mark.parametrize(
    ('device', 'words'),
    [
        ('gpu', "device 'gpu': is not one of cuda, xpu, mps, cpu; here are: cuda:0, cuda:1, cpu"),
        ('', "device '': is not one of cuda, xpu, mps, cpu; here are: cuda:0, cuda:1, cpu"),
        ('meta', "device 'meta': is not one of cuda, xpu, mps, cpu; here are: cuda:0, cuda:1, cpu"),
        ('hpu', "device 'hpu': is not one of cuda, xpu, mps, cpu; here are: cuda:0, cuda:1, cpu"),
        ('cuda:2', "device 'cuda:2': no such device; here are: cuda:0, cuda:1, cpu"),
        ('cuda:', "device 'cuda:': no such device; here are: cuda:0, cuda:1, cpu"),
        ('cpu:-1', "device 'cpu:-1': no such device; here are: cuda:0, cuda:1, cpu"),
        ('mps', "device 'mps': PyTorch finds none on this machine; here are: cuda:0, cuda:1, cpu"),
    ],
)
def test_a_device_that_is_not_there_is_a_line(machine, device, words):
    machine(cuda=2)
    with pytest.raises(ConfigError) as caught:
        find_device(device)
    assert str(caught.value) == words


def test_the_cpu_is_always_there():
    assert find_device('cpu') == find_device(torch.device('cpu')) == torch.device('cpu')


@pytest.mark.skipif(torch.cuda.is_available(), reason='needs a machine without a GPU')
def test_without_a_gpu_pytorch_is_not_asked_for_one():
    with pytest.raises(ConfigError, match=r"device 'cuda': PyTorch finds none on this machine; here are: .*cpu"):
        find_device('cuda')

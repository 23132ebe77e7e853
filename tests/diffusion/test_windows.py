"""Windows cover every picture, agree with the whole where they can, and keep to their memory."""

import itertools

import pytest
import torch
from torch import nn

from restorebox.diffusion import (
    Estimate,
    NoiseSchedule,
    Sampling,
    ShiftedWindows,
    WindowAverage,
    sample,
    spaced_steps,
    window_grid,
)
from restorebox.diffusion.windows import MIB, PeakBytes
from restorebox.errors import ConfigError


def test_the_grid_covers_every_pixel_of_any_size():
    rng = torch.Generator().manual_seed(0)
    for height, width in torch.randint(128, 400, (20, 2), generator=rng).tolist():
        covered = torch.zeros(height, width, dtype=torch.bool)
        grid = window_grid(height, width, 128, 16)
        for top, left in grid:
            window = covered[top : top + 128, left : left + 128]
            assert window.shape == (128, 128)
            window.fill_(True)
        assert covered.all()
        assert len(set(grid)) == len(grid)


def test_the_last_window_ends_with_the_picture():
    assert window_grid(8, 21, 8, 4) == [(0, 0), (0, 4), (0, 8), (0, 12), (0, 13)]
    assert window_grid(8, 8, 8, 3) == [(0, 0)]


def test_every_pixel_is_the_mean_over_its_windows():
    """Each window returns its index; batches of any size give the same result."""
    x = torch.rand(2, 1, 20, 27, generator=torch.Generator().manual_seed(0))
    grid = window_grid(20, 27, 8, 5)
    expected, weight = torch.zeros(2, 1, 20, 27), torch.zeros(20, 27)
    for top, left in grid:
        window = x[..., top : top + 8, left : left + 8]
        expected[..., top : top + 8, left : left + 8] += window - window.mean((-1, -2), keepdim=True)
        weight[top : top + 8, left : left + 8] += 1
    for memory in (1e-9, 0.01, 100):
        average = WindowAverage(lambda w: w - w.mean((-1, -2), keepdim=True), 8, 5, memory)
        torch.testing.assert_close(average(x), expected / weight, atol=1e-6, rtol=0)


def walk(network, size, steps=10):
    x = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(0))
    schedule = NoiseSchedule()

    def estimate(x, t):
        return Estimate.of_noise(x, network(x, t), float(schedule.abar[t]))

    return sample(estimate, x, spaced_steps(1000, steps, 'trailing'), schedule, clip=True)


def test_constant_noise_gives_the_same_whole_and_in_windows():
    def estimate(x, t):
        return torch.full_like(x, 0.3)

    whole = walk(estimate, (150, 133))
    windows = walk(WindowAverage(estimate, 128, 16, 64), (150, 133))
    torch.testing.assert_close(windows, whole, atol=1e-5, rtol=0)


def test_seams_of_a_network_with_a_small_field_stay_below_a_grey_level():
    """Only pixels near a window's border see its padding, and the windows on them outvote it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 1, 1), nn.Tanh(), nn.Conv2d(4, 1, 3, 1, 1)).requires_grad_(False)

    def estimate(x, t):
        return 0.9 * x + 0.3 * net(x)

    whole = walk(estimate, (192, 160), 25)
    windows = walk(WindowAverage(estimate, 64, 16, 64), (192, 160), 25)
    difference = (whole - windows).abs() / 2  # of [-1, 1]
    assert 0 < difference.mean() < 1 / 255


def test_peak_counts_what_is_alive_at_a_time():
    x = torch.rand(256, 1024)  # 1 MiB
    with PeakBytes() as seen:
        y = x * 2
        z = y.view(-1)[5:]  # views take nothing
        y = None
        z = z + 1
        x.add_(1)
    assert seen.peak == pytest.approx(2 * MIB, rel=0.01)
    assert z.numel() == 256 * 1024 - 5


def test_batches_of_windows_stay_within_the_memory():
    net = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.ReLU(), nn.Conv2d(16, 3, 3, 1, 1)).requires_grad_(False)
    sizes = []

    def estimate(w):
        sizes.append(len(w))
        return net(w)

    x = torch.rand(1, 3, 96, 96)
    for memory in (1, 8):
        sizes.clear()
        average = WindowAverage(estimate, 32, 8, memory)
        average(x)
        with PeakBytes() as seen:
            net(torch.rand(max(sizes), 3, 32, 32))
        assert memory / 4 < seen.peak / MIB < memory
        assert sizes[0] == 1
        assert len(set(sizes[1:-1])) == 1


def test_a_window_that_does_not_fit_is_run_alone():
    sizes = []
    WindowAverage(lambda w: sizes.append(len(w)) or w, 16, 16, 1e-6)(torch.rand(1, 3, 32, 32))
    assert sizes == [1] * 4


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (dict(window_stride=0), 'window_stride is 0'),
        (dict(window_stride=200), r'from 1 to window \(128\)'),
        (dict(window=0), 'window is 0'),
        (dict(window_memory=0), 'window_memory is 0'),
        (dict(mode='overlapping'), "did you mean 'overlap'"),
        (dict(sampler='ddmi'), "did you mean 'ddim'"),
        (dict(eta=2), 'eta is 2'),
        (dict(eta=0.5, sampler='ancestral'), 'eta is a parameter of ddim'),
    ],
)
def test_settings_that_do_not_exist_are_named(given, expected):
    with pytest.raises(ConfigError, match=expected):
        Sampling(**given)


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (17, 40), (64, 31), (90, 77)])
def test_shifted_windows_cover_every_pixel_with_few_windows_and_end_with_overlap(height, width):
    windows, most = ShiftedWindows(lambda w: w, 16, 4, 64, 8), (-(-height // 16) + 1) * (-(-width // 16) + 1)
    seen = []
    for call in range(8):
        grid = windows.grid(height, width)
        covered = torch.zeros(height, width)
        for top, left in grid:
            assert covered[top : top + 16, left : left + 16].shape == (16, 16)
            covered[top : top + 16, left : left + 16] += 1
        assert covered.min() >= 1
        assert len(grid) <= most or call == 7
        seen.append(grid)
    assert seen[7] == window_grid(height, width, 16, 4)
    if min(height, width) > 32:
        assert all(a != b for a, b in itertools.pairwise(seen))


def test_constant_noise_gives_the_same_whole_and_in_shifted_windows():
    def estimate(x, t):
        return torch.full_like(x, 0.3)

    shifted = ShiftedWindows(estimate, 64, 16, 64, 10)
    torch.testing.assert_close(walk(shifted, (150, 133)), walk(estimate, (150, 133)), atol=1e-5, rtol=0)
    assert shifted.calls == 10

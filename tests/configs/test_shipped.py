"""The included model: size and metadata of its file, and its effect on pictures."""

import json

import numpy as np
import pytest
import torch
from skimage import data
from torch.utils.flop_counter import FlopCounterMode

from restorebox.datasets.reading import read_picture
from restorebox.degradations import build_degradation
from restorebox.engine.checkpoint import load_file, sha256
from restorebox.engine.published import load_restorer
from restorebox.errors import CheckpointError
from restorebox.files import configs_dir
from restorebox.metrics.protocols import protocol
from restorebox.registry import BACKBONES
from tests.conftest import REPO, load_study

WEIGHTS = configs_dir() / 'fdrnet' / 'weather.safetensors'
SCORES = REPO / 'docs' / 'results' / 'weather.json'
psnr_y = protocol('psnr_y')


@pytest.fixture(scope='module')
def weather():
    return load_restorer(WEIGHTS)


def restored(restorer, picture: np.ndarray) -> np.ndarray:
    """HWC in [0, 1] -> the same, rounded as a file would be."""
    lq = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float()[None]
    return restorer.restore(lq)['pred'][0].permute(1, 2, 0).mul(255).round().div(255).numpy()


def test_its_file_is_small_and_has_metadata():
    assert WEIGHTS.stat().st_size <= 8e6
    meta = load_file(WEIGHTS)['meta']
    assert 'non-commercial' in meta['licence']
    assert meta['limits']


def test_it_is_cheap(weather):
    assert sum(p.numel() for p in weather.generator.parameters()) <= 2e6
    with FlopCounterMode(display=False) as counter:
        weather.restore(torch.rand(1, 3, 321, 481))
    assert 0.01e12 < counter.get_total_flops() <= 0.1e12


def test_the_stored_scores_are_those_of_this_file():
    stored = json.loads(SCORES.read_text())
    assert stored['checkpoint_sha256'] == sha256(WEIGHTS)


@pytest.mark.parametrize('recipe', ['light_rain', 'heavy_rain', 'noise'])
def test_a_photograph_that_it_never_saw_gains(weather, recipe):
    clean = data.coffee()[:320, :480] / 255
    degradation = build_degradation(recipe)
    drawn = degradation.sample(np.random.default_rng(2), clean.shape)
    lq = degradation.apply(clean.astype(np.float32), drawn)['lq'].clip(0, 1)
    assert psnr_y(restored(weather, lq), clean) > psnr_y(lq, clean) + 1


def test_a_clean_photograph_passes_through(weather):
    clean = data.chelsea() / 255
    assert psnr_y(restored(weather, clean), clean) >= 45


def test_stored_scores_come_out_again(weather, shared):
    rows = json.loads(SCORES.read_text())['pictures']['rain_pairs_sirr'][:4]
    for row in rows:
        name = f'{row["name"]}.png'
        lq, clean = (
            read_picture(shared / 'data' / 'rain_pairs_sirr' / side / name) / 255 for side in ('rain', 'clean')
        )
        assert psnr_y(restored(weather, lq), clean) == pytest.approx(row['psnr_y'], abs=0.02)


def small_net(blocks: tuple[int, ...]) -> torch.nn.Module:
    net = BACKBONES.build({'type': 'FDRUNet', 'widths': (8, 16), 'blocks': blocks})
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)  # as after training: what a fresh network has at zero does something
    return net


def test_a_deeper_network_begins_as_the_shallower_one():
    combined = load_study('combine_weights').combined
    shallow, deep = small_net((1, 2)), BACKBONES.build({'type': 'FDRUNet', 'widths': (8, 16), 'blocks': (3, 2)})
    fresh = {key: value.clone() for key, value in deep.state_dict().items()}
    x = torch.rand(1, 3, 32, 40)
    before = deep(x)['out']
    deep.load_state_dict(combined(fresh, [shallow.state_dict()], [1]))
    assert torch.allclose(deep(x)['out'], shallow(x)['out'], atol=1e-6)
    assert not torch.allclose(deep(x)['out'], before, atol=1e-2)


def test_a_mean_has_its_shares_and_refuses_what_does_not_fit():
    combined = load_study('combine_weights').combined
    one, other = small_net((1, 1)).state_dict(), small_net((1, 1)).state_dict()
    mean = combined(one, [one, other], [0.25, 0.75])
    assert all(torch.allclose(mean[key], 0.25 * one[key] + 0.75 * other[key], atol=1e-6) for key in one)
    with pytest.raises(CheckpointError, match="don't fit"):
        combined(one, [small_net((2, 1)).state_dict()], [1])

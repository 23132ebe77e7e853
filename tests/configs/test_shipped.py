"""The included models: size and metadata of their files, and their effect on pictures."""

import copy
import json

import numpy as np
import pytest
import torch
from skimage import data
from torch.utils.flop_counter import FlopCounterMode

from restorebox.datasets.reading import read_picture
from restorebox.datasets.synthetic_pictures import make_page
from restorebox.degradations import build_degradation
from restorebox.engine.checkpoint import load_file, sha256
from restorebox.engine.published import load_restorer
from restorebox.errors import CheckpointError
from restorebox.files import DEFAULT_MODEL, configs_dir
from restorebox.inference import RestoreInferencer
from restorebox.metrics.protocols import protocol
from restorebox.pixels import to_uint8
from restorebox.registry import BACKBONES
from tests.conftest import REPO, load_study

WEIGHTS = configs_dir() / 'fdrnet' / 'weather.safetensors'
GATED = configs_dir() / 'fdrnet' / 'weather_gated.safetensors'
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


@pytest.fixture(scope='module', params=['weather2_gated', 'weather_gated'])
def gated(request):
    return RestoreInferencer(request.param, device='cpu', precision='fp32')


def test_the_gated_model_contains_the_other_one(weather):
    own, stored = weather.state_dict(), load_file(GATED)
    inner = {key.replace('backbone.', 'backbone.inner.').replace('head.', 'head.inner.'): key for key in own}
    assert all(torch.equal(stored['state_dict'][key], own[name]) for key, name in inner.items())
    assert GATED.stat().st_size <= 8.5e6
    assert 'non-commercial' in stored['meta']['licence']


@pytest.mark.parametrize('name', ['weather2_gated', 'weather_gated'])
def test_the_stored_measurements_are_those_of_the_file(name):
    for study in (name, f'{name}_scores'):
        stored = json.loads((REPO / 'docs' / 'results' / f'{study}.json').read_text())
        assert stored['checkpoint_sha256'] == sha256(configs_dir() / 'fdrnet' / f'{name}.safetensors')


def test_the_default_model_keeps_to_its_budget():
    restorer = load_restorer(configs_dir() / 'fdrnet' / f'{DEFAULT_MODEL}.safetensors')
    assert sum(p.numel() for p in restorer.generator.parameters()) <= 4e6
    with FlopCounterMode(display=False) as counter:
        restorer.restore(torch.rand(1, 3, 321, 481))
    assert 0.01e12 < counter.get_total_flops() <= 0.1e12


@pytest.mark.parametrize('name', ['astronaut', 'page', 'text', 'coffee', 'grey', 'white', 'drawn'])
def test_what_is_not_degraded_stays(gated, name):
    """Larger than the window of the network's statistics, so that tiles and windows judge it."""
    if name == 'drawn':
        picture = to_uint8(make_page((900, 1200), np.random.default_rng(3)))
    elif name in ('grey', 'white'):
        picture = np.full((700, 900, 3), 128 if name == 'grey' else 255, np.uint8)
    else:
        found = getattr(data, name)()
        picture = np.ascontiguousarray(np.broadcast_to(found.reshape(*found.shape[:2], -1), (*found.shape[:2], 3)))
    assert psnr_y(gated.restore_array(picture) / 255, picture / 255) > 48


@pytest.mark.parametrize('recipe', ['light_rain', 'heavy_rain', 'noise'])
def test_the_gated_model_restores_what_its_network_does(gated, recipe):
    opened = copy.deepcopy(gated.restorer)
    gates = opened.generator.backbone.gates
    torch.nn.init.zeros_(gates.weight)
    torch.nn.init.constant_(gates.bias, 30)  # sigmoid: 1
    clean = data.coffee()[:320, :480]
    lq = to_uint8(build_degradation(recipe)(clean, np.random.default_rng(2))['lq'])
    ours, theirs = gated.restore_array(lq) / 255, restored(opened, lq / 255)
    assert psnr_y(ours, clean / 255) > max(psnr_y(theirs, clean / 255) - 0.3, psnr_y(lq / 255, clean / 255) + 1)


@pytest.mark.slow
def test_tiles_of_a_photograph_share_the_gates():
    """Only a part of it is noisy, so that gates of single tiles would differ."""
    noisy = data.coffee()
    noisy[:, :250] = to_uint8(build_degradation('noise')(noisy, np.random.default_rng(0))['lq'])[:, :250]
    whole = RestoreInferencer(device='cpu', precision='fp32', memory=4096)
    tiled = RestoreInferencer(device='cpu', precision='fp32', memory=100)
    assert whole.tiler.fits(*noisy.shape[:2])
    assert not tiled.tiler.fits(*noisy.shape[:2])
    expected = whole(noisy).astype(int)
    assert np.abs(expected - noisy).mean() > 2
    assert np.abs(tiled(noisy) - expected).mean() < 0.05
    tiled.tiler._reads_means = False
    assert np.abs(tiled(noisy) - expected).mean() > 0.5, 'the tiles agree without their first pass'

"""Contact sheets show the same samples as a training uses."""

import numpy as np
import pytest
import torch

from restorebox.datasets.browsing import as_picture, row_of, samples
from restorebox.datasets.collate import collate_roles
from restorebox.engine.config import load_config
from restorebox.registry import DATA_SAMPLERS, DATASETS
from tests.factories import write_pairs
from tests.processes import write_config


@pytest.fixture
def config(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 5)
    write_pairs(tmp_path / 'data', 'test', 2)
    return write_config(tmp_path / 'toy.py', tmp_path / 'data')


def first_batches(cfg, number, seed):
    """What a runner's loader gives a training on one rank, without its processes."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    dataset.seed = seed
    sampler = iter(DATA_SAMPLERS.build(dict(cfg.train_dataloader.sampler, dataset=dataset, seed=seed)))
    return [collate_roles([dataset[next(sampler)]])['inputs'] for _ in range(number)]


@pytest.mark.parametrize('seed', [0, 7])
def test_samples_are_those_of_the_training(config, seed):
    cfg = load_config(config, {'randomness.seed': seed})
    expected = first_batches(cfg, 7, seed)
    found = samples(cfg, 'train', 5, start=2)
    for batch, sample in zip(expected[2:], found, strict=True):
        assert all(torch.equal(batch[role][0], sample['inputs'][role]) for role in ('lq', 'gt'))
    assert not torch.equal(found[0]['inputs']['gt'], samples(cfg, 'train', 1, 2, seed + 1)[0]['inputs']['gt'])


def test_layers_that_are_not_handed_on_are_drawn_and_change_nothing(tmp_path):
    write_pairs(tmp_path / 'clean', 'train', 4, size=(300, 300))
    cfg = load_config(
        'configs/unet/unet5_line_rain.py', {'train_dataloader.dataset.data_root': str(tmp_path / 'clean')}
    )
    expected = first_batches(cfg, 2, 0)
    found = samples(cfg, 'train', 2)
    for batch, sample in zip(expected, found, strict=True):
        assert set(batch) == {'lq', 'gt'}
        assert all(torch.equal(batch[role][0], sample['inputs'][role]) for role in batch)
    captions = [caption for caption, _ in row_of(found[0])]
    assert captions[0].endswith(': lq 256x256 float')
    assert captions[1].endswith(': gt 256x256 uint8')
    assert captions[2] == 'streak 256x256 float, not handed on'


def test_unpaired_samples_name_both_pictures(tmp_path):
    for part, folder in (('a', 'trainA'), ('b', 'trainB')):
        write_pairs(tmp_path / part, 'x', 3)
        (tmp_path / part / 'x' / 'gt').rename(tmp_path / folder)
    for path in (tmp_path / 'trainB').iterdir():
        path.rename(path.with_name(f'clean_{path.name}'))
    cfg = load_config('configs/cyclegan/cyclegan_spa.py', {'train_dataloader.dataset.data_root': str(tmp_path)})
    (lq, hq), *_ = [[caption for caption, _ in row_of(sample)] for sample in samples(cfg, 'train', 3)]
    assert lq.startswith('0')
    assert ': lq ' in lq
    assert hq.startswith('clean_0')
    assert ': hq ' in hq


def test_every_kind_of_layer_becomes_a_picture():
    grey, note = as_picture(torch.full((1, 4, 5), 0.5))
    assert grey.shape == (4, 5, 3)
    assert note == 'float'
    assert np.ptp(grey) == 0
    assert grey[0, 0, 0] == 128
    colour, note = as_picture(torch.arange(60, dtype=torch.uint8).reshape(3, 4, 5))
    assert (colour == np.arange(60).reshape(3, 4, 5).transpose(1, 2, 0)).all()
    assert note == 'uint8'
    far, note = as_picture(torch.tensor([[[-1.0, 3.0]]]))
    assert far[0, :, 0].tolist() == [0, 255]
    assert note == 'float -1 to 3'
    assert 'mean of 2 channels' in as_picture(torch.rand(2, 4, 5))[1]

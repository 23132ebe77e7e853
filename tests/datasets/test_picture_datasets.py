"""Picture data sets: listing, reproducible samples, unreadable files."""

from __future__ import annotations

import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from PIL import Image
from torch.utils.data import DataLoader

from restorebox.datasets import SampleKey, list_pictures
from restorebox.datasets.collate import collate_roles
from restorebox.datasets.pictures import PairedPictures, UnpairedPictures
from restorebox.datasets.sampler import KeyedSampler
from restorebox.errors import ConfigError, DataError, PictureError
from restorebox.registry import DATASETS

LOAD = [{'type': 'LoadPictures'}, {'type': 'Pack'}]
TRAIN = [
    {'type': 'LoadPictures'},
    {'type': 'RandomWindow', 'size': 8},
    {'type': 'Flip'},
    {'type': 'Rotate90'},
    {'type': 'Degrade', 'recipe': {'type': 'LineRain', 'density': (0.01, 0.02)}},
    {'type': 'Pack', 'keep': ('parameters',)},
]


def picture(i, size=(12, 16)):
    return np.random.default_rng(i).integers(0, 256, (*size, 3), dtype=np.uint8)


def save(values, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def pairs(tmp_path):
    """Six pairs in train/lq and train/gt; lq is gt + 1."""
    for i in range(6):
        clean = picture(i) // 2
        save(clean, tmp_path / 'train' / 'gt' / f'{i}.png')
        save(clean + 1, tmp_path / 'train' / 'lq' / f'{i}.png')
    return tmp_path


@pytest.fixture
def unpaired(tmp_path):
    """Three degraded pictures and seven others."""
    tmp_path = tmp_path / 'unpaired'
    for i in range(3):
        save(picture(i), tmp_path / 'train' / 'lq' / f'rain{i}.png')
    for i in range(7):
        save(picture(100 + i), tmp_path / 'train' / 'hq' / f'clear{i}.png')
    return tmp_path


def refused(kind, call, *words):
    with pytest.raises(kind) as caught:
        call()
    assert '\n' not in str(caught.value)
    for word in words:
        assert str(word) in str(caught.value), f'{word!r} is not in {str(caught.value)!r}'


def same(a, b):
    assert a['inputs'].keys() == b['inputs'].keys()
    for role in a['inputs']:
        assert torch.equal(a['inputs'][role], b['inputs'][role])
    assert a['data_samples'].metainfo == b['data_samples'].metainfo


def test_paired_by_name(pairs):
    data = DATASETS.build({'type': 'PairedPictures', 'data_root': str(pairs), 'pipeline': LOAD})
    assert isinstance(data, BaseDataset)
    assert len(data) == 6
    assert data.roles == ('lq', 'gt')
    for i, sample in enumerate(data):
        assert sample['data_samples'].name == str(i)
        assert sample['data_samples'].index == i
        assert sample['data_samples'].bad == []
        assert sample['data_samples'].paths['gt'] == str(pairs / 'train' / 'gt' / f'{i}.png')
        assert torch.equal(sample['inputs']['lq'], sample['inputs']['gt'] + 1)
        np.testing.assert_array_equal(sample['inputs']['gt'].numpy(), (picture(i) // 2).transpose(2, 0, 1))


def test_other_layouts(pairs):
    flat = PairedPictures(pairs / 'train', split='', pipeline=LOAD, limit=2)
    assert [flat[i]['data_samples'].name for i in range(len(flat))] == ['0', '1']
    clean = PairedPictures(pairs, split='train/gt', gt='', lq=None, pipeline=LOAD)
    assert clean.roles == ('gt',)
    assert list(clean[-1]['inputs']) == ['gt']
    assert clean[-1]['data_samples'].name == '5'


def test_template_and_list_file_and_side_by_side(tmp_path):
    for i in range(2):
        save(picture(i), tmp_path / 'a' / 'gt' / f'{i}.png')
        for k in range(3):
            save(picture(10 * i + k + 50), tmp_path / 'a' / 'lq' / f'{i}_{k}.png')
        save(np.concatenate([picture(i + 70), picture(i)], axis=1), tmp_path / 'b' / f'{i}.png')
    by_template = PairedPictures(
        tmp_path, split='a', pairing='template', template={'lq': '{name}_*', 'gt': '{name}'}, pipeline=LOAD
    )
    assert [sample['data_samples'].name for sample in by_template] == ['0_0', '0_1', '0_2', '1_0', '1_1', '1_2']
    np.testing.assert_array_equal(by_template[4]['inputs']['gt'].permute(1, 2, 0), picture(1))
    (tmp_path / 'a' / 'some.txt').write_text('lq/1_2.png gt/1.png\n')
    listed = PairedPictures(tmp_path, split='a', pairing='list_file', list_file='some.txt', pipeline=LOAD)
    assert [sample['data_samples'].name for sample in listed] == ['1_2']
    for order, role in ((('lq', 'gt'), 'gt'), (['gt', 'lq'], 'lq')):
        beside = PairedPictures(tmp_path, split='b', pairing='side_by_side', order=order, pipeline=LOAD)
        np.testing.assert_array_equal(beside[1]['inputs'][role].permute(1, 2, 0), picture(1))


def test_odd_width_of_two_pictures_in_one(tmp_path):
    save(picture(0, (4, 7)), tmp_path / 'b' / 'odd.png')
    data = PairedPictures(tmp_path, split='b', pairing='side_by_side', pipeline=LOAD)
    refused(PictureError, lambda: data[0], 'odd.png', 'width of 7', '2 equal')


def test_lazy_touches_nothing_on_the_disk(monkeypatch):
    monkeypatch.setattr('os.stat', lambda *a, **k: pytest.fail('the disk was touched'))
    paired = PairedPictures('/nowhere', pipeline=TRAIN, lazy_init=True)
    unpaired = UnpairedPictures('/nowhere', pipeline=LOAD, lazy_init=True)
    monkeypatch.undo()
    assert paired.roles == ('lq', 'gt')
    assert unpaired.roles == ('lq', 'hq')
    refused(DataError, paired.full_init, "'train'", '/nowhere/train/lq')


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'pairing': 'same_names'}, ("'same_names'", "'same_name'")),
        ({'pairing': 'template'}, ('template=',)),
        ({'template': {'lq': '{name}', 'gt': '{name}'}}, ("pairing='template'",)),
        ({'pairing': 'template', 'template': {'lq': '{name}'}}, ("gt='{name}'",)),
        ({'pairing': 'list_file'}, ('list_file',)),
        ({'list_file': 'a.txt'}, ("pairing='list_file'",)),
        ({'pairing': 'side_by_side', 'order': ('lq', 'hq')}, ("('lq', 'gt')",)),
        ({'lq': None, 'pairing': 'side_by_side'}, ('lq=None',)),
        ({'gt': None}, ('UnpairedPictures',)),
        ({'bad_picture': 'ignore'}, ("'error' or 'skip'",)),
        ({'limit': 0}, ('limit',)),
    ],
)
def test_paired_refuses_contradictions(arguments, words):
    refused(ConfigError, lambda: PairedPictures('/nowhere', lazy_init=True, **arguments), *words)


def test_an_unknown_key_names_the_nearest():
    refused(ConfigError, lambda: DATASETS.build({'type': 'PairedPictures', 'data_root': 'x', 'spilt': 'a'}), "'split'")


def test_unpaired_refuses(unpaired):
    (unpaired / 'train' / 'again').symlink_to(unpaired / 'train' / 'lq')
    refused(ConfigError, lambda: UnpairedPictures(unpaired, hq='./lq', lazy_init=True), 'same folder', "'train'")
    refused(ConfigError, lambda: UnpairedPictures(unpaired, hq='again'), 'same folder')
    refused(ConfigError, lambda: UnpairedPictures(unpaired, pairing='same_name'), 'PairedPictures')
    refused(DataError, lambda: UnpairedPictures(unpaired, split='test'), "'test'", 'no such folder')


def test_clean_pictures_alone_are_split_between_both_sides(unpaired):
    recipe = dict(type='Degrade', recipe=dict(type='LineRain'), source='scene')
    steps = [dict(type='LoadPictures'), recipe, dict(type='Pack', roles=('lq', 'hq'))]
    data = UnpairedPictures(unpaired, lq=None, pipeline=steps)
    assert data.roles == ('scene', 'hq')
    samples = [data[SampleKey(i % len(data), i // len(data), i)] for i in range(60)]
    scenes, clean = ({s['data_samples'].paths[role] for s in samples} for role in ('scene', 'hq'))
    assert len(scenes) == 4  # of 7
    assert len(clean) == 3
    assert not scenes & clean
    assert set(samples[0]['inputs']) == {'lq', 'hq'}
    for name in list((unpaired / 'train' / 'hq').iterdir())[1:]:
        name.unlink()
    refused(DataError, lambda: UnpairedPictures(unpaired, lq=None), 'one picture', 'two or more')


def test_unpaired_draws_hq_at_random_and_repeats(unpaired):
    data = UnpairedPictures(unpaired, pipeline=LOAD, seed=4)
    assert len(data) == 7
    keys = [SampleKey(i % 7, i // 7, i) for i in range(70)]
    drawn = [data[key]['data_samples'].paths for key in keys]
    assert [paths['lq'][-9:] for paths in drawn[:7]] == [f'rain{i % 3}.png' for i in range(7)]
    partners_of_first = {paths['hq'] for paths in drawn if paths['lq'].endswith('rain0.png')}
    assert len(partners_of_first) == 7  # all are met by chance: an order that couples the folders would give fewer
    again = UnpairedPictures(unpaired, pipeline=LOAD, seed=4)
    assert [again[key]['data_samples'].paths for key in reversed(keys)] == drawn[::-1]
    other = UnpairedPictures(unpaired, pipeline=LOAD, seed=5)
    assert [other[key]['data_samples'].paths for key in keys] != drawn


def test_unpaired_with_more_degraded_pictures(unpaired):
    data = UnpairedPictures(unpaired, lq='hq', hq='lq', pipeline=LOAD)
    assert len(data) == 7
    drawn = {data[SampleKey(0, 0, position)]['data_samples'].paths['hq'][-9:] for position in range(40)}
    assert drawn == {'rain0.png', 'rain1.png', 'rain2.png'}


def test_same_key_same_sample(pairs):
    data = PairedPictures(pairs, lq=None, pipeline=TRAIN, seed=1)
    key = SampleKey(2, 3, 20)
    first = data[key]
    same(first, data[key])
    assert first['inputs']['lq'].dtype == torch.float32
    assert first['inputs']['gt'].dtype == torch.uint8
    assert first['inputs']['streak'].shape == (1, 8, 8)
    assert not torch.equal(first['inputs']['lq'], data[SampleKey(2, 4, 26)]['inputs']['lq'])
    data.seed = 2
    assert not torch.equal(first['inputs']['lq'], data[key]['inputs']['lq'])


@pytest.mark.parametrize('context', [None, 'spawn'])
def test_workers_change_nothing(pairs, context):
    """0 workers, 2 forked ones, and 1 spawned (the data set itself is pickled)."""
    data = PairedPictures(pairs, lq=None, pipeline=TRAIN, seed=1)

    def batches(workers):
        sampler = KeyedSampler(data, seed=7)
        sampler.skip(3)
        extra = {'multiprocessing_context': context} if workers else {}
        loader = DataLoader(data, 4, sampler=sampler, num_workers=workers, collate_fn=collate_roles, **extra)
        return list(islice(iter(loader), 4))

    alone = batches(0)
    for a, b in zip(alone, batches(1 if context else 2), strict=True):
        assert [s.metainfo for s in a['data_samples']] == [s.metainfo for s in b['data_samples']]
        for role in ('lq', 'gt', 'streak'):
            assert torch.equal(a['inputs'][role], b['inputs'][role])


def test_pickled_data_set_gives_the_same_samples(pairs):
    data = PairedPictures(pairs, pipeline=LOAD)
    copy = pickle.loads(pickle.dumps(data))
    same(data[3], copy[3])


def test_records_are_serialised(pairs, unpaired):
    """A million Python strings would be copied into every worker by their reference counts."""
    for data in (PairedPictures(pairs, pipeline=LOAD), UnpairedPictures(unpaired, pipeline=LOAD)):
        assert data.serialize_data
        assert data.data_list == []
        assert isinstance(data.data_bytes, np.ndarray)


def test_a_bad_picture_is_an_error(pairs):
    (pairs / 'train' / 'lq' / '2.png').write_bytes(b'')
    data = PairedPictures(pairs, pipeline=LOAD)
    refused(PictureError, lambda: data[2], pairs / 'train' / 'lq' / '2.png', '0 bytes')


def test_the_error_survives_a_worker(pairs):
    (pairs / 'train' / 'lq' / '2.png').write_bytes(b'')
    loader = DataLoader(PairedPictures(pairs, pipeline=LOAD), num_workers=1, collate_fn=collate_roles)
    batches = iter(loader)
    with pytest.raises(PictureError) as caught:
        list(batches)
    batches._shutdown_workers()
    assert str(caught.value).strip().splitlines()[-1].endswith('2.png: is empty (0 bytes)')


def test_skipping_in_training_draws_another(pairs):
    (pairs / 'train' / 'lq' / '2.png').write_bytes(b'')
    data = PairedPictures(pairs, pipeline=LOAD, bad_picture='skip', seed=1)
    seen = set()
    for position in range(20):
        key = SampleKey(2, 1, position)
        sample = data[key]
        same(sample, data[key])
        known = sample['data_samples']
        assert known.index != 2
        assert known.name == str(known.index)
        np.testing.assert_array_equal(sample['inputs']['gt'].permute(1, 2, 0), picture(known.index) // 2)
        assert set(known.bad) == {f'{pairs / "train" / "lq" / "2.png"}: is empty (0 bytes)'}
        seen.add(known.index)
    assert len(seen) > 2
    assert data[3]['data_samples'].bad == []


def test_skipping_draws_another_hq_too(unpaired):
    for path in list_pictures(unpaired / 'train' / 'hq')[:5]:
        path.write_bytes(b'')
    data = UnpairedPictures(unpaired, pipeline=LOAD, bad_picture='skip')
    for position in range(20):
        assert data[SampleKey(0, 0, position)]['data_samples'].paths['hq'].endswith(('clear5.png', 'clear6.png'))


def test_skipping_gives_up(pairs):
    for path in list_pictures(pairs / 'train' / 'lq'):
        path.write_bytes(b'')
    data = PairedPictures(pairs, pipeline=LOAD, bad_picture='skip')
    refused(DataError, lambda: data[0], "'train'", '21 pictures in a row', '0 bytes')


def test_skipping_at_test_time_hands_out_none(pairs):
    (pairs / 'train' / 'lq' / '2.png').write_bytes(b'')
    data = PairedPictures(pairs, pipeline=LOAD, bad_picture='skip', test_mode=True)
    sample = data[2]
    assert sample['inputs'] == {}
    assert sample['data_samples'].name == '2'
    assert sample['data_samples'].index == 2
    assert len(sample['data_samples'].bad) == 1
    loader = DataLoader(data, 3, collate_fn=collate_roles)
    first, second = list(loader)
    assert [known.name for known in first['data_samples']] == ['0', '1']
    assert first['inputs']['lq'].shape == (2, 3, 12, 16)
    assert first['bad'] == sample['data_samples'].bad
    assert len(second['data_samples']) == 3


def test_a_transform_that_returns_none_is_named(pairs):
    data = PairedPictures(pairs, pipeline=[lambda results: None])
    refused(DataError, lambda: data[0], 'None', "'train'")


def test_the_developers_side_by_side_pictures(shared):
    root = shared / 'data' / 'rain_pairs_didmdn'
    for split in ('heavy', 'light', 'medium'):
        data = PairedPictures(root, split=split, pairing='side_by_side', pipeline=LOAD, test_mode=True)
        for sample in data:
            lq, gt = (sample['inputs'][role].float() for role in ('lq', 'gt'))
            assert lq.shape == gt.shape
            assert lq.mean() > gt.mean()  # rain, on the left, is brighter

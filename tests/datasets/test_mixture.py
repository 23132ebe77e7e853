"""Mixtures of data sets: shares, keys, subsets, messages, and what check-data, browse-data and check-config see."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from restorebox.datasets.browsing import row_of, samples
from restorebox.datasets.inspection import check, from_config
from restorebox.datasets.mixture import ConcatPictures, RepeatPictures, describe
from restorebox.datasets.pictures import PairedPictures
from restorebox.datasets.sampler import KeyedSampler
from restorebox.datasets.subsets import select
from restorebox.engine.config import load_config, set_data_root
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError, DataError
from tests.conftest import REPO
from tests.factories import write_pairs

LOAD = [dict(type='LoadPictures'), dict(type='RandomWindow', size=16), dict(type='Pack')]
TOY = f"""
_base_ = '{REPO}/configs/unet/unet5_paired.py'
load, pack = dict(type='LoadPictures'), dict(type='Pack')
cut = dict(type='RandomWindow', size=64)
rain = dict(type='PairedPictures', data_root='data/rain', pipeline=[load, cut, pack])
haze = dict(type='PairedPictures', data_root='data/haze', pipeline=[load, cut, dict(type='Flip'), pack])
train_dataloader = dict(
    dataset=dict(_delete_=True, type='ConcatPictures', datasets=dict(rain=rain, haze=haze), epochs=dict(rain=2)))
tested = dict(type='PairedPictures', split='test', test_mode=True, pipeline=[load, pack])
sets = dict(rain=dict(data_root='data/rain', **tested), haze=dict(data_root='data/haze', **tested))
val_dataloader = dict(dataset=dict(_delete_=True, type='ConcatPictures', datasets=sets))
test_dataloader = val_dataloader
"""


@pytest.fixture
def sets(tmp_path):
    """Configs of three sets with 3, 10 and 7 pairs."""
    for name, count in (('a', 3), ('b', 10), ('c', 7)):
        write_pairs(tmp_path / name, 'train', count)
        write_pairs(tmp_path / name, 'test', 2)
    return {name: dict(type='PairedPictures', data_root=str(tmp_path / name), pipeline=LOAD) for name in 'abc'}


@pytest.fixture
def toy(tmp_path):
    for name, count in (('rain', 4), ('haze', 5)):
        write_pairs(tmp_path / 'data' / name, 'train', count, size=(80, 90), seed=count)
        write_pairs(tmp_path / 'data' / name, 'test', 2, seed=9 + count)
    (tmp_path / 'c.py').write_text(TOY)
    return tmp_path / 'c.py'


def drawn(mixture, count, start=0, seed=3):
    """Set and record of the samples that the sampler draws."""
    mixture.seed = seed
    sampler = KeyedSampler(mixture, seed=seed)
    sampler.skip(start)
    found = (mixture.locate(key) for key in islice(iter(sampler), count))
    return [(name, key.index) for name, key in found]


def test_without_shares_an_epoch_has_every_picture_once(sets):
    mixture = ConcatPictures(sets)
    assert len(mixture) == 20
    assert mixture.shares() == {'a': 3, 'b': 10, 'c': 7}
    every = {(name, i) for name, size in (('a', 3), ('b', 10), ('c', 7)) for i in range(size)}
    for epoch in (0, 1):
        found = drawn(mixture, 20, 20 * epoch)
        assert set(found) == every
    assert drawn(mixture, 20) != drawn(mixture, 20, 20)


def test_epochs_count_whole_passes_and_complete_the_parts(sets):
    mixture = ConcatPictures(sets, epochs=dict(a=4, b=0.5))
    assert mixture.shares() == {'a': 12, 'b': 5, 'c': 7}
    first, second = drawn(mixture, 24), drawn(mixture, 24, 24)
    assert Counter(first)['a', 0] == 4
    assert Counter(i for name, i in first + second if name == 'b') == dict.fromkeys(range(10), 1)
    halves = [sorted(i for name, i in found if name == 'b') for found in (first, second)]
    assert halves[0] != list(range(5)), 'the half must not be the first files'
    assert drawn(mixture, 24, seed=4) != first


def test_parts_of_several_passes_are_complete_over_epochs(sets):
    mixture = ConcatPictures(dict(b=sets['b']), epochs=dict(b=2.3))
    found = Counter(i for epoch in range(10) for _, i in drawn(mixture, 23, 23 * epoch))
    assert found == dict.fromkeys(range(10), 23)


def test_ratios_set_the_number_of_samples_in_an_epoch(sets):
    mixture = ConcatPictures(sets, ratios=dict(a=1, b=2, c=1))
    assert mixture.shares() == {'a': 5, 'b': 10, 'c': 5}
    assert Counter(name for name, _ in drawn(mixture, 20)) == {'a': 5, 'b': 10, 'c': 5}
    several = Counter(i for epoch in range(3) for name, i in drawn(mixture, 20, 20 * epoch) if name == 'a')
    assert several == dict.fromkeys(range(3), 5)


def test_weights_are_probabilities(sets):
    mixture = ConcatPictures(sets, weights=dict(a=6, b=3, c=1))
    count = 4000
    found = drawn(mixture, count)
    for name, p in (('a', 0.6), ('b', 0.3), ('c', 0.1)):
        share = sum(each == name for each, _ in found) / count
        assert abs(share - p) < 4 * np.sqrt(p * (1 - p) / count)
    records = Counter(i for name, i in found if name == 'b')
    assert set(records) == set(range(10))
    assert max(records.values()) < 2 * min(records.values())
    assert drawn(mixture, 7, 100) == found[100:107], 'a draw depends on its position only'


def test_samples_name_their_set_and_are_reproducible(sets):
    mixture = ConcatPictures(sets, weights=dict(a=1, b=1, c=1))
    keys = list(islice(iter(KeyedSampler(mixture)), 9))
    for key in keys:
        name, inner = mixture.locate(key)
        sample, again, alone = mixture[key], mixture[key], mixture.datasets[name][inner]
        assert (sample['data_samples'].set, sample['data_samples'].index) == (name, inner.index)
        assert (sample['inputs']['gt'] == again['inputs']['gt']).all()
        assert (sample['inputs']['gt'] == alone['inputs']['gt']).all()


def test_a_scored_picture_has_the_draws_that_it_has_alone(sets):
    tested = {name: {**each, 'split': 'test', 'test_mode': True} for name, each in sets.items()}
    mixture = ConcatPictures(tested)
    mixture.seed = 5  # test sets keep their own
    alone = PairedPictures(**{key: value for key, value in tested['b'].items() if key != 'type'})
    assert (mixture[3]['inputs']['gt'] == alone[1]['inputs']['gt']).all()
    assert [mixture[i]['data_samples'].set for i in range(6)] == ['a', 'a', 'b', 'b', 'c', 'c']


def test_a_repeated_set_passes_several_times(sets):
    repeated = RepeatPictures(sets['a'], 4)
    assert len(repeated) == 12
    assert Counter(i for _, i in drawn(repeated, 12)) == dict.fromkeys(range(3), 4)
    inside = ConcatPictures(dict(small=dict(type='RepeatPictures', times=4, dataset=sets['a']), c=sets['c']))
    assert inside.shares() == {'small': 12, 'c': 7}
    keys = list(islice(iter(KeyedSampler(inside)), 19))
    found = Counter((inside[key]['data_samples'].set, inside[key]['data_samples'].index) for key in keys)
    assert found == {**{('small', i): 4 for i in range(3)}, **{('c', i): 1 for i in range(7)}}
    assert describe(inside)[0].startswith('small, train: 3 samples in ')
    assert describe(inside)[-1] == 'an epoch of 19 samples has 12 of small, 7 of c'


def test_subsets_by_list_and_fraction(sets, tmp_path):
    (tmp_path / 'b' / 'some.txt').write_text('# of the paper\n03\n07.png\n\n')
    listed = PairedPictures(str(tmp_path / 'b'), names='some.txt')
    assert [listed.get_data_info(i)['name'] for i in range(len(listed))] == ['03', '07']
    part = PairedPictures(str(tmp_path / 'b'), fraction=0.3)
    names = [part.get_data_info(i)['name'] for i in range(len(part))]
    assert len(names) == 3
    assert names != ['00', '01', '02']
    again = PairedPictures(str(tmp_path / 'b'), fraction=0.3, seed=9)
    assert [again.get_data_info(i)['name'] for i in range(3)] == names
    more = PairedPictures(str(tmp_path / 'b'), fraction=0.6)
    assert set(names) < {more.get_data_info(i)['name'] for i in range(len(more))}
    (tmp_path / 'b' / 'wrong.txt').write_text('03\nmissing\n')
    with pytest.raises(DataError, match=r"wrong\.txt names 'missing', which no picture of it is called"):
        PairedPictures(str(tmp_path / 'b'), names='wrong.txt')
    with pytest.raises(DataError, match=r"none\.txt can't be read \(No such file or directory\)"):
        PairedPictures(str(tmp_path / 'b'), names='none.txt')
    with pytest.raises(ConfigError, match='fraction is 0; it must be above 0 and at most 1'):
        PairedPictures(str(tmp_path / 'b'), fraction=0)
    subject = from_config({'train_dataloader': {'dataset': {**sets['b'], 'fraction': 0.3}}}, 'c')
    assert [str(lq.path)[-6:-4] for lq, _ in subject.sets[0].pairs] == names


def test_a_list_may_name_a_picture_that_begins_like_a_comment(tmp_path):
    records = [{'name': name} for name in ('#1', '#2', '#3.5', '4')]
    (tmp_path / 'some.txt').write_text('# 4\n#1.png\n#3.5\n#of the paper\n')
    assert [record['name'] for record in select(records, 'set', str(tmp_path / 'some.txt'), None)] == ['#1', '#3.5']
    (tmp_path / 'some.txt').write_text('#4\n')
    with pytest.raises(DataError, match='is empty'):
        select(records, 'set', str(tmp_path / 'some.txt'), None)


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        (dict(epochs=dict(x=2)), "epochs names 'x', which is no set of it"),
        (dict(ratios=dict(a=1, b=1)), "ratios needs a number for 'c' as well"),
        (dict(weights=dict(a=1)), "weights needs a number for 'b' as well"),
        (dict(weights=dict(a=1, b=1, c=1), epochs=dict(a=1)), 'epochs and weights contradict each other'),
        (dict(ratios=dict(a=1, b=10_000, c=1)), "ratios give the set 'a' no sample"),
    ],
)
def test_wrong_shares_are_named(sets, options, expected):
    with pytest.raises(ConfigError, match=expected):
        ConcatPictures(sets, **options)


def test_wrong_sets_are_named(sets):
    tested = {**sets['a'], 'test_mode': True}
    for given, expected in (
        ({'a/b': sets['a']}, "a set can't be called 'a/b'"),
        ({'input': sets['a']}, "a set can't be called 'input'"),
        ({'a': sets['a'], 'b': tested}, "test_mode is set in 'b' and not in 'a'"),
        ({'a': dict(type='ConcatPictures', datasets=sets)}, "the set 'a' is a mixture"),
        ({'a': [1, 2]}, "the set 'a' is a list"),
        ({'a': dict(data_root='x')}, "a data set needs the key 'type'"),
    ):
        with pytest.raises(ConfigError, match=expected):
            ConcatPictures(given)
    with pytest.raises(ConfigError, match="so the sets can't have shares"):
        RepeatPictures(tested, 2)


def test_check_config_builds_each_set(toy):
    assert check_config(str(toy)) == []
    for override, expected in (
        ({'train_dataloader.dataset.epochs': {'rian': 2}}, "epochs names 'rian', which is no set of it"),
        (
            {'train_dataloader.dataset.datasets.rain.pipeline.1.size': 100},
            'datasets.rain.pipeline: a window of 100x100',
        ),
        ({'train_dataloader.dataset.datasets.rain.lq': None}, "the set 'rain', a PairedPictures gives gt"),
        ({'train_dataloader.dataset.datasets': []}, 'datasets is []; it must be a dict'),
        ({'default_hooks.checkpoint.save_best': 'snow/psnr_y'}, "save_best is 'snow/psnr_y'; did you mean"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_config(str(toy), override)
        assert expected in str(caught.value)
    assert check_config(str(toy), {'default_hooks.checkpoint.save_best': 'haze/psnr_y'}) == []
    with pytest.raises(ConfigError, match="the set 'rain' cuts windows of 32x32 and 'haze' 64x64; samples"):
        check_config(
            str(toy),
            {'train_dataloader.batch_size': 2, 'train_dataloader.dataset.datasets.rain.pipeline.1.size': 32},
        )
    toy.write_text(toy.read_text().replace("dict(type='Flip'), pack", "dict(type='SurveyScene'), pack"))
    with pytest.raises(ConfigError, match="the set 'rain' gives the roles gt, lq and 'haze' gt, lq, scene"):
        check_config(str(toy))


def test_check_data_and_browse_data_see_each_set(toy):
    cfg = load_config(toy)
    set_data_root(cfg, str(toy.parent / 'data'))
    report = check(from_config(cfg, 'c'))
    assert report.pairs == {'train.rain': 4, 'train.haze': 5, 'val.rain, test.rain': 2, 'val.haze, test.haze': 2}
    assert not report.errors
    (toy.parent / 'data' / 'haze' / 'train' / 'lq' / '01.png').write_bytes(b'no picture')
    damaged = check(from_config(cfg, 'c'))
    assert [(each.kind, each.split) for each in damaged.errors] == [('unreadable', 'train.haze')]
    found = samples(cfg, 'test', 4)
    assert [row_of(sample)[0][0].split(':')[0] for sample in found] == ['rain/00', 'rain/01', 'haze/00', 'haze/01']


def test_data_root_replaces_the_common_folder(toy):
    cfg = load_config(toy)
    set_data_root(cfg, '/elsewhere')
    assert cfg.train_dataloader.dataset.datasets.rain.data_root == '/elsewhere/rain'
    assert cfg.test_dataloader.dataset.datasets.haze.data_root == '/elsewhere/haze'
    cfg.train_dataloader.dataset.datasets.rain.data_root = 'other'
    with pytest.raises(ConfigError, match='which have no folder in common; set data_root of each'):
        set_data_root(cfg, '/elsewhere')

"""Base class of data sets, and errors of data sets that do not implement it correctly."""

import pytest
import torch
from mmengine.dataset import BaseDataset

from restorebox.cli.main import main
from restorebox.datasets import BasePictures, SampleKey
from restorebox.datasets.numbered import build_set
from restorebox.engine.running import check_config
from restorebox.errors import ConfigError, DataError
from restorebox.files import configs_dir
from restorebox.registry import DATASETS
from tests.factories import write_pairs

UNET5 = configs_dir() / 'unet' / 'unet5_paired.py'


class PlainSet(torch.utils.data.Dataset):
    def __len__(self):
        return 3


class IndexSet(BaseDataset):
    def load_data_list(self):
        return [{'name': 'a'}]


class Listed(BasePictures):
    roles = ('gt',)
    records: list = []

    def load_data_list(self):
        return list(self.records)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for kind in (PlainSet, IndexSet):
        monkeypatch.setitem(DATASETS._module_dict, kind.__name__, kind)


def write(tmp_path, part, dataset):
    config = tmp_path / 'c.py'
    config.write_text(f"_base_ = '{UNET5}'\n{part}_dataloader = dict(dataset=dict(_delete_=True, {dataset}))\n")
    return str(config)


@pytest.mark.parametrize('part', ['train', 'val', 'test'])
@pytest.mark.parametrize(
    'dataset',
    [
        "type='PlainSet'",
        "type='IndexSet', data_root='x'",
        "type='RepeatPictures', times=2, dataset=dict(type='PlainSet')",
    ],
)
def test_a_set_without_sample_keys_is_an_error_that_names_the_base_class(tmp_path, part, dataset):
    with pytest.raises(ConfigError) as caught:
        check_config(write(tmp_path, part, dataset))
    line = str(caught.value)
    assert line.startswith(f'config, {part}_dataloader.dataset: {"IndexSet" if "Index" in dataset else "PlainSet"} ')
    assert 'derive it from restorebox.datasets.BasePictures' in line


def test_training_refuses_it_as_well(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(['train', write(tmp_path, 'train', "type='PlainSet'"), '--work-dir', str(tmp_path / 'work')])
    assert 'restorebox.datasets.BasePictures' in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r'restorebox\.datasets\.BasePictures'):
        build_set(dict(type='PlainSet'), seed=0)


def test_a_set_of_records_is_made_by_a_list_alone(tmp_path):
    write_pairs(tmp_path, 'train', 2)
    Listed.records = [{'name': f'{i}', 'paths': {'gt': str(tmp_path / f'train/gt/0{i}.png')}} for i in range(2)]
    data = Listed(tmp_path, pipeline=[dict(type='LoadPictures'), dict(type='Pack')], limit=2)
    sample = data[SampleKey(1, 4, 9)]
    assert len(data) == 2
    assert sample['data_samples'].name == '1'
    assert sample['inputs']['gt'].dtype == torch.uint8


@pytest.mark.parametrize(
    ('records', 'reason'),
    [
        ([], 'Listed lists no pictures'),
        ([{'paths': {'gt': 'x'}}], "record 0 of load_data_list has no 'name'"),
        ([{'name': 'a', 'paths': {'gt': 'x'}}, {'name': 'b', 'paths': {'lq': 'x'}}], "record 1 .* has no 'paths.gt'"),
    ],
)
def test_incomplete_records_are_an_error(tmp_path, records, reason):
    Listed.records = records
    with pytest.raises(DataError, match=reason):
        Listed(tmp_path)


def test_a_set_must_say_which_roles_it_gives(tmp_path):
    with pytest.raises(ConfigError, match='Silent declares no roles; write e'):
        type('Silent', (BasePictures,), {})(tmp_path)

"""Preparation of a miniature of every data source in its official layout, and the messages about faults."""

import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace

import pytest
from PIL import Image

from restorebox.datasets.inspection import check, from_config
from restorebox.datasets.sources import prepare
from restorebox.datasets.sources.page import all_sources
from restorebox.engine.config import load_config, set_data_root
from restorebox.errors import ConfigError, DataError
from restorebox.files import configs_dir
from restorebox.registry import DATASETS, SOURCES
from tests.miniatures import make

NAMES = [source.name for source in all_sources()]
DRAWN = [source.name for source in all_sources() if source.drawn]


@pytest.fixture(scope='module')
def minis(tmp_path_factory):
    """A function: source name -> (folder, source, description); each miniature is made once and must not be changed."""
    made = {}

    def get(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            made[name] = (root, *make(name, root))
        return made[name]

    return get


@pytest.fixture
def mini(minis, tmp_path):
    """A function: source name -> (copy of the folder that a test may change, source, description)."""

    def get(name):
        root, source, what = minis(name)
        shutil.copytree(root, tmp_path / 'release')
        return tmp_path / 'release', source, what

    return get


def names_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


def lists_of(folder):
    return {p.name: p.read_text() for p in (folder / 'lists').iterdir()}


def fault(source, release, to):
    """Return the message of a preparation that must fail without leaving files."""
    with pytest.raises((DataError, ConfigError)) as caught:
        prepare(source, release, to)
    assert '\n' not in str(caught.value)
    assert not to.exists()
    assert not to.with_name(to.name + '.part').exists()
    return str(caught.value)


@pytest.mark.parametrize('name', NAMES)
def test_a_release_is_prepared_and_its_config_reads_it(name, minis, tmp_path):
    release, source, _ = minis(name)
    to = tmp_path / 'data'
    message = prepare(source, release, to)
    assert source.title in message
    facts = json.loads((to / 'source.json').read_text())
    assert facts['source'] == name
    assert facts['from'] == release.name
    assert (facts['seed'] is None) == (not source.drawn)
    for split, count in source.expected.items():
        assert facts['scenes'][split] <= count if split in source.at_most else facts['scenes'][split] == count
        assert (to / 'lists' / f'{split}.txt').read_text().count('\n') == facts['scenes'][split] + 1
    assert str(release) not in (to / 'source.json').read_text()
    before = names_in(to)
    assert 'nothing to do' in prepare(source, release, to)
    assert names_in(to) == before

    cfg = load_config(str(configs_dir() / '_base_' / 'datasets' / f'{name}.py'))
    assert cfg.train_dataloader.dataset.data_root == f'data/{name}'
    set_data_root(cfg, str(to))
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(loader.dataset)
        sample = dataset[len(dataset) - 1]
        assert set(sample['inputs']) == ({'lq', 'hq'} if 'Unpaired' in loader.dataset.type else {'lq', 'gt'})


@pytest.mark.parametrize('name', NAMES)
def test_prepared_data_pass_check_data(name, minis, tmp_path):
    release, source, _ = minis(name)
    prepare(source, release, tmp_path / 'data')
    cfg = load_config(str(configs_dir() / '_base_' / 'datasets' / f'{name}.py'))
    set_data_root(cfg, str(tmp_path / 'data'))
    errors = [finding for finding in check(from_config(cfg, name)).findings if finding.severity == 'error']
    if name == 'outdoor_rain_8_2_random':  # the random split has renders of one background in both splits
        assert errors
        assert {finding.kind for finding in errors} == {'near_duplicate'}
    else:
        assert not errors, errors[0].text


@pytest.mark.parametrize('name', NAMES)
def test_a_missing_partner_is_an_error(name, mini, tmp_path):
    release, source, what = mini(name)
    if all(part.role == 'gt' for part in source.parts):
        pytest.skip('clean pictures have no partners')
    if what.partner:
        (release / what.partner).unlink()
    else:  # both pictures are in one file: crop it to one of them
        file = sorted(release.rglob('*.jpg'))[1]
        Image.open(file).crop((0, 0, 23, 20)).save(file)
    message = fault(source, release, tmp_path / 'data')
    assert 'without a partner' in message
    assert "split 'train'" in message or "split 'test'" in message or file.relative_to(release).as_posix() in message


@pytest.mark.parametrize('name', NAMES)
def test_a_wrong_count_is_reported_with_the_split(name, minis, tmp_path):
    release, source, _ = minis(name)
    split, count = next(iter(source.counts.items()))
    more = replace(source, counts={**source.counts, split: count + 1})
    message = fault(more, release, tmp_path / 'data')
    assert f"split '{split}'" in message
    assert f'found {count} scenes, published {count + 1}' in message
    prepare(more, release, tmp_path / 'data', allow_count=True)
    facts = json.loads((tmp_path / 'data' / 'source.json').read_text())
    assert facts['counts_that_differ'] == {split: [count, count + 1]}


@pytest.mark.parametrize('name', NAMES)
def test_an_empty_folder_is_an_error(name, minis, tmp_path):
    (tmp_path / 'empty').mkdir()
    message = fault(minis(name)[1], tmp_path / 'empty', tmp_path / 'data')
    assert 'found 0 pictures' in message
    assert 'looked for' in message


@pytest.mark.parametrize('name', NAMES)
def test_a_truncated_picture_is_an_error(name, mini, tmp_path):
    """All files are truncated, because some may not be selected; the first one is reported."""
    release, source, _ = mini(name)
    for file in sorted(p for p in release.rglob('*') if p.suffix.lower() in ('.png', '.jpg')):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    message = fault(source, release, tmp_path / 'data')
    assert '.png' in message.lower() or '.jpg' in message
    assert "can't be read" in message or 'cut short' in message


@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
@pytest.mark.parametrize('name', NAMES)
def test_archives_give_the_same_as_folders_and_damaged_ones_are_errors(name, kind, mini, tmp_path):
    release, source, what = mini(name)
    prepare(source, release, tmp_path / 'plain')
    packed = tmp_path / 'packed'
    packed.mkdir()
    for top in sorted(release.iterdir()):
        if top.name in what.loose:
            shutil.copy(top, packed)
        else:
            pack(top, packed / f'{top.name}.{kind}', kind)
    prepare(source, packed, tmp_path / 'data')
    assert names_in(tmp_path / 'data') == names_in(tmp_path / 'plain')
    assert lists_of(tmp_path / 'data') == lists_of(tmp_path / 'plain')
    for file in names_in(tmp_path / 'plain'):
        if file != 'source.json':
            assert (tmp_path / 'data' / file).read_bytes() == (tmp_path / 'plain' / file).read_bytes()
    damaged = next(p for p in sorted(packed.iterdir()) if p.name.endswith(kind))
    damaged.write_bytes(damaged.read_bytes()[: damaged.stat().st_size // 2])
    message = fault(source, packed, tmp_path / 'again')
    assert damaged.name in message
    assert 'damaged or cut short' in message


def pack(folder, archive, kind):
    if kind == 'zip':
        with zipfile.ZipFile(archive, 'w') as out:
            for file in names_in(folder):
                out.write(folder / file, f'{folder.name}/{file}')
    else:
        with tarfile.open(archive, 'w:gz') as out:
            out.add(folder, folder.name)


@pytest.mark.parametrize('name', DRAWN)
def test_the_lists_depend_only_on_the_seed(name, minis, mini, tmp_path):
    release, source, _ = minis(name)
    for to, seed, root in (('a', 0, release), ('b', 0, mini(name)[0]), ('c', 1, release)):
        prepare(source, root, tmp_path / to, seed=seed)
    assert lists_of(tmp_path / 'a') == lists_of(tmp_path / 'b')
    assert lists_of(tmp_path / 'a') != lists_of(tmp_path / 'c')
    a, c = lists_of(tmp_path / 'a'), lists_of(tmp_path / 'c')
    assert any(a[key].splitlines()[1:] != c[key].splitlines()[1:] for key in a), (
        'only the headings differ, which contain the seed'
    )


@pytest.mark.parametrize('name', NAMES)
def test_pictures_are_linked_and_not_copied(name, minis, tmp_path):
    release, source, _ = minis(name)
    prepare(source, release, tmp_path / 'data')
    inodes = {os.stat(p).st_ino for p in release.rglob('*') if p.is_file()}
    linked = [f for f in names_in(tmp_path / 'data') if os.stat(tmp_path / 'data' / f).st_ino in inodes]
    if name == 'rain800':
        assert not linked  # halves are new pictures
    else:
        assert len(linked) > 3


def test_pictures_are_copied_if_links_fail(minis, tmp_path, monkeypatch):
    def refuse(*args, **more):
        raise OSError('no links here')

    release, source, _ = minis('rain1400')
    monkeypatch.setattr(os, 'link', refuse)
    prepare(source, release, tmp_path / 'symbolic')
    assert (tmp_path / 'symbolic/train/gt/1_1.jpg').is_symlink()
    monkeypatch.setattr(os, 'symlink', refuse)
    prepare(source, release, tmp_path / 'copied')
    assert not (tmp_path / 'copied/train/gt/1_1.jpg').is_symlink()
    assert names_in(tmp_path / 'copied') == names_in(tmp_path / 'symbolic')


def test_registered_names_are_the_names_of_the_sources():
    for name in SOURCES.known():
        assert SOURCES.build(dict(type=name)).name == name
        assert (configs_dir() / '_base_' / 'datasets' / f'{name}.py').is_file()

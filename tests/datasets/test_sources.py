"""Every data source: a miniature in the official layout is prepared and read, and each fault is named in one line."""

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
    """One miniature per source, made when it is asked for; tests that spoil one take a copy."""
    made = {}

    def get(name):
        if name not in made:
            root = tmp_path_factory.mktemp(name)
            made[name] = (root, *make(name, root))
        return made[name]

    return get


@pytest.fixture
def mini(minis, tmp_path):
    """A function: source name -> (folder that may be spoiled, source, what was made)."""

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
    """The message of a preparation that must fail, leaving nothing behind."""
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
    said = prepare(source, release, to)
    assert source.title in said
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
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(dict(loader.dataset, data_root=str(to)))
        sample = dataset[len(dataset) - 1]
        assert set(sample['inputs']) == ({'lq', 'hq'} if 'Unpaired' in loader.dataset.type else {'lq', 'gt'})


@pytest.mark.parametrize('name', NAMES)
def test_what_is_prepared_passes_the_check_of_data(name, minis, tmp_path):
    release, source, _ = minis(name)
    prepare(source, release, tmp_path / 'data')
    cfg = load_config(str(configs_dir() / '_base_' / 'datasets' / f'{name}.py'))
    set_data_root(cfg, str(tmp_path / 'data'))
    errors = [finding for finding in check(from_config(cfg, name)).findings if finding.severity == 'error']
    if name == 'outdoor_rain_8_2_random':  # renders of one background lie on both sides: the split is drawn so
        assert errors
        assert {finding.kind for finding in errors} == {'near_duplicate'}
    else:
        assert not errors, errors[0].text


@pytest.mark.parametrize('name', NAMES)
def test_a_missing_partner_is_named(name, mini, tmp_path):
    release, source, what = mini(name)
    if what.partner:
        (release / what.partner).unlink()
    else:  # both are in one file: one picture is left in it
        file = sorted(release.rglob('*.jpg'))[1]
        Image.open(file).crop((0, 0, 23, 20)).save(file)
    said = fault(source, release, tmp_path / 'data')
    assert 'without a partner' in said
    assert "split 'train'" in said or "split 'test'" in said or file.relative_to(release).as_posix() in said


@pytest.mark.parametrize('name', NAMES)
def test_a_wrong_count_is_named_with_split_found_and_published(name, minis, tmp_path):
    release, source, _ = minis(name)
    split, count = next(iter(source.counts.items()))
    more = replace(source, counts={**source.counts, split: count + 1})
    said = fault(more, release, tmp_path / 'data')
    assert f"split '{split}'" in said
    assert f'found {count} scenes, published {count + 1}' in said
    prepare(more, release, tmp_path / 'data', allow_count=True)
    facts = json.loads((tmp_path / 'data' / 'source.json').read_text())
    assert facts['counts_that_differ'] == {split: [count, count + 1]}


@pytest.mark.parametrize('name', NAMES)
def test_an_empty_folder_is_named(name, minis, tmp_path):
    (tmp_path / 'empty').mkdir()
    said = fault(minis(name)[1], tmp_path / 'empty', tmp_path / 'data')
    assert 'found 0 pictures' in said
    assert 'looked for' in said


@pytest.mark.parametrize('name', NAMES)
def test_a_truncated_picture_is_named(name, mini, tmp_path):
    """All files are cut to their half, since some are not drawn: the first that is met is named."""
    release, source, _ = mini(name)
    for file in sorted(p for p in release.rglob('*') if p.suffix.lower() in ('.png', '.jpg')):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    said = fault(source, release, tmp_path / 'data')
    assert '.png' in said.lower() or '.jpg' in said
    assert "can't be read" in said or 'cut short' in said


@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
@pytest.mark.parametrize('name', NAMES)
def test_archives_give_what_folders_give_and_damaged_ones_are_named(name, kind, mini, tmp_path):
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
    said = fault(source, packed, tmp_path / 'again')
    assert damaged.name in said
    assert 'damaged or cut short' in said


def pack(folder, archive, kind):
    if kind == 'zip':
        with zipfile.ZipFile(archive, 'w') as out:
            for file in names_in(folder):
                out.write(folder / file, f'{folder.name}/{file}')
    else:
        with tarfile.open(archive, 'w:gz') as out:
            out.add(folder, folder.name)


@pytest.mark.parametrize('name', DRAWN)
def test_a_seed_gives_its_lists_wherever_the_release_lies(name, minis, mini, tmp_path):
    release, source, _ = minis(name)
    for to, seed, root in (('a', 0, release), ('b', 0, mini(name)[0]), ('c', 1, release)):
        prepare(source, root, tmp_path / to, seed=seed)
    assert lists_of(tmp_path / 'a') == lists_of(tmp_path / 'b')
    assert lists_of(tmp_path / 'a') != lists_of(tmp_path / 'c')
    a, c = lists_of(tmp_path / 'a'), lists_of(tmp_path / 'c')
    assert any(a[key].splitlines()[1:] != c[key].splitlines()[1:] for key in a), 'only the heads, which name the seed'


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


def test_where_links_are_refused_pictures_are_copied(minis, tmp_path, monkeypatch):
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


def test_registered_names_are_the_sources_names():
    for name in SOURCES.known():
        assert SOURCES.build(dict(type=name)).name == name
        assert (configs_dir() / '_base_' / 'datasets' / f'{name}.py').is_file()

"""Whose files they are, how many may lie there, and for how long."""

import time

import pytest

from restorebox.web.storage import QUEUED_AGE_FACTOR, FileStore, safe_name


@pytest.fixture
def store(tmp_path):
    return FileStore(tmp_path, capacity=100, max_uploads=3)


def bring(store, owner, size=10, name='a.png', page=''):
    key, path = store.new_path(name)
    path.write_bytes(bytes(size))
    return store.add(owner, page, key, name, upload=not page)


def test_tokens(store, tmp_path):
    token = store.token()
    assert store.owner(token) is not None
    assert store.owner(token) != store.owner(store.token())
    name, seal = token.split('.')
    other = name[:-1] + ('-' if name.endswith('_') else '_')
    for forged in ('', name, f'{name}.', f'{name}.{"0" * 64}', f'{other}.{seal}', f'{name}.\u00e9', f'{token}x'):
        assert store.owner(forged) is None
    assert FileStore(tmp_path, 1).owner(token) is None  # of another server


@pytest.mark.parametrize(
    ('name', 'suffix'),
    [('a.TGA', '.tga'), ('a.nef', '.nef'), ('a.b.jxl', '.jxl'), ('a.py', ''), ('tga', ''), ('a.\0', ''), ('', '')],
)
def test_a_key_has_the_suffix_of_a_picture(store, name, suffix):
    kept = bring(store, 'a', name=name)
    assert kept.path.suffix == suffix
    assert store.claim('a', 'page', kept.key) is kept
    assert kept.path.suffix == suffix
    assert kept.path.exists()


def test_a_file_is_its_owners(store):
    kept = bring(store, 'a')
    assert store.find('a', kept.key) is kept
    assert store.find('b', kept.key) is None
    assert store.claim('b', 'page', kept.key) is None
    before = kept.path
    assert store.claim('a', 'page', kept.key) is kept
    assert kept.path.exists()
    assert not before.exists()  # nothing that is put there is read
    assert store.claim('a', 'page', kept.key) is None
    assert store.upload('page', kept.key) is kept
    assert store.upload('other', kept.key) is None
    store.release(kept, kept.claim)
    assert store.claim('a', 'other', kept.key) is kept
    made = bring(store, 'a', page='other')
    assert store.claim('a', 'page', made.key) is None  # what was made is no upload
    store.close_page('other')
    assert not list(store.folder.iterdir())


def test_what_a_page_cancels_is_its_own(store):
    kept = [bring(store, 'a') for _ in range(2)]
    for each, page in zip(kept, ('page', 'other'), strict=True):
        store.claim('a', page, each.key)
    claims = [each.claim for each in kept]
    store.cancel_page('page')
    assert [store.is_claimed(*pair) for pair in zip(kept, claims, strict=True)] == [False, True]

    # the same upload queued again: the end of the cancelled restoration leaves it alone
    assert store.claim('a', 'page', kept[0].key) is kept[0]
    assert not store.is_claimed(kept[0], claims[0])
    store.release(kept[0], claims[0])
    assert store.is_claimed(kept[0], kept[0].claim)
    store.close_page('page')
    assert not store.is_claimed(kept[0], kept[0].claim)


def test_a_visitor_has_few_uploads_unrestored(store):
    kept = [bring(store, 'a') for _ in range(3)]
    store.claim('a', 'page', kept[0].key)
    kept += [bring(store, 'a') for _ in range(2)]
    assert [each.path.exists() for each in kept] == [True, False, True, True, True]


def test_who_has_most_loses_the_oldest(store):
    little = bring(store, 'little', 20)
    much = [bring(store, 'much', 40) for _ in range(2)]
    bring(store, 'other', 30)
    assert little.path.exists()
    assert [each.path.exists() for each in much] == [False, True]
    restored = store.claim('much', 'page', much[1].key)
    bring(store, 'other', 60)
    assert restored.path.exists()  # what is being restored stays


def test_many_small_files(store, monkeypatch):
    monkeypatch.setattr('restorebox.web.storage.MAX_FILES', 5)
    kept = [bring(store, str(i), 1) for i in range(8)]
    assert [each.path.exists() for each in kept] == [False] * 3 + [True] * 5


def test_sweeping(store):
    old, queued, young = (bring(store, each) for each in 'abc')
    store.claim('b', 'page', queued.key)
    lost = store.folder / 'lost'
    lost.touch()
    now = time.monotonic()
    old.created, queued.created, young.created = now - 50, now - 50, now - 10
    store.remove_expired(30)
    assert [each.path.exists() for each in (old, queued, young)] == [False, True, True]
    queued.created = now - 30 * QUEUED_AGE_FACTOR - 1
    store.remove_expired(30)
    assert not queued.path.exists()
    assert lost.exists()
    store.remove_expired(-1)
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    ('name', 'kept'),
    [
        ('rain.png', 'rain.png'),
        ('caf\u00e9 1.png', 'caf\u00e9 1.png'),
        ('../../etc/passwd', 'passwd'),
        ('C:\\\\a\\\\b.png', 'b.png'),
        ('a\r\nb\0.png', 'a__b_.png'),
        ('a\u202egnp.exe', 'a_gnp.exe'),
        ('<b>"x".png', '_b__x_.png'),
        ('..', ''),
        ('.png', 'png'),
    ],
)
def test_names(name, kept):
    assert safe_name(name) == kept


def test_long_names():
    assert len(safe_name('a' * 500 + '.png')) <= 120
    assert safe_name('a' * 500 + '.png').endswith('a.png')
    assert len(safe_name('a.' + 'b' * 500)) <= 120

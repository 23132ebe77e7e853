"""Whose files they are, how many may lie there, and for how long."""

import time

import pytest

from restorebox.web.visits import QUEUED, Visits, safe_name


@pytest.fixture
def visits(tmp_path):
    return Visits(tmp_path, room=100, uploads=3)


def bring(visits, owner, size=10, name='a.png', page=''):
    key, path = visits.place(name)
    path.write_bytes(bytes(size))
    return visits.add(owner, page, key, name, upload=not page)


def test_tokens(visits, tmp_path):
    token = visits.token()
    assert visits.owner(token) is not None
    assert visits.owner(token) != visits.owner(visits.token())
    name, seal = token.split('.')
    for forged in ('', name, f'{name}.', f'{name}.{"0" * 64}', f'{name[:-1]}_.{seal}', f'{name}.\u00e9', f'{token}x'):
        assert visits.owner(forged) is None
    assert Visits(tmp_path, 1).owner(token) is None  # of another server


def test_a_file_is_its_owners(visits):
    kept = bring(visits, 'a')
    assert visits.find('a', kept.key) is kept
    assert visits.find('b', kept.key) is None
    assert visits.take('b', 'page', kept.key) is None
    before = kept.path
    assert visits.take('a', 'page', kept.key) is kept
    assert kept.path.exists()
    assert not before.exists()  # nothing that is put there is read
    assert visits.take('a', 'page', kept.key) is None
    assert visits.taken('page', kept.key) is kept
    assert visits.taken('other', kept.key) is None
    visits.give_back(kept)
    assert visits.take('a', 'other', kept.key) is kept
    made = bring(visits, 'a', page='other')
    assert visits.take('a', 'page', made.key) is None  # what was made is no upload
    visits.leave('other')
    assert not list(visits.folder.iterdir())


def test_a_visitor_has_few_uploads_unrestored(visits):
    kept = [bring(visits, 'a') for _ in range(3)]
    visits.take('a', 'page', kept[0].key)
    kept += [bring(visits, 'a') for _ in range(2)]
    assert [each.path.exists() for each in kept] == [True, False, True, True, True]


def test_who_has_most_loses_the_oldest(visits):
    little = bring(visits, 'little', 20)
    much = [bring(visits, 'much', 40) for _ in range(2)]
    bring(visits, 'other', 30)
    assert little.path.exists()
    assert [each.path.exists() for each in much] == [False, True]
    restored = visits.take('much', 'page', much[1].key)
    bring(visits, 'other', 60)
    assert restored.path.exists()  # what is being restored stays


def test_many_small_files(visits, monkeypatch):
    monkeypatch.setattr('restorebox.web.visits.FILES', 5)
    kept = [bring(visits, str(i), 1) for i in range(8)]
    assert [each.path.exists() for each in kept] == [False] * 3 + [True] * 5


def test_sweeping(visits):
    old, queued, young = (bring(visits, each) for each in 'abc')
    visits.take('b', 'page', queued.key)
    lost = visits.folder / 'lost'
    lost.touch()
    now = time.monotonic()
    old.since, queued.since, young.since = now - 50, now - 50, now - 10
    visits.sweep(30)
    assert [each.path.exists() for each in (old, queued, young)] == [False, True, True]
    queued.since = now - 30 * QUEUED - 1
    visits.sweep(30)
    assert not queued.path.exists()
    assert lost.exists()
    visits.sweep(-1)
    assert list(visits.folder.iterdir()) == []


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

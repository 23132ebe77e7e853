"""Pairing of files, and one-line errors about missing partners."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from restorebox.datasets import pairing
from restorebox.errors import ConfigError, DataError


def fill(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def names_of(records):
    return {r['name']: tuple(Path(r['paths'][role]).name for role in r['paths']) for r in records}


def refused(kind, call, *words):
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    assert '\n' not in message
    for word in words:
        assert str(word) in message, f'{word!r} is not in {message!r}'
    return message


def test_same_name_pairs_across_suffixes(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'a.jpg', 'b.png'), fill(tmp_path / 'gt', 'b.PNG', 'a.png')
    records = pairing.same_name(lq, gt, 'train')
    assert [r['name'] for r in records] == ['a', 'b']
    assert names_of(records) == {'a': ('a.jpg', 'a.png'), 'b': ('b.png', 'b.PNG')}
    assert list(records[0]['paths']) == ['lq', 'gt']


def test_same_name_names_the_partnerless(tmp_path):
    lq, gt = fill(tmp_path / 'lq', *(f'{i}.png' for i in range(7))), fill(tmp_path / 'gt', '0.png', '1.png')
    words = ("'val'", '7 pictures', '2 in', lq, gt, '2.png', 'and 2 more')
    message = refused(DataError, lambda: pairing.same_name(lq, gt, 'val'), *words)
    assert '5.png' not in message


def test_same_name_with_equal_counts_but_other_names(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'a.png', 'b.png'), fill(tmp_path / 'gt', 'a.png', 'c.png')
    refused(DataError, lambda: pairing.same_name(lq, gt, 'val'), 'lq/b.png', 'gt/c.png')


def test_same_name_twice_in_a_folder(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'a.png', 'a.jpg'), fill(tmp_path / 'gt', 'a.png')
    refused(DataError, lambda: pairing.same_name(lq, gt, 'val'), 'two pictures of one name', 'a.png', 'a.jpg')


def test_same_folder_for_both(tmp_path):
    lq = fill(tmp_path / 'lq', 'a.png')
    refused(ConfigError, lambda: pairing.same_name(lq, tmp_path / 'x' / '..' / 'lq', 'val'), 'same folder', 'template')


def test_missing_and_empty_folders_say_the_split(tmp_path):
    gt, empty = fill(tmp_path / 'gt', 'a.png'), fill(tmp_path / 'empty')
    missing = tmp_path / 'lq'
    refused(DataError, lambda: pairing.same_name(missing, gt, 'val'), "'val'", missing, 'no such folder')
    refused(DataError, lambda: pairing.same_name(empty, gt, 'val'), "'val'", empty, 'no pictures')


def test_template_takes_the_longest_clean_name_that_exists(tmp_path):
    lq = fill(tmp_path / 'lq', '1_2_3_4.png', '1_9_9.png', '7_1_1.png')
    gt = fill(tmp_path / 'gt', '1.png', '1_2.png', '7.png')
    records = pairing.by_template(lq, gt, {'lq': '{name}_*_*', 'gt': '{name}'}, 'train')
    assert names_of(records) == {
        '1_2_3_4': ('1_2_3_4.png', '1_2.png'),
        '1_9_9': ('1_9_9.png', '1.png'),
        '7_1_1': ('7_1_1.png', '7.png'),
    }


def test_template_in_one_folder_with_prefixes(tmp_path):
    both = fill(tmp_path / 'set', 'rain-1.png', 'rain-10.png', 'norain-1.png', 'norain-10.png')
    records = pairing.by_template(both, both, {'lq': 'rain-{name}', 'gt': 'norain-{name}'}, 'test')
    assert names_of(records) == {'rain-1': ('rain-1.png', 'norain-1.png'), 'rain-10': ('rain-10.png', 'norain-10.png')}


def test_template_with_wildcards_before_the_name(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'cam1_heavy_x.png', 'cam2_a_b_x.png'), fill(tmp_path / 'gt', 'heavy.png', 'a_b.png')
    records = pairing.by_template(lq, gt, {'lq': '*_{name}_x', 'gt': '{name}'}, 'test')
    assert names_of(records) == {
        'cam1_heavy_x': ('cam1_heavy_x.png', 'heavy.png'),
        'cam2_a_b_x': ('cam2_a_b_x.png', 'a_b.png'),
    }


def test_template_characters_are_literal(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'a.x(1).png'), fill(tmp_path / 'gt', 'a.png')
    assert len(pairing.by_template(lq, gt, {'lq': '{name}.x(*)', 'gt': '{name}'}, 'test')) == 1
    fill(lq, 'abx(1).png')
    refused(
        DataError, lambda: pairing.by_template(lq, gt, {'lq': '{name}.x(*)', 'gt': '{name}'}, 'test'), 'lq/abx(1).png'
    )


def test_template_faults(tmp_path):
    lq, gt = fill(tmp_path / 'lq', 'a_1.png', 'b_1.png'), fill(tmp_path / 'gt', 'a.png', 'c.png')
    template = {'lq': 'x_*', 'gt': '{name}'}
    refused(ConfigError, lambda: pairing.by_template(lq, gt, template, 'val'), "template['lq']", 'x_*')
    template = {'lq': '{name}_*', 'gt': '{name}'}
    refused(DataError, lambda: pairing.by_template(lq, gt, template, 'val'), "'val'", 'lq/b_1.png', 'gt/c.png')


def test_side_by_side_gives_each_role_its_half(tmp_path):
    folder = fill(tmp_path, 'a.png')
    (record,) = pairing.side_by_side(folder, ('gt', 'lq'), 'train')
    assert record['halves'] == {'gt': (0, 2), 'lq': (1, 2)}
    assert record['paths'] == {'gt': str(tmp_path / 'a.png'), 'lq': str(tmp_path / 'a.png')}


def test_list_file(tmp_path):
    fill(tmp_path / 'lq', 'a.png', 'with space.png')
    fill(tmp_path / 'gt', 'a.png')
    list_file = tmp_path / 'pairs.txt'
    list_file.write_text('# degraded clean\n\nlq/a.png   gt/a.png\nlq/with space.png\tgt/a.png\n')
    records = pairing.from_list_file(list_file, tmp_path, 'train')
    assert names_of(records) == {'a': ('a.png', 'a.png'), 'with space': ('with space.png', 'a.png')}


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('lq/a.png gt/a.png\nlq/a.png\n', ('line 2', 'found 1')),
        ('# x\n\nlq/a.png gt/a.png lq/a.png\n', ('line 3', 'found 3')),
        ('lq/a.png gt/missing.png\n', ('line 1', 'no such file', 'missing.png')),
        ('# nothing\n', ('lists no pairs',)),
        ('lq/a.png gt/a.png\n#b.png gt/a.png\n', ('line 2', "'#b.png' is a file", '["#b.png", "gt/a.png"]')),
        ('lq/a.png gt/a.png\n #b.png\tgt/missing.png\n', ('line 2', "'#b.png' is a file")),
        (f'lq/a.png {"x" * 300}\n', ('line 1', 'no such file')),
    ],
)
def test_list_file_faults(tmp_path, text, words):
    fill(tmp_path, '#b.png')
    fill(tmp_path / 'lq', 'a.png')
    fill(tmp_path / 'gt', 'a.png')
    list_file = tmp_path / 'pairs.txt'
    list_file.write_text(text)
    refused(DataError, lambda: pairing.from_list_file(list_file, tmp_path, 'val'), "'val'", list_file, *words)


def test_comments_of_a_list_file_are_skipped(tmp_path):
    fill(tmp_path, '#b.png', 'a.png')
    comments = ('# degraded clean', '#', '#a.png a.png', '# #b.png a.png', '# #b.png\ta.png', f'#{"x" * 300}\tx')
    (tmp_path / 'pairs.txt').write_text('\n'.join((*comments, 'a.png a.png')))
    assert names_of(pairing.from_list_file(tmp_path / 'pairs.txt', tmp_path, 'x')) == {'a': ('a.png', 'a.png')}


@pytest.mark.parametrize(
    'name',
    ['a.png', 'with space.png', '#a.png', '[1].png', '["a", "b"]', 'a\nb.png', 'a\tb.png', ' a ', 'a\x85b',
     'a\u2028b.png', 'a\rb.png', os.fsdecode(b'caf\xe9.png'), '雨.png'],
)  # fmt: skip
def test_a_line_of_a_list_holds_any_two_names(tmp_path, name):
    for file in (name, 'other.png'):
        (tmp_path / file).touch()
    lines = [pairing.list_line(name, 'other.png'), pairing.list_line('other.png', name)]
    (tmp_path / 'pairs.txt').write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    records = pairing.from_list_file(tmp_path / 'pairs.txt', tmp_path, 'train')
    assert [r['paths'] for r in records] == [
        {'lq': str(tmp_path / name), 'gt': str(tmp_path / 'other.png')},
        {'lq': str(tmp_path / 'other.png'), 'gt': str(tmp_path / name)},
    ]


def test_list_file_missing_or_binary(tmp_path):
    refused(DataError, lambda: pairing.from_list_file(tmp_path / 'no.txt', tmp_path, 'val'), 'no.txt', 'No such file')
    (tmp_path / 'b.txt').write_bytes(b'\xff\xfe\x00')
    refused(DataError, lambda: pairing.from_list_file(tmp_path / 'b.txt', tmp_path, 'val'), 'b.txt', 'UTF-8')


def test_names_are_unique(tmp_path):
    for scene in ('s1', 's2'):
        fill(tmp_path / scene, 'rain.png', 'clean.png')
    list_file = tmp_path / 'pairs.txt'
    list_file.write_text('s1/rain.png s1/clean.png\ns2/rain.png s2/clean.png\n')
    assert [r['name'] for r in pairing.from_list_file(list_file, tmp_path, 'x')] == ['s1_rain.png', 's2_rain.png']
    list_file.write_text('s1/rain.png s1/clean.png\ns1/rain.png s2/clean.png\n')
    assert [r['name'] for r in pairing.from_list_file(list_file, tmp_path, 'x')] == ['000000_rain', '000001_rain']
    both = fill(tmp_path / 'both', 'a.png', 'a.jpg')
    assert [r['name'] for r in pairing.single(both, 'gt', 'x')] == ['a.jpg', 'a.png']


def test_pictures_of_kinds_that_are_not_read_are_named(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(pairing, 'print_log', lambda line, *rest: said.append(line))
    fill(tmp_path / 'lq', 'a.jfif', 'b.nef', 'c.nef', 'notes.txt')
    fill(tmp_path / 'gt', 'a.tga', 'a.xmp')
    assert names_of(pairing.same_name(tmp_path / 'lq', tmp_path / 'gt', 'train')) == {'a': ('a.jfif', 'a.tga')}
    assert said == [f"split 'train': {tmp_path / 'lq'}: left out: .nef 2: develop raw files to TIFF or PNG first"]

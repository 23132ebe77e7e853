"""tools/benchmarks/restore.py, small."""

import json
from functools import partial

import pytest
import restore

from restorebox.cli.common import guarded
from tests.factories import publish_small, write_pairs
from tests.processes import refused


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    return publish_small(tmp_path_factory.mktemp('published'))


@pytest.mark.parametrize('native', [True, False])
def test_it_leaves_figures_and_a_table(published, tmp_path, capsys, monkeypatch, native):
    monkeypatch.setattr('restore.has_bf16', lambda _: native)
    write_pairs(tmp_path, 'test', 4)
    lq, gt, out = tmp_path / 'test/lq', tmp_path / 'test/gt', tmp_path / 'made/speed.json'
    words = ['--model', published, '--beside', published, '--stretch', 2, '--rounds', 1, '--scored', lq, gt]
    restore.main([*map(str, [lq, *words, '--out', out])])
    figures = json.loads(out.read_text())
    assert figures['pictures'] == 4
    assert figures['folder_run']['stretches'] == 2
    rows = [
        ('fp32', 'contiguous'),
        ('bf16', 'contiguous'),
        ('fp32', 'channels last'),
        ('bf16', 'channels last'),
        ('fp32', 'as it is'),
    ]
    rows = [row for row in rows if native or row[0] != 'bf16']  # emulated, nobody would wait for it
    assert [(row['precision'], row['layout']) for row in figures['rows']] == rows
    assert abs(figures['rows'][0]['loss']) < 1e-9
    assert figures['rows'][-1]['psnr_y'] == figures['rows'][0]['psnr_y']
    text = out.with_suffix('.md').read_text()
    assert text.startswith('<!-- written by')
    assert text.count('\n|') == 2 + len(rows)
    assert ('only emulates bf16' in text) is not native
    assert 'A folder run in fp32 takes' in capsys.readouterr().out


def test_the_fastest_that_loses_little_is_the_default(monkeypatch):
    rows = [restore.Row('m', 'contiguous', name, lambda _: None) for name in ('fp32', 'bf16', 'int8')]
    monkeypatch.setattr(
        restore, 'time_alternately', lambda works, pictures, rounds: [[10, 5, 2]] * len(pictures) * rounds
    )
    monkeypatch.setattr(restore, '_scores', lambda *_: [30.0, 29.96, 29.9])
    figures = restore.measure_rows(rows, [None] * 4, 2, {'set': [None]})
    assert figures['default']['precision'] == 'bf16'
    assert [row['ratio'] for row in figures['rows']] == [1, 0.5, 0.2]


def test_mistakes_are_a_line(published, tmp_path, capsys):
    write_pairs(tmp_path, 'test', 1)
    words = [str(tmp_path / 'test/lq'), '--model', str(published)]
    for more in (['--beside', 'nowhere.safetensors'], ['--scored', str(tmp_path), str(tmp_path)]):
        refused(partial(guarded, partial(restore.main, [*words, '--rounds', '1', *more])), capsys)

"""The command prepare-data, and the generated page of data sets."""

import pytest

from restorebox.cli.main import main
from restorebox.datasets.sources.page import all_sources, page
from tests.conftest import REPO
from tests.miniatures import make
from tests.processes import call, one_line_error, run, succeed


def test_the_page_is_up_to_date():
    assert (REPO / 'docs' / 'datasets.md').read_text(encoding='utf-8') == page(), (
        'run `restorebox prepare-data --page docs/datasets.md`'
    )


def test_the_list_and_the_instructions_fit_on_a_screen(capsys):
    main(['prepare-data', '--list'])
    listed = capsys.readouterr().out
    assert len(listed.splitlines()) <= 30
    assert max(map(len, listed.splitlines())) <= 160
    for source in all_sources():
        assert source.name in listed
        main(['prepare-data', source.name])
        output = capsys.readouterr().out
        assert source.page in output
        assert len(output.splitlines()) <= 40
        assert max(map(len, output.splitlines())) <= 120


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [
        (['rain100g'], "no data set is called 'rain100g'; did you mean 'rain1"),
        (['rain100l', '--from', 'x'], '--from and --to go together; --to is missing'),
        (['rain100l', '--to', 'x'], '--from is missing'),
        (['rain100l', '--from', 'absent', '--to', 'y'], 'absent: no such folder'),
        (['rain100l', '--from', '.', '--to', 'y', '--seed', '3'], 'nothing is drawn in Rain100L'),
        (['rain100l', '--from', '.', '--to', 'y'], "split 'train' of Rain100L: found 0 pictures, published 200"),
    ],
)
def test_a_mistake_is_one_line(argv, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(['prepare-data', *argv])
    assert ended.value.code == 1
    output = capsys.readouterr().err
    assert expected in output
    assert output.count('\n') == 1


@pytest.mark.slow
def test_the_tool_prepares_a_folder(tmp_path):
    make('rain100l', tmp_path / 'release')
    ask = ('prepare_data.py', 'rain100l', '--from', 'release', '--to', 'data')
    output = one_line_error(run(*ask, cwd=tmp_path))
    assert "split 'train' of Rain100L: found 4 scenes, published 200" in output
    succeed(call(*ask, '--allow-count', cwd=tmp_path))
    assert (tmp_path / 'data/train/gt/3.png').is_file()
    assert 'nothing to do' in succeed(call(*ask, cwd=tmp_path)).stdout

"""browse-data draws a sheet and names mistakes."""

import pytest
from PIL import Image

from restorebox.cli.main import main
from restorebox.datasets.reading import read_picture
from tests.factories import write_pairs
from tests.processes import write_config

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path):
    write_pairs(tmp_path / 'data', 'train', 5)
    write_pairs(tmp_path / 'data', 'test', 2)
    return write_config(tmp_path / 'toy.py', tmp_path / 'data')


def test_the_verb_draws_a_sheet_and_names_mistakes(config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(['browse-data', str(config), '--samples', '3'])
    assert '3 samples of train: browse.png' in capsys.readouterr().out
    assert read_picture('browse.png').shape[:2] == (3 * (32 + 22) + 2 * 6, read_picture('browse.png').shape[1])
    main(['browse-data', str(config), '--split', 'test', '--out', 'new/test.png'])
    assert '2 samples of test' in capsys.readouterr().out
    Image.new('RGB', (5, 5)).save(tmp_path / 'data/train/gt/03.png')
    for arguments, expected in (
        (['absent.py'], 'absent.py: no such file'),
        ([str(config), '--start', '9', '--split', 'test'], 'none from sample 9 on'),
        ([str(config), '--data-root', 'nowhere'], 'nowhere/train/lq: no such folder'),
        ([str(config), '--samples', '5'], 'differ in size'),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(['browse-data', *arguments])
        assert stopped.value.code == 1
        err = capsys.readouterr().err
        assert err.startswith('error: ')
        assert expected in err

"""``restorebox test``: which checkpoints it takes."""

import json
from pathlib import Path

import pytest

from restorebox.cli.main import main
from restorebox.files import configs_dir
from tests.factories import write_pairs

CONFIG = 'cclgan/cclgan_demo.py'


@pytest.mark.slow
def test_an_included_model_is_tested_by_its_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / 'data', 'test', 2)
    (tmp_path / 'cclgan_demo').mkdir()  # a folder is no checkpoint
    options = ['--data-root', 'data']
    main(['test', CONFIG, 'cclgan_demo', '--work-dir', 'name', *options])
    file = configs_dir() / 'cclgan' / 'cclgan_demo.safetensors'
    main(['test', CONFIG, str(file), '--work-dir', 'file', *options])
    by_name, by_file = (json.loads(Path(folder, 'scores.json').read_bytes()) for folder in ('name', 'file'))
    assert by_name['mean'] == by_file['mean']
    assert by_name['checkpoint'] == by_file['checkpoint']
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(['test', CONFIG, 'cclgan_dem', '--work-dir', 'other', *options])
    assert "no model 'cclgan_dem'; did you mean 'cclgan_demo'" in capsys.readouterr().err

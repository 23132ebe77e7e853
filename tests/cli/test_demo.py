"""demo begins with the shipped model."""

import json

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.demo import main, show_first
from restorebox.errors import DataError


@pytest.mark.slow
def test_it_shows_a_sheet_and_scores(tmp_path, capsys):
    """Without ../shared and without a folder of the user's."""
    show_first([], tmp_path, 0.0)
    scores = json.loads((tmp_path / 'shipped.json').read_text())
    assert [row['name'] for row in scores['per_picture']] == ['coffee', 'chelsea', 'china']
    for row in scores['per_picture']:
        assert row['psnr_y'] > row['input/psnr_y'] + 0.3, row['name']
    assert scores['checkpoint']['sha256']
    sheet = np.asarray(Image.open(tmp_path / 'sheets' / 'shipped.png'))
    assert sheet.shape[0] > 4 * 300
    assert sheet.shape[1] > 3 * 480
    text = capsys.readouterr().out
    assert 'input (do nothing)' in text
    assert 'gain' in text


def test_a_wrong_folder_is_named_before_anything_is_made(tmp_path):
    with pytest.raises(DataError, match='nowhere'):
        main(['--data', str(tmp_path / 'nowhere'), '--work-dir', str(tmp_path / 'w')])
    assert not (tmp_path / 'w').exists()

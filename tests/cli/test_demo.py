"""The demo begins with the shipped model."""

import json

import numpy as np
import pytest
from PIL import Image

from restorebox.cli.demo import HELD_OUT, main, make_data, own_folder, packaged, show_first
from restorebox.cli.demo_shipped import OWN, chosen
from restorebox.errors import DataError
from tests.factories import write_pairs


def test_the_users_photographs_follow_the_packaged_ones(tmp_path):
    own = [tmp_path / f'{i}.jpg' for i in range(9)]
    rows = chosen(packaged(HELD_OUT), own)
    assert [path.stem for path, _ in rows] == ['coffee', 'chelsea', 'china', 'rocket', '0', '2', '4', '6']
    assert [recipe for _, recipe in rows[4:]] == ['heavy_rain', 'light_rain', 'moderate', 'heavy_rain']
    assert len(chosen(packaged(HELD_OUT), own[:2])) == 6
    assert OWN == 4


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


def test_demo_data_from_packages_and_a_folder(tmp_path):
    pytest.importorskip('skimage')
    pytest.importorskip('sklearn')
    write_pairs(tmp_path / 'mine', 'x', 11, size=(300, 280))
    tiles, held = make_data(tmp_path / 'data', tmp_path / 'mine' / 'x' / 'gt')
    train = {p.name for p in (tmp_path / 'data/train/gt').iterdir()}
    test = {p.stem for p in (tmp_path / 'data/test/gt').iterdir()}
    assert (len(train), len(test)) == (tiles, held)
    assert {'chelsea', 'coffee', '00', '10'} <= test
    assert not [name for name in train if name.rsplit('_', 2)[0] in test], (
        'a held-out photograph is in the training set'
    )
    assert 'astronaut_0_0.png' in train
    with pytest.raises(DataError, match='not installed'):
        packaged([('no_such_package', 'data', 'x.png')])
    with pytest.raises(DataError, match='no_such_folder'):
        make_data(tmp_path / 'data', tmp_path / 'no_such_folder')


def test_demo_empties_only_what_a_demo_made(tmp_path):
    mine = tmp_path / 'project'
    (mine / 'data').mkdir(parents=True)
    (mine / 'data' / 'precious.txt').write_text('keep')
    with pytest.raises(DataError, match='not empty and no earlier demo made it'):
        own_folder(mine)
    assert (mine / 'data' / 'precious.txt').read_text() == 'keep'
    own_folder(tmp_path / 'new')
    (tmp_path / 'new' / 'iter_1.pth').touch()
    own_folder(tmp_path / 'new')
    assert not (tmp_path / 'new' / 'iter_1.pth').exists()

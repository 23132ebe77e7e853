"""The demo's data: photographs of packages and of a folder, and whose folder it may empty."""

import pytest

from restorebox.demo.photographs import make_data, own_folder, packaged
from restorebox.errors import DataError
from tests.factories import write_pairs


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

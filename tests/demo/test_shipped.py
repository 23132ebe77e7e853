"""The first half: which photographs the shipped model gets."""

from restorebox.demo.photographs import HELD_OUT, packaged
from restorebox.demo.shipped import OWN, chosen


def test_the_users_photographs_follow_the_packaged_ones(tmp_path):
    own = [tmp_path / f'{i}.jpg' for i in range(9)]
    rows = chosen(packaged(HELD_OUT), own)
    assert [path.stem for path, _ in rows] == ['coffee', 'chelsea', 'china', 'rocket', '0', '2', '4', '6']
    assert [recipe for _, recipe in rows[4:]] == ['heavy_rain', 'light_rain', 'moderate', 'heavy_rain']
    assert len(chosen(packaged(HELD_OUT), own[:2])) == 6
    assert OWN == 4

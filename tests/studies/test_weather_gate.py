"""The gate of the shipped model passes a model that changes nothing, and refuses one that harms."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import load_study


@pytest.fixture(scope='module')
def study():
    return load_study('weather_gate')


def gate(study, restore, tiled=None):
    """A gate over functions in the place of a model's inferencers."""
    made = study.Gate.__new__(study.Gate)
    made.whole, made.coarser = restore, {'bf16': restore}
    made.tiled, made.count, made.lines, made.pictures = tiled or restore, 10**9, [], {}
    return made


def photographs(count: int = 3) -> list[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(f'picture {i}', rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)) for i in range(count)]


def test_a_model_that_changes_nothing_leaves_clean_pictures_alone(study):
    made = gate(study, lambda picture: picture)
    made.clean('clean', photographs())
    made.clean('pages', study.pages(1))
    made.constant()
    made.tiles('clean', photographs())
    assert all(line.passed for line in made.lines)
    assert made.pictures['clean'] == dict.fromkeys(('picture 0', 'picture 1', 'picture 2'), 100)


def test_one_picture_that_is_harmed_is_enough(study):
    def darkens_the_last(picture: np.ndarray) -> np.ndarray:
        return picture // 2 if (picture == photographs()[-1][1]).all() else picture

    made = gate(study, darkens_the_last)
    made.clean('clean', photographs())
    assert [line.passed for line in made.lines] == [True, False]


def test_an_8_bit_export_that_harms_clean_pictures_is_refused(study):
    for changed, passed in ((0, True), (2, False)):
        made = gate(study, lambda picture: picture)
        made.coarser['int8'] = lambda picture, changed=changed: np.minimum(picture, 253) + changed
        made.clean('clean', [(key, np.minimum(picture, 253)) for key, picture in photographs()])
        assert {line.what: line.passed for line in made.lines}['clean: int8 loses'] == passed


def test_frames_that_are_off_and_tiles_that_disagree_are_refused(study):
    made = gate(study, lambda picture: np.minimum(picture, 252), tiled=lambda picture: np.minimum(picture, 100))
    made.constant()
    made.tiles('clean', photographs(1))
    assert [line.passed for line in made.lines] == [False, False]
    assert made.pictures['constant frames']['255'] == 3


def test_a_set_below_its_bound_is_refused(study, monkeypatch, tmp_path):
    from PIL import Image

    clean = np.full((30, 30, 3), 100, np.uint8)
    for folder, picture in (('rain', clean + 20), ('clean', clean)):
        (tmp_path / 'set' / folder).mkdir(parents=True)
        Image.fromarray(picture).save(tmp_path / 'set' / folder / 'a.png')
    pairs = study.PAIRS['rain_pairs_sirr'][1]
    monkeypatch.setattr(study, 'PAIRS', {'rain_pairs_sirr': ('set', pairs), 'noise': ('set', pairs)})
    made = gate(study, lambda picture: picture + 5)  # further away from the clean picture
    made.pairs(tmp_path)
    judged = {line.what: line.passed for line in made.lines}
    assert judged == {
        'rain_pairs_sirr: mean': False,
        'rain_pairs_sirr: least gain': False,
        'rain_pairs_sirr: bf16 loses': True,
        'noise: gain: mean': False,
        'noise: gain: least': False,
        'noise: bf16 loses': True,
    }
    assert '**missed**' in study.table(made.lines)

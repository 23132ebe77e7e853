"""One recipe drawn per picture."""

import numpy as np
import pytest

from restorebox.degradations import build_degradation
from restorebox.errors import ConfigError


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (24, 32, 3), dtype=np.uint8)


class TestOneOf:
    def test_each_is_drawn_in_proportion_to_its_weight(self):
        mixture = build_degradation(dict(type='OneOf', recipes=[None, 'jpeg', 'noise'], weights=[2, 1, 0]))
        rng = np.random.default_rng(0)
        choices = [mixture.sample(rng, (24, 32, 3))['choice'] for _ in range(600)]
        assert np.bincount(choices, minlength=3)[2] == 0
        assert choices.count(0) / 600 == pytest.approx(2 / 3, abs=0.06)

    def test_none_leaves_the_picture_as_it_is(self):
        mixture = build_degradation(dict(type='OneOf', recipes=[None]))
        out = mixture(picture(), np.random.default_rng(0))
        assert np.array_equal(out['lq'], picture().astype(np.float32) / 255)
        assert set(out) == {'lq', 'parameters'}

    def test_a_drawn_recipe_is_that_recipe(self):
        mixture = build_degradation(dict(type='OneOf', recipes=['jpeg']))
        drawn = mixture.sample(np.random.default_rng(1), (24, 32, 3))
        alone = build_degradation('jpeg').apply(picture(), drawn['parameters'])
        assert np.array_equal(mixture.apply(picture(), drawn)['lq'], alone['lq'])

    @pytest.mark.parametrize(
        ('wrong', 'says'),
        [
            (dict(recipes=[]), 'at least one'),
            (dict(recipes='jpeg'), 'it must be a list'),
            (dict(recipes=['jpeg', 'noise'], weights=[1]), '1 weights for 2 recipes'),
            (dict(recipes=['jpeg', 'noise'], weights=[0, 0]), 'not all of them 0'),
            (dict(recipes=['jpeg', 'noise'], weights=[1, -1]), 'a finite number from 0'),
        ],
    )
    def test_invalid_weights_are_an_error(self, wrong, says):
        with pytest.raises(ConfigError, match=says):
            build_degradation(dict(type='OneOf', **wrong))

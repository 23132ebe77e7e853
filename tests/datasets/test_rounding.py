"""Rounding of pictures to the bit depth of files."""

import numpy as np
import pytest

from restorebox.datasets.rounding import RoundPicture
from restorebox.errors import DataError


def test_floats_become_bytes_and_bytes_stay():
    lq = np.float32([[[0, 0.5, 1]]])
    rounded = RoundPicture().transform({'lq': lq})['lq']
    assert rounded.dtype == np.uint8
    assert rounded.tolist() == [[[0, 128, 255]]]
    assert RoundPicture().transform({'lq': rounded})['lq'] is rounded


def test_an_absent_role_is_named():
    with pytest.raises(DataError, match="RoundPicture: sample x has no role 'rain'"):
        RoundPicture('rain').transform({'name': 'x'})

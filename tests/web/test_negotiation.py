"""Choice of the result's format."""

import numpy as np
import pytest

from restorebox.inference.files import PictureFile
from restorebox.web.exchange import RequestRefused
from restorebox.web.negotiation import accepted, check_holds, choose


@pytest.mark.parametrize(
    ('header', 'own', 'kind'),
    [
        ('', 'JPEG', 'JPEG'),
        ('*/*', 'TIFF', 'TIFF'),
        ('*/*', 'HEIF', 'PNG'),
        ('*/*', None, 'PNG'),
        ('image/webp', 'JPEG', 'WEBP'),
        ('IMAGE/TIFF ; q=0.3', 'PNG', 'TIFF'),
        ('image/png;q=0.5, image/jpeg', 'PNG', 'JPEG'),
        ('image/*;q=0.5, image/webp;q=0.1, text/html', 'WEBP', 'PNG'),
        ('text/html, image/avif, image/webp, */*;q=0.8', 'PNG', 'WEBP'),
        ('image/png;q=0, */*', 'PNG', 'JPEG'),
    ],
)
def test_the_format_is_that_of_the_highest_quality(header, own, kind):
    assert choose(accepted(header), own) == kind


@pytest.mark.parametrize(
    'header', ['text/html', 'image/avif', 'image/png;q=0', 'image/png;q=nan', 'image/png;q=9', '\0']
)
def test_no_format(header):
    with pytest.raises(RequestRefused, match='Accept allows none') as caught:
        accepted(header)
    assert caught.value.status == 406


def test_what_a_format_does_not_hold():
    deep = PictureFile(np.zeros((2, 2, 3), np.uint16))
    clear = PictureFile(np.zeros((2, 2, 3), np.uint8), alpha=np.zeros((2, 2), np.uint8))
    for picture, kind in ((deep, 'PNG'), (deep, 'TIFF'), (clear, 'WEBP'), (clear, 'PNG')):
        check_holds(picture, kind, 'a')
    for picture, kind, what in ((deep, 'JPEG', '16 bits'), (deep, 'WEBP', '16 bits'), (clear, 'JPEG', 'an alpha')):
        with pytest.raises(RequestRefused, match=f'^a: has {what}'):
            check_holds(picture, kind, 'a')

"""Choice of the result's format by the header Accept."""

from __future__ import annotations

import numpy as np

from restorebox.datasets.formats import FORMATS
from restorebox.inference.files import PictureFile
from restorebox.web.exchange import RequestRefused

# formats of results, in order of preference after the upload's own
MEDIA_TYPES = {'PNG': 'image/png', 'JPEG': 'image/jpeg', 'WEBP': 'image/webp', 'TIFF': 'image/tiff'}


def accepted(header: str) -> dict[str, float]:
    """Return the formats that a client accepts, with their qualities.

    Args:
        header: value of Accept; empty for any.

    Returns:
        Key of :data:`MEDIA_TYPES` -> quality in (0, 1], see RFC 9110, section 12.5.1.

    Raises:
        RequestRefused: none is accepted.
    """
    ranges: dict[str, float] = {}
    for part in header.lower().split(','):
        kind, *parameters = (each.strip() for each in part.split(';'))
        if kind:
            ranges[kind] = max(ranges.get(kind, 0.0), _quality(parameters))
    if not ranges:
        ranges = {'*/*': 1.0}
    found = {
        kind: next((ranges[each] for each in (media, 'image/*', '*/*') if each in ranges), 0.0)
        for kind, media in MEDIA_TYPES.items()
    }
    found = {kind: quality for kind, quality in found.items() if quality > 0}
    if not found:
        raise RequestRefused(406, f'a result can be {", ".join(MEDIA_TYPES.values())}; Accept allows none of them')
    return found


def _quality(parameters: list[str]) -> float:
    for each in parameters:
        name, _, value = each.partition('=')
        if name.strip() == 'q':
            try:
                quality = float(value)
            except ValueError:
                return 0.0
            return quality if 0 <= quality <= 1 else 0.0
    return 1.0


def choose(qualities: dict[str, float], own: str | None) -> str:
    """Return the format of a result: that of the highest quality; among equals the upload's own, then PNG.

    Args:
        qualities: result of :func:`accepted`.
        own: format of the upload, a key of :data:`~restorebox.datasets.formats.FORMATS`, or None.
    """
    return max(qualities, key=lambda kind: (qualities[kind], kind == own))


def check_holds(picture: PictureFile, kind: str, name: str) -> None:
    """Check that a format can hold a picture.

    Raises:
        RequestRefused: it can't hold its 16 bits or its alpha channel.
    """
    holds, media = FORMATS[kind].holds, MEDIA_TYPES[kind]
    for what, needed, feature in (
        ('16 bits', picture.colours.dtype == np.uint16, 'deep'),
        ('an alpha channel', picture.alpha is not None, 'alpha'),
    ):
        if needed and feature not in holds:
            raise RequestRefused(406, f'{name}: has {what}, which {media} does not hold; accept image/png')

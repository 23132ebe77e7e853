"""Checks of requests that the web page and the HTTP service share: headers, origin, and places for uploads."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from restorebox.web.exchange import Exchange, RequestRefused, Upload
from restorebox.web.hosts import HostNames

HEAD_BYTES = 16 * 2**10  # maximum length of path and headers
CONCURRENT = 4  # concurrent requests per route, in addition to --max-waiting


def check_head(exchange: Exchange) -> None:
    """Check the length of path and headers.

    Raises:
        RequestRefused: they are longer than ``HEAD_BYTES``.
    """
    scope = exchange.scope
    if sum(map(len, (scope['raw_path'], scope['query_string'], *sum(scope['headers'], ())))) > HEAD_BYTES:
        raise RequestRefused(431, 'the headers are too long')


def check_origin(exchange: Exchange, names: HostNames, page: bool) -> None:
    """Check the Host header, and that the request does not come from another site.

    Args:
        exchange: the request.
        names: allowed host names.
        page: whether the path is that of the page, to which other sites may link.

    Raises:
        RequestRefused: the host name is not allowed, or the request is cross-origin.
    """
    hosts, local = exchange.headers('host'), str((exchange.scope.get('server') or ('',))[0])
    if len(hosts) != 1 or not names.serves(hosts[0], local):
        raise RequestRefused(421, 'this page is not served under that name; the option --allow-host adds one')
    foreign = RequestRefused(403, 'another site may not use this page')
    for origin in exchange.headers('origin'):
        scheme, _, name = origin.lower().partition('://')
        default = {'http': ':80', 'https': ':443'}.get(scheme)
        if default is None or name.removesuffix(default) != hosts[0].lower().removesuffix(default):
            raise foreign
    link = page and exchange.scope['method'] == 'GET' and exchange.header('sec-fetch-mode') == 'navigate'
    if not link and any(each not in ('same-origin', 'none') for each in exchange.headers('sec-fetch-site')):
        raise foreign


def check_body(exchange: Exchange, methods: tuple[str, ...] = ('POST',)) -> None:
    """Check that only requests of some methods have a body, and that it is not compressed.

    Raises:
        RequestRefused: a body where none belongs, or a compressed one.
    """
    method = exchange.scope['method']
    if method not in methods and (exchange.header('content-length').strip('0') or exchange.header('transfer-encoding')):
        raise RequestRefused(400, f'a {method} request has no body')
    if method in methods and exchange.header('content-encoding'):
        raise RequestRefused(415, 'this server takes no compressed requests')


def check_length(exchange: Exchange, limit: int, megabytes: int) -> None:
    """Check the announced length of an upload.

    Raises:
        RequestRefused: it is above ``limit`` bytes.
    """
    length = exchange.header('content-length')
    if len(length) > 18 or int(length or 0) > limit:
        raise RequestRefused(413, f'this server takes files up to {megabytes} MiB')


class Uploads:
    """Uploads in progress; the slowest is aborted in favour of others if all places are taken.

    Args:
        places: maximum number at once.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self.active: set[Upload] = set()

    @contextmanager
    def receiving(self, upload: Upload) -> Iterator[None]:
        """Count an upload while it is received."""
        self.active.add(upload)
        try:
            yield
        finally:
            self.active.discard(upload)

    async def abort_slow(self) -> None:
        """If all places are taken, abort the slowest upload, provided that it is slow."""
        for _ in range(20):
            slow = [each for each in self.active if each.slow]
            if len(self.active) < self.places or not slow:
                return
            min(slow, key=lambda each: each.rate).ended = True
            await asyncio.sleep(0.1)

"""ASGI application in front of the HTTP service: checks of each request, its clean-up, and the way to the web page."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event

from starlette.requests import ClientDisconnect

from restorebox.web.exchange import Exchange, Message, Receive, RequestRefused, Send
from restorebox.web.guard import Guard
from restorebox.web.hosts import HostNames
from restorebox.web.metrics import Metrics
from restorebox.web.request_checks import check_body, check_head, check_origin

IGNORED = (b'range', b'if-range')  # results are sent whole


class Front:
    """ASGI application in front of the service and the page.

    Args:
        api: application of the service.
        page: the web page behind its guard, or None.
        prefix: path of the page.
        names: allowed host names.
        metrics: counts requests.
        stopping: set when the server stops.
    """

    def __init__(
        self, api: Callable, page: Guard | None, prefix: str, names: HostNames, metrics: Metrics, stopping: Event
    ) -> None:
        self.api, self.page, self.prefix = api, page, prefix
        self.names, self.metrics, self.stopping = names, metrics, stopping

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            await (self.page or self.api)(scope, receive, send)
            return
        if scope['type'] != 'http':
            raise RuntimeError(f'{scope["type"]}: not served')
        start = time.monotonic()
        exchange = Exchange(scope, receive, send, self.stopping)
        route = await self._serve(exchange)
        self.metrics.requests.labels(route, str(exchange.status)).inc()
        self.metrics.seconds.labels(route).observe(time.monotonic() - start)

    async def _serve(self, exchange: Exchange) -> str:
        """Serve a request; returns its route for the metrics."""
        scope = exchange.scope
        if self.page is not None and scope['path'].startswith(f'{self.prefix}/'):
            await self.page(scope, exchange.receive, exchange.send)
            return self.prefix
        cleanup: list[Callable[[], None]] = []
        headers = [each for each in scope['headers'] if each[0] not in IGNORED]
        # a state of its own, with which uvicorn's connection also sees that the request was accepted
        state = scope.setdefault('state', {})
        state |= {'exchange': exchange, 'cleanup': cleanup}
        inner = {**scope, 'headers': headers, 'state': state}
        try:
            check_head(exchange)
            check_origin(exchange, self.names, page=scope['path'] in ('/', '/docs'))
            check_body(exchange)
            await self.api(inner, exchange.receive, exchange.send)
        except RequestRefused as error:
            await exchange.refuse(error)
        except ClientDisconnect:
            pass
        finally:
            for each in cleanup:
                each()
        return getattr(inner.get('route'), 'path', 'other')

"""Measurements of the HTTP service in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)


class Metrics:
    """Counters of one server, in a registry of their own.

    Attributes:
        requests: finished requests by route and status.
        seconds: time from the first byte of a request to the last of its response, by route.
        waiting: restorations in the queue.
        batch: pictures restored together.
        pixels: restored pixels.
        network: time of the network per batch.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter('restorebox_requests', 'Finished requests', ['route', 'status'], registry=registry)
        self.seconds = Histogram(
            'restorebox_request_seconds', 'Time of a request', ['route'], buckets=SECONDS, registry=registry
        )
        self.waiting = Gauge('restorebox_waiting', 'Restorations in the queue', registry=registry)
        self.batch = Histogram(
            'restorebox_batch_pictures', 'Pictures restored together', buckets=(1, 2, 3, 4, 6, 8), registry=registry
        )
        self.pixels = Counter('restorebox_restored_pixels', 'Restored pixels', registry=registry)
        self.network = Histogram(
            'restorebox_network_seconds', 'Time of the network per batch', buckets=SECONDS, registry=registry
        )
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Return all measurements in Prometheus' text format."""
        return generate_latest(self.registry)

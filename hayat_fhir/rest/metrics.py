"""Counts and durations of requests for Prometheus; labels are route templates, never paths, ids or parameters.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

MEDIA = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The figures of one process, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "hayat_http_requests", "HTTP requests answered", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "hayat_http_request_seconds",
            "Seconds from the request's head to the end of its answer",
            ("route", "method"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._histograms: dict[tuple[str, str], Histogram] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        method = method if method in _METHODS else "other"
        counter = self._counters.get((route, method, status))
        if counter is None:
            counter = self._counters[route, method, status] = self._requests.labels(route, method, status)
        histogram = self._histograms.get((route, method))
        if histogram is None:
            histogram = self._histograms[route, method] = self._seconds.labels(route, method)
        counter.inc()
        histogram.observe(seconds)

    def exposition(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self._registry)

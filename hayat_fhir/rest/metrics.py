"""Counts and durations of requests for Prometheus; labels are route templates, never paths, ids or parameters.

https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from hayat_fhir.store.figures import Figure

MEDIA = CONTENT_TYPE_LATEST
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})
_ABOUT = {
    "hayat_dicom_instances": "Images that came in by C-STORE, by what became of them",
    "hayat_dicom_received_bytes": "Bytes of the data sets that were taken",
    "hayat_dicom_association_requests": "Associations asked for, by the answer",
    "hayat_dicom_associations": "Associations being served",
    "hayat_dicom_deliveries": "Images sent to partners, counted once for each state that they reach",
    "hayat_dicom_processes": "Processes that serve the DICOM port",
    "hayat_imaging_reconciled": "What crashes had left unfinished: files removed, rows withdrawn, files damaged",
    "hayat_imaging_instances": "Images stored",
    "hayat_imaging_quarantine": "Images in quarantine, by what has been decided of them",
    "hayat_imaging_pending_studies": "Studies whose latest images are not in their ImagingStudy yet",
    "hayat_imaging_free_bytes": "Bytes left on the file system of the images, the reserve included",
    "hayat_search_outdated_documents": "Documents that earlier index rules have indexed, and that searches may miss",
    "hayat_outbox_jobs": "Unfinished jobs, such as deliveries to partners",
}
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

    def exposition(self, site: Iterable[Figure] = ()) -> bytes:
        """All figures of this process, and those of the site, in the text format."""
        of_site = CollectorRegistry()
        of_site.register(_Families(site))
        return generate_latest(self._registry) + generate_latest(of_site)


class _Families(Collector):
    """The site's figures as families: all that have one name, with their labels."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = tuple(figures)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for figure in self._figures:
            made = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
            labels, values = [label for label, _ in figure.labels], [value for _, value in figure.labels]
            family = families.setdefault(figure.name, made(figure.name, _ABOUT.get(figure.name, ""), labels=labels))
            family.add_metric(values, figure.value)
        return iter(families.values())

"""What a server counts, in the format of Prometheus."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from lord.serving.reloading import Current

TYPE = CONTENT_TYPE_LATEST
EDGES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds at which latencies are counted."""


class Metrics:
    """Counters and histograms of one server.

    Args:
        current: the learner that is served.
    """

    def __init__(self, current: Current) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lord_requests",
            "Requests answered.",
            ["path", "method", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lord_request_seconds",
            "Time from the headers of a request to its answer.",
            ["path"],
            buckets=EDGES,
            registry=self.registry,
        )
        self.images = Counter("lord_images", "Images answered.", registry=self.registry)
        self.refused = Counter(
            "lord_images_refused", "Images that could not be used.", registry=self.registry
        )
        self.busy = Gauge(
            "lord_predictions_in_progress",
            "Predictions under way or waiting.",
            registry=self.registry,
        )
        self.registry.register(_Model(current))
        ProcessCollector(registry=self.registry)

    def text(self) -> bytes:
        """Return everything."""
        return generate_latest(self.registry)


class _Model(Collector):
    """The state of the model, read when it is asked for."""

    def __init__(self, current: Current) -> None:
        self.current = current

    def collect(self) -> Iterator[Metric]:
        served, current = self.current.served, self.current
        classes = len(served.learner.classes) if served else 0
        session = served.session if served else 0
        yield GaugeMetricFamily("lord_model_session", "Session that is served.", session)
        yield GaugeMetricFamily("lord_model_classes", "Classes of the model.", classes)
        stale = float(current.problem is not None)
        yield GaugeMetricFamily("lord_model_stale", "1 if a newer state cannot be read.", stale)
        yield CounterMetricFamily(
            "lord_model_reloads",
            "How often a newer model replaced the one before.",
            current.reloads,
        )
        yield CounterMetricFamily(
            "lord_model_reload_failures", "How often a state could not be read.", current.failures
        )

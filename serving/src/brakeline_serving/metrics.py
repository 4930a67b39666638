"""What Prometheus reads from /metrics. Labelled children are kept, as `labels()` costs a microsecond."""

from typing import TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from brakeline_serving.store import Served

CONTENT_TYPE = CONTENT_TYPE_LATEST

# From one row in process (about 20 µs) to a full batch on a busy machine.
INFER_BUCKETS_S = (
    *(20e-6, 50e-6, 100e-6, 200e-6, 500e-6),
    *(1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0),
)

_Collector = TypeVar("_Collector", Counter, Gauge)


class Metrics:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "brakeline_requests_total", "Requests answered.", ["endpoint", "status"], registry=registry
        )
        self._infer_s = Histogram(
            "brakeline_infer_seconds",
            "Time of a successful inference in the server: decode, run, encode.",
            buckets=INFER_BUCKETS_S,
            registry=registry,
        )
        self._rows = Counter("brakeline_rows_total", "Rows answered.", registry=registry)
        self._out_of_range = Counter(
            "brakeline_out_of_range_total", "Rows that the model's fail-safe answered.", registry=registry
        )
        self._loads = Counter("brakeline_model_loads_total", "Models loaded and adopted.", registry=registry)
        self._refusals = Counter(
            "brakeline_model_refusals_total", "Models, or pointers to them, refused.", registry=registry
        )
        self._refused = Gauge(
            "brakeline_model_refused", "1 for what is refused at present.", ["what"], registry=registry
        )
        self._info = Gauge(
            "brakeline_model_info",
            "1 for each version served.",
            ["model", "version", "role", "sha256"],
            registry=registry,
        )
        self._request_children: dict[tuple[str, int], Counter] = {}

    def request(self, endpoint: str, status: int) -> None:
        """Count one answered request."""
        child = self._request_children.get((endpoint, status))
        if child is None:
            child = self._request_children[endpoint, status] = self._requests.labels(endpoint, str(status))
        child.inc()

    def inference(self, seconds: float, rows: int, out_of_range: int) -> None:
        """Record one successful inference [s] and how many of its rows were out of range."""
        self._infer_s.observe(seconds)
        self._rows.inc(rows)
        if out_of_range:
            self._out_of_range.inc(out_of_range)

    def adopted(self, name: str, before: Served, after: Served) -> None:
        """Record what is served from now on under the model's name, and what is newly refused."""
        loaded_before = {model.sha256 for model in before.versions.values()}
        self._loads.inc(sum(model.sha256 not in loaded_before for model in after.versions.values()))
        self._refusals.inc(sum(before.refused.get(what) != why for what, why in after.refused.items()))
        self._info.clear()
        for role, model in (("primary", after.primary), ("shadow", after.shadow)):
            if model is not None:
                self._info.labels(name, model.version, role, model.sha256).set(1)
        self._refused.clear()
        for what in after.refused:
            self._refused.labels(what).set(1)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

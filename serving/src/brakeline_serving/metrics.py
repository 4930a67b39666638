"""What Prometheus reads from /metrics: the cells of all workers, put into words when somebody asks."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from brakeline_serving import cells, distribution
from brakeline_serving.cells import SLOT, Board
from brakeline_serving.store import Served

_COUNTERS = (
    ("rows", "Rows answered."),
    ("out_of_range", "Rows that the model's fail-safe answered."),
    ("out_of_distribution", "Rows unlike the training data."),
    ("loads", "Models loaded and adopted, by every worker."),
    ("refusals", "Models, or pointers to them, refused, by every worker."),
    ("shadow_dropped", "Rows that the shadow did not get, as it was behind."),
    ("logged", "Predictions written to the log."),
    ("log_dropped", "Predictions chosen for the log and not written, as it was behind."),
)
_NAMES = {"loads": "model_loads", "refusals": "model_refusals", "logged": "predictions_logged"}
_NAMES |= {"shadow_dropped": "shadow_rows_dropped", "log_dropped": "predictions_dropped"}


class _One(CollectorRegistry):
    """A registry of one family that was collected already."""

    def __init__(self, family: Metric) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


class Metrics(Collector):
    """All metrics of a server; `served` says what is served, `settle` counts what was collected in blocks."""

    content_type = CONTENT_TYPE_LATEST.encode()

    def __init__(self, name: str, board: Board, served: Callable[[], Served], settle: Callable[[], None]) -> None:
        self._name = name
        self._board = board
        self._served = served
        self._settle = settle
        self._registry = CollectorRegistry()
        self._registry.register(self)
        if board.workers == 1:  # else each scrape would tell of another process
            ProcessCollector(registry=self._registry)

    def parts(self) -> Iterator[bytes]:
        """All metrics in Prometheus' text format, a family at a time."""
        self._settle()
        for family in self._registry.collect():
            yield generate_latest(_One(family))

    def collect(self) -> Iterator[Metric]:
        """The families, in the order they are written."""
        yield from self._of_requests()
        for name, told in _COUNTERS:
            yield CounterMetricFamily(f"brakeline_{_NAMES.get(name, name)}", told, value=self._one(name))
        yield GaugeMetricFamily("brakeline_workers", "Processes that serve.", value=self._board.workers)
        yield GaugeMetricFamily("brakeline_connections", "Connections open.", value=self._one("connections"))
        yield GaugeMetricFamily("brakeline_queue_rows", "Rows that wait for the thread.", value=self._one("waiting"))
        yield from self._of_models()
        yield from self._of_rows()

    def _one(self, name: str) -> float:
        return float(self._board.total(name)[0])

    def _of_requests(self) -> Iterator[Metric]:
        table = self._board.total("requests", len(cells.ENDPOINTS) * len(cells.STATUSES))
        requests = CounterMetricFamily("brakeline_requests", "Requests answered.", labels=["endpoint", "status"])
        for at in np.flatnonzero(table):
            endpoint, status = cells.ENDPOINTS[at // len(cells.STATUSES)], cells.STATUSES[at % len(cells.STATUSES)]
            requests.add_metric([endpoint, str(status)], float(table[at]))
        yield requests
        errors = CounterMetricFamily("brakeline_errors", "Requests refused or failed, by reason.", labels=["reason"])
        for reason, count in zip(cells.REASONS, self._board.total("errors", len(cells.REASONS)), strict=True):
            if count:
                errors.add_metric([reason], float(count))
        yield errors
        told = "Time of a successful inference in the server, from the whole request to its answer."
        latency = self._board.total("latency", len(cells.LATENCY_S) + 2)
        yield _histogram("brakeline_infer_seconds", told, [([], latency)], [], cells.LATENCY_S)
        batch = self._board.total("batch", len(cells.BATCH_ROWS) + 2)
        yield _histogram("brakeline_batch_rows", "Rows in one run of the model.", [([], batch)], [], cells.BATCH_ROWS)

    def _of_models(self) -> Iterator[Metric]:
        served, labels = self._served(), ["model", "version", "role", "sha256"]
        info = GaugeMetricFamily("brakeline_model_info", "1 for each version served.", labels=labels)
        told = "Since when a version's file has been kept, where that is known."
        since = GaugeMetricFamily("brakeline_model_since_timestamp_seconds", told, labels=["version", "role"])
        for role, model, _ in served.beside(Served()):
            info.add_metric([self._name, model.version, role, model.sha256], 1)
            if model.since_s is not None:
                since.add_metric([model.version, role], model.since_s)
        yield from (info, since)
        refused = GaugeMetricFamily("brakeline_model_refused", "1 for what is refused at present.", labels=["what"])
        for what in served.refused:
            refused.add_metric([what], 1)
        yield refused
        if served.is_store_reachable is not None:
            told = "1 if the store that is followed could be asked at the last look."
            yield GaugeMetricFamily("brakeline_model_store_reachable", told, value=served.is_store_reachable)

    def _of_rows(self) -> Iterator[Metric]:
        served = list(self._served().versions.values())
        slots = [(model, self._board.slot(model.key)) for model in served]
        for part, bounds, name, told in (
            ("margin", cells.MARGIN_M, "margin", "Gap to the object ahead less the bound, where there is one [m]."),
            ("spread", cells.SPREAD_M, "bound_spread", "Bound less median [m]."),
            ("difference", cells.DIFFERENCE_M, "shadow_difference", "Shadow's median less the primary's [m]."),
        ):
            start, end = SLOT[part], SLOT[part] + len(bounds) + 2
            rows = [([model.version], slot[start:end]) for model, slot in slots]
            yield _histogram(f"brakeline_{name}_metres", told, rows, ["version"], bounds)
            # A histogram with negative bounds has no sum in Prometheus' format.
            mean = GaugeMetricFamily(f"brakeline_{name}_mean_metres", f"Mean. {told}", labels=["version"])
            for named, counted in rows:
                if counted[:-1].sum():
                    mean.add_metric(named, float(counted[-1] / counted[:-1].sum()))
            yield mean
        labels = ["version", "feature"]
        features = HistogramMetricFamily(
            "brakeline_feature", "Readings on the training data's own edges; no sum is kept.", labels=labels
        )
        missing = CounterMetricFamily("brakeline_feature_missing", "Readings missing.", labels=labels)
        index = GaugeMetricFamily("brakeline_feature_psi", "Stability index against the training data.", labels=labels)
        # A query can tell what lies between two edges by `above`, the edge before `le`; it could not work that out.
        told = "Share of the training data up to an edge."
        shares = GaugeMetricFamily("brakeline_feature_training_share", told, labels=[*labels, "above", "le"])
        for model, slot in slots:
            for column, training in model.distribution:
                named = [model.version, model.features[column]]
                counts = _bins(slot, column)
                edges = [*map(str, training.edges), "+Inf"]
                features.add_metric(named, _cumulative(edges, counts), None)
                missing.add_metric(named, counts[-1])
                index.add_metric(named, distribution.stability(training, counts))
                running = np.cumsum(training.counts) / max(sum(training.counts) + training.missing, 1)
                for above, edge, share in zip(["-Inf", *edges[:-1]], edges, running, strict=True):
                    shares.add_metric([*named, above, edge], float(share))
        yield from (features, missing, index, shares)


def _bins(slot: np.ndarray, column: int) -> np.ndarray:
    start = SLOT["features"] + column * distribution.MOST_BINS
    return slot[start : start + distribution.MOST_BINS]


def _cumulative(bounds: Sequence[str], counts: np.ndarray) -> list[tuple[str, float]]:
    return [(bound, float(count)) for bound, count in zip(bounds, np.cumsum(counts[: len(bounds)]), strict=True)]


def _histogram(
    name: str, told: str, rows: Sequence[tuple[list[str], np.ndarray]], labels: list[str], bounds: Sequence[float]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, told, labels=labels)
    for named, counted in rows:
        steps = _cumulative([*map(str, bounds), "+Inf"], counted)
        family.add_metric(named, steps, float(counted[len(bounds) + 1]))
    return family

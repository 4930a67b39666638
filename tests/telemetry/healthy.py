"""Series of an hour and a half in which nothing is wrong: 10 requests a second, well within every limit.

A case replaces some of them. Values are per 30 s; 300 rows make 3,000 in a window of five minutes.
"""

from __future__ import annotations

from collections.abc import Mapping

STEPS = 200
NAMESPACE = "ns"
SERVER = f'job="stopping-distance",namespace="{NAMESPACE}",pod="a",instance="a:9443"'
OTHER = SERVER.replace('"a', '"b')
PIPELINES = f'job="pipelines",namespace="{NAMESPACE}"'
ROWS = 300


def counter(by: float, steps: int = STEPS, at: float = 0.0) -> str:
    """What grows by so much every 30 s from its value at time 0 on."""
    return f"{at:g}+{by:.10g}x{steps}"


def gauge(value: float, steps: int = STEPS) -> str:
    """What stays."""
    return f"{value:.10g}x{steps}"


def requests(status: int, by: float, endpoint: str = "infer") -> dict[str, str]:
    """Answers with a status."""
    return {f'brakeline_requests_total{{{SERVER},endpoint="{endpoint}",status="{status}"}}': counter(by)}


def histogram(name: str, by: Mapping[str, float], labels: str = "") -> dict[str, str]:
    """Buckets by edge, of what fell up to each."""
    return {f'{name}_bucket{{{SERVER}{labels},le="{edge}"}}': counter(count) for edge, count in by.items()}


def feature(bins: tuple[float, ...], missing: float = 0.0) -> dict[str, str]:
    """Readings of one feature, with edges 0.5 and 0.8, in each of its three bins and missing."""
    running = [sum(bins[: at + 1]) for at in range(3)]
    told = ',version="3",feature="f"'
    buckets = histogram("brakeline_feature", dict(zip(("0.5", "0.8", "+Inf"), running, strict=True)), told)
    return buckets | {f'brakeline_feature_missing_total{{{SERVER},version="3",feature="f"}}': counter(missing)}


def training(shares: tuple[float, ...]) -> dict[str, str]:
    """What a model tells of its training data: the share up to each edge."""
    edges = ("-Inf", "0.5", "0.8", "+Inf")
    running = [sum(shares[: at + 1]) for at in range(3)]
    told = f'{SERVER},version="3",feature="f"'
    return {
        f'brakeline_feature_training_share{{{told},above="{above}",le="{edge}"}}': gauge(share)
        for above, edge, share in zip(edges, edges[1:], running, strict=False)
    }


def spread(mean_m: float) -> dict[str, str]:
    """Bound less median, by its mean."""
    told = f'{{{SERVER},version="3"}}'
    return {
        f"brakeline_bound_spread_metres_sum{told}": counter(mean_m * ROWS),
        f"brakeline_bound_spread_metres_count{told}": counter(ROWS),
    }


def margin(short: float) -> dict[str, str]:
    """Gap less bound, by the share below 0."""
    return histogram("brakeline_margin_metres", {"0.0": short * ROWS, "+Inf": ROWS}, ',version="3"')


def shadow(apart: float, rows: float = ROWS) -> dict[str, str]:
    """Shadow less primary, by the share more than half a metre apart; half of them to each side."""
    by = {"-0.5": apart / 2 * rows, "0.5": (1 - apart / 2) * rows, "+Inf": rows}
    return histogram("brakeline_shadow_difference_metres", by, ',version="4"')


def latency(within: float) -> dict[str, str]:
    """Times of answers, by the share within 10 ms; what is not takes up to 20 ms."""
    by = {"0.005": 0.9 * ROWS, "0.01": within * ROWS, "0.02": ROWS, "+Inf": ROWS}
    counted = {f"brakeline_infer_seconds_count{{{SERVER}}}": counter(ROWS)}
    return histogram("brakeline_infer_seconds", by) | counted


def info(version: str, role: str, labels: str = SERVER) -> str:
    """The series that says which version a server has as what."""
    return f'brakeline_model_info{{{labels},model="m",version="{version}",role="{role}",sha256="sha-{version}"}}'


def one(name: str, by: float) -> dict[str, str]:
    """A counter of the server's without labels of its own."""
    return {f"{name}{{{SERVER}}}": counter(by)}


SERIES: dict[str, str] = {
    f"up{{{SERVER}}}": gauge(1),
    f"up{{{OTHER}}}": gauge(1),
    info("3", "primary"): gauge(1),
    info("3", "primary", OTHER): gauge(1),
    info("4", "shadow"): gauge(1),
    f"brakeline_model_store_reachable{{{SERVER}}}": gauge(1),
    f'brakeline_model_since_timestamp_seconds{{{SERVER},version="3",role="primary"}}': gauge(0),
    **requests(200, ROWS * 0.99),
    **requests(400, ROWS * 0.01),
    **requests(503, ROWS * 0.0005),
    **requests(500, ROWS, "metrics"),
    **latency(0.999),
    **one("brakeline_rows_total", ROWS),
    **one("brakeline_out_of_range_total", ROWS * 0.01),
    **one("brakeline_shadow_rows_dropped_total", ROWS * 0.001),
    **one("brakeline_predictions_logged_total", ROWS * 0.1),
    **one("brakeline_predictions_dropped_total", ROWS * 0.0001),
    **feature((ROWS * 0.49, ROWS * 0.31, ROWS * 0.2)),
    **training((0.5, 0.3, 0.2)),
    **spread(10.0),
    **margin(0.2),
    **shadow(0.01),
    f"up{{{PIPELINES}}}": gauge(1),
    f'resource_manager_workflow_runs_success{{{PIPELINES},profile="ns",workflow="nightly-x-1-123"}}': gauge(1),
    f'kubelet_volume_stats_available_bytes{{namespace="{NAMESPACE}",persistentvolumeclaim="p"}}': gauge(5e9),
    f'kubelet_volume_stats_capacity_bytes{{namespace="{NAMESPACE}",persistentvolumeclaim="p"}}': gauge(1e10),
    f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="pods",type="used"}}': gauge(5),
    f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="pods",type="hard"}}': gauge(10),
    f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="none",type="used"}}': gauge(0),
    f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="none",type="hard"}}': gauge(0),
}


def but(changed: Mapping[str, str | None]) -> dict[str, str]:
    """The healthy series with some replaced, added, or (None) left out."""
    made: dict[str, str | None] = {**SERIES, **changed}
    return {name: values for name, values in made.items() if values is not None}

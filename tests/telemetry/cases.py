"""What makes each alert about the server fire, and what just does not: a row for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.telemetry import healthy
from tests.telemetry.healthy import NAMESPACE, OTHER, ROWS, SERVER, STEPS, counter, gauge, info, one, requests

Series = Mapping[str, str | None]
HERE = {"namespace": NAMESPACE, "job": "stopping-distance"}
A = {**HERE, "pod": "a", "instance": "a:9443"}
DAY_S = 86400


@dataclass(frozen=True)
class Case:
    """An alert, the series in which it fires, from which time on [s], as what, and series in which it just does not.

    `beside` are other alerts that the same series make fire. `first_s` is exact: a step before, it does not fire yet.
    What must not fire is looked at until `end_s`. It still fires a step before `over_s`, and no longer then.
    """

    alert: str
    fires: Series
    first_s: float
    labels: Mapping[str, str]
    says: str
    quiet: Mapping[str, Series]
    beside: frozenset[str] = field(default_factory=frozenset)
    end_s: float = 1800
    over_s: float | None = None
    step_s: int = 30


def failing(before: float, after: float) -> dict[str, str]:
    """Answers with 503 beside the good ones: this share of all in the first sixty steps, and another from then on."""
    first, then = (share / (1 - share) * ROWS for share in (before, after))
    rest = f"{first * 60 + then:.10g}+{then:.10g}x{STEPS - 61}"
    return dict.fromkeys(requests(503, 0), f"0+{first:.10g}x60 {rest}")


DOWN = (
    "For 5 minutes no server of stopping-distance has answered Prometheus; braking distances are not served, or nobody "
    "sees it."
)
# A hundred answers in five minutes are enough to judge by.
ENOUGH = {f"brakeline_infer_seconds_count{{{SERVER}}}": counter(10.1)}
HARDLY = {f"brakeline_infer_seconds_count{{{SERVER}}}": counter(9.9)}
GONE: Series = {name: None for name in healthy.SERIES if 'job="stopping-distance"' in name}
SERVING = (
    Case(
        "BrakelineServerDown",
        {f"up{{{SERVER}}}": gauge(0), f"up{{{OTHER}}}": gauge(0)},
        300,
        HERE,
        DOWN,
        {
            "one of two answers": {f"up{{{SERVER}}}": gauge(0)},
            "down for less than five minutes": {
                f"up{{{SERVER}}}": f"1x20 0x9 1x{STEPS - 30}",
                f"up{{{OTHER}}}": f"1x20 0x9 1x{STEPS - 30}",
            },
        },
    ),
    Case(
        "BrakelineServerDown",
        {**GONE, "some_other_metric": gauge(1)},
        300,
        {"job": "stopping-distance"},
        DOWN,
        {},
    ),
    Case(
        "BrakelinePodDown",
        {f"up{{{SERVER}}}": gauge(0)},
        600,
        A,
        "For 10 minutes a has not answered Prometheus, while others do.",
        {
            "all are down, which another alert says": {f"up{{{SERVER}}}": gauge(0), f"up{{{OTHER}}}": gauge(0)},
            "down for less than ten minutes": {f"up{{{SERVER}}}": f"1x20 0x19 1x{STEPS - 40}"},
        },
    ),
    Case(
        "BrakelineNotReady",
        {info("3", "primary"): None},
        300,
        A,
        "For 5 minutes a has been up without a model to answer by; it is not ready and gets no requests.",
        {
            "it has one after less than five minutes": {info("3", "primary"): f"_x10 1x{STEPS - 10}"},
            "it is down, which another alert says": {info("3", "primary"): None, f"up{{{SERVER}}}": gauge(0)},
        },
    ),
    Case(
        "BrakelineModelRefused",
        {f'brakeline_model_refused{{{SERVER},what="9"}}': gauge(1)},
        300,
        {**HERE, "what": "9"},
        "For 5 minutes the server has refused 9; what it served before it still serves.",
        {"refused for less than five minutes": {f'brakeline_model_refused{{{SERVER},what="9"}}': "1x9 stale"}},
    ),
    Case(
        "BrakelineStoreUnreachable",
        {f"brakeline_model_store_reachable{{{SERVER}}}": gauge(0)},
        600,
        HERE,
        "For 10 minutes a server has not reached its model store in S3; it serves what it has and follows nothing.",
        {
            "away for less than ten minutes": {
                f"brakeline_model_store_reachable{{{SERVER}}}": f"1x20 0x19 1x{STEPS - 40}"
            },
            "models come from a folder": {f"brakeline_model_store_reachable{{{SERVER}}}": None},
        },
    ),
    Case(
        "BrakelineSlow",
        {**healthy.latency(0.9895), **ENOUGH},
        900,
        HERE,
        "One answer in a hundred takes 10.48ms or longer, the objective is 10ms.",
        {
            "99 of 100 are within 10 ms": healthy.latency(0.99),
            "fewer than 100 answers in five minutes": {**healthy.latency(0.98), **HARDLY},
        },
    ),
    Case(
        "BrakelineErrorsFast",
        {**requests(200, ROWS * 0.985), **requests(400, 0), **requests(503, ROWS * 0.015)},
        150,
        HERE,
        "In the last hour 1.5% of the requests for an inference ended with 5xx, the objective is 0.1%.",
        {
            "14.4 times the objective": {**requests(200, ROWS), **requests(400, 0), **requests(503, ROWS * 0.0146)},
            "a burst that is little of its hour": {
                f'brakeline_requests_total{{{SERVER},endpoint="infer",status="503"}}': f"0x129 250 500x{STEPS - 131}",
            },
            "other endpoints than those of inference": requests(503, ROWS, "stats"),
        },
        beside=frozenset({"BrakelineErrorsSlow"}),
        end_s=4500,
    ),
    Case(
        "BrakelineErrorsFast",
        # It gets better: the hour is still bad, the last five minutes are not.
        {**requests(200, ROWS), **requests(400, 0), **failing(0.02, 0.0135)},
        150,
        HERE,
        "In the last hour 2% of the requests for an inference ended with 5xx, the objective is 0.1%.",
        {},
        beside=frozenset({"BrakelineErrorsSlow"}),
        over_s=2070,
    ),
    Case(
        "BrakelineErrorsSlow",
        {**requests(200, ROWS * 0.9939), **requests(400, 0), **requests(503, ROWS * 0.0061)},
        930,
        HERE,
        "In the last 6 hours 0.61% of the requests for an inference ended with 5xx, the objective is 0.1%.",
        {"6 times the objective": {**requests(200, ROWS), **requests(400, 0), **requests(503, ROWS * 0.00603)}},
    ),
    Case(
        "BrakelineErrorsSlow",
        # It gets better: the last half hour is good enough.
        {**requests(200, ROWS), **requests(400, 0), **failing(0.008, 0.0057)},
        930,
        HERE,
        "In the last 6 hours 0.8% of the requests for an inference ended with 5xx, the objective is 0.1%.",
        {},
        over_s=3390,
    ),
    Case(
        "BrakelineErrorsSlow",
        {**requests(200, ROWS), **requests(400, 0), **failing(0.0065, 0.0065)},
        1200,
        HERE,
        "In the last 6 hours 0.65% of the requests for an inference ended with 5xx, the objective is 0.1%.",
        {"an hour that is little of its six": {**requests(200, ROWS), **requests(400, 0), **failing(0.0056, 0.0065)}},
        end_s=23400,
        step_s=300,
    ),
    Case(
        "BrakelineRequestsRefused",
        {**requests(200, ROWS * 0.948), **requests(400, ROWS * 0.052), **requests(503, 0), **ENOUGH},
        1200,
        HERE,
        "5.2% of the requests for an inference are refused with 4xx, the limit is 5%.",
        {
            "one in twenty": {**requests(200, ROWS * 0.95), **requests(400, ROWS * 0.05), **requests(503, 0)},
            "of hardly any answers": {
                **requests(200, ROWS * 0.94),
                **requests(400, ROWS * 0.06),
                **HARDLY,
            },
        },
    ),
    Case(
        "BrakelinePredictionsDropped",
        {**one("brakeline_predictions_logged_total", 98.95), **one("brakeline_predictions_dropped_total", 1.05)},
        930,
        HERE,
        "1.05% of the predictions chosen for the log were not written, the limit is 1%; feedback on them is lost.",
        {
            "one in a hundred": {
                **one("brakeline_predictions_logged_total", 99),
                **one("brakeline_predictions_dropped_total", 1),
            },
            "nothing is logged": {
                **one("brakeline_predictions_logged_total", 0),
                **one("brakeline_predictions_dropped_total", 0),
            },
        },
    ),
    Case(
        "BrakelineModelOld",
        {
            f'brakeline_model_since_timestamp_seconds{{{SERVER},version="3",role="primary"}}': gauge(-91 * DAY_S),
        },
        3600,
        {**HERE, "version": "3"},
        "Version 3 has lain in the store for 91 days, the limit is 90 days.",
        {
            "just 90 days at the end": {
                f'brakeline_model_since_timestamp_seconds{{{SERVER},version="3",role="primary"}}': gauge(
                    30 * STEPS - 90 * DAY_S
                ),
            },
            "an old shadow": {
                f'brakeline_model_since_timestamp_seconds{{{SERVER},version="4",role="shadow"}}': gauge(-91 * DAY_S),
            },
        },
        end_s=30 * STEPS,
    ),
)

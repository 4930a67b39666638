"""What makes each alert about the pipeline's runs and about the platform fire, and what just does not."""

from __future__ import annotations

from tests.telemetry.cases import Case
from tests.telemetry.healthy import NAMESPACE, PIPELINES, gauge

HERE = {"namespace": NAMESPACE, "job": "pipelines"}
HOUR_S = 3600
# What is about a day and a bit is looked at every five minutes, 12 times an hour.
SLOW_S, DAY = 300, 30 * 12
UP = f"up{{{PIPELINES}}}"


def failed(workflow: str, values: str) -> dict[str, str | None]:
    """How often a run has failed, retries too."""
    return {f'resource_manager_workflow_runs_failed{{{PIPELINES},profile="ns",workflow="{workflow}"}}': values}


def succeeded(workflow: str, values: str) -> dict[str, str | None]:
    """A run that has succeeded."""
    return {f'resource_manager_workflow_runs_success{{{PIPELINES},profile="ns",workflow="{workflow}"}}': values}


# Ended after 15 minutes; it is new until ten more are over, so it is taken to have ended at 1,200 s.
NIGHTLY: dict[str, str | None] = {**succeeded("nightly-x-1-123", f"_x3 1x{DAY}"), UP: gauge(1, DAY)}
SCHEDULED = "default-400k-seed0-1ab-x7k2p-12-3406148741"
CLUSTER = (
    Case(
        "BrakelineScheduledRunFailed",
        failed(SCHEDULED, "_x20 1x180"),
        600,
        {**HERE, "workflow": SCHEDULED},
        f"Scheduled run {SCHEDULED} failed within the last hour; the model stays as old as it is.",
        {
            "a run that somebody submitted": failed("brakeline-x7k2p", "_x20 1x180"),
            "a run that was deleted before it ended": failed("nightly-x-1-123", "_x20 -1x180"),
        },
        over_s=600 + HOUR_S,
    ),
    Case(
        "BrakelineScheduledRunFailed",
        failed("nightly-x-1-123", "1x130 2x60"),
        131 * 30,
        {**HERE, "workflow": "nightly-x-1-123"},
        "Scheduled run nightly-x-1-123 failed within the last hour; the model stays as old as it is.",
        {},
    ),
    Case(
        "BrakelineScheduledRunFailed",
        # The API server starts anew, and knows nothing of what it had counted.
        failed("nightly-x-1-123", "_x20 1x9 stale"),
        600,
        {**HERE, "workflow": "nightly-x-1-123"},
        "Scheduled run nightly-x-1-123 failed within the last hour; the model stays as old as it is.",
        {},
        over_s=600 + HOUR_S,
    ),
    Case(
        "BrakelineRunFailed",
        failed("brakeline-x7k2p", "_x20 1x180"),
        600,
        {**HERE, "workflow": "brakeline-x7k2p"},
        "Run brakeline-x7k2p, which somebody submitted, failed within the last hour.",
        {"a scheduled run": failed("nightly-x-1-123", "_x20 1x180")},
        over_s=600 + HOUR_S,
    ),
    Case(
        "BrakelineScheduledRunMissing",
        NIGHTLY,
        1200 + 26 * HOUR_S + SLOW_S + 900,
        HERE,
        "The last scheduled run that succeeded did so 26.3 hours ago, the limit is 26 hours.",
        {
            "the next one came in time": {**NIGHTLY, **succeeded("nightly-x-2-456", f"_x{24 * 12} 1x{6 * 12}")},
            "there never was a schedule": {
                UP: gauge(1, DAY),
                **succeeded("nightly-x-1-123", ""),
                **succeeded("brakeline-x7k2p", f"_x3 1x{DAY}"),
            },
        },
        end_s=29 * HOUR_S,
        step_s=SLOW_S,
    ),
    Case(
        "BrakelineScheduledRunMissing",
        # Neither a restart of the API server, which brings back nothing, nor a run that failed is a success.
        {
            UP: f"1x{4 * 12} 0x3 1x{DAY}",
            **succeeded("nightly-x-1-123", f"_x3 1x{4 * 12 - 3} stale"),
            **failed("nightly-x-2-456", f"_x{20 * 12} 1x{10 * 12}"),
        },
        1200 + 26 * HOUR_S + SLOW_S + 900,
        HERE,
        "The last scheduled run that succeeded did so 26.3 hours ago, the limit is 26 hours.",
        {},
        frozenset({"BrakelineScheduledRunFailed"}),
        step_s=SLOW_S,
    ),
    Case(
        "BrakelinePipelinesUnwatched",
        {UP: gauge(0)},
        900,
        HERE,
        "For 15 minutes the pipelines' API server has not answered Prometheus; failed and missing runs go unseen.",
        {"away for less than a quarter of an hour": {UP: "1x20 0x29 1x150"}},
    ),
    Case(
        "BrakelinePipelinesUnwatched",
        {UP: None, **succeeded("nightly-x-1-123", "")},
        900,
        {"job": "pipelines"},
        "For 15 minutes the pipelines' API server has not answered Prometheus; failed and missing runs go unseen.",
        {},
    ),
    Case(
        "BrakelineVolumeNearlyFull",
        {f'kubelet_volume_stats_available_bytes{{namespace="{NAMESPACE}",persistentvolumeclaim="p"}}': gauge(9.5e8)},
        900,
        {"namespace": NAMESPACE, "persistentvolumeclaim": "p"},
        "Of volume p 9.5% is left, the limit is 10%.",
        {
            "a tenth is left": {
                f'kubelet_volume_stats_available_bytes{{namespace="{NAMESPACE}",persistentvolumeclaim="p"}}': gauge(1e9)
            }
        },
    ),
    Case(
        "BrakelineQuotaNearlyUsed",
        {f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="pods",type="used"}}': gauge(9.1)},
        900,
        {"namespace": NAMESPACE, "resourcequota": "q", "resource": "pods"},
        "Of quota q 91% of pods is used, the limit is 90%; pods beyond it are not started.",
        {
            "nine tenths are used": {
                f'kube_resourcequota{{namespace="{NAMESPACE}",resourcequota="q",resource="pods",type="used"}}': gauge(9)
            }
        },
    ),
)

"""What rules and dashboard ask for is there: every metric, every label, every value that a selector names."""

from __future__ import annotations

import re

import promql_parser
import pytest
from brakeline_serving import cells

from tests.telemetry import dashboard, manifests
from tests.telemetry.conftest import Page
from tests.telemetry.promql import Labels, Reader, selectors
from tests.telemetry.sources import OPERATORS, SOURCES

# The labels of a server's target as user-workload monitoring makes them of the ServiceMonitor.
SERVER, PIPELINES = "stopping-distance", "pipelines"
ROLES = {"primary", "shadow", "loaded"}
EXPRESSIONS = {**{f"rule {rule.name}": rule.expression for rule in manifests.rules()}, **dashboard.queries()}


def target(monitor: str) -> frozenset[str]:
    """The labels that a scrape adds to every series: the operator's, less what the monitor drops, and its own."""
    relabelings = manifests.monitor(monitor).get("relabelings", [])
    dropped = [each["regex"] for each in relabelings if each.get("action") == "labeldrop"]
    kept = {label for label in OPERATORS if not any(re.fullmatch(regex, label) for regex in dropped)}
    return frozenset(kept | {each["targetLabel"] for each in relabelings if "targetLabel" in each})


@pytest.fixture(scope="module")
def known(page: Page) -> dict[str, Labels | None]:
    """The labels of every metric that may be named: the running server's, others' of the table, and recorded ones."""
    names: dict[str, Labels | None] = {name: has | target(SERVER) for name, has in page.labels().items()}
    for source in SOURCES:
        more = target("brakeline-pipelines") if source.job == PIPELINES else frozenset()
        names |= {name: has | more for name, has in source.metrics.items()}
    names["up"] = target(SERVER)
    for rule in manifests.recorded().values():
        # One that hands on its own last value has the labels of what it begins with.
        reader = Reader({**names, rule.name: None})
        names[rule.name] = reader.labels(rule.expression)
    return names


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_an_expression_names_what_is_there(where: str, known: dict[str, Labels | None]) -> None:
    """It parses; each metric is on its source's list; labels of selectors and of `by` and `on` are the metric's own."""
    reader = Reader(known)
    reader.labels(EXPRESSIONS[where])
    assert not reader.wrong


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_a_selector_names_values_that_there_are(where: str, page: Page) -> None:
    """A server's edge, endpoint, status or role that a selector asks for is one that servers tell."""
    for selector in selectors(EXPRESSIONS[where]):
        for matcher in selector.matchers.matchers:
            if selector.name not in page.series or matcher.name in ("job", "namespace", "version", "le"):
                if matcher.name == "le" and selector.name in page.series:
                    assert matcher.value in page.values(selector.name, "le"), selector
                continue
            allowed = {
                "endpoint": set(cells.ENDPOINTS),
                "status": set(map(str, cells.STATUSES)),
                "role": ROLES,
            }[matcher.name]
            if matcher.op in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.NotEqual):
                assert matcher.value in allowed, selector
            else:
                parts = matcher.value.split("|")
                assert all(any(re.fullmatch(part, value) for value in allowed) for part in parts), selector


def test_jobs_are_those_that_the_monitors_name() -> None:
    """`job` is what each ServiceMonitor's relabelling says, in every rule and query."""
    named = {
        relabeling["replacement"]
        for monitor in (SERVER, "brakeline-pipelines")
        for relabeling in manifests.monitor(monitor)["relabelings"]
        if relabeling.get("targetLabel") == "job"
    }
    assert named == {SERVER, PIPELINES}
    for where, expression in EXPRESSIONS.items():
        jobs = set(re.findall(r'job="([^"]*)"', expression))
        assert jobs <= named, where


def test_no_label_of_a_metric_is_lost_to_the_target(page: Page) -> None:
    """A scrape renames a metric's own label that the target has too; so no name is used by both."""
    for name, has in page.labels().items():
        assert not has & target(SERVER), name
    assert "endpoint" in page.labels()["brakeline_requests_total"]
    assert "endpoint" in OPERATORS - target(SERVER)
    for source in SOURCES:
        if source.job == PIPELINES:
            assert not frozenset().union(*source.metrics.values()) & target("brakeline-pipelines")


def test_edges_are_written_as_prometheus_writes_them(page: Page) -> None:
    """Prometheus 3 rewrites `le` of a histogram, and not that of a gauge: both must stand there in its own form."""
    for name in ("brakeline_feature_bucket", "brakeline_feature_training_share"):
        for edge in page.values(name, "le") - {"+Inf"}:
            assert edge == str(float(edge))
            # Beyond these Go's shortest form, which Prometheus writes, takes an exponent where Python's does not.
            assert 1e-4 <= abs(float(edge)) < 1e6 or float(edge) == 0.0, f"{name}: {edge}"


@pytest.mark.parametrize("name", manifests.alerts())
def test_a_description_names_labels_that_the_alert_has(name: str, known: dict[str, Labels | None]) -> None:
    """`$labels.x` of an annotation is a label of the expression's result, so that it is never empty."""
    rule = manifests.alerts()[name]
    has = Reader(known).labels(rule.expression)
    asked = set(re.findall(r"\$labels\.(\w+)", " ".join(rule.annotations.values())))
    assert has is not None
    assert asked <= has

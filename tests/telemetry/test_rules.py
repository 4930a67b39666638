"""The rules as they are written: whom an alert tells what, from which limit on, and for how long it must hold."""

from __future__ import annotations

import inspect
import re

import pytest
from brakeline.rule import Rule as Watch
from brakeline_deploy.cli import apply
from promql_parser import parse_duration

from tests.telemetry import manifests, promql
from tests.telemetry.manifests import Rule

ALERTS = manifests.alerts()
SEVERITIES = {"critical", "warning", "info"}
# As in a page's address: GitHub and GitLab alike make it of a heading.
ANCHOR = re.compile(r"^## (\w+)$", re.MULTILINE)
DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")
WATCH = Watch()
# What the watch judges too: the limit of the alert is the rule's of the same name.
SAME = {
    "BrakelineFeatureDrift": WATCH.psi,
    "BrakelineOutOfRange": WATCH.out_of_range,
    "BrakelineBoundWidened": WATCH.widening_m,
}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_what_to_do(name: str) -> None:
    """Severity, a summary in one sentence, a description with number and limit, and a section of the runbook."""
    alert = ALERTS[name]
    assert re.fullmatch(r"Brakeline([A-Z][a-z]+)+", name)
    assert alert.severity in SEVERITIES
    assert alert.annotations.keys() == {"summary", "description", "runbook_url"}
    assert "{{" not in alert.annotations["summary"]
    assert len(alert.annotations["summary"]) < 60
    assert alert.annotations["description"].endswith(".")
    assert alert.annotations["runbook_url"] == f"docs/runbook.md#{name.lower()}"


@pytest.mark.parametrize("name", ALERTS)
def test_a_description_tells_value_and_limit(name: str) -> None:
    """Where a number is compared with a limit, the description has both; where it is only yes or no, how long."""
    alert = ALERTS[name]
    description = alert.annotations["description"]
    limits = [number for _, number in promql.comparisons(alert.expression) if number not in (0.0, 1.0)]
    if limits:
        assert "$value" in description
        assert re.search(r"\d+(\.\d+)?( ?%| ?ms| m\b| days| hours|\.$)", description)
    else:
        assert re.search(r"\d+ minutes|last hour|since", description), description


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    """Each says what the alert means, what to look at, and what to do."""
    text = manifests.RUNBOOK.read_text()
    assert ANCHOR.findall(text) == list(ALERTS)
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        for part in ("**Means.**", "**Look at.**", "**Do.**"):
            assert section.count(part) == 1, section.partition("\n")[0]


@pytest.mark.parametrize("rule", manifests.rules(), ids=lambda rule: rule.name)
def test_times_are_prometheus_durations(rule: Rule) -> None:
    """`for` and every window are durations as Prometheus has them; a recorded series is not called by its window."""
    for text in (*rule.windows, *([rule.for_text] if rule.for_text else [])):
        assert DURATION.fullmatch(text)
    assert parse_duration("1m").total_seconds() == 60
    if not rule.is_alert:
        assert re.fullmatch(r"brakeline:[a-z0-9_]+:[a-z0-9_]+", rule.name)
        assert not rule.for_text


def test_names_are_used_once() -> None:
    """No two rules have one name, and what is recorded is used by a rule or the dashboard."""
    names = [rule.name for rule in manifests.rules()]
    assert len(names) == len(set(names))
    asked = " ".join(rule.expression for rule in manifests.rules()) + str(manifests.dashboard())
    for name in manifests.recorded():
        assert len(re.findall(rf"{re.escape(name)}\b", asked)) >= 1, name


@pytest.mark.parametrize("name", SAME)
def test_limits_are_those_of_the_watch(name: str) -> None:
    """Limit, least rows and how long it must hold are the default rule's of `brakeline watch`."""
    alert = ALERTS[name]
    assert promql.comparisons(alert.expression) == [(">=", SAME[name]), (">=", float(WATCH.rows))]
    assert alert.for_s == WATCH.for_s


def test_drift_is_judged_in_the_watchs_window() -> None:
    """What the drift rules count is counted over the watch's window; only what is handed on looks back longer."""
    for rule in manifests.rules():
        if rule.group == "brakeline-drift":
            handed_on = f"last_over_time({rule.name}[1h])" in rule.expression
            counted = rule.windows - ({"1h"} if handed_on else set())
            assert {parse_duration(window).total_seconds() for window in counted} <= {WATCH.window_s}, rule.name


def test_every_alert_of_drift_asks_for_enough_rows() -> None:
    """An alert on a share or a mean of a window's rows is silent below the watch's least number of rows."""
    for name in ("BrakelineMarginLost", "BrakelineShadowDiffers", *SAME):
        assert (">=", float(WATCH.rows)) in promql.comparisons(ALERTS[name].expression), name


def test_the_shadow_is_held_to_what_deploy_asks_of_it() -> None:
    """Half a metre is the deployment's own default for a shadow, and an edge of the server's histogram."""
    within_m = inspect.signature(apply).parameters["within_m"].default
    rule = manifests.recorded()["brakeline:shadow_difference:apart_share_window"]
    assert set(re.findall(r'le="(-?[\d.]+)"', rule.expression)) == {f"{within_m}", f"-{within_m}"}

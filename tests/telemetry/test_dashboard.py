"""The dashboard as Grafana reads it: no data source of its own, each panel in its place, with unit and words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.telemetry import dashboard, manifests, promql

DASHBOARD = manifests.dashboard()
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
ROWS = (
    *("Is it up and fast", "Errors", "What is served, and how old it is", "Inputs' drift", "Metres"),
    "Pipeline runs and feedback",
)
# Of Grafana's packages/grafana-data/src/valueFormats/categories.ts.
UNITS = {"none", "s", "h", "reqps", "cps", "percentunit", "lengthm"}
BUILT_IN = {"__rate_interval", "__all"}


def named(panel: dict[str, Any]) -> str:
    return str(panel["title"])


def test_no_data_source_is_fixed() -> None:
    """Panels, queries and variables ask the source that the reader chooses; nothing of one installation is in it."""
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    sources = [panel["datasource"] for panel in dashboard.panels()]
    sources += [target["datasource"] for panel in dashboard.panels() for target in panel["targets"]]
    sources += [variable["datasource"] for variable in variables.values() if variable["type"] == "query"]
    assert all(source == SOURCE for source in sources)
    asked = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) - BUILT_IN
    assert asked == variables.keys()
    assert "id" not in DASHBOARD
    assert "http" not in json.dumps(DASHBOARD)


def test_rows_are_in_the_order_of_what_one_asks_first() -> None:
    """Up and fast, errors, what is served, inputs, metres, runs."""
    assert tuple(named(panel) for panel in DASHBOARD["panels"] if panel["type"] == "row") == ROWS


def test_panels_neither_overlap_nor_leave_the_page() -> None:
    """Each has an id and a place of its own on 24 columns."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, named(panel)
        taken |= cells


@pytest.mark.parametrize("panel", dashboard.panels(), ids=named)
def test_a_panel_has_its_unit_and_its_words(panel: dict[str, Any]) -> None:
    """A unit that Grafana knows, a description, a legend for each series of several; titles are used once."""
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["description"].endswith(".")
    assert [named(other) for other in dashboard.panels()].count(named(panel)) == 1
    for target in panel["targets"]:
        by = re.search(r"^\w+ by \(([^)]*)\)", target["expr"])
        assert not by or panel["type"] != "timeseries" or "{{" in target["legendFormat"]


@pytest.mark.parametrize("panel", dashboard.panels(), ids=named)
def test_a_line_drawn_is_the_alerts_limit(panel: dict[str, Any]) -> None:
    """Where a panel draws a limit, some alert has that very number."""
    steps = panel["fieldConfig"]["defaults"].get("thresholds", {}).get("steps", [])
    limits = {number for rule in manifests.alerts().values() for _, number in promql.comparisons(rule.expression)}
    for step in steps[1:]:
        # How many servers there should be at least is no alert's number, nor is how many may fire.
        assert panel["type"] == "stat" or any(step["value"] == pytest.approx(limit) for limit in limits), named(panel)

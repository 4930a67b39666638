"""The dashboard's queries, rendered as Grafana would: with its variables filled in."""

from __future__ import annotations

from typing import Any

from tests.telemetry import manifests

# Grafana's own, at a scrape every 30 s, and the dashboard's variables.
VARIABLES = {"$__rate_interval": "2m", "$namespace": "distance-prediction", "$version": ".+"}


def panels() -> list[dict[str, Any]]:
    """Every panel that is no row's title."""
    return [panel for panel in manifests.dashboard()["panels"] if panel["type"] != "row"]


def queries(**changed: str) -> dict[str, str]:
    """Each query by its panel and letter; `changed` replaces variables by name without the dollar sign."""
    values = VARIABLES | {f"${name}": value for name, value in changed.items()}
    found = {}
    for panel in panels():
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in values.items():
                expression = expression.replace(name, value)
            found[f"{panel['title']} {target['refId']}"] = expression
    return found

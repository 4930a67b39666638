"""A real Prometheus, asked by its HTTP API."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Prometheus:
    """Where one answers."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression comes to now, a series each. Raises OSError."""
        return list(self._get("query", query=expression)["result"])

    def numbers(self, expression: str) -> list[float]:
        """The values alone, without those that are no number."""
        values = [float(series["value"][1]) for series in self.query(expression)]
        return [value for value in values if not math.isnan(value)]

    def alerts(self, state: str) -> dict[str, list[dict[str, str]]]:
        """The alerts in a state, `pending` or `firing`: by name, the labels of each."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("alerts")["alerts"]:
            if alert["state"] == state:
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def rules(self) -> list[dict[str, Any]]:
        """The rules that it judges, in their order."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def _get(self, what: str, **asked: str) -> Any:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success", told
        return told["data"]

"""The rules and the dashboard as the manifests have them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from promql_parser import parse_duration

from tests.conftest import HOUSE

ROOM = HOUSE / "manifests" / "base" / "monitoring"
RUNBOOK = HOUSE / "docs" / "runbook.md"
# The server's rules, and those whose sources only a cluster has.
FILES = ("rules.yaml", "pipelines.yaml", "platform.yaml")


@dataclass(frozen=True)
class Rule:
    """A rule of a PrometheusRule: recorded under a name, or an alert."""

    file: str
    group: str
    name: str
    is_alert: bool
    expression: str
    for_text: str
    severity: str
    annotations: dict[str, str]

    @property
    def for_s(self) -> float:
        """How long an alert's condition must hold [s]."""
        return parse_duration(self.for_text).total_seconds() if self.for_text else 0.0

    @property
    def windows(self) -> set[str]:
        """The ranges that the expression looks back over, as written."""
        return set(re.findall(r"\[(\w+)\]", self.expression))


def objects(file: str) -> list[dict[str, Any]]:
    """The objects of one of the room's files."""
    return list(yaml.safe_load_all((ROOM / file).read_text()))


@cache
def rules() -> tuple[Rule, ...]:
    """All rules in the order in which they are evaluated."""
    found = []
    for file in FILES:
        for manifest in objects(file):
            if manifest["kind"] == "PrometheusRule":
                for group in manifest["spec"]["groups"]:
                    found += [_rule(file, group["name"], content) for content in group["rules"]]
    return tuple(found)


def alerts() -> dict[str, Rule]:
    """The alerts by name."""
    return {rule.name: rule for rule in rules() if rule.is_alert}


def recorded() -> dict[str, Rule]:
    """The recording rules by name."""
    return {rule.name: rule for rule in rules() if not rule.is_alert}


def monitor(name: str) -> dict[str, Any]:
    """A ServiceMonitor's one endpoint."""
    (found,) = [
        manifest
        for file in ("servicemonitor.yaml", "pipelines.yaml")
        for manifest in objects(file)
        if manifest["kind"] == "ServiceMonitor" and manifest["metadata"]["name"] == name
    ]
    (endpoint,) = found["spec"]["endpoints"]
    return dict(endpoint)


@cache
def dashboard() -> dict[str, Any]:
    """The dashboard."""
    return dict(json.loads((ROOM / "dashboard.json").read_text()))


def _rule(file: str, group: str, content: dict[str, Any]) -> Rule:
    known = {"record", "alert", "expr", "for", "labels", "annotations"}
    assert content.keys() <= known, content.keys() - known
    name = content.get("alert") or content["record"]
    severity = content.get("labels", {}).get("severity", "")
    return Rule(
        file,
        group,
        name,
        "alert" in content,
        content["expr"],
        content.get("for", ""),
        severity,
        content.get("annotations", {}),
    )

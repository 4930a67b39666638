"""Prometheus' rules out of the manifests' PrometheusRule: the same expressions, and if need be shorter times.

`faster` divides every window, offset and waiting time, so that a test of minutes sees what takes hours. It changes
nothing else: limits, least rows and expressions are those of the cluster.
"""

import re
from typing import Any

import yaml

_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = r"(?:\d+(?:ms|[smhdw]))+"
# A range in brackets, which no other expression of ours has, and an offset.
_IN_EXPRESSION = re.compile(rf"(?<=\[){_DURATION}(?=\])|(?<=\boffset ){_DURATION}")


def rules(manifest: str, faster: float) -> dict[str, Any]:
    """A file of rules of all PrometheusRules in a YAML text. Raises ValueError where there is none."""
    groups = []
    for content in yaml.safe_load_all(manifest):
        if content and content.get("kind") == "PrometheusRule":
            groups += [_group(group, faster) for group in content["spec"]["groups"]]
    if not groups:
        raise ValueError("found no PrometheusRule, allowed YAML with one at least")
    return {"groups": groups}


def shorter(duration: str, faster: float) -> str:
    """A Prometheus duration divided by `faster`, in whole milliseconds unless it stays as it is."""
    if faster == 1:
        return duration
    total = sum(int(number) * _MS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdw])", duration))
    return f"{max(round(total / faster), 1)}ms"


def _group(group: dict[str, Any], faster: float) -> dict[str, Any]:
    made = {**group, "rules": [_rule(rule, faster) for rule in group["rules"]]}
    if "interval" in group:
        made["interval"] = shorter(group["interval"], faster)
    return made


def _rule(rule: dict[str, Any], faster: float) -> dict[str, Any]:
    made = {**rule, "expr": _IN_EXPRESSION.sub(lambda found: shorter(found[0], faster), rule["expr"])}
    if "for" in rule:
        made["for"] = shorter(rule["for"], faster)
    return made

"""Prometheus' own test of rules, run on series that a test writes."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.conftest import HOUSE
from tests.telemetry import manifests

STEP_S = 30  # as rules are evaluated, and metrics read
EXTRACTION = HOUSE / "steps" / "base" / "stores" / "brakeline_stores" / "rules.py"


@dataclass(frozen=True)
class Alert:
    """An alert that fires, as Alertmanager would get it."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass
class Scene:
    """Series from time 0 on, a value at each step in promtool's notation, and what is to hold at which time."""

    name: str
    series: Mapping[str, str]
    firing: list[tuple[float, str, list[Alert]]] = field(default_factory=list)  # at [s], the alert's name, who fires
    true: list[tuple[float, str]] = field(default_factory=list)  # at [s], an expression whose one value must be 1
    step_s: int = STEP_S  # between two values

    def content(self) -> dict[str, Any]:
        """As promtool's file of tests has it."""
        return {
            "interval": f"{self.step_s}s",
            "name": self.name,
            "input_series": [{"series": name, "values": values} for name, values in self.series.items()],
            "alert_rule_test": [
                {
                    "eval_time": f"{at:g}s",
                    "alertname": name,
                    "exp_alerts": [
                        {"exp_labels": dict(each.labels), "exp_annotations": dict(each.annotations)} for each in alerts
                    ],
                }
                for at, name, alerts in self.firing
            ],
            "promql_expr_test": [
                {"expr": expression, "eval_time": f"{at:g}s", "exp_samples": [{"labels": "{}", "value": 1}]}
                for at, expression in self.true
            ],
        }


def program() -> str:
    """promtool, or a skip."""
    found = shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not installed: apt-get install prometheus brings it")
    return found


def extraction() -> ModuleType:
    """The program that makes Prometheus' rules of a PrometheusRule in compose's image."""
    spec = importlib.util.spec_from_file_location("extraction", EXTRACTION)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(folder: Path, scenes: Sequence[Scene], *names: str) -> None:
    """Hold the rules of some files, or of all, to what the scenes say; fails with promtool's words."""
    tool, files = program(), []
    for name in names or manifests.FILES:
        rules = extraction().rules((manifests.ROOM / name).read_text(), 1.0)
        file = folder / name
        file.write_text(yaml.safe_dump(rules))
        files.append(str(file))
    tests = folder / "tests.yaml"
    content = {
        "rule_files": files,
        "evaluation_interval": f"{scenes[0].step_s}s",
        "tests": [scene.content() for scene in scenes],
    }
    tests.write_text(yaml.safe_dump(content, sort_keys=False))
    done = subprocess.run([tool, "test", "rules", str(tests)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

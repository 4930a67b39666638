"""Each alert fires on series made for it, at the very step, and stays quiet on healthy ones and at its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.telemetry import healthy, manifests, promtool
from tests.telemetry.cases import SERVING, Case
from tests.telemetry.cases_beyond import CLUSTER
from tests.telemetry.cases_drift import DRIFT
from tests.telemetry.promtool import STEP_S, Alert, Scene

CASES = (*SERVING, *DRIFT, *CLUSTER)


def _never(end_s: float, alerts: str = "") -> tuple[float, str]:
    """At the end: none of these alerts has fired at any step."""
    return end_s, f'vector(1) unless on () max_over_time(ALERTS{{alertstate="firing",{alerts}}}[{end_s:g}s])'


def test_nothing_fires_where_all_is_well(tmp_path: Path) -> None:
    """On the healthy series no alert fires at any moment."""
    promtool.check(tmp_path, [Scene("healthy", healthy.SERIES, true=[_never(STEP_S * healthy.STEPS)])])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_at_its_step_and_alone(case: Case, tmp_path: Path) -> None:
    """Not a step before, then with its labels and words; no other alert does, but for those that must."""
    rule = manifests.alerts()[case.alert]
    told = Alert({**case.labels, "severity": rule.severity}, {**rule.annotations, "description": case.says})
    firing = [(case.first_s - case.step_s, case.alert, []), (case.first_s, case.alert, [told])]
    true = [_never(case.end_s, f'alertname!~"{"|".join({case.alert, *case.beside})}"')]
    if case.over_s is not None:
        fires = f'ALERTS{{alertname="{case.alert}",alertstate="firing"}}'
        true.append((case.over_s - case.step_s, f"count({fires}) == bool 1"))
        true.append((case.over_s, f"vector(1) unless on () {fires}"))
    scene = Scene("fires", healthy.but(case.fires), firing, true, case.step_s)
    promtool.check(tmp_path, [scene], rule.file)


QUIET = [(case, name) for case in CASES for name in case.quiet]


@pytest.mark.parametrize(("case", "name"), QUIET, ids=lambda part: part if isinstance(part, str) else part.alert)
def test_an_alert_is_quiet_at_its_limit(case: Case, name: str, tmp_path: Path) -> None:
    """At the limit itself, and for less than the time that it must hold, it never fires."""
    never = _never(case.end_s, f'alertname="{case.alert}"')
    scene = Scene(name, healthy.but(case.quiet[name]), true=[never], step_s=case.step_s)
    promtool.check(tmp_path, [scene], manifests.alerts()[case.alert].file)


def test_there_is_a_case_for_every_alert() -> None:
    """Each alert has a case that fires and one that just does not."""
    assert {case.alert for case in CASES} == manifests.alerts().keys()
    for name in manifests.alerts():
        assert any(case.quiet for case in CASES if case.alert == name), name

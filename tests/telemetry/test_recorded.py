"""What is recorded is what it is called: the windows' index is the watch's own, and what was new is handed on."""

from __future__ import annotations

from pathlib import Path

import pytest
from brakeline import drift

from tests.telemetry import healthy, promtool
from tests.telemetry.cases_drift import TRAINING, then
from tests.telemetry.healthy import NAMESPACE, OTHER, ROWS, SERVER, STEPS, feature, info, training
from tests.telemetry.promtool import Scene

HERE = f'{{namespace="{NAMESPACE}",job="stopping-distance",version="3"'
NEW = f'brakeline:bound_spread:new_metres{HERE},sha256="sha-3"}}'


def close(expression: str, value: float) -> str:
    """That it is the value, but for the last digits."""
    return f"sum(abs({expression} - {value!r})) < bool 1e-9"


@pytest.mark.parametrize(
    ("shares", "seen", "missing"),
    [
        (TRAINING, (150, 90, 60), 0),
        (TRAINING, (60, 90, 150), 0),
        (TRAINING, (0, 0, 300), 0),
        (TRAINING, (100, 60, 40), 100),
        ((0.4, 0.3, 0.2), (150, 90, 60), 0),
        ((0.4, 0.3, 0.2), (100, 100, 70), 30),
        ((0.0, 0.7, 0.3), (30, 200, 70), 0),
    ],
    ids=["as trained", "shifted", "one bin", "missing", "missing in training", "missing in both", "empty in training"],
)
def test_the_index_of_a_window_is_that_of_the_watch(
    shares: tuple[float, ...], seen: tuple[float, ...], missing: float, tmp_path: Path
) -> None:
    """The recorded index is `drift.stability` of the same counts, whatever lies in or beside the bins."""
    index = drift.stability((*shares, 1 - sum(shares)), (*seen, missing))
    series = healthy.but({**training(shares), **feature(seen, missing)})
    told = close(f'brakeline:feature:psi_window{HERE},feature="f"}}', index)
    promtool.check(tmp_path, [Scene("index", series, true=[(600, told)])], "rules.yaml")


def test_servers_are_added_up_before_they_are_judged(tmp_path: Path) -> None:
    """Two pods that see half of the traffic each have one index together, that of all rows."""
    one, two = (ROWS * 0.9, ROWS * 0.1, 0.0), (0.0, 0.0, ROWS * 1.0)
    other = {name.replace(SERVER, OTHER): values for name, values in {**feature(two), **training(TRAINING)}.items()}
    index = drift.stability((*TRAINING, 0.0), (ROWS * 0.9, ROWS * 0.1, ROWS * 1.0, 0.0))
    told = close(f'brakeline:feature:psi_window{HERE},feature="f"}}', index)
    scene = Scene("two", healthy.but({**feature(one), **other}), true=[(600, told)])
    promtool.check(tmp_path, [scene], "rules.yaml")


def test_a_window_tells_of_its_rows_alone(tmp_path: Path) -> None:
    """After a long good time the index is that of the last five minutes, and not of all that was counted."""
    good, bad = feature((150, 90, 60)), feature((60, 90, 150))
    series = {name: _then(values, bad[name]) for name, values in good.items()}
    index = drift.stability((*TRAINING, 0.0), (60, 90, 150, 0))
    told = close(f'brakeline:feature:psi_window{HERE},feature="f"}}', index)
    promtool.check(tmp_path, [Scene("window", healthy.but(series), true=[(60 * 30, told)])], "rules.yaml")


def test_what_was_new_is_handed_on(tmp_path: Path) -> None:
    """The first window of enough rows stays the measure: while the spread grows, and over half an hour's gap."""
    gap = {info("3", "primary"): f"1x40 stale _x59 1x{STEPS}", info("3", "primary", OTHER): None}
    for name, changed in (("it grows", {}), ("a gap", gap)):
        series = healthy.but({**then("brakeline_bound_spread_metres_sum", 10 * ROWS, 30 * ROWS), **changed})
        promtool.check(tmp_path, [Scene(name, series, true=[(4500, close(NEW, 10.0))])], "rules.yaml")


def test_after_a_long_absence_the_model_is_new_again(tmp_path: Path) -> None:
    """Not served for more than an hour: what it is measured by is taken anew."""
    gap = {info("3", "primary"): f"1x40 stale _x125 1x{STEPS}", info("3", "primary", OTHER): None}
    series = healthy.but({**then("brakeline_bound_spread_metres_sum", 10 * ROWS, 30 * ROWS), **gap})
    promtool.check(tmp_path, [Scene("gap", series, true=[(5700, close(NEW, 30.0))])], "rules.yaml")


def test_without_rows_there_is_no_index(tmp_path: Path) -> None:
    """Nothing is recorded where nothing was counted."""
    nothing = f'vector(1) unless on () brakeline:feature:psi_window{HERE},feature="f"}}'
    scene = Scene("none", healthy.but(feature((0, 0, 0))), true=[(600, nothing)])
    promtool.check(tmp_path, [scene], "rules.yaml")


def _then(before: str, after: str) -> str:
    """Forty minutes of one counter, then the growth of the other."""
    first, second = (float(text.partition("+")[2].partition("x")[0]) for text in (before, after))
    return f"0+{first:g}x40 {first * 40 + second:g}+{second:g}x{STEPS - 41}"

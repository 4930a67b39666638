"""What the dossier's parts show is what was found: gates by subject, scales, and the stories of runs."""

import math

import numpy as np
import pytest
from brakeline_validate import gates
from brakeline_validate.dossier import axes, films, strips, subjects
from brakeline_validate.dossier.strips import Scale
from brakeline_validate.gates import Gate, Judged
from brakeline_validate.loop.outcome import Trace


def judged(**values: float) -> list[Judged]:
    return [Judged(Gate(name, 1.0, "share", "because", "people"), value) for name, value in values.items()]


def test_every_gate_has_one_subject() -> None:
    """No gate of the table is left to the others, and none is in two places."""
    names = [gate.name for gate in (gates.CONTRACT, *gates.TABLE)]
    assert [name for name in names if subjects.subject(name) == subjects.OTHERS] == []
    listed = [name for within in subjects.SUBJECTS.values() for name in within]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) <= set(names)


def test_failed_gates_come_first_and_every_gate_once() -> None:
    """The subject of a failed gate says how many of its gates passed."""
    table = [Judged(gate, math.nan if gate.name == "size" else 0.0) for gate in gates.TABLE]
    found = subjects.groups(table)
    assert [row.judged.gate.name for row in found[0].rows] == ["size"]
    assert found[0].name == subjects.FAILED
    assert sorted(row.judged.gate.name for group in found for row in group.rows) == sorted(g.name for g in gates.TABLE)
    (cost,) = (group for group in found if group.name == "Cost")
    assert (len(cost.rows), cost.of) == (3, 4)


def test_a_gate_that_nobody_sorted_is_shown_all_the_same() -> None:
    """A new gate stands under the others, and has no explanation but its reason."""
    (group,) = subjects.groups(judged(new=0.5))
    assert group.name == subjects.OTHERS
    assert group.rows[0].explanation is None
    assert (group.rows[0].found, group.rows[0].allowed) == ("50 %", "100 %")


@pytest.mark.parametrize("value", [1.0004, 1.0 + 1e-9])
def test_what_is_just_above_its_limit_does_not_read_as_on_it(value: float) -> None:
    """A failed gate's figure has as many digits as it takes."""
    (group,) = subjects.groups(judged(close=value))
    assert group.name == subjects.FAILED
    assert group.rows[0].found != group.rows[0].allowed


@pytest.mark.parametrize(
    ("value", "told"),
    [(0.0, "0"), (0.01234, "0.0123"), (1.8, "1.8"), (8e6, "8,000,000"), (1.8e-6, "1.8 × 10⁻⁶"), (-2.5, "-2.5"),
     (float("nan"), "no figure"), (float("inf"), "without bound")],
)  # fmt: skip
def test_a_figure_is_readable_at_any_size(value: float, told: str) -> None:
    """Neither 1.8e-06 nor nan."""
    assert subjects.figure(value) == told


def test_a_scale_has_room_for_all_and_ends_round() -> None:
    """What is no number has no place, what lies beyond stands at the end."""
    scale = Scale.over([0.031, None, 0.013, float("nan")])
    assert scale.most == pytest.approx(0.04)
    assert [tick.label for tick in scale.ticks()] == ["0", "1", "2", "3", "4"]
    assert scale.at(0.01) == 25.0
    assert scale.at(0.05) == 100.0
    assert scale.at(float("nan")) is None
    assert scale.at(None) is None


def test_a_scale_of_nothing_is_still_one() -> None:
    """No hits in any scenario divide by nothing."""
    assert Scale.over([0.0, None]).at(0.0) == 0.0
    assert strips.around(1.0, [float("nan")]).at(1.0) == pytest.approx(50.0, abs=50.0)


@pytest.mark.parametrize(
    ("about", "step"), [(0.9, 1.0), (1.0, 1.0), (1.1, 2.0), (3.0, 5.0), (70.0, 100.0), (0.03, 0.05)]
)
def test_steps_are_round(about: float, step: float) -> None:
    """1, 2 or 5 times a power of ten, never smaller than asked."""
    assert axes.round_step(about) == pytest.approx(step)


def test_nothing_is_drawn_of_no_numbers() -> None:
    """A path of nothing is empty: a browser takes a lone closing for an error."""
    axis = axes.Axis(0.0, 1.0, 0.0, 100.0)
    assert axes.band(axis, axis, [0.0, 1.0], [math.nan] * 2, [math.inf] * 2) == ""
    assert axes.band(axis, axis, [0.0, 1.0], [0.0, 0.0], [1.0, 1.0]) == "M0.0,0.0L100.0,0.0L100.0,100.0L0.0,100.0Z"


def trace(**instead: object) -> Trace:
    """From 20 m/s and 40 m away, without braking: contact after 2 s."""
    cycles = 40
    gap = np.full(60, np.nan, dtype=np.float32)
    gap[:cycles] = 40.0 - 20.0 * 0.05 * np.arange(cycles)
    speed = np.where(np.isfinite(gap), 20.0, np.nan).astype(np.float32)
    settings = {"warned_s": 0.5, "braked_s": float("nan"), "impact_mps": 20.0} | instead
    return Trace("Any", "any row", speed, gap, np.where(np.isfinite(gap), 0.0, np.nan).astype(np.float32), **settings)  # type: ignore[arg-type]


def test_a_film_tells_what_happened_when() -> None:
    """40 m at 20 m/s are 2 s; the warning after half a second is 30 m away, a quarter of the way."""
    film = films.film(trace())
    assert [frame.kind for frame in film.frames] == ["begin", "warning", "contact"]
    assert [frame.told for frame in film.frames] == [
        "0.00 s, 40.0 m, 72 km/h",
        "0.50 s, 30.0 m, 72 km/h",
        "2.00 s, 0.0 m, 72 km/h",
    ]
    assert [frame.at for frame in film.frames] == [0.0, 25.0, 100.0]
    assert (
        film.story
        == "The car comes with 72 km/h. It only warns. It hits after 2.00 s, 72 km/h faster than what is ahead."
    )
    assert [mark.label for mark in film.figure.marks] == ["warning 0.50 s", "contact 2.00 s"]
    (first, *_) = film.figure.panels
    at = [float(point.split(",")[0]) for point in first.shapes[0].path.lstrip("M").split("L")]
    assert len(at) == 40
    assert at == sorted(at)


def test_a_run_without_contact_tells_its_least_gap() -> None:
    """Braked at once with the warning, and never nearer than what the gap shows."""
    film = films.film(trace(braked_s=0.5, impact_mps=0.0))
    assert (
        film.story
        == "The car comes with 72 km/h. It warns after 0.50 s, and asks the brakes at once. The least gap is 1.00 m."
    )
    assert [frame.kind for frame in film.frames][-1] == "end"

"""Beside the noise floor and under faults: the figures are right, and who cheats, lags or breaks is refused."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from brakeline_synthesize import faults as synthesized
from brakeline_validate import examine, faults, gates, limit, metrics
from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate
from brakeline_validate.examine import Holdout
from brakeline_validate.limit import Floor
from brakeline_validate.roads import RoadShare
from stepkit import tables
from stepkit.errors import ContractViolation, UnreadableArtifact

from tests.conftest import Chain

Answers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def known(good: Chain) -> tuple[Holdout, Floor, Answers]:
    """Holdout, its floor, and answers that are the floor's own on its rows."""
    holdout = Holdout.read(good.holdout)
    floor = Floor.read(good.floor, holdout.distance_m)
    ideal = {MEDIAN: holdout.distance_m.copy(), UPPER: holdout.distance_m.copy()}
    ideal[MEDIAN][floor.row], ideal[UPPER][floor.row] = floor.median_m, floor.upper_m
    return holdout, floor, ideal


def beside(known: tuple[Holdout, Floor, Answers], answers: Answers) -> limit.Beside:
    holdout, floor, _ = known
    return limit.beside(floor, holdout.distance_m, answers, holdout.truths["surface"])["all"]


def test_the_best_possible_answers_have_efficiency_one(known: tuple[Holdout, Floor, Answers]) -> None:
    """The floor beside itself: efficiency and width are 1, the interval is a point."""
    found = beside(known, known[2])
    assert found.efficiency == found.efficiency_low == found.efficiency_high == found.width_ratio == 1.0
    assert found.relative_efficiency == found.relative_efficiency_high == 1.0
    assert found.model_missed_share == found.limit_missed_share


def test_who_has_seen_the_answers_is_better_than_possible(known: tuple[Holdout, Floor, Answers]) -> None:
    """A tenth of the truth mixed into the best answers shows: the whole interval lies above 1."""
    holdout, _, ideal = known
    leaked = ideal | {MEDIAN: 0.9 * ideal[MEDIAN] + 0.1 * holdout.distance_m}
    found = beside(known, leaked)
    assert found.efficiency_low > 1.0
    assert examine._against_limit(found).values["better than possible"] > 0.0


def test_who_lags_is_behind_the_limit(known: tuple[Holdout, Floor, Answers]) -> None:
    """A fifth too short everywhere is surely behind."""
    found = beside(known, known[2] | {MEDIAN: 0.8 * known[2][MEDIAN]})
    assert found.efficiency_high < 1.0
    assert examine._against_limit(found).values["behind the limit"] > 0.05


def test_who_is_clumsy_where_stops_are_short_is_behind_too(known: tuple[Holdout, Floor, Answers]) -> None:
    """Short stops a half too long: hardly any metres, but surely a larger share of the distance."""
    _, floor, ideal = known
    short = ideal[MEDIAN] < np.quantile(floor.median_m, 0.2)
    found = beside(known, ideal | {MEDIAN: np.where(short, 1.5, 1.0) * ideal[MEDIAN]})
    assert found.relative_efficiency < found.efficiency - 0.1
    assert examine._against_limit(found).values["behind the limit, relative"] > 0.05


def test_the_good_model_stands_beside_the_limit(good: Chain) -> None:
    """The verdict has the figures of all rows and of each surface, and no model beats the floor beyond its interval."""
    found = json.loads(good.verdict.read_text())["beside_limit"]
    assert found.keys() == {"all", "dry", "wet", "snow", "ice"}
    assert found["all"]["efficiency"] > 0.85
    assert found["all"]["efficiency_low"] <= 1.0


def test_a_floor_of_another_holdout_is_refused(good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """Its rows have other distances; a floor that is not there is unreadable."""
    with pytest.raises(ContractViolation, match="those of the holdout"):
        Floor.read(tiny.floor, Holdout.read(good.holdout).distance_m)
    with pytest.raises(UnreadableArtifact, match="floor"):
        Floor.read(tmp_path, np.zeros(3))
    tmp_path.joinpath(limit.ROWS_FILE).write_bytes(b"PAR1 and nothing")
    with pytest.raises(UnreadableArtifact, match="floor"):
        Floor.read(tmp_path, np.zeros(3))


@pytest.mark.parametrize("rows", ["5 of them", "all but one", "one of them 500 times"])
def test_a_floor_of_few_rows_shows_nothing(
    rows: str, good: Chain, known: tuple[Holdout, Floor, Answers], tmp_path: Path
) -> None:
    """An interval of hardly any rows holds 1 whatever the model: the three gates fail the best one, and say why."""
    table = pl.read_parquet(good.floor / limit.ROWS_FILE)
    kept = {"5 of them": table[:5], "all but one": table[1:], "one of them 500 times": table[[7] * 500]}[rows]
    kept.write_parquet(tmp_path / limit.ROWS_FILE)
    holdout, _, ideal = known
    figures = examine._against_limit(beside((holdout, Floor.read(tmp_path, holdout.distance_m), ideal), ideal))
    assert figures.values.keys() == {"behind the limit", "behind the limit, relative", "better than possible"}
    assert np.isnan(list(figures.values.values())).all()
    for judged in gates.judge(figures.values, figures.notes):
        if judged.gate.name in figures.values:
            assert not judged.passed
            assert judged.note == f"the floor has {kept['row'].n_unique()} rows, and 500 are needed"


def test_a_place_that_is_there_twice_counts_once(good: Chain, tmp_path: Path) -> None:
    """Whoever repeats rows in which a model shines gains nothing: the floor is as if each were there once."""
    table, distance = pl.read_parquet(good.floor / limit.ROWS_FILE), Holdout.read(good.holdout).distance_m
    pl.concat([table, table[[3] * 9_000]]).write_parquet(tmp_path / limit.ROWS_FILE)
    twice, once = Floor.read(tmp_path, distance), Floor.read(good.floor, distance)
    for one, other in zip(vars(once).values(), vars(twice).values(), strict=True):
        assert np.array_equal(one, other)


def test_the_gate_knows_every_fault_of_the_catalogue() -> None:
    """Its names are synthesize's, in their order, and each limit is of one of them."""
    assert faults.CATALOGUE == synthesized.NAMES
    assert faults.LIMITS.keys() <= set(faults.CATALOGUE)


@pytest.mark.parametrize("gone", ["friction_stuck", "every fault"])
def test_a_fault_that_was_not_shown_is_beyond_its_limit(gone: str, good: Chain, tmp_path: Path) -> None:
    """Faulty drives without one fault, and moments before any alone, do not pass: the note names what is not there."""
    table, contract = tables.read_table(good.faulty)
    kept = table.filter(pl.col("fault") == "none" if gone == "every fault" else pl.col("fault") != gone)
    (tmp_path / "faulty").mkdir()
    tables.write_part(tmp_path / "faulty" / "part-000000.parquet", kept, contract)
    holdout = Holdout.read(good.holdout).first(20_000)
    judged = examine.examine(Candidate.load(good.model), None, holdout, None, tmp_path / "faulty").judged
    (found,) = (each for each in judged if each.gate.name == "faults beyond their limit")
    missing = faults.CATALOGUE if gone == "every fault" else (gone,)
    assert not found.passed
    assert found.value == len(missing)
    assert found.note.partition("; ")[0] == ", ".join(f"{name} (no rows)" for name in missing)


def test_every_fault_of_the_catalogue_has_a_row(good: Chain) -> None:
    """In verdict and dossier, with error, coverage and limit."""
    found = json.loads(good.verdict.read_text())["under_fault"]
    in_data = set(pl.read_parquet(good.faulty / "*.parquet")["fault"])
    assert found.keys() == in_data
    assert set(faults.LIMITS) <= in_data
    page = good.dossier.read_text()
    for name in in_data:
        assert f'<td class="name">{name.replace("_", " ")}</td>' in page, name


def test_surfaces_of_few_rows_are_named(good: Chain) -> None:
    """The note says how much a surface usually weighs and of how many faults it is left out; the dossier, of which."""
    table = pl.read_parquet(good.faulty / "*.parquet").filter(pl.col("fault") != "none")
    icy = {str(name): int((of["surface"] == "ice").sum()) for (name,), of in table.group_by("fault")}
    few = [name for name, rows in icy.items() if rows < 30]
    assert 0 < len(few) < len(icy)
    judged = {gate["name"]: gate for gate in json.loads(good.verdict.read_text())["gates"]}
    told = f"ice, 5 % of usual roads, is left out of {len(few)} of {len(icy)} faults for too few rows"
    assert judged["faults beyond their limit"]["note"] == told
    page = good.dossier.read_text()
    for name in icy:
        row = page.rpartition(f'<td class="name">{name.replace("_", " ")}</td>')[2].partition("</tr>")[0]
        assert row.endswith(f'<td data-label="left out">{"ice" if name in few else ""}</td>'), name


def test_a_bound_that_forgets_a_fault_is_beyond_its_limit(good: Chain) -> None:
    """With bounds cut by 15 %, faults are beyond their limits; with the model's own none is."""

    class Cut(Candidate):
        def ask(
            self, inputs: np.ndarray, names: Sequence[str] = (MEDIAN, UPPER, FLAG), at_once: int = 1_000
        ) -> Answers:
            answers = super().ask(inputs, names, at_once)
            return answers | {UPPER: 0.85 * answers[UPPER]}

    model = Candidate.load(good.model)
    assert faults.beyond(faults.examine(model, good.faulty)) == []
    assert len(faults.beyond(faults.examine(Cut(**vars(model)), good.faulty))) > 5


@pytest.mark.parametrize(("rows", "low", "beyond"), [
    (500, 0.02, False), (500, 0.0201, True), (500, float("nan"), True), (99, 0.0, True),
])  # fmt: skip
def test_a_fault_is_held_to_its_limit_and_fails_closed(rows: int, low: float, beyond: bool) -> None:
    """By the low end of its interval; a share that is no number, or of hardly any rows, is beyond."""
    score = metrics.Score(rows, 1.0, 0.1, 0.0, 0.0, 1.5)
    assert faults.UnderFault(score, RoadShare(rows, 0.03, low, 0.05), 0.0, faults.OTHER_LIMIT).is_beyond == beyond


def test_a_fault_hurts_what_it_should(good: Chain) -> None:
    """A stuck speed misleads more than a lost rain sensor; moments before any fault are as good as any."""
    found = json.loads(good.verdict.read_text())["under_fault"]
    assert found["speed_stuck"]["missed_share"] > 5 * found["rain_dropout"]["missed_share"]
    assert found["none"]["missed_share"] < 0.02

"""Measured stops joined to a log that a real server wrote: the figures, and the data for the next training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from brakeline import coverage
from brakeline_synthesize import recorded
from brakeline_validate import intervals, slices
from stepkit import contract as data_contract

from tests.conftest import Chain, Done, command
from tests.loop import traffic
from tests.loop.conftest import SINGLES, Log


def feedback(file: Path, log: Path, state: Path, *more: object) -> Done:
    return command("brakeline", "feedback", file, "--predictions", log, "--state", state, "--json", *more)


def told(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_interval_is_wilsons_and_counts_drives_as_the_dossier_does() -> None:
    """8 of 10 give 49.0 to 94.3 % (Wilson 1927), and grouped rows what validate's own interval says."""
    assert coverage.interval([1] * 10, [1, 1] + [0] * 8) == pytest.approx((0.4902, 0.9433), abs=2e-4)
    rng = np.random.default_rng(0)
    for chance in (0.0, 0.02, 0.4):
        drive = rng.integers(0, 30, 400)
        missed = rng.random(400) < chance * (drive < 10)
        _, number = np.unique(drive, return_inverse=True)
        ours = coverage.interval(np.bincount(number).tolist(), np.bincount(number, weights=missed).tolist())
        theirs = intervals.share(missed, drive.astype(np.int64))
        assert ours == pytest.approx((1 - theirs.high, 1 - theirs.low))


def test_slices_are_those_of_the_dossier() -> None:
    """The cuts by a reading are the gate's, name by name, so that figures can be laid side by side."""
    theirs = {(one.name, one.role, one.low, one.high) for one in slices.OBSERVABLE if not one.missing}
    assert {(one.name, one.role, one.low, one.high) for one in coverage.SLICES} == theirs


def test_coverage_and_margin_are_those_of_the_answers(log: Log, tmp_path: Path) -> None:
    """Overall, by version and by slice: counts, shares and metres against what the clients were told."""
    stops = log.stops()
    found = told(feedback(traffic.stops_file(tmp_path / "stops.csv", stops), log.folder, tmp_path / "state"))
    margin_m = np.array([log.upper_m[id_, row] - measured_m for id_, row, measured_m in stops])
    rows = log.world.rows[[log.row_of[id_, row] for id_, row, _ in stops]]
    expected = {"all": np.ones(len(stops), bool)}
    inputs = rows.select(log.world.names).to_numpy().astype(np.float32)
    contract = data_contract.parse(json.dumps(log.world.contract))
    expected |= {name: chosen for name, chosen in slices.observable(inputs, contract) if chosen.any()}
    by_slice = {one["slice"]: one for one in found["by_slice"]} | {"all": found["overall"]}
    assert expected.keys() <= by_slice.keys() | {"rain sensor missing", "friction missing"}
    for name, chosen in expected.items():
        one = by_slice[name.replace(" sensor", "")]
        assert one["rows"] == chosen.sum(), name
        assert one["missed"] == (margin_m[chosen] < 0).sum(), name
        assert one["worst_m"] == pytest.approx(margin_m[chosen].min(), abs=1e-3), name
        assert one["median_m"] == pytest.approx(np.median(margin_m[chosen]), abs=1e-3), name
    assert found["overall"]["drives"] == SINGLES + 1 + 40
    assert {one["version"]: one["rows"] for one in found["by_version"]} == {"3": 400, "4": 40}
    assert found["counts"]["joined"] == found["counts"]["for_training"] == len(stops) == 440
    kept = json.loads((tmp_path / "state" / "feedback.json").read_text())
    assert kept == found


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_the_recorded_data_are_the_served_rows(log: Log, tmp_path: Path, ending: str) -> None:
    """Assemble's reader takes all of them: features bit for bit, missing ones missing, one drive for a request."""
    file, out = traffic.stops_file(tmp_path / "stops.csv", log.stops()), tmp_path / f"recorded{ending}"
    told(feedback(file, log.folder, tmp_path / "state", "--output", out))
    first = out.read_bytes()
    told(feedback(file, log.folder, tmp_path / "state", "--output", out))
    assert out.read_bytes() == first
    found = recorded.read(out, 0.0).stops
    served = log.world.rows[list(log.row_of.values())]
    for name in (*log.world.names, log.world.contract["target"]["name"]):
        assert found[name].to_numpy().tobytes() == served[name].to_numpy().tobytes() or np.array_equal(
            found[name].to_numpy(), served[name].to_numpy(), equal_nan=True
        ), name
    assert found[log.world.named("friction")].is_nan().any()
    assert found["drive"].n_unique() == SINGLES + 1 + 40
    assert set(found["source"]) == {f"feedback {traffic.NAME} {version}" for version in ("3", "4")}


def test_drives_and_truths_of_the_file_travel_on(log: Log, tmp_path: Path) -> None:
    """A drive of several requests stays one; where the surface was seen, and by whom, is kept."""
    stops = [(id_, measured_m, f"trip {at // 50}", "wet", "track day") for at, (id_, row, measured_m) in
             enumerate(log.stops()) if row == 0]  # fmt: skip
    file = traffic.stops_file(tmp_path / "stops.csv", stops, f"id,{traffic.MEASURED},drive,surface,source")
    out = tmp_path / "recorded.csv"
    found = told(feedback(file, log.folder, tmp_path / "state", "--output", out))
    trips = len({stop[2] for stop in stops})
    assert found["overall"]["drives"] == trips
    kept = recorded.read(out, 0.0).stops
    assert kept["drive"].n_unique() == trips
    assert (set(kept["surface"]), set(kept["source"])) == ({"wet"}, {"track day"})


def test_parquet_is_taken_as_csv_is(log: Log, tmp_path: Path) -> None:
    """The same stops in either form give the same figures."""
    stops = log.stops(but="many")
    csv = told(feedback(traffic.stops_file(tmp_path / "stops.csv", stops), log.folder, tmp_path / "state"))
    frame = pl.DataFrame({"id": [s[0] for s in stops], traffic.MEASURED: [s[2] for s in stops]})
    frame.write_parquet(tmp_path / "stops.parquet")
    parquet = told(feedback(tmp_path / "stops.parquet", log.folder, tmp_path / "state"))
    assert csv["overall"] == parquet["overall"]
    assert csv["by_slice"] == parquet["by_slice"]


def test_logs_of_several_servers_are_read_together(log: Log, tmp_path: Path) -> None:
    """A folder of each, as a cluster's pods leave them, tells what one log would have told."""
    stops = traffic.stops_file(tmp_path / "stops.csv", log.stops())
    kept = tmp_path / "kept"
    one, other = log.copy(kept / "pod-a").folder, log.copy(kept / "pod-b").folder
    for folder, rest in ((one, 0), (other, 1)):
        (file,) = folder.glob("predictions-*.jsonl")
        file.write_text("".join(file.read_text().splitlines(keepends=True)[rest::2]))
    together, apart = feedback(stops, log.folder, tmp_path / "state"), feedback(stops, kept, tmp_path / "state")
    assert told(apart)["overall"] == told(together)["overall"]
    assert told(apart)["counts"] == told(together)["counts"] | {"log_files": 2}


def test_served_stops_are_in_the_next_dataset(log: Log, tiny: Chain, tmp_path: Path) -> None:
    """Assemble joins them to its parts: the dataset has these very rows, and none is in the holdout."""
    out = tmp_path / "recorded.parquet"
    told(feedback(traffic.stops_file(tmp_path / "s.csv", log.stops()), log.folder, tmp_path / "state", "--output", out))
    done = command(
        "brakeline-synthesize", "assemble", "--parts", tiny.part, "--recorded", out, "--dataset", tmp_path / "dataset",
        "--holdout", tmp_path / "holdout", "--faulty", tmp_path / "faulty", "--rejects", tmp_path / "rejects",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert done.result["artifacts"]["dataset"]["metadata"]["recorded_rows"] == 440
    dataset = pl.read_parquet(tmp_path / "dataset" / "*.parquet")
    mine = dataset.filter(pl.col("source").str.starts_with("feedback"))
    target, served = log.world.contract["target"]["name"], log.world.rows[list(log.row_of.values())]
    assert sorted(mine[target]) == sorted(served[target])
    assert not pl.read_parquet(tmp_path / "holdout" / "*.parquet")["source"].str.starts_with("feedback").any()

"""The noise floor: its posterior is calibrated, its errors are what it foretells, and it ends where it must."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from brakeline_synthesize import floor, generate, scenario
from scipy import stats
from stepkit.errors import ContractViolation

from tests.conftest import Chain, command


@pytest.fixture(scope="module", params=["default", "winter"])
def known(request: pytest.FixtureRequest) -> tuple[pl.DataFrame, pl.DataFrame]:
    """5,000 fault-free rows, one of each drive, and their floor."""
    preset = scenario.load(request.param)
    block = generate.make_block(generate.Call(preset, dict.fromkeys(generate.SETS, 200_000), 8), "holdout", 0)
    rows = block[floor.choose_rows(block, 5_000, 0)]
    assert rows["drive"].n_unique() == 5_000
    return rows, floor.of_rows(rows, preset, 300, 1)


def test_ranks_of_the_truth_are_uniform(known: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """Simulation-based calibration: overall, and where friction is missing, low, or the vehicle a truck."""
    rows, found = known
    rank, friction = found["rank"].to_numpy(), rows["friction_estimate"].to_numpy()
    truck = rows["vehicle_class"].to_numpy() == 4.0
    for part in (np.ones(rank.size, dtype=bool), np.isnan(friction), friction < 0.35, truck):
        counts = np.histogram(rank[part], 10, (0.0, 1.0 + 1e-9))[0]
        assert stats.chisquare(counts).pvalue > 1e-4, counts


def test_errors_are_what_the_draws_foretell(known: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """Mean absolute error against the truth and as expected agree within four standard errors; the bound holds."""
    overall = floor.summarise(known[1])["all"]
    assert overall["mae_m"] == pytest.approx(overall["expected_mae_m"], abs=4 * overall["mae_standard_error_m"])
    # 300 draws tell the 99 % quantile itself to some 0.3 points.
    assert overall["missed_share"] == pytest.approx(0.013, abs=0.006)


def test_knowing_more_helps(known: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """Rows with a friction estimate have a smaller floor, in share of the way, than rows without."""
    rows, found = known
    missing = rows["friction_estimate"].is_nan().to_numpy()
    share = (found["expected_absolute_error_m"] / found["median_m"]).to_numpy()
    assert share[~missing].mean() < 0.9 * share[missing].mean()


def test_no_guess_from_the_readings_beats_the_floor(known: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    """The median of all stops at the same speed and friction reading, found with hindsight, is still worse."""
    rows, found = known
    cell = (rows["wheel_speed_mps"] // 2).rename("v"), (rows["friction_estimate"].fill_nan(-1.0) // 0.1).rename("f")
    table = found.with_columns(*cell)
    guess = table.with_columns(pl.col("distance_m").median().over("v", "f").alias("guess"))
    crowded = guess.filter(pl.len().over("v", "f") >= 20)
    own = (crowded["distance_m"] - crowded["guess"]).abs().mean()
    limit = (crowded["distance_m"] - crowded["median_m"]).abs().mean()
    assert isinstance(own, float)
    assert isinstance(limit, float)
    assert limit < own


def test_the_same_call_gives_the_same_bytes(tiny: Chain, tmp_path: Path) -> None:
    """Whatever the number of threads."""
    words = ("brakeline-synthesize", "floor", "--holdout", tiny.holdout, "--rows", "200", "--draws", "400")
    hashes = set()
    for name, cpu in (("one", "0"), ("all", "")):
        done = command(
            *words, "--floor", tmp_path / name, environment={"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": cpu}
        )
        assert done.code == 0, done.stderr
        hashes.add(done.sha256("floor"))
    assert len(hashes) == 1


def test_faulty_rows_have_no_floor() -> None:
    """Where no row is without a fault there is nothing to say."""
    call = generate.Call(scenario.load("default"), dict.fromkeys(generate.SETS, 500), 0)
    block = generate.make_block(call, "faulty", 0).filter(pl.col("fault") != "none")
    with pytest.raises(ContractViolation, match="without a fault"):
        floor.choose_rows(block, 10, 0)

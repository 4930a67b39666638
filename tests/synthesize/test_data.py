"""The data: one contract, drives that hold together, shards that do not show, recorded stops that are checked."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from brakeline_synthesize import assemble, drives, generate, physics, recorded
from brakeline_synthesize.contract import CONTRACT
from stepkit import artifacts, contract, tables
from stepkit.errors import ContractViolation, StepError

GOLDEN = Path(__file__).parents[1] / "data" / "contract-v1.json"
ROWS = {"dataset": 120_000, "holdout": 60_000}


def test_the_contract_is_the_golden_one() -> None:
    """The declared contract has the bytes of the golden file that every reader is tested on."""
    assert GOLDEN.read_text().strip() == CONTRACT.to_json()
    assert contract.parse(CONTRACT.to_json()) == CONTRACT


def test_assembled_bytes_do_not_depend_on_the_shards(tmp_path: Path) -> None:
    """One shard or three, in any order: the same sha256 of dataset and holdout."""
    hashes = []
    for name, order in (("one", ["0/1"]), ("three", ["2/3", "0/3", "1/3"])):
        parts = []
        for shard in order:
            parts.append(tmp_path / name / shard.replace("/", "-"))
            generate.write_shard(parts[-1], ROWS, generate.Shard.parse(shard), seed=5)
        targets = {"dataset": tmp_path / name / "dataset", "holdout": tmp_path / name / "holdout"}
        written = assemble.assemble(parts, no_stops(tmp_path), targets)
        assert written == ROWS
        hashes.append({key: artifacts.sha256_of(path) for key, path in targets.items()})
    assert hashes[0] == hashes[1]


def test_a_missing_or_doubled_shard_is_refused(tmp_path: Path) -> None:
    """Assemble names the blocks that are missing, and the one that is there twice."""
    part = tmp_path / "part"
    generate.write_shard(part, ROWS, generate.Shard(0, 2), seed=5)
    targets = {"dataset": tmp_path / "dataset", "holdout": tmp_path / "holdout"}
    with pytest.raises(ContractViolation, match="missing"):
        assemble.assemble([part], no_stops(tmp_path), targets)
    with pytest.raises(ContractViolation, match="also in"):
        assemble.assemble([part, part], no_stops(tmp_path), targets)


def test_dataset_and_holdout_share_no_row() -> None:
    """The two sets come from different seeds: no speed reading sequence of one appears in the other."""
    dataset, holdout = (generate.make_block(number, 0, 1, 5_000) for number in (0, 1))
    assert not set(dataset["stopping_distance_m"]) & set(holdout["stopping_distance_m"])


def test_a_drive_keeps_its_vehicle_and_weather() -> None:
    """Within a drive class, surface and mass reading's vehicle do not change; between drives they do."""
    block = generate.make_block(0, 0, 1, 20_000)
    per_drive = block.group_by("drive").agg(pl.n_unique("vehicle_class", "surface"), pl.len())
    assert per_drive["vehicle_class"].max() == 1
    assert per_drive["surface"].max() == 1
    assert per_drive["len"].unique().to_list() == [drives.SNAPSHOTS_PER_DRIVE]
    assert block["surface"].n_unique() == 4


def test_every_row_keeps_the_contract() -> None:
    """A block passes the reader's own checks, and readings are missing only where they may be."""
    block = generate.make_block(0, 3, 9, 300_000)
    tables.check(Path("block"), block, CONTRACT)
    for feature in CONTRACT.features:
        assert block[feature.name].is_nan().any() == feature.missing_allowed, feature.name


def test_surfaces_explain_the_weather_and_the_way() -> None:
    """Median deceleration falls from dry over wet and snow to ice; ice and snow are cold."""
    block = generate.make_block(0, 0, 2, 50_000)
    ratio = pl.col("wheel_speed_mps") ** 2 / (2 * pl.col("stopping_distance_m"))
    medians = dict(block.group_by("surface").agg(ratio.median().alias("a")).iter_rows())
    assert medians["dry"] > medians["wet"] > medians["snow"] > medians["ice"] > 0.3
    cold = block.filter(pl.col("surface").is_in(["snow", "ice"]))["air_temperature_c"]
    assert cold.filter(cold.is_not_nan()).mean() < 0.0  # type: ignore[operator]


def test_shipped_recorded_stops_are_in_the_contract() -> None:
    """The CSV of published stops reads; its features are missing only where the contract allows it."""
    stops = recorded.read(GOLDEN.parent / "recorded_stops.csv")
    assert stops.height == 30
    assert stops.columns == generate.make_block(0, 0, 0, 10).columns
    assert stops["drive"].max() < 0  # type: ignore[operator]
    assert set(stops["surface"]) == {"dry", "wet", "snow", "ice"}
    assert stops["source"].str.contains(r"\d{4}").all()


def test_parquet_and_csv_give_the_same_stops(tmp_path: Path) -> None:
    """The format of a recording does not matter."""
    from_csv = recorded.read(GOLDEN.parent / "recorded_stops.csv")
    plain = from_csv.with_columns(pl.when(pl.col(name).is_not_nan()).then(name).alias(name) for name in CONTRACT.names)
    plain.write_parquet(tmp_path / "stops.parquet")
    assert recorded.read(tmp_path / "stops.parquet").drop("drive").equals(from_csv.drop("drive"), null_equal=True)


@pytest.mark.parametrize(
    ("csv", "told"),
    [
        ("wheel_speed_mps,vehicle_class\n20,1\n", "stopping_distance_m"),
        ("vehicle_class,stopping_distance_m\n1,30\n", "wheel_speed_mps"),
        ("wheel_speed_mps,vehicle_class,stopping_distance_m\nfast,1,30\n", "'fast'"),
        ("wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,30\n-5,1,30\n", "row 1"),
        ("wheel_speed_mps,vehicle_class,stopping_distance_m\n20,,30\n", "NaN"),
        ("wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,0\n", "above 0"),
        ("wheel_speed_mps,vehicle_class,stopping_distance_m,colour\n20,1,30,red\n", "colour"),
    ],
)
def test_bad_recordings_are_refused_with_their_reason(csv: str, told: str, tmp_path: Path) -> None:
    """The message names column, row, what was found and what is allowed."""
    file = tmp_path / "stops.csv"
    file.write_text(csv)
    with pytest.raises(StepError, match=told) as refused:
        recorded.read(file)
    assert refused.value.exit_code == 65


def test_an_empty_recording_is_no_recording(tmp_path: Path) -> None:
    """A file without rows adds none, and is no error: it is how a run without recordings is started."""
    assert no_stops(tmp_path).height == 0


def test_the_prior_admits_only_stops_that_end() -> None:
    """Every sampled stop decelerates by at least the weakest that the prior admits."""
    seen = drives.sample(np.random.default_rng(11), 0, 2_000)
    assert np.isfinite(seen.gap_m).mean() == pytest.approx(0.7, abs=0.02)
    assert physics.weakest_deceleration_mps2(seen.stop).min() >= drives.WEAKEST_DECELERATION_MPS2


def test_shards_of_a_bad_form_are_a_usage_error() -> None:
    """`2/2` and words are refused with what is allowed."""
    for text in ("2/2", "1", "a/b", "-1/2", "0/0"):
        with pytest.raises(StepError, match="allowed i/n") as refused:
            generate.Shard.parse(text)
        assert refused.value.exit_code == 2


def no_stops(folder: Path) -> pl.DataFrame:
    file = folder / "none.csv"
    file.write_text("")
    return recorded.read(file)


def test_a_golden_contract_line_is_json() -> None:
    """The golden file is one canonical JSON line."""
    assert json.loads(GOLDEN.read_text())["version"] == 1

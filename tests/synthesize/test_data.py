"""The data: one contract, drives that hold together, shards that do not show, recorded stops that are checked."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from brakeline_synthesize import assemble, drives, generate, recorded, scenario
from brakeline_synthesize.contract import CONTRACT
from stepkit import artifacts, contract, tables
from stepkit.errors import ContractViolation, StepError

GOLDEN = Path(__file__).parents[1] / "data" / "contract-v2.json"
ROWS = {"dataset": 120_000, "holdout": 60_000, "faulty": 5_000}
CALL = generate.Call(scenario.load("default"), {**dict.fromkeys(generate.SETS, 300_000)}, seed=5)


def test_the_contract_is_the_golden_one() -> None:
    """The declared contract has the bytes of the golden file that every reader is tested on."""
    assert GOLDEN.read_text().strip() == CONTRACT.to_json()
    assert contract.parse(CONTRACT.to_json()) == CONTRACT


def test_assembled_bytes_do_not_depend_on_the_shards(tmp_path: Path) -> None:
    """One shard or three, in any order: the same sha256 of dataset and holdout."""
    hashes, call = [], replace(CALL, rows=ROWS)
    for name, order in (("one", ["0/1"]), ("three", ["2/3", "0/3", "1/3"])):
        parts = []
        for shard in order:
            parts.append(tmp_path / name / shard.replace("/", "-"))
            generate.write_shard(parts[-1], call, generate.Shard.parse(shard))
        targets = {key: tmp_path / name / key for key in generate.SETS}
        written = assemble.assemble(parts, no_stops(tmp_path), targets)
        assert written == ROWS
        hashes.append({key: artifacts.sha256_of(path) for key, path in targets.items()})
    assert hashes[0] == hashes[1]


def test_a_missing_or_doubled_shard_is_refused(tmp_path: Path) -> None:
    """Assemble names the blocks that are missing, and the one that is there twice."""
    part = tmp_path / "part"
    generate.write_shard(part, replace(CALL, rows=ROWS), generate.Shard(0, 2))
    targets = {key: tmp_path / key for key in generate.SETS}
    with pytest.raises(ContractViolation, match="missing"):
        assemble.assemble([part], no_stops(tmp_path), targets)
    with pytest.raises(ContractViolation, match="also in"):
        assemble.assemble([part, part], no_stops(tmp_path), targets)


def test_dataset_and_holdout_share_no_row() -> None:
    """The two sets come from different seeds: no speed reading sequence of one appears in the other."""
    dataset, holdout = (generate.make_block(CALL, name, 0) for name in ("dataset", "holdout"))
    columns = ["stopping_distance_m", "wheel_speed_mps", "disc_temperature_c"]
    assert dataset.join(holdout, on=columns, how="semi").height == 0


def test_a_drive_keeps_its_vehicle_and_weather() -> None:
    """Within a drive class, surface and mass reading's vehicle do not change; between drives they do."""
    block = generate.make_block(CALL, "dataset", 0)
    per_drive = block.group_by("drive").agg(pl.n_unique("vehicle_class", "surface"), pl.len())
    assert per_drive["vehicle_class"].max() == 1
    assert per_drive["surface"].max() == 1
    assert per_drive["len"].unique().to_list() == [drives.SNAPSHOTS_PER_DRIVE]
    assert block["surface"].n_unique() == 4


def test_every_row_keeps_the_contract() -> None:
    """A block passes the reader's own checks, and readings are missing only where they may be."""
    block = generate.make_block(CALL, "dataset", 3)
    tables.check(Path("block"), block, CONTRACT)
    for feature in CONTRACT.features:
        assert block[feature.name].is_nan().any() == feature.missing_allowed, feature.name


def test_surfaces_explain_the_weather_and_the_way() -> None:
    """Median deceleration falls from dry over wet and snow to ice; ice and snow are cold."""
    block = generate.make_block(CALL, "dataset", 1)
    ratio = pl.col("wheel_speed_mps") ** 2 / (2 * pl.col("stopping_distance_m"))
    medians = dict(block.group_by("surface").agg(ratio.median().alias("a")).iter_rows())
    assert medians["dry"] > medians["wet"] > medians["snow"] > medians["ice"] > 0.3
    cold = block.filter(pl.col("surface").is_in(["snow", "ice"]))["air_temperature_c"]
    assert cold.filter(cold.is_not_nan()).mean() < 0.0  # type: ignore[operator]


def test_shards_of_different_calls_are_not_mixed(tmp_path: Path) -> None:
    """Another seed, number of rows or scenario: assemble names what differs."""
    small = {"dataset": 60_000, "holdout": 60_000, "faulty": 60_000}
    first = replace(CALL, rows=small)
    generate.write_shard(tmp_path / "a", first, generate.Shard(0, 2))
    targets = {key: tmp_path / key for key in generate.SETS}
    for other, told in (
        (replace(first, seed=6), "brakeline.seed"),
        (replace(first, rows={**small, "dataset": 60_001}), "brakeline.rows"),
        (replace(first, scenario=scenario.load("winter")), "brakeline.scenario"),
    ):
        part = tmp_path / told
        generate.write_shard(part, other, generate.Shard(1, 2))
        with pytest.raises(ContractViolation, match=told):
            assemble.assemble([tmp_path / "a", part], no_stops(tmp_path), targets)
        shutil.rmtree(targets["dataset"], ignore_errors=True)


def test_shards_of_a_bad_form_are_a_usage_error() -> None:
    """`2/2` and words are refused with what is allowed."""
    for text in ("2/2", "1", "a/b", "-1/2", "0/0"):
        with pytest.raises(StepError, match="allowed i/n") as refused:
            generate.Shard.parse(text)
        assert refused.value.exit_code == 2


def no_stops(folder: Path) -> pl.DataFrame:
    file = folder / "none.csv"
    file.write_text("")
    return recorded.read(file, max_rejected_share=0.0).stops


def test_a_golden_contract_line_is_json() -> None:
    """The golden file is one canonical JSON line."""
    assert json.loads(GOLDEN.read_text())["version"] == 2

"""A thousand shards joined by the real steps, with few file handles, and what their lineage is like afterwards."""

import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline import record, recordings
from brakeline.handed import ARGUMENT_LIMIT_BYTES
from stepkit import lineage

from tests.conftest import BIN, HOUSE, RECORDED, command
from tests.lineage import toy

SHARDS, FILE_HANDLES, PATIENCE_S = 1_000, 256, 300
SETS = ("dataset", "holdout", "faulty", "rejects")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A thousand shards of one call, made by the real verb; few of so few rows have a block."""
    folder = tmp_path_factory.mktemp("parts")
    made = [sys.executable, str(HOUSE / "bench" / "_parts.py"), str(folder), str(SHARDS), "150000"]
    subprocess.run(made, check=True, timeout=PATIENCE_S)
    return folder


def assembled(parts: Path, shards: list[Path], into: Path) -> dict[str, Any]:
    """Assemble as the process runner calls it for a cluster's list: by an executor input, here in a file."""
    (into / "stops.csv").write_text(RECORDED)
    listed = [{"name": "part", "uri": str(shard), "metadata": {}} for shard in shards]
    outputs = {name: {"artifacts": [{"name": name, "uri": str(into / name)}]} for name in SETS}
    stops = [{"name": "recorded", "uri": str(into / "stops.csv"), "metadata": {}}]
    given = {"parts": {"artifacts": listed}, "recorded": {"artifacts": stops}}
    message = {"inputs": {"artifacts": given}, "outputs": {"artifacts": outputs, "outputFile": str(into / "told.json")}}
    (into / "input.json").write_text(json.dumps(message))
    words = [str(BIN / "brakeline-synthesize"), "assemble", "--executor-input", f"@{into / 'input.json'}"]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (FILE_HANDLES, FILE_HANDLES)),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(json.loads((into / "told.json").read_text())["artifacts"])


def test_a_thousand_shards_give_the_bytes_of_one(parts: Path, tmp_path: Path) -> None:
    """With 256 file handles, and in whatever order they come."""
    shards = sorted(parts.iterdir(), reverse=True)
    assert len(shards) == SHARDS
    many, one = tmp_path / "many", tmp_path / "one"
    many.mkdir()
    one.mkdir()
    of_many = assembled(parts, shards, many)
    assert (many / "input.json").stat().st_size > ARGUMENT_LIMIT_BYTES / 2
    done = command("brakeline-synthesize", "generate", "--part", one / "part", "--rows", "150000", "--holdout-rows",
                   "2000", "--faulty-rows", "2000")  # fmt: skip
    assert done.code == 0, done.stderr
    of_one = assembled(parts, [one / "part"], one)
    for name in SETS:
        (first,), (second,) = of_many[name]["artifacts"], of_one[name]["artifacts"]
        assert first["metadata"]["sha256"] == second["metadata"]["sha256"]
    told = many / "dataset" / lineage.FILE
    assert len(lineage.read(told)) == SHARDS + 1
    # Of a call of a loop only what differs is told: its shard, and the sha256 of what it made.
    assert told.stat().st_size < 400 * SHARDS


def test_a_missing_shard_is_named(parts: Path, tmp_path: Path) -> None:
    """Of a thousand, the one whose block is not there is found by it."""
    with_blocks = {block.parents[1] for block in parts.glob("*/dataset/block-*.parquet")}
    assert len(with_blocks) == 3
    rest = sorted(set(parts.iterdir()) - {min(with_blocks)})
    with pytest.raises(AssertionError, match="blocks of dataset"):
        assembled(parts, rest, tmp_path)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Iterator[toy.Released]:
    """A registered model whose dataset was joined of a thousand shards, by toy steps under the real contract."""
    state = tmp_path_factory.mktemp("toy") / "state"
    state.mkdir()
    (state / "stops.csv").write_text("measured")
    brought = recordings.bring_in(str(state / "stops.csv"), state / "runs" / "inputs")
    kept = record.RunRecord("run-1", "process", state / "runs" / "run-1", {})
    worker = threading.Thread(target=_generate, args=(kept.folder,))
    worker.start()
    worker.join()
    parts = [kept.folder / f"part-{index}" for index in range(SHARDS)]
    made = {name: kept.folder / name for name in
            ("dataset", "holdout", "rejects", "model", "verdict", "measurements", "lineage")}  # fmt: skip
    listed = [word for part in parts for word in ("--parts", part)]
    for verb, outputs, words in (
        ("assemble", ("dataset", "holdout", "rejects"), [*listed, "--recorded", brought]),
        ("fit", ("model",), ["--dataset", made["dataset"]]),
        ("judge", ("verdict", "measurements", "lineage"), ["--model", made["model"], "--holdout", made["holdout"]]),
    ):
        options = [word for name in outputs for word in (f"--{name}", made[name])]
        done = command(sys.executable, "-m", "tests.lineage.toy", verb, *options, *words, environment=toy.CODE)
        assert done.code == 0, done.stderr
        told = {name: {"uri": one["uri"], **one["metadata"]} for name, one in done.result["artifacts"].items()}
        kept.add(record.TaskRecord(verb, "", record.SUCCEEDED, False, 0.0, told))
    of_parts = {path: lineage.read(path / lineage.FILE)[-1].outputs["part"] for path in parts}
    for path, sha256 in of_parts.items():
        told = {"part": {"uri": str(path), "sha256": sha256}}
        kept.add(record.TaskRecord("generate", path.name, record.SUCCEEDED, False, 0.0, told))
    kept.end(record.SUCCEEDED)
    whole = toy.Released(state, made)
    done = whole.add()
    assert done.code == 0, done.stderr
    yield whole


def _generate(folder: Path) -> None:
    before = {name: os.environ.get(name) for name in toy.CODE}
    os.environ.update(toy.CODE)
    try:
        for index in range(SHARDS):
            words = ["generate", "--part", str(folder / f"part-{index}"), "--shard", f"{index}/{SHARDS}"]
            toy.app(words, standalone_mode=False)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def test_a_thousand_inputs_stay_readable(released: toy.Released) -> None:
    """The tree says ×1000 in one line, and the statement is small."""
    done = command("brakeline", "lineage", "1", "--state", released.state)
    assert done.code == 0, done.stderr
    assert len(done.stdout.splitlines()) < 60
    assert f"parts ×{SHARDS}" in done.stdout and f"{SHARDS} intact" in done.stdout
    (statement,) = released.state.glob("registry-models/*.about/lineage.json")
    assert statement.stat().st_size < 600 * SHARDS


def test_one_flipped_byte_in_a_thousand_is_found(released: toy.Released) -> None:
    """And the tree says in which."""
    file = released.state / "runs" / "run-1" / "part-617" / "rows.csv"
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
    try:
        done = command("brakeline", "lineage", "1", "--state", released.state, "--json")
        assert done.code == 65
        assert [Path(one["file"]).name for one in done.result["altered"]] == ["part-617"]
    finally:
        file.write_bytes(whole)

"""What the cache will do is told before a run, and is what the run then does."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from brakeline import forecast, narrator, record
from brakeline.local import LocalRunner
from brakeline.process import Processes

from tests.orchestrator import toy


@dataclass
class Bench:
    """Runs of a toy pipeline in one state folder, each foretold first."""

    folder: Path
    last: record.RunRecord | None = None
    image: str = "toy:1"

    def foretell(self, **arguments: Any) -> dict[tuple[str, str], dict[str, Any]]:
        before = forecast.of_record(self.last.folder) if self.last else None
        pipeline = toy.compiled(toy.looped, self.folder, self.image)
        told = forecast.of_next_run(pipeline, arguments, self.folder / "cache", before)
        return {(item["task"], item["scope"]): item for item in told}

    def run(self, **arguments: Any) -> record.RunRecord:
        run_id = record.new_run_id()
        kept = record.RunRecord(run_id, "process", self.folder / "runs" / run_id, arguments)
        pipeline = toy.compiled(toy.looped, self.folder, self.image)
        shutil.copyfile(pipeline, kept.folder / "pipeline.yaml")
        LocalRunner(kept, narrator.ForMachines(), self.folder / "cache", Processes()).run(pipeline, arguments)
        self.last = kept
        return kept

    def foretell_and_run(self, **arguments: Any) -> dict[str, list[str]]:
        """The reasons of what would run by task; the run then did exactly what was told."""
        told = self.foretell(**arguments)
        kept = self.run(**arguments)
        done = {(task.name, task.scope): task.cached for task in kept.tasks}
        assert {place: item["hit"] for place, item in told.items() if place in done} == done
        assert all(bool(item["why"]) != item["hit"] for item in told.values())
        return {task: item["why"] for (task, _), item in told.items() if not item["hit"]}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    toy.install(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Bench(tmp_path)


def test_with_no_run_before_all_runs(bench: Bench) -> None:
    """Nothing is in the cache, and asking makes no cache."""
    told = bench.foretell(word="yes")
    assert {item["hit"] for item in told.values()} == {False}
    assert told["make", next(s for t, s in told if t == "make")]["why"] == ["there is no run before"]
    assert not (bench.folder / "cache").exists()


def test_the_same_again_all_comes_from_the_cache(bench: Bench) -> None:
    """Also behind the gate, whose condition is a cached output."""
    bench.run(word="yes")
    assert bench.foretell_and_run(word="yes") == {}
    assert len(bench.foretell(word="yes")) == 6


def test_a_changed_parameter_is_named_with_both_values(bench: Bench) -> None:
    """Only what takes it, and what hangs on that, runs again."""
    bench.run(word="yes")
    why = bench.foretell_and_run(word="yes", shards=["a", "b", "d"])
    assert set(why) == {"make", "join", "judge", "ship"}
    assert any('"c" → "d"' in reason for reason in why["make"])
    assert why["join"] == ["input parts is made anew by make"]
    assert why["judge"] == ["input out is made anew by join"]


def test_changed_code_is_named(bench: Bench) -> None:
    """An image of another content is why, for each task of it."""
    bench.run(word="yes")
    bench.image = "toy:2"
    why = bench.foretell_and_run(word="yes")
    assert why["make"] == ["the code changed: image toy:1 → toy:2"]


def test_an_output_that_is_gone_is_named(bench: Bench) -> None:
    """A cached artifact whose file was removed is no hit, and the file is told."""
    kept = bench.run(word="yes")
    gone = Path(kept.artifact("join", "out")["uri"])
    gone.unlink()
    why = bench.foretell_and_run(word="yes")
    assert why["join"] == [f"the cached output is gone: {gone}"]
    assert "make" not in why


def test_an_emptied_cache_is_told_apart_from_a_change(bench: Bench) -> None:
    """Nothing differs, and there is no entry: that is said."""
    bench.run(word="yes")
    for entry in (bench.folder / "cache").iterdir():
        entry.unlink()
    why = bench.foretell_and_run(word="yes")
    assert why["make"] == ["not in the cache: the run before kept none, or its entry was removed"]


def test_a_broken_entry_is_told(bench: Bench) -> None:
    """kfp takes it for none, and so do we."""
    bench.run(word="yes")
    for entry in (bench.folder / "cache").iterdir():
        if "verdict" in json.loads(entry.read_text()):
            entry.write_text("{")
    why = bench.foretell_and_run(word="yes")
    assert "cannot be read" in why["judge"][0]


def test_an_older_value_comes_back_from_the_cache(bench: Bench) -> None:
    """It is the cache that is asked, not the run before."""
    bench.run(word="yes")
    bench.run(word="no")
    assert bench.foretell_and_run(word="yes") == {}


def test_kfp_still_has_what_the_forecast_asks() -> None:
    """Each internal that is called or replaced is there under its name."""
    for owner, names in forecast.INTERNALS.items():
        for name in names:
            assert callable(getattr(owner, name)), f"{owner}.{name}"


def test_the_real_pipeline_is_walked_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every task of the pipeline is told of, those behind the gate too; what touches the world is never cached."""
    from brakeline import images, platform, run

    pipeline = run.compile_pipeline(tmp_path / "pipeline.yaml", images.for_processes())
    (tmp_path / "none.csv").touch()
    given = run.arguments(run.Request(tmp_path, "http://127.0.0.1:1"), tmp_path, tmp_path / "none.csv")
    told = forecast.of_next_run(pipeline, given, tmp_path / "cache", None)
    assert {item["task"] for item in told} == set(platform.TABLE)
    assert [item["task"] for item in told].count("search") == 2
    never = {item["task"] for item in told if item["why"][0].startswith("never cached")}
    assert never == {name for name, needs in platform.TABLE.items() if not needs.cached}

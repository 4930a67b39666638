"""The real pipeline on the process runner, before a real server: released, refused, killed and repeated."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, HOUSE, command

PROCESS = ("--runner", "process")
# Large enough for a model that passes, small enough for every change.
PASSING = ("--rows", "120000", "--holdout-rows", "40000", "--trials", "1")
# Far too small: whatever is learned from it is refused.
REFUSED = ("--rows", "1000", "--holdout-rows", "1000", "--trials", "1", "--shards", "1")
RECORDED = ("--recorded", str(HOUSE / "tests/data/recorded_stops.csv"))


def demo(state: Path, *words: str, environment: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    done = command("brakeline", "demo", *PROCESS, "--state", state, "--json", *words, environment=environment)
    assert done.stdout, done.stderr
    return done.code, json.loads(done.stdout)


def test_a_passing_model_is_released_and_answers(tmp_path: Path) -> None:
    """End to end: passed, registered, deployed, asked, all on record; again, the same version, little done anew."""
    code, told = demo(tmp_path, *PASSING, *RECORDED)
    assert code == 0, told
    assert (told["status"], told["runner"], told["passed"]) == ("succeeded", "process", True)
    assert told["endpoint_checked"] is True
    assert told["model_version"] == "1"
    assert Path(told["dossier"]).read_text().startswith("<!doctype html>")
    assert [line["speed_mph"] for line in told["highway_code"]] == [20, 30, 40, 50, 60, 70]
    record = json.loads((Path(told["folder"]) / "run.json").read_text())
    assert record["status"] == "succeeded"
    assert {task["name"] for task in record["tasks"]} >= {
        "synthesize",
        "assemble",
        "search",
        "refine",
        "fit",
        "validate",
    }
    order = [task["name"] for task in record["tasks"]]
    assert order.index("validate") < order.index("record") < order.index("register")
    code, again = demo(tmp_path, *PASSING, *RECORDED)
    assert code == 0, again
    assert again["model_version"] == "1"
    assert again["sha256"]["model"] == told["sha256"]["model"]
    ran = [task["name"] for task in json.loads((Path(again["folder"]) / "run.json").read_text())["tasks"]
           if not task["cached"]]  # fmt: skip
    assert sorted(ran) == ["champion", "deploy", "importer", "promote", "record", "register", "validate"]
    listed = command("brakeline-register", "list", "--registry", f"sqlite:///{tmp_path}/registry.sqlite").result
    done = command("brakeline", "lineage", "1", "--state", tmp_path, "--json")
    assert done.code == 0, done.stderr
    released = [one["how"] for one in done.result["releases"]]
    # The second run gave another verdict, which compares it with itself, and the version was registered with the first.
    assert released == ["counted by", *2 * ["registered by", "deployed by", "promoted by"]]
    (version,) = listed["versions"]
    assert version["facts"]["attempts"] == {"models": 1, "refused": 0, "number": 1}
    assert [(known["models"], known["refused"]) for known in listed["datasets"]] == [(1, 0)]


def test_a_refused_model_is_counted_and_not_registered(tmp_path: Path) -> None:
    """The gate fails: 65, the attempt is on record, nothing is deployed, and the dossier is there to say why."""
    code, told = demo(tmp_path, *REFUSED)
    assert code == 65
    assert (told["status"], told["passed"], told["model_version"]) == ("refused", False, None)
    assert "did not pass" in told["error"]
    assert Path(told["dossier"]).is_file()
    assert not list((tmp_path / "models").rglob("*.onnx"))
    listed = command("brakeline-register", "list", "--registry", f"sqlite:///{tmp_path}/registry.sqlite")
    assert listed.result["versions"] == []
    assert [(known["models"], known["refused"]) for known in listed.result["datasets"]] == [(1, 1)]
    assert "the first model judged on its dataset" in Path(told["dossier"]).read_text()


def test_a_failing_step_fails_the_command_with_its_message(tmp_path: Path) -> None:
    """Bad recorded data ends with 65 and the step's own sentence."""
    bad = tmp_path / "stops.csv"
    units = "# unit: wheel_speed_mps = m/s, stopping_distance_m = m\n"
    bad.write_text(f"{units}wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,-4\n")
    code, told = demo(tmp_path / "state", *REFUSED, "--recorded", str(bad))
    assert code == 65
    assert told["status"] == "failed"
    assert "assemble" in told["error"]
    assert "-4" in told["error"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Hashes of a run that nobody killed."""
    _, told = demo(tmp_path_factory.mktemp("undisturbed"), *REFUSED)
    return dict(told["sha256"])


@pytest.mark.parametrize("after", ["synthesize", "search", "refine", "fit"])
def test_a_killed_run_repeated_completes(after: str, undisturbed: dict[str, str], tmp_path: Path) -> None:
    """SIGKILL of the run and its steps in the middle; the same command again ends as an undisturbed one."""
    words = [str(BIN / "brakeline"), "demo", *PROCESS, "--state", str(tmp_path), "--json", *REFUSED]
    child = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stderr is not None
    for line in child.stderr:
        if '"started"' in line and after in line:
            time.sleep(0.5)
            break
    os.killpg(child.pid, signal.SIGKILL)
    child.wait(10)
    _wait_until_no_server(tmp_path / "models")
    code, told = demo(tmp_path, *REFUSED)
    assert code == 65
    assert told["status"] == "refused"
    assert told["sha256"] == undisturbed


def _wait_until_no_server(store: Path) -> None:
    """The server ends with the run that started it, however that ended."""
    deadline = time.monotonic() + 10
    while any(str(store).encode() in _command_line(process) for process in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "the killed run left its server behind"
        time.sleep(0.1)


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.slow
def test_two_places_give_the_same_bytes(tmp_path: Path) -> None:
    """At full size: fresh states, no cache, other threads and hash seeds; dataset, model and verdict are equal."""
    results = []
    for name, threads, seed in (("one", "1", "1"), ("two", "4", "77")):
        environment = {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads, "PYTHONHASHSEED": seed}
        code, told = demo(tmp_path / name, "--no-cache", *RECORDED, environment=environment)
        assert code == 0, told
        assert told["tasks_cached"] == 0
        results.append(told)
    assert results[0]["sha256"] == results[1]["sha256"]
    assert results[0]["highway_code"] == results[1]["highway_code"]

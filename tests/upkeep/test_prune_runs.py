"""`brakeline prune` on runs that kfp made: what no rule keeps goes, beside runs at work, killed at any moment."""

import fcntl
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from brakeline import narrator, once, record
from brakeline.cli import app
from brakeline.local import LocalRunner
from brakeline.process import Processes
from brakeline.prune import keys, policy, runs
from typer.testing import CliRunner

from tests.orchestrator import toy

Run = Callable[..., record.RunRecord]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a toy pipeline with the state's cache; returns the record, with what the real pipeline's says beside."""
    toy.install(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    numbers = itertools.count()

    def go(word: str = "yes", version: str = "", recorded: str = "") -> record.RunRecord:
        run_id = f"20261126T1200{next(numbers):02}-abcdef"
        arguments = {"name": "stopping-distance", "recorded": recorded}
        kept = record.RunRecord(run_id, "process", tmp_path / "state" / "runs" / run_id, arguments)
        runner = LocalRunner(kept, narrator.ForMachines(), tmp_path / "state" / "cache", Processes())
        runner.run(toy.compiled(toy.looped, tmp_path), {"word": word, "shards": [f"{word} 1", f"{word} 2"]})
        if version:
            registered = {"registered": {"uri": str(kept.folder / "registered"), "version": version}}
            kept.add(record.TaskRecord("register", "", record.SUCCEEDED, False, 0.0, registered))
        kept.end(record.SUCCEEDED)
        return kept

    return go


def prune(state: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["prune", "--state", str(state), "--json", *words])
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def names(told: dict[str, Any], kind: str = "run") -> set[str]:
    return {item["name"] for item in told["items"] if item["kind"] == kind}


def test_what_no_rule_keeps_goes(run: Run, tmp_path: Path) -> None:
    """The newest stay, and what is young; a dry run tells the same and changes nothing; a second call finds nothing."""
    made = [run(word) for word in ("yes", "no", "maybe")]
    state = tmp_path / "state"
    before = sorted(state.rglob("*"))
    planned = prune(state, "--keep-runs", "1", "--dry-run")
    assert names(planned) == {made[0].run_id, made[1].run_id}
    assert sorted(path for path in state.rglob("*") if path.name != ".prune.lock") == before
    assert prune(state, "--keep-runs", "1", "--keep-days", "1", "--dry-run")["items"] == []
    done = prune(state, "--keep-runs", "1", "--yes")
    assert (done["items"], done["bytes"]) == (planned["items"], planned["bytes"])
    assert {path.name for path in (state / "runs").iterdir()} == {made[2].run_id}
    assert prune(state, "--keep-runs", "1", "--yes")["items"] == []


def test_a_run_whose_artifacts_another_uses_stays(run: Run, tmp_path: Path) -> None:
    """What was found in the cache lies in the folder of the run that made it."""
    first, second = run(), run()
    assert all(task.cached for task in second.tasks)
    told = prune(tmp_path / "state", "--keep-runs", "1", "--yes")
    assert told["items"] == []
    assert told["kept"] == [{"kind": "run", "name": first.run_id, "why": f"run {second.run_id} uses its artifacts"}]


def test_a_run_that_stays_for_another_keeps_what_it_uses_itself(tmp_path: Path) -> None:
    """The last one uses the second's model, which was made of the first one's data."""
    ids, used = [f"20261126T12000{number}-abcdef" for number in range(3)], ""
    for run_id in ids:
        kept = record.RunRecord(run_id, "process", tmp_path / "runs" / run_id, {})
        made = {"out": {"uri": used or str(kept.folder / "out")}, "model": {"uri": str(kept.folder / "model")}}
        kept.add(record.TaskRecord("make", "", record.SUCCEEDED, bool(used), 0.0, made))
        kept.end(record.SUCCEEDED)
        used = str(kept.folder / "model")
    items, stays = runs.plan(tmp_path, policy.Policy(runs=1), {})
    assert (items, {one.name for one in stays}) == ([], set(ids[:2]))


def test_the_cache_forgets_what_goes(run: Run, tmp_path: Path) -> None:
    """Entries that name a run go with it, others stay; the same pipeline run again makes all anew and succeeds."""
    run()
    other = run("other")
    state = tmp_path / "state"
    shutil.rmtree(other.folder)
    entries = {path.name for path in (state / "cache").iterdir()}
    assert prune(state, "--keep-runs", "0", "--yes")["items"]
    assert {path.name for path in (state / "cache").iterdir()} < entries
    again = run()
    assert again.status == record.SUCCEEDED
    assert not any(task.cached for task in again.tasks)


def test_a_run_at_work_stays_with_all_it_uses(run: Run, tmp_path: Path) -> None:
    """Whatever the rules: by its process, not by what its record says; one that was killed goes."""
    old = run()
    state = tmp_path / "state"
    code = (
        "import sys, time; from pathlib import Path; from brakeline import record\n"
        "kept = record.RunRecord('29991231T000000-abcdef', 'process', Path(sys.argv[1]), {})\n"
        "kept.add(record.TaskRecord('make', '', 'succeeded', True, 0.0, {'out': {'uri': sys.argv[2]}}))\n"
        "print('there', flush=True); time.sleep(60)"
    )
    used = old.tasks[0].artifacts["out"]["uri"]
    folder = state / "runs" / "29991231T000000-abcdef"
    child = subprocess.Popen([sys.executable, "-c", code, str(folder), used], stdout=subprocess.PIPE)
    assert child.stdout
    child.stdout.readline()
    told = prune(state, "--keep-runs", "0", "--yes")
    assert told["items"] == []
    assert {one["name"]: one["why"] for one in told["kept"]} == {
        folder.name: "it is at work", old.run_id: f"run {folder.name} uses its artifacts",
    }  # fmt: skip
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    assert names(prune(state, "--keep-runs", "0", "--yes")) == {folder.name, old.run_id}


def test_a_run_that_found_it_in_the_cache_meanwhile_keeps_it(run: Run, tmp_path: Path) -> None:
    """Between plan and removal a run may begin to use what was to go: it is looked at again, last."""
    old = run()
    state = tmp_path / "state"
    (item,) = [one for one in runs.plan(state, policy.Policy(runs=0), {})[0] if one.kind == "run"]
    late = record.RunRecord("29991231T000000-abcdef", "process", state / "runs" / "29991231T000000-abcdef", {})
    late.add(record.TaskRecord("make", "", record.SUCCEEDED, True, 0.0, dict(old.tasks[0].artifacts)))
    assert item.remove() == f"run {late.run_id}, which is at work, uses its artifacts"
    assert old.folder.is_dir()
    late.end(record.SUCCEEDED)
    assert item.remove() == ""
    assert not old.folder.exists()


def test_killed_at_any_moment_it_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder is whole under its name or gone; what a killed one left hidden goes with the next."""
    old = run()
    state = tmp_path / "state"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        CliRunner().invoke(app, ["prune", "--state", str(state), "--keep-runs", "0", "--yes"])
    assert not old.folder.exists()
    (left,) = (state / "runs").glob(".pruned-*")
    assert runs.find(state) == []
    assert names(prune(state, "--keep-runs", "0", "--yes"), "leftover") == {left.name}
    assert list((state / "runs").glob(".*")) == []


def test_inputs_go_when_no_run_is_left_that_was_given_them(run: Run, tmp_path: Path) -> None:
    """Those that a run that stays names stay, and those that may have been brought for a run that begins."""
    folder = tmp_path / "state" / "runs" / "inputs"
    for name in ("used", "old", "new"):
        (folder / name).mkdir(parents=True)
        (folder / name / "stops.csv").write_text(name)
        if name != "new":
            os.utime(folder / name, (1, 1))
    run(recorded=str(folder / "used" / "stops.csv"))
    assert names(prune(tmp_path / "state", "--keep-runs", "1", "--yes"), "input") == {"old"}
    assert names(prune(tmp_path / "state", "--keep-runs", "0", "--yes"), "input") == {"used"}
    assert {path.name for path in folder.iterdir()} == {"new"}


def test_the_run_behind_a_version_that_is_needed_stays_unless_stated(run: Run, tmp_path: Path) -> None:
    """Its artifacts are that version's lineage."""
    kept = run(version="3")
    state, made = tmp_path / "state", {("stopping-distance", "3"): "is live"}
    items, against = runs.plan(state, policy.Policy(runs=0), made)
    assert items == []
    assert [one.why for one in against] == ["it made version 3 of stopping-distance, which is live"]
    items, _ = runs.plan(state, policy.Policy(age=timedelta(0), even_lineage=True), made)
    assert [item.name for item in items] == [kept.run_id]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [((), 2, "--keep-runs"), (("--keep-runs", "1"), 2, "--yes"), (("--keep-runs", "-1", "--yes"), 2, "")],
)
def test_nothing_goes_unasked(words: tuple[str, ...], code: int, told: str, run: Run, tmp_path: Path) -> None:
    """Without a rule, or without a word that it is meant."""
    kept = [run(), run("no")]
    before = sorted((tmp_path / "state").rglob("*"))
    done = CliRunner().invoke(app, ["prune", "--state", str(tmp_path / "state"), "--even-lineage", *words])
    assert done.exit_code == code
    assert told in done.output
    assert sorted(path for path in (tmp_path / "state").rglob("*") if path.name != ".prune.lock") == before
    assert all(each.folder.is_dir() for each in kept)


def test_one_prunes_at_a_time(run: Run, tmp_path: Path) -> None:
    """75: the other one's end is worth waiting for."""
    from brakeline.prune import pruning

    run()
    with pruning.alone(tmp_path / "state"):
        told = prune(tmp_path / "state", "--keep-runs", "0", "--yes", code=75)
    assert "another prune is at work" in told["error"]


def aged(*files: Path) -> None:
    """As if nobody had touched them for a day."""
    for file in files:
        os.utime(file, (time.time() - 86_400,) * 2)


def test_keys_go_with_their_runs(run: Run, tmp_path: Path) -> None:
    """A lock whose run stays is kept, and one that is held or young; what a watch's commands said goes alike."""
    state, kept = tmp_path / "state", run()
    kept.idempotency = "nightly"
    kept.write()
    said = itertools.product(("nightly", "gone", "at-it", "new"), (".json", ".log"))
    watched = [state / "watch" / f"{key}{end}" for key, end in said]
    guards = {key: once.guard(state, key) for key in ("nightly", "gone", "held", "young")}
    (state / "watch").mkdir()
    for file in (*watched, *guards.values()):
        file.write_text("")
    aged(*watched[:6], *(guards[key] for key in ("nightly", "gone", "held")))
    (state / "watch.json").write_text(json.dumps({"trigger": {"key": "at-it"}}))
    with guards["held"].open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = prune(state, "--keep-days", "0", "--keep-runs", "1", "--yes")
        assert names(told, "key") == {guards["gone"].name, "watch/gone.json", "watch/gone.log"}
        assert {one["why"] for one in told["kept"] if one["kind"] == "key"} == {"a run of its key is at work"}
    assert not [path for path in (guards["gone"], *watched[2:4]) if path.exists()]
    assert all(path.exists() for path in (*watched[:2], *watched[4:], guards["nightly"], guards["young"]))
    assert names(prune(state, "--keep-days", "0", "--even-lineage", "--yes"), "key") == {
        guards["nightly"].name, guards["held"].name, "watch/nightly.json", "watch/nightly.log"
    }  # fmt: skip


def test_a_watch_of_a_cluster_keeps_the_newest_by_the_rules_of_runs(tmp_path: Path) -> None:
    """Its runs are not here: as many keys stay as runs would, and those that are younger."""
    folder = tmp_path / "state" / "watch"
    folder.mkdir(parents=True)
    for number in range(4):
        (folder / f"key-{number}.log").write_text("")
        os.utime(folder / f"key-{number}.log", (time.time() - 86_400 * (number + 1.5),) * 2)
    told = prune(tmp_path / "state", "--keep-runs", "1", "--keep-days", "3", "--yes")
    assert names(told, "key") == {"watch/key-2.log", "watch/key-3.log"}


def test_a_lock_that_is_pruned_while_somebody_waits_keeps_two_apart(tmp_path: Path) -> None:
    """Who waited takes the lock that is there now: two calls with one key are never at work at once."""
    state, inside, most = tmp_path / "state", list[int](), list[int]()
    guard = once.guard(state, "nightly")

    def work(number: int) -> None:
        with once.claimed(state, "nightly", lambda _: None):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.02)
            inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(work, number) for number in range(24)]
        while not all(one.done() for one in done):
            keys._let_go(guard)
        for one in done:
            one.result()
    assert len(most) == 24
    assert set(most) == {1}

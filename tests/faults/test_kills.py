"""Any step, or the whole run, killed at a random instant; called again it ends as if nothing had happened.

Of 50 kills 45 are of a step by its own command line, each with the same call again after it, and 5 of a whole
`brakeline run` with its steps.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stepkit import artifacts

from tests.conftest import HOUSE, PATIENCE_S, command
from tests.deploy.test_deploy import serving
from tests.faults import killing
from tests.faults.calls import CALLS, IMAGE, begin, half_written, left_by
from tests.faults.counting import Tally
from tests.steps.verbs import Verb

SEED = 20_261
# How often each call is killed: the dear ones less, 45 in all.
KILLS = {
    "synthesize generate": 4, "synthesize assemble": 4, "synthesize floor": 3, "train search": 3, "train rank": 4,
    "train refine": 3, "train fit": 2, "validate validate": 2, "register champion": 3, "register record": 4,
    "register add": 4, "register fetch": 3, "register promote": 3, "deploy apply": 3,
}  # fmt: skip
RUN_KILLS = 5
# As large as the main job: with fewer rows a model may be refused, and nothing would be registered and served.
PASSING = (
    "--rows", "200000", "--holdout-rows", "60000", "--trials", "1", "--shards", "2",
    "--recorded", str(HOUSE / "tests/data/recorded_stops.csv"),
)  # fmt: skip
# What stands for the calls of the default suite: one of each kind of place that is written.
QUICK = ("synthesize generate", "train rank", "register promote")


def test_fifty_kills_in_all() -> None:
    """Every call of the pipeline has its share."""
    assert KILLS.keys() == CALLS.keys()
    assert sum(KILLS.values()) + RUN_KILLS == 50


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server that follows the store of the call that is killed."""
    begin(CALLS["deploy apply"], tmp_path, tmp_path / "disturbed")
    with serving(tmp_path / "disturbed" / "store") as url:
        yield url


def carry_out(name: str, kills: int, chain: Path, folder: Path, tally: Tally, *more: str) -> None:
    """Kill a call at random instants of its life, each time resume it, and compare with an undisturbed one."""
    verb, out, other = CALLS[name], folder / "disturbed", folder / "undisturbed"
    chance = random.Random(f"{SEED} {name}")
    begin(verb, chain, other)
    words = [*verb.words(chain, out), *more]
    # What it is compared with is the same call elsewhere, whose server is the same.
    undisturbed = [word.replace(str(out), str(other)) for word in words]
    if name == "deploy apply":
        life = killing.life_s(words, IMAGE)
        wanted = left_by(out)
    else:
        begin(verb, chain, out)
        life = killing.life_s(undisturbed, IMAGE)
        wanted = left_by(other)
    killed = 0
    while killed < kills:
        share = chance.random()
        told = f"{name}, seed {SEED}: kill {killed + 1} at {share:.4f} of {life:.2f} s of processor time"
        if chance.random() < 0.5:
            afresh(verb, chain, out)
        if not killing.kill_at(words, share * life, IMAGE):
            continue  # it ended first, as it may near the end of its life
        killed += 1
        tally.tried()
        done = command(*words, "--reuse", environment=IMAGE)
        assert done.code == 0, f"{told}: {done.stderr}"
        found = left_by(out)
        tally.lost(len(wanted.keys() - found.keys()))
        assert found == wanted, told
        assert half_written(out) == [], told
        tally.survived()


def afresh(verb: Verb, chain: Path, out: Path) -> None:
    """As if the call had never been made; the folder that a server follows stays."""
    for entry in [*(out / "store").iterdir(), *(one for one in out.iterdir() if one.name not in ("store", "ready"))]:
        artifacts.discard(entry)
    if verb.verb == "promote":
        begin(verb, chain, out)


@pytest.mark.parametrize("name", QUICK)
def test_a_killed_step_is_made_good(name: str, chain: Path, tmp_path: Path, tally: Tally) -> None:
    """One kill of a quick step of each kind, the same as the many of the long suite."""
    carry_out(name, 1, chain, tmp_path, tally)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CALLS if name != "deploy apply"])
def test_a_killed_step_called_again_ends_as_undisturbed(name: str, chain: Path, tmp_path: Path, tally: Tally) -> None:
    """SIGKILL of its process group at random instants: artifacts, registry and kept models are the same bytes."""
    carry_out(name, KILLS[name], chain, tmp_path, tally)


@pytest.mark.slow
def test_a_killed_deployment_called_again_ends_as_undisturbed(
    server: str, chain: Path, tmp_path: Path, tally: Tally
) -> None:
    """The store, what it points to and its history are the same, and the server serves the version."""
    carry_out("deploy apply", KILLS["deploy apply"], chain, tmp_path, tally, "--server", server)


@pytest.mark.slow
def test_a_killed_run_called_again_ends_as_undisturbed(tmp_path: Path, tally: Tally) -> None:
    """SIGKILL of `brakeline run` and its steps, five times over: dataset, trials, model, verdict and version are equal.

    Two kills are drawn from the time that a whole run takes, the others from that of one whose model is kept: each call
    goes on where the last one was.
    One that was killed after its version went live is judged beside that version, as a second run is.
    """
    chance, state = random.Random(f"{SEED} run"), tmp_path / "disturbed"
    began = time.monotonic()
    first = run(tmp_path / "undisturbed")
    whole_s, killed, told = time.monotonic() - began, 0, list[str]()
    second = run(tmp_path / "undisturbed")
    again_s = time.monotonic() - began - whole_s
    for _ in range(4 * RUN_KILLS):
        life_s = whole_s if killed < 2 else again_s
        wait_s = chance.random() * life_s
        child = killing.started(run_words(state))
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)
            continue  # it ended first: the next one begins with all that can be kept
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(PATIENCE_S)
        killed += 1
        tally.tried()
        told.append(f"{wait_s:.2f} of {life_s:.2f} s")
        deadline = time.monotonic() + PATIENCE_S
        while not killing.server_ended(state / "models"):
            assert time.monotonic() < deadline, "the killed run left its server behind"
            time.sleep(0.05)
        if killed == RUN_KILLS:
            break
    live = any(known["state"] == "live" for known in registered(state)["versions"])
    found, wanted = run(state), second if live else first
    tally.lost(len(wanted.keys() - found.keys()))
    assert found == wanted, f"run, seed {SEED}: killed at {', '.join(told)}"
    assert half_written(state) == []
    tally.survived(killed)
    assert killed == RUN_KILLS, told


def run_words(state: Path) -> list[object]:
    return ["brakeline", "run", "--runner", "process", "--state", state, "--json", *PASSING]


def run(state: Path) -> dict[str, Any]:
    """A run to its end: sha256 of what its tasks made, and what is registered and served."""
    done = command(*run_words(state), patience_s=3 * PATIENCE_S)
    assert done.code == 0, done.stderr[-2000:]
    folder = Path(json.loads(done.stdout)["folder"])
    tasks = json.loads((folder / "run.json").read_text())["tasks"]
    made = {
        f"{task['name']} {task['scope'].rpartition('-')[2]} {name}": artifact.get("sha256")
        for task in tasks
        for name, artifact in task["artifacts"].items()
        if name in {"part", "dataset", "holdout", "results", "ranking", "model", "verdict"}
    }
    listed = registered(state)
    subjects = [(known["version"], known["sha256"], known["state"]) for known in listed["versions"]]
    served = json.loads((state / "models" / "stopping-distance" / "serving.json").read_text())
    return {**made, "subjects": subjects, "served": served, "datasets": listed["datasets"]}


def registered(state: Path) -> dict[str, Any]:
    """What the registry of a run lists; an empty one where none was made yet."""
    return command("brakeline-register", "list", "--registry", f"sqlite:///{state}/registry.sqlite").result

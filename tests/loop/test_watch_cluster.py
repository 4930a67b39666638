"""A run that goes to a cluster: the real command, over a real socket, to an API that holds it to its description."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from brakeline import images
from brakeline.access import Access
from brakeline.server_metrics import Address
from brakeline.trigger import Command, To
from brakeline.watch import Watch

from tests.cluster.conftest import api, bare_environment, pushed, store, way
from tests.cluster.kfp_server import Api, Fault
from tests.cluster.published import DESCRIPTION
from tests.conftest import Chain
from tests.loop import traffic
from tests.loop.shift import RULE
from tests.serving.conftest import Server

__all__ = ["api", "bare_environment", "pushed", "store", "way"]
pytestmark = pytest.mark.skipif(not DESCRIPTION.is_file(), reason=f"no {DESCRIPTION.name} beside the repository")

# The command as it is, but for the images of a push, which this machine has not made.
PUSHED = (
    "import sys; from pathlib import Path; from brakeline import images; images.LOCK = Path(sys.argv.pop(1))\n"
    "from brakeline.cli import app; app()"
)


class OfAPush(Command):
    """The command with the images that the test says were pushed."""

    def words(self, key: str, reason: str) -> list[str]:
        """The same words, for the same program."""
        return [sys.executable, "-c", PUSHED, str(images.LOCK), *super().words(key, reason)[1:]]


def test_one_run_on_the_cluster_whatever_is_lost(
    way: Access, api: Api, start: Callable[..., Server], tiny: Chain, tmp_path: Path
) -> None:
    """The answer to the creation is lost, then the watch itself: one run, with the reason in its description."""
    state, world = tmp_path / "state", traffic.world(tiny)
    state.mkdir()
    server = start("--model", str(traffic.model_of(tiny)))
    clock = [1.8e9]

    def look() -> str:
        command = OfAPush(To.CLUSTER, state, None, ["--rows", "20000"])
        rule = replace(RULE, for_s=0.0)
        watch = Watch(Address(server.url), rule, state, command, "cluster", lambda: clock[0], wait=True)
        clock[0] += 30.0
        return watch.step().status

    assert look() == "nothing"
    traffic.ask(server, world.slick(), range(1000))
    api.faults.append(Fault("RunService_CreateRun", "lost"))
    assert look() == "submitted"
    (run,) = api.state.runs.values()
    memory = json.loads((state / "watch.json").read_text())
    assert (memory["trigger"]["status"], memory["trigger"]["run"]) == ("submitted", run["run_id"])
    assert memory["trigger"]["reason"] in run["description"]
    assert memory["trigger"]["key"] in run["description"]
    assert run["runtime_config"]["parameters"]["rows"] == 20_000
    memory["trigger"] |= {"status": "decided", "run": ""}  # as after a kill before the answer came
    (state / "watch.json").write_text(json.dumps(memory))
    assert look() == "submitted"
    assert list(api.state.runs.values()) == [run]
    assert json.loads((state / "watch.json").read_text())["trigger"]["run"] == run["run_id"]
    for file in state.rglob("*"):
        assert file.is_dir() or api.token not in file.read_text()


@pytest.mark.slow
def test_a_cluster_that_is_away_is_asked_again(
    way: Access, api: Api, start: Callable[..., Server], tiny: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens: the status of the command, the same key kept for later, and no run."""
    state, world = tmp_path / "state", traffic.world(tiny)
    state.mkdir()
    server = start("--model", str(traffic.model_of(tiny)))
    rule, monotone = replace(RULE, for_s=0.0), iter(range(10))
    monkeypatch.setenv("BRAKELINE_KFP_URL", "https://127.0.0.1:9")

    def step() -> tuple[str, int]:
        command = OfAPush(To.CLUSTER, state, None, [])
        watch = Watch(
            Address(server.url), rule, state, command, "cluster", lambda: 1.8e9 + 30 * next(monotone), wait=True
        )
        looked = watch.step()
        return looked.status, looked.exit_code

    assert step() == ("nothing", 0)
    traffic.ask(server, world.slick(), range(1000))
    assert step() == ("failed", 69)
    trigger = json.loads((state / "watch.json").read_text())["trigger"]
    assert trigger["status"] == "decided"
    assert "127.0.0.1:9" in trigger["error"]
    monkeypatch.setenv("BRAKELINE_KFP_URL", api.url)
    assert step()[0] == "submitted"
    assert json.loads((state / "watch.json").read_text())["trigger"]["key"] == trigger["key"]
    assert len(api.state.runs) == 1

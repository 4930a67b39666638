"""A byte that is flipped in what stands, a model in a store, a registry, a cache: nothing is served or told by it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from brakeline_register import keeping
from brakeline_register.registry import State, open_registry
from stepkit import artifacts
from stepkit.errors import StepError
from stepkit.verdict import model_sha256

from tests.conftest import HOUSE, command
from tests.deploy.releases import NAME, release
from tests.faults import scripts
from tests.faults.counting import Tally
from tests.faults.flipping import flipped
from tests.orchestrator import toy
from tests.register.registries import entry
from tests.serving.conftest import Server, start, tensor

__all__ = ["start"]

Start = Callable[..., Server]
BODY = {"inputs": [tensor("speed_mps", 3.0)]}
# Of a graph so many places, of which some hold numbers that no golden answer depends on.
PLACES = 16
# Of a registry's bytes that are not zero, one of so many.
FEWER = 5


def test_no_flipped_byte_of_a_deployed_model_is_served(start: Start, tmp_path: Path, tally: Tally) -> None:
    """The server that runs keeps the model that it has; one that starts serves none, and says which file it is."""
    store, made = tmp_path / "store", release(tmp_path, "1")
    store.mkdir()
    server = start("--model-store", str(store))
    words = ["brakeline-deploy", "apply", *made.words(), "--endpoint", tmp_path / "e", "--model-store", store]
    assert command(*words, "--server", server.url).code == 0
    graph = store / NAME / "1" / "model.onnx"
    whole = graph.read_bytes()
    for place in range(0, len(whole), len(whole) // PLACES):
        tally.tried()
        with flipped(graph, place):
            server.wait_until(lambda: "1" in _refused(server))
            assert "sha256" in _refused(server)["1"]
            tally.wrong(int(server.infer(BODY).json["outputs"][0]["data"] != [6.0]))
        server.wait_until(lambda: _refused(server) == {})
        tally.survived()
    tally.tried()
    with flipped(graph, len(whole) // 2):
        late = start("--model-store", str(store))
        late.wait_until(lambda: late.ask("GET", "/v2/health/ready").status == 503)
        assert late.infer(BODY).status != 200
        assert str(graph) in late.log.read_text()
    tally.survived()


def _refused(server: Server) -> dict[str, str]:
    return dict(server.ask("GET", f"/v2/models/{NAME}").json["parameters"]["refused"])


def test_a_pointer_that_cannot_be_right_changes_nothing(start: Start, tmp_path: Path, tally: Tally) -> None:
    """Whichever byte of serving.json is flipped: what is served is the model that it named, or none."""
    store, made = tmp_path / "store", release(tmp_path, "1")
    store.mkdir()
    server = start("--model-store", str(store))
    words = ["brakeline-deploy", "apply", *made.words(), "--endpoint", tmp_path / "e", "--model-store", store]
    assert command(*words, "--server", server.url).code == 0
    pointer = store / NAME / "serving.json"
    for place in range(pointer.stat().st_size):
        tally.tried()
        with flipped(pointer, place):
            answer = server.infer(BODY)
            tally.wrong(int(answer.status == 200 and answer.json["outputs"][0]["data"] != [6.0]))
        tally.survived()
    server.wait_until(lambda: _refused(server) == {})
    assert server.infer(BODY).json["outputs"][0]["data"] == [6.0]


def test_a_flipped_byte_of_a_registry_brings_no_other_model(tmp_path: Path, tally: Tally) -> None:
    """It is an error of ours, or a version whose model is fetched as it was registered, or not at all."""
    file, made = tmp_path / "registry.sqlite", release(tmp_path, "1")
    kept = open_registry(f"sqlite:///{file}")
    told = {"sha256": made.sha256, "uri": str(made.model), "folder_sha256": artifacts.sha256_of(made.model)}
    kept.add(NAME, entry("a", **told))
    kept.set_state(NAME, "1", State.LIVE, by="ann", why="good")
    whole = file.read_bytes()
    for place in [at for at in range(len(whole)) if whole[at]][::FEWER]:
        tally.tried()
        folder = tmp_path / "brought" / str(place)
        with flipped(file, place):
            try:
                for version in open_registry(f"sqlite:///{file}").list(NAME):
                    keeping.bring(version, folder)
                    tally.wrong(int(model_sha256(folder) != made.sha256))
                    shutil.rmtree(folder)
            except StepError as error:
                assert error.exit_code in (65, 75), error
        tally.survived()


@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_flipped_byte_of_a_cache_is_no_hit_or_an_error(place: str, tmp_path: Path, tally: Tally) -> None:
    """An entry that cannot be right makes the task run again, or the next one refuse what it names."""
    toy.install(tmp_path)
    first = _toy_run(tmp_path)
    for entry_ in sorted((tmp_path / "cache").glob("*.json")):
        at = {"first": 0, "middle": entry_.stat().st_size // 2, "last": entry_.stat().st_size - 1}[place]
        tally.tried()
        with flipped(entry_, at):
            again = _toy_run(tmp_path)
        assert again["status"] == "succeeded" or again["error"], again
        if again["status"] == "succeeded":
            tally.wrong(int(_made(again) != _made(first)))
        tally.survived()


def _toy_run(folder: Path) -> dict[str, object]:
    toy.compiled(toy.looped, folder)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(HOUSE)}
    words = [sys.executable, "-c", scripts.CACHED, str(folder)]
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    return dict(json.loads(Path(done.stdout.strip()).read_text()))


def _made(run: dict[str, object]) -> list[str]:
    tasks = run["tasks"]
    assert isinstance(tasks, list)
    uris = [made["uri"] for task in tasks for made in task["artifacts"].values()]
    return sorted(Path(uri).read_text() for uri in uris)

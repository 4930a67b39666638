"""Two releases at once on one registry, one folder of kept models, one model store and one server."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from brakeline_register.registry import State, open_registry
from stepkit import artifacts, verdict

from tests.conftest import Chain, command
from tests.deploy.test_deploy import NAME, serving
from tests.faults.counting import Tally
from tests.register.test_verbs import passed

ROUNDS, TRIES = 4, 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server that follows the store."""
    with serving(tmp_path / "store") as url:
        yield url


def _judged(chain: Path, folder: Path, number: int) -> Path:
    """A model of other content for each number, and a verdict as if it had passed."""
    shutil.copytree(chain / "model", folder / "model", ignore=shutil.ignore_patterns(".lineage.json"))
    with (folder / "model" / "model.onnx").open("ab") as graph:
        # An empty field that no reader knows.
        graph.write(b"\xf8\x07" + bytes([number + 1]))
    sha256 = artifacts.sha256_of(folder / "model" / "model.onnx")
    artifacts.write_json(folder / "verdict", passed(Chain(chain), model_sha256=sha256, seed=number))
    return folder


def _judge_again(folder: Path, live_sha256: str) -> None:
    """The verdict as if given beside the version that is live now."""
    judged = json.loads((folder / "verdict").read_text())
    said = {key: value for key, value in judged.items() if key != "seal"}
    artifacts.write_json(folder / "verdict", verdict.sealed(said | {"champion_sha256": live_sha256}))


def _release(at: Path, url: str, folder: Path) -> str:
    """Record, add, apply, promote, as the pipeline does; each again where it may succeed later. The version.

    Where another went live meanwhile, it is judged again, beside that one.
    """
    registry = ("--registry", f"sqlite:///{at}/registry.sqlite")
    model, judged = ("--model", folder / "model"), ("--passed-verdict", folder / "verdict")
    registered = ("--registered", folder / "registered")
    deploy = ("--endpoint", folder / "endpoint", "--model-store", at / "store", "--server", url)
    calls: tuple[tuple[object, ...], ...] = (
        ("brakeline-register", "record", "--verdict", folder / "verdict", "--recorded", folder / "recorded", *registry),
        ("brakeline-register", "add", *model, *judged, *registered, *registry),
        ("brakeline-deploy", "apply", *model, *judged, *registered, *deploy, "--timeout-seconds", "20"),
        ("brakeline-register", "promote", *registered, "--promoted", folder / "promoted", *registry, "--by", "ann"),
    )
    for call in calls:
        for _ in range(TRIES):
            done = command(*call)
            if done.code == 65 and "is live now" in done.error["message"]:
                _judge_again(folder, done.error["allowed"])
            elif done.code != 75:
                break
        assert done.code == 0, done.stderr
    return str(json.loads((folder / "registered").read_text())["version"])


@pytest.mark.slow
def test_two_releases_at_once_lose_and_double_nothing(server: str, chain: Path, tmp_path: Path, tally: Tally) -> None:
    """Every model is one version, every attempt is counted, one is live, one serves, and all are kept."""
    for round_ in range(ROUNDS):
        pair = [_judged(chain, tmp_path / str(number), number) for number in (2 * round_, 2 * round_ + 1)]
        tally.tried()
        with ThreadPoolExecutor(2) as pool:
            versions = list(pool.map(lambda folder: _release(tmp_path, server, folder), pair))
        kept = open_registry(f"sqlite:///{tmp_path}/registry.sqlite")
        listed, wanted = kept.list(NAME), 2 * (round_ + 1)
        tally.lost(wanted - len(listed))
        assert [one.version for one in listed] == [str(number + 1) for number in range(wanted)]
        assert len({one.sha256 for one in listed}) == wanted == len(kept.attempts(NAME))
        assert [one.state for one in listed].count(State.LIVE) == 1
        assert all(Path(one.uri).is_dir() for one in listed)
        served = json.loads((tmp_path / "store" / NAME / "serving.json").read_text())["primary"]
        assert served in versions
        tally.survived()

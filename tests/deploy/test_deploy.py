"""Deploy: a version is served and proven by a real server, or the one before it serves again."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from brakeline_deploy.store import ModelStore
from stepkit import verdict
from stepkit.errors import ArtifactAltered, StepError

from tests.conftest import BIN, Chain, Done, command

NAME = "stopping-distance"


@contextmanager
def serving(store: Path) -> Iterator[str]:
    """Our own server on a free port, following a store."""
    store.mkdir(exist_ok=True)
    ready = store.parent / "ready"
    words = [str(BIN / "brakeline-serving"), "--model-store", str(store), "--port", "0", "--ready-file", str(ready)]
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready.exists():
            assert child.poll() is None
            time.sleep(0.02)
        yield ready.read_text().strip()
    finally:
        child.terminate()
        child.wait(30)


def registered(chain: Chain, folder: Path, version: str, sha256: str = "") -> Path:
    file = folder / f"registered-{version}"
    sha256 = sha256 or verdict.model_sha256(chain.model)
    file.write_text(json.dumps({"name": NAME, "version": version, "uri": str(chain.model), "sha256": sha256}))
    return file


def apply(chain: Chain, at: Path, version: Path, server: str, **instead: Path) -> Done:
    words = ["brakeline-deploy", "apply", "--model", instead.get("model", chain.model)]
    words += ["--passed-verdict", instead.get("verdict", chain.verdict), "--registered", version]
    words += ["--endpoint", at / "endpoint", "--model-store", at / "store", "--server", server]
    return command(*words, "--timeout-seconds", "3")


def test_a_version_is_served_proven_and_rolled_back(good: Chain, tmp_path: Path) -> None:
    """Apply, apply the next, again, roll back: the server follows each time and its answers are proven."""
    with serving(tmp_path / "store") as server:
        first = apply(good, tmp_path, registered(good, tmp_path, "1"), server)
        assert first.code == 0, first.stderr
        assert first.result["values_proven"] == 18
        assert first.result["before"] is None
        for _ in range(2):
            second = apply(good, tmp_path, registered(good, tmp_path, "2"), server)
            assert second.code == 0, second.stderr
        assert json.loads((tmp_path / "endpoint").read_text())["version"] == "2"
        back = command("brakeline-deploy", "rollback", "--model-store", tmp_path / "store")
        assert back.result["version"] == "1"
        deadline = time.monotonic() + 5
        while (served := httpx.get(f"{server}/v2/models/{NAME}").json()["parameters"]["version"]) != "1":
            assert time.monotonic() < deadline, served
            time.sleep(0.05)
    assert command("brakeline-deploy", "rollback", "--model-store", tmp_path / "store").code == 2


def test_deploy_refuses_without_a_passed_verdict(good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """Failed, about another model, or a registration of another graph: 65, and the store is not touched."""
    passed = json.loads(good.verdict.read_text())
    (tmp_path / "failed").write_text(json.dumps(verdict.sealed(passed | {"passed": False})))
    (tmp_path / "altered").write_text(json.dumps(passed | {"contract_version": 99}))
    one = registered(good, tmp_path, "1")
    other = registered(good, tmp_path, "9", "f" * 64)
    nowhere = "http://127.0.0.1:1"
    assert apply(good, tmp_path, one, nowhere, verdict=tmp_path / "failed").code == 65
    assert apply(good, tmp_path, one, nowhere, verdict=tmp_path / "altered").code == 65
    assert apply(good, tmp_path, one, nowhere, model=tiny.model).code == 65
    assert apply(good, tmp_path, other, nowhere).code == 65
    assert not (tmp_path / "store").exists()


def test_plan_changes_nothing(good: Chain, tmp_path: Path) -> None:
    """Plan tells what would be served instead of what, and leaves no file."""
    words = ["brakeline-deploy", "plan", "--model", good.model, "--passed-verdict", good.verdict]
    words += ["--registered", registered(good, tmp_path, "4"), "--model-store", tmp_path / "store"]
    told = command(*words).result
    assert (told["now"], told["then"], told["changes"]) == (None, "4", True)
    assert not (tmp_path / "store").exists()


def test_a_server_that_is_not_there_ends_with_69(good: Chain, tmp_path: Path) -> None:
    """Nothing listens: unavailable, said with address and patience, and the store is as before."""
    done = apply(good, tmp_path, registered(good, tmp_path, "1"), "http://127.0.0.1:1")
    assert done.code == 69
    assert "http://127.0.0.1:1" in done.error["message"]
    assert ModelStore(tmp_path / "store", NAME).primary() is None


class _Liar(BaseHTTPRequestHandler):
    """A server that claims every version and answers every question with 1."""

    claimed: dict[str, str]

    def do_GET(self) -> None:
        self._answer({"parameters": self.claimed})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        rows = asked["inputs"][0]["shape"][0]
        self._answer({"outputs": [{"name": "stopping_distance_m", "data": [1.0] * rows}]})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.mark.parametrize("fault", ["wrong answers", "never the version"])
def test_a_failed_proof_restores_the_version_before(fault: str, good: Chain, tmp_path: Path) -> None:
    """Wrong answers or no answer for the new version: deploy fails, and serving.json names the proven one."""
    store = ModelStore(tmp_path / "store", NAME)
    sha256 = verdict.model_sha256(good.model)
    store.install(good.model, "1", sha256)
    store.serve("1")
    store.remember("1", sha256)
    claimed = {"version": "2" if fault == "wrong answers" else "1", "sha256": sha256}
    liar = HTTPServer(("127.0.0.1", 0), type("Liar", (_Liar,), {"claimed": claimed}))
    Thread(target=liar.serve_forever, daemon=True).start()
    done = apply(good, tmp_path, registered(good, tmp_path, "2"), f"http://127.0.0.1:{liar.server_port}")
    liar.shutdown()
    assert done.code == (65 if fault == "wrong answers" else 69), done.stderr
    assert store.primary() == "1"
    assert '"rolled_back"' in done.stderr


def test_a_first_version_that_fails_its_proof_is_taken_out_of_service(good: Chain, tmp_path: Path) -> None:
    """With nothing to go back to, the server serves nothing rather than what was not proven."""
    golden = json.loads((good.model / "golden.json").read_text())
    golden["outputs"]["stopping_distance_m"][0] *= 1.01
    wrong = tmp_path / "model"
    shutil.copytree(good.model, wrong, ignore=shutil.ignore_patterns(".lineage.json"))
    (wrong / "golden.json").write_text(json.dumps(golden))
    with serving(tmp_path / "store") as server:
        done = apply(good, tmp_path, registered(good, tmp_path, "1"), server, model=wrong)
        assert done.code == 65
        assert "golden request" in done.error["message"]
        deadline = time.monotonic() + 5
        while httpx.get(f"{server}/v2/health/ready").status_code == 200:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert httpx.get(f"{server}/v2/health/live").status_code == 200
        assert apply(good, tmp_path, registered(good, tmp_path, "1"), server).code == 0


def test_a_rollout_killed_before_its_proof_is_no_place_to_go_back_to(good: Chain, tmp_path: Path) -> None:
    """After a kill between switch and proof, the version to restore is the last one that was proven."""
    store = ModelStore(tmp_path / "store", NAME)
    for version in ("1", "2"):
        store.install(good.model, version, verdict.model_sha256(good.model))
    store.serve("1")
    store.remember("1", verdict.model_sha256(good.model))
    store.serve("2")
    assert store.primary() == "2"
    assert store.proven() == "1"


def test_another_graph_under_the_same_version_is_refused(good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """A version, once in the store, keeps its bytes."""
    store = ModelStore(tmp_path / "store", NAME)
    store.install(good.model, "1", verdict.model_sha256(good.model))
    store.install(good.model, "1", verdict.model_sha256(good.model))
    with pytest.raises(ArtifactAltered):
        store.install(tiny.model, "1", verdict.model_sha256(tiny.model))
    with pytest.raises(ArtifactAltered):
        store.install(tiny.model, "2", verdict.model_sha256(good.model))
    assert [file.name for file in (tmp_path / "store" / NAME).iterdir()] == ["1"]


def test_serving_a_version_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """serving.json never names a version without a graph."""
    with pytest.raises(StepError, match="holds no version 3"):
        ModelStore(tmp_path, NAME).serve("3")


def test_the_shadow_stays_unless_it_becomes_the_primary(good: Chain, tmp_path: Path) -> None:
    """Deploy changes the primary alone; a shadow that is promoted is a shadow no more."""
    store = ModelStore(tmp_path, NAME)
    for version in ("1", "2", "3"):
        store.install(good.model, version, verdict.model_sha256(good.model))
    store.serving_file.write_text('{"primary": "1", "shadow": "3"}')
    store.serve("2")
    assert json.loads(store.serving_file.read_text()) == {"primary": "2", "shadow": "3"}
    store.serve("3")
    assert json.loads(store.serving_file.read_text()) == {"primary": "3"}

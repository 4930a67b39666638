"""What nobody thought of while a version is proven, removed, asked for: nothing unproven serves, no token is told."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from brakeline_deploy import kube, places, rollout, s3_store
from brakeline_deploy.s3_store import RemoteStore
from brakeline_deploy.store import ModelStore
from stepkit import objects
from stepkit.errors import ServiceUnavailable, StepError, UsageError

from tests.conftest import Done, command
from tests.deploy.conftest import write_kubeconfig
from tests.deploy.kubernetes_api import TOKEN
from tests.deploy.releases import NAME, Made, release
from tests.orchestrator import object_store

SECRETS = "first-secret\nsecond-secret"


class _Answers(BaseHTTPRequestHandler):
    """A server that serves whatever version it is told to, and answers every question alike."""

    about: ClassVar[dict[str, Any]]
    outputs: ClassVar[object]

    def do_GET(self) -> None:
        self._answer({"parameters": self.about})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"outputs": self.outputs})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def answering(made: Made, outputs: object) -> Iterator[str]:
    told = {"about": {"version": made.version, "sha256": made.sha256}, "outputs": outputs}
    server = HTTPServer(("127.0.0.1", 0), type("Answers", (_Answers,), told))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def apply(made: Made, at: Path, server: str, *words: object) -> Done:
    told = ("--endpoint", at / "endpoint", "--model-store", at / "store", "--server", server, "--timeout-seconds", "3")
    return command("brakeline-deploy", "apply", *made.words(), *told, *words)


def proven(at: Path, *versions: str) -> ModelStore:
    """A store in which versions were proven one after the other."""
    store = ModelStore(at / "store", NAME)
    for version in versions:
        made = release(at, version, float(version))
        store.install(made.model, version, made.sha256)
        store.serve(version)
        store.remember(version, made.sha256)
    return store


@pytest.mark.parametrize("outputs", [[{"name": "way_m", "data": 5}], [{"name": "way_m", "data": [{}]}], [{"name": []}]])
def test_an_answer_that_nobody_thought_of_is_no_proof(outputs: object, tmp_path: Path) -> None:
    """Whatever comes in place of the answers, the call fails and the version before serves."""
    store, two = proven(tmp_path, "1"), release(tmp_path, "2", 3.0)
    with answering(two, outputs) as server:
        done = apply(two, tmp_path, server)
    assert done.code != 0
    assert '"rolled_back"' in done.stderr
    assert store.primary() == "1"


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_switch_whose_answer_was_lost_is_taken_back(
    written: bool, first: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The store breaks off while the pointer is written, done or not: nothing unproven is the primary afterwards."""
    store, two = proven(tmp_path, *(() if first else ("1",))), release(tmp_path, "2", 3.0)
    write, asked = ModelStore.write, list[str]()

    def broken_off(self: ModelStore, file: str, content: bytes) -> None:
        asked.append(file)
        if written or len(asked) > 1:
            write(self, file, content)
        if len(asked) == 1:
            raise ServiceUnavailable("the answer was lost")

    monkeypatch.setattr(ModelStore, "write", broken_off)
    with (
        answering(two, []) as server,
        rollout.admitted(two.registered, two.verdict, two.model) as admitted,
        places.opened(places.Asked(str(tmp_path / "store"), NAME, server), at_work=True) as target,
        pytest.raises(ServiceUnavailable, match="the answer was lost"),
    ):
        rollout.apply(target, admitted)
    assert asked[0] == "serving.json"
    assert store.primary() == (None if first else "1")
    assert ("rolled_back" in capfd.readouterr().err) is written


@pytest.mark.parametrize(
    "golden",
    [
        {},
        [],
        {"inputs": {"speed_mps": [1.0]}, "outputs": {}},
        {"inputs": {"speed_mps": []}, "outputs": {"way_m": []}},
        {"inputs": {"speed_mps": [1.0, 2.0]}, "outputs": {"way_m": [1.0]}},
        {"inputs": {"speed_mps": 1.0}, "outputs": {"way_m": [1.0]}},
    ],
)
def test_a_golden_request_that_proves_nothing_changes_nothing(golden: object, tmp_path: Path) -> None:
    """No question, no answers, or not one for each row: 65 with the file, before anything is changed."""
    store, two = proven(tmp_path, "1"), release(tmp_path, "2", 3.0)
    (two.model / "golden.json").write_text(json.dumps(golden))
    with answering(two, []) as server:
        done = apply(two, tmp_path, server)
    assert done.code == 65
    assert str(two.model / "golden.json") in done.error["message"]
    assert (store.primary(), store.sha256("2")) == ("1", None)


def test_what_was_removed_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    """1 is removed, then 3 is gone back from: 2 stays the proven version, however often a rollback is asked for."""
    store = proven(tmp_path, "1", "2", "3")
    where = ("--model-store", tmp_path / "store")
    assert command("brakeline-deploy", "prune", "--versions", "1", *where).code == 0
    assert command("brakeline-deploy", "rollback", *where).result["version"] == "2"
    refused = command("brakeline-deploy", "rollback", *where)
    assert refused.code == 2
    assert "version 1, in service before 2, was removed" in refused.error["message"]
    assert (store.primary(), store.proven()) == ("2", "2")


@pytest.mark.parametrize("named", [".", "..", "../other", "/"])
def test_only_versions_are_removed(named: str, tmp_path: Path) -> None:
    """What leads elsewhere, as to the whole store, is no version: 2, and every file is there."""
    store = proven(tmp_path, "1", "2", "3")
    before = sorted((tmp_path / "store").rglob("*"))
    done = command("brakeline-deploy", "prune", "--versions", f"1,{named}", "--model-store", tmp_path / "store")
    assert done.code == 2
    assert "--versions" in done.error["message"]
    assert [file for file in before if not file.exists()] == []
    assert store.primary() == "3"


@pytest.mark.parametrize("words", [("--after-requests", 9), ("--shadow", "--canary-percent", 5)])
def test_a_trial_that_was_asked_for_is_not_left_out(words: tuple[object, ...], tmp_path: Path) -> None:
    """Options of a trial without it, or of two kinds at once: 2, instead of all requests for what was to be tried."""
    store, two = proven(tmp_path, "1"), release(tmp_path, "2", 3.0)
    with answering(two, []) as server:
        done = apply(two, tmp_path, server, *words)
    assert done.code == 2
    assert "--shadow" in done.error["message"]
    assert (store.primary(), store.sha256("2")) == ("1", None)


@pytest.mark.parametrize("content", [SECRETS, "", "two words"])
def test_a_file_that_holds_no_token_is_refused_without_its_words(content: str, tmp_path: Path) -> None:
    """Several lines, none, words: 2 with the file's name, and nothing of what is in it is told."""
    one, file = release(tmp_path, "1"), tmp_path / "token"
    file.write_text(content)
    with answering(one, []) as server:
        done = apply(one, tmp_path, server, "--token-file", file)
    assert done.code == 2
    assert f"--token-file: {file}" in done.error["message"]
    assert not [word for word in content.split() if f"{word}" in done.stdout + done.stderr]


def test_a_kubeconfigs_token_that_cannot_be_sent_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines as a token, or a kubeconfig that cannot be read: 2, and no word of what is in it."""
    one = release(tmp_path, "1")
    with answering(one, []) as server:
        file = write_kubeconfig(tmp_path, server, None)
        monkeypatch.setenv("KUBECONFIG", str(file))
        text = file.read_text()
        for token in (SECRETS, "first-secret\n"):
            file.write_text(text.replace(f"token: {TOKEN}", f"token: {json.dumps(token)}"))
            with pytest.raises(UsageError, match="cannot be sent") as raised:
                kube.connect("there").get(NAME)
            assert "secret" not in str(raised.value)
            assert raised.value.__suppress_context__
    file.write_text("users: [{token: first-secret, ]")
    with pytest.raises(UsageError, match="no cluster to deploy to") as raised:
        kube.connect("there")
    assert "first-secret" not in str(raised.value)


def test_a_lease_that_another_took_over_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ended and changed hands between being read and being renewed: it stays the other's."""
    with object_store.serving() as store:
        for key, value in store.environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(s3_store, "RENEW_S", 0.05)
        known, key = RemoteStore("s3://bucket/models", NAME), f"/bucket/models/{NAME}/.deploy.lock"
        others = json.dumps({"by": "another", "until": time.time() + 60}).encode()
        read, looked = RemoteStore._holder, list[str]()

        def taken_over_meanwhile(self: RemoteStore) -> tuple[str, float, str]:
            found = read(self)
            looked.append(found[0])
            if len(looked) == 1:
                objects.write_bytes(known.address(".deploy.lock"), others)
            return found

        with known.turn():
            monkeypatch.setattr(RemoteStore, "_holder", taken_over_meanwhile)
            deadline = time.monotonic() + 10
            while len(looked) < 3:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert looked[0] != "another"
        assert set(looked[1:]) == {"another"}
        assert store.objects[key] == others


def test_a_renewal_that_is_denied_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends one renewal, the next comes: a lease does not run out under a deployment that is at work."""
    with object_store.serving() as store:
        for key, value in store.environment().items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(s3_store, "RENEW_S", 0.05)
        known, key = RemoteStore("s3://bucket/models", NAME), f"/bucket/models/{NAME}/.deploy.lock"
        read, failed = RemoteStore._holder, list[int]()

        def denied_once(self: RemoteStore) -> tuple[str, float, str]:
            if not failed:
                failed.append(1)
                raise StepError("denied")
            return read(self)

        with known.turn():
            first = store.objects[key]
            monkeypatch.setattr(RemoteStore, "_holder", denied_once)
            deadline = time.monotonic() + 10
            while store.objects[key] == first:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        assert failed


def test_a_graph_that_was_altered_since_it_was_proven_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    """65 with both sha256; the version that serves stays, and the next call finds the same."""
    store = proven(tmp_path, "1", "2")
    graph = tmp_path / "store" / NAME / "1" / "model.onnx"
    content = graph.read_bytes()
    graph.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for _ in range(2):
        back = command("brakeline-deploy", "rollback", "--model-store", tmp_path / "store", "--name", NAME)
        assert back.code == 65
        assert back.error["allowed"] == release(tmp_path / "again", "1", 1.0).sha256
        assert (store.primary(), store.proven()) == ("2", "2")
    graph.write_bytes(content)
    back = command("brakeline-deploy", "rollback", "--model-store", tmp_path / "store", "--name", NAME)
    assert back.result["version"] == "1"

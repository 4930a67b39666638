"""A version whose model and papers are kept in an S3 store: held to its lineage, and signed later, as in a folder."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from brakeline import inspection
from brakeline.refusals import Refused
from brakeline_deploy import rollout
from stepkit import lineage

from tests.conftest import Done, command
from tests.images import store as stores
from tests.lineage import toy
from tests.lineage.test_signing import pair
from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore

KEEP, PAPERS = "s3://bucket/kept", {"verdict.json", "lineage.json", "card.md"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> toy.Released:
    """A run whose model is registered nowhere yet."""
    return toy.run(tmp_path_factory.mktemp("toy") / "state", shards=1)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return pair(tmp_path_factory.mktemp("keys") / "ours")


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def released(made: toy.Released, s3: ObjectStore) -> Iterator[toy.Released]:
    """Version 1, kept in the store."""
    done = made.add("--keep", KEEP)
    assert done.code == 0, done.stderr
    yield made
    (made.state / "registry.sqlite").unlink()


def version(released: toy.Released) -> dict[str, Any]:
    return inspection.find(released.registry, toy.NAME, "1")


def ask(released: toy.Released) -> Done:
    return command("brakeline", "lineage", "1", "--state", released.state, "--json")


def test_what_is_kept_there_is_held_to_its_lineage(released: toy.Released, s3: ObjectStore) -> None:
    """Nothing is altered or missing, the model's own files and papers are among what was seen."""
    done = ask(released)
    assert done.code == 0, done.stderr
    assert (done.result["altered"], done.result["missing"]) == ([], [])
    report = inspection.examine(version(released), released.registry, released.state)
    places = {place for listed in report.seen.values() for place in listed if place.startswith("s3://")}
    names = {place.rpartition("/")[2] for place in places}
    assert names == {version(released)["sha256"], "model.onnx", *PAPERS}


def test_a_flipped_byte_of_any_object_is_found(released: toy.Released, s3: ObjectStore) -> None:
    """Named by its address: model, golden request, papers, hidden lineage; also where the object's own sha256 fits."""
    known = version(released)
    touched = [at for at in s3.objects if not at.endswith(".contents.json")]
    assert {at.rpartition("/")[2] for at in touched} == {"model.onnx", "golden.json", ".lineage.json", *PAPERS}
    for at in touched:
        whole, told = s3.objects[at], s3.metadata[at]
        for place in (0, len(whole) // 2, len(whole) - 1):
            s3.objects[at] = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
            s3.metadata[at] = {"x-amz-meta-sha256": hashlib.sha256(s3.objects[at]).hexdigest()}
            altered = inspection.examine(known, released.registry, released.state).altered
            uri = f"s3:/{at}"
            assert any(one.file in (uri, uri.rpartition("/")[0]) for one in altered), (at, place)
        s3.objects[at], s3.metadata[at] = whole, told


def test_a_past_that_was_removed_or_reduced_there_is_found(released: toy.Released, s3: ObjectStore) -> None:
    """The kept model's hidden lineage: gone it is missing, with a call less it is altered; each by its address."""
    known = version(released)
    (at,) = (at for at in s3.objects if at.endswith(lineage.FILE))
    whole, scratch = s3.objects.pop(at), released.state / "scratch"
    report = inspection.examine(known, released.registry, released.state)
    assert (report.altered, [one.artifact for one in report.missing]) == ([], [f"lineage of kept model, s3:/{at}"])
    scratch.write_bytes(whole)
    lineage.write(scratch, lineage.read(scratch)[1:])
    s3.objects[at] = scratch.read_bytes()
    assert [one.file for one in inspection.examine(known, released.registry, released.state).altered] == [f"s3:/{at}"]
    scratch.unlink()


def test_what_is_gone_is_missing_and_no_error(released: toy.Released, s3: ObjectStore) -> None:
    """A pruned version, and a paper that somebody removed: named, 0; the rest is held as ever."""
    (card,) = (at for at in s3.objects if at.endswith("card.md"))
    del s3.objects[card]
    words = ("--versions", "1", "--registry", released.registry)
    assert command("brakeline-register", "prune", *words).code == 0
    done = ask(released)
    assert done.code == 0, done.stderr
    assert {one["artifact"] for one in done.result["missing"]} == {"card", "kept model.onnx"}
    assert done.result["altered"] == []


@pytest.mark.parametrize(("how", "code"), [({"refused": {"GET"}}, 65), ({"failures": 10**6}, 69)])
def test_a_store_that_does_not_answer_is_no_missing_file(
    how: dict[str, Any], code: int, released: toy.Released, s3: ObjectStore
) -> None:
    """Denied or down: the command says so, and nothing of the lineage."""
    known = version(released)
    for name, value in how.items():
        setattr(s3, name, value)
    with pytest.raises(Refused, match="s3://bucket/kept") as refused:
        inspection.examine(known, released.registry, released.state)
    assert refused.value.exit_code == code


def fetched(released: toy.Released, out: Path) -> dict[str, Path]:
    files = {name: out / name for name in ("model", "passed-verdict", "registered")}
    words = [word for name, file in files.items() for word in (f"--{name}", file)]
    done = command("brakeline-register", "fetch", "--version", "1", "--registry", released.registry, *words)
    assert done.code == 0, done.stderr
    return files


def test_a_version_is_signed_later_there(
    released: toy.Released, s3: ObjectStore, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    """Added again with a key: fetched with its signature, let in by it, its papers as they were, nothing altered.

    Another model's name for the same content keeps the first papers, and the signature; another key's is one more.
    """
    before = {at: content for at, content in s3.objects.items() if not at.endswith(".lock")}
    assert "signature" not in json.loads((released.state / "registered").read_text())
    for _ in range(2):
        done = released.add("--keep", KEEP, "--signing-key", keys[0])
        assert done.code == 0, done.stderr
    added = s3.objects.keys() - before.keys()
    assert len(added) == 1
    assert before.items() <= s3.objects.items()
    files = fetched(released, tmp_path)
    admitted = (files["registered"], files["passed-verdict"], files["model"])
    with rollout.admitted(*admitted, verify_key=str(keys[1])) as release:
        assert release.version == "1"
    assert ask(released).result["status"] == "intact"
    assert released.add("--keep", KEEP, "--name", "other").code == 0
    assert {*before, *added} == s3.objects.keys()
    again = pair(tmp_path / "again")
    assert released.add("--keep", KEEP, "--signing-key", again[0]).code == 0
    assert len(s3.objects.keys() - before.keys()) == 2
    files = fetched(released, tmp_path / "more")
    with rollout.admitted(files["registered"], files["passed-verdict"], files["model"], verify_key=str(again[1])):
        pass
    assert ask(released).result["status"] == "intact"


def test_the_real_store_does_as_well(
    made: toy.Released, keys: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SeaweedFS: kept, signed later, intact; a byte that was altered there is found."""
    with stores.running("seaweedfs") as store:
        store.start()
        known = store.credentials()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.port}")
        monkeypatch.setenv("AWS_REGION", known["region"])
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", known["access_key_id"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", known["secret_access_key"])
        keep = f"s3://{known['bucket']}/kept"
        for more in ((), ("--signing-key", keys[0])):
            done = made.add("--keep", keep, *more)
            assert done.code == 0, done.stderr
        files = fetched(made, tmp_path)
        with rollout.admitted(files["registered"], files["passed-verdict"], files["model"], verify_key=str(keys[1])):
            pass
        assert ask(made).result["status"] == "intact"
        bucket, key = stores.bucket(store), f"kept/{version(made)['sha256']}/.lineage.json"
        whole = bytes(obstore.get(bucket, key).bytes())
        obstore.put(bucket, key, whole[:-3] + b"!" + whole[-2:])
        done = ask(made)
        assert done.code == 65
        assert [one["file"] for one in done.result["altered"]] == [f"s3://{known['bucket']}/{key}"]
    (made.state / "registry.sqlite").unlink()

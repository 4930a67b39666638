"""Objects of an S3 store for steps: whole or absent, held to their sha256, and errors that say what to mend."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from stepkit import artifacts, buckets, objects
from stepkit.errors import (
    InputMissing,
    ObjectAltered,
    ObjectDenied,
    ObjectMissing,
    OutputNotWritable,
    ServiceUnavailable,
    StepError,
    UsageError,
)

from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore

AT, URI = "/bucket/kept/model", "s3://bucket/kept/model"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "deep").mkdir(parents=True)
    (made / "model.onnx").write_bytes(b"graph" * 1000)
    (made / ".lineage.json").write_text("{}")
    (made / "deep" / "a b+é%2F.json").write_text("[]")
    (made / "empty").write_bytes(b"")
    return made


def test_a_folder_comes_back_as_it_was(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """Every file, hidden ones and odd names too, byte for byte; nothing else is beside it."""
    objects.put(folder, URI)
    objects.fetch(URI, tmp_path / "back", sha256=artifacts.sha256_of(folder))
    assert contents(tmp_path / "back") == contents(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "model"]
    assert objects.exists(URI)


def test_a_file_comes_back_as_it_was(s3: ObjectStore, tmp_path: Path) -> None:
    """An object is a file; it carries its sha256."""
    source = tmp_path / "card.md"
    source.write_text("# a card")
    objects.put(source, URI)
    objects.fetch(URI, tmp_path / "back" / "card.md")
    assert (tmp_path / "back" / "card.md").read_text() == "# a card"
    assert objects.read_bytes(URI) == b"# a card"
    assert s3.metadata[AT] == {"x-amz-meta-sha256": hashlib.sha256(b"# a card").hexdigest()}


def test_a_second_put_sends_nothing(s3: ObjectStore, folder: Path) -> None:
    """What is there already is left; what changed is replaced, what went is removed."""
    objects.put(folder, URI)
    s3.requests.clear()
    objects.put(folder, URI)
    assert not [request for request in s3.requests if request.startswith(("PUT", "POST"))]
    (folder / "model.onnx").write_bytes(b"other")
    (folder / "empty").unlink()
    objects.put(folder, URI)
    assert s3.objects[f"{AT}/model.onnx"] == b"other"
    assert f"{AT}/empty" not in s3.objects


def test_what_a_killed_writer_left_is_not_taken_for_whole(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """At whichever object it ended: no folder is there, nothing is fetched, and the next put completes it."""
    objects.put(folder, URI)
    whole = dict(s3.objects)
    for missing in [at for at in whole if not at.endswith(objects.CONTENTS)]:
        s3.objects = {at: content for at, content in whole.items() if at != missing}
        assert not objects.exists(URI)
        refused(ObjectMissing, "not put to its end", URI, tmp_path / "back")
        assert not (tmp_path / "back").exists()
        objects.put(folder, URI)
        assert s3.objects == whole


def test_a_folder_that_others_put_is_taken_as_it_is(s3: ObjectStore, tmp_path: Path) -> None:
    """Objects below a prefix make a folder, also without our listing; markers of folders are no files."""
    s3.objects = {f"{AT}/a": b"1", f"{AT}/deep/b": b"2", f"{AT}/": b"", f"{AT}-other/c": b"3"}
    for uri in (URI, f"{URI}/"):
        objects.fetch(uri, tmp_path / "back")
        assert contents(tmp_path / "back") == {"a": b"1", "deep/b": b"2"}
        assert objects.exists(uri)


def test_an_altered_object_is_refused(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """65 where bytes are not those that were put, in a folder, a file, or against what the caller knows."""
    objects.put(folder, URI)
    s3.objects[f"{AT}/model.onnx"] = b"hparg" * 1000
    refused(ObjectAltered, "model.onnx was altered", URI, tmp_path / "back")
    refused(ObjectAltered, "was altered", f"{URI}/model.onnx", tmp_path / "back")
    with pytest.raises(ObjectAltered):
        objects.read_bytes(f"{URI}/model.onnx")
    s3.objects["/bucket/foreign"] = b"x"
    with pytest.raises(ObjectAltered):
        objects.fetch("s3://bucket/foreign", tmp_path / "back", sha256="0" * 64)
    assert not (tmp_path / "back").exists()


def test_what_was_there_stays_when_a_fetch_fails(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """The target changes in one move or not at all."""
    objects.put(folder, URI)
    objects.fetch(URI, tmp_path / "back")
    s3.failures = 99
    refused(ServiceUnavailable, "does not answer", URI, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(folder)


def test_a_store_that_stumbles_is_asked_again(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """Failures, and bodies that break off, are no end: neither when putting nor when fetching."""
    for failure in (500, 503):
        s3.failures, s3.failure = 2, failure
        objects.put(folder, URI)
        s3.failures, s3.broken_off = 2, 2
        objects.fetch(URI, tmp_path / "back")
        assert contents(tmp_path / "back") == contents(folder)
        objects.delete(URI)
        assert s3.objects == {}


def test_a_body_that_always_breaks_off_is_an_unavailable_store(s3: ObjectStore, folder: Path, tmp_path: Path) -> None:
    """69, and no part of it is left."""
    objects.put(folder, URI)
    s3.broken_off = 10**6
    refused(ServiceUnavailable, "does not answer", URI, tmp_path / "back")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_silent_store_is_unavailable(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes the connection and says nothing is waited for only so long."""
    monkeypatch.setattr(buckets, "_SILENCE", timedelta(seconds=0.2))
    monkeypatch.setattr(buckets, "_RETRIES", 1)
    s3.objects[AT], s3.delay_s = b"x", 1.0
    refused(ServiceUnavailable, "does not answer", URI, tmp_path / "back")


def test_what_is_not_there_is_bad_data(s3: ObjectStore, tmp_path: Path) -> None:
    """65 for a key and for a prefix; nothing there is nothing to delete."""
    for uri in (URI, f"{URI}/"):
        refused(ObjectMissing, "no such object", uri, tmp_path / "back")
        assert not objects.exists(uri)
        objects.delete(uri)
    with pytest.raises(ObjectMissing):
        objects.read_bytes(URI)
    with pytest.raises(InputMissing):
        objects.put(tmp_path / "nothing", URI)


def test_a_stranger_is_denied(s3: ObjectStore, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """65 for reader and writer; the message tells whether there were credentials, never which."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another-key")
    with pytest.raises(ObjectDenied) as caught:
        objects.put(folder, URI)
    assert "denies it; AWS_ACCESS_KEY_ID is set" in str(caught.value)
    assert "another-key" not in str(caught.value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", object_store.ACCESS_KEY)
    s3.refused = {"PUT"}
    with pytest.raises(ObjectDenied):
        objects.put(folder, URI)


def test_a_removal_takes_what_is_below_and_nothing_beside(s3: ObjectStore, folder: Path) -> None:
    """The folder's listing goes last: a removal that is killed leaves nothing that seems whole."""
    objects.put(folder, URI)
    s3.objects[f"{AT}-other"] = b"kept"
    objects.delete(URI)
    assert s3.objects == {f"{AT}-other": b"kept"}
    assert s3.removed[-1].endswith(objects.CONTENTS)


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", ""])
def test_a_listing_cannot_write_beside_the_target(name: str, s3: ObjectStore, tmp_path: Path) -> None:
    """A name that leaves the folder is refused, whoever wrote the listing."""
    listed = f'{{"files": {{"{name}": {{"sha256": "{"0" * 64}", "bytes": 1}}}}}}'
    s3.objects[f"{AT}/{objects.CONTENTS}"] = listed.encode()
    with pytest.raises(StepError) as caught:
        objects.fetch(URI, tmp_path / "deep" / "back")
    assert caught.value.exit_code in (2, 65)
    assert not (tmp_path / "out").exists()


def test_a_listing_that_is_none_is_bad_data(s3: ObjectStore, tmp_path: Path) -> None:
    """65, and the listing is named."""
    for said in (b"{", b"[]", b'{"files": {"a": {}}}', b'{"files": []}'):
        s3.objects[f"{AT}/{objects.CONTENTS}"] = said
        with pytest.raises(StepError) as caught:
            objects.fetch(URI, tmp_path / "back")
        assert caught.value.exit_code == 65
        assert objects.CONTENTS in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["s3://", "s3://bucket", "s3://bucket/", "s3:///key", "s3://b/a//c", "s3://b/../c", "/a"]
)
def test_an_address_names_bucket_and_key(uri: str, s3: ObjectStore, tmp_path: Path) -> None:
    """2, before anything is asked: above all a whole bucket is never deleted."""
    for call in (objects.read_bytes, objects.exists, objects.delete):
        with pytest.raises(UsageError):
            call(uri)
    refused(UsageError, "s3://bucket/key", uri, tmp_path / "back")
    assert s3.requests == []


@pytest.mark.parametrize("endpoint", ["http://store.example:9000", "http://10.0.0.1", "ftp://127.0.0.1", "store"])
def test_nothing_is_sent_in_the_clear_but_on_loopback(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain HTTP to another machine is refused before anything is sent, whatever the environment allows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(UsageError, match="allowed https"):
        objects.exists(URI)


def test_credentials_come_from_a_file(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mounted file of credentials does; one without them is named, and never quoted; none at all is said."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(UsageError, match="AWS_SHARED_CREDENTIALS_FILE"):
        objects.exists(URI)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for content in (None, "", "[other]\n", "a-secret-line\n", "[default]\naws_access_key_id = a-secret-line\n"):
        if content is not None:
            file.write_text(content)
        with pytest.raises(UsageError) as caught:
            objects.exists(URI)
        assert str(file) in str(caught.value)
        assert "a-secret-line" not in str(caught.value)
    keys = f"aws_access_key_id = {object_store.ACCESS_KEY}\naws_secret_access_key = {object_store.SECRET_KEY}\n"
    file.write_text(f"[default]\n{keys}")
    s3.objects[AT] = b"x"
    assert objects.exists(URI)


def test_a_target_that_cannot_be_made_is_the_callers_to_mend(s3: ObjectStore, tmp_path: Path) -> None:
    """2: the store is well, the place is not."""
    s3.objects[AT] = b"x"
    (tmp_path / "file").write_text("")
    refused(OutputNotWritable, "cannot write", URI, tmp_path / "file" / "back")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refused(kind: type[StepError], told: str, uri: str, target: Path) -> None:
    with pytest.raises(kind) as caught:
        objects.fetch(uri, target)
    assert told in str(caught.value)


def test_an_object_is_claimed_once(s3: ObjectStore) -> None:
    """Where there is none, or in the place of exactly the one that was seen."""
    assert objects.claim(URI, b"mine")
    assert not objects.claim(URI, b"theirs")
    content, tag = objects.read_tagged(URI)
    assert content == b"mine"
    assert objects.claim(URI, b"next", instead_of=tag)
    assert not objects.claim(URI, b"late", instead_of=tag)
    objects.write_bytes(URI, b"last")
    assert objects.read_bytes(URI) == b"last"
    objects.delete(URI)
    assert not objects.claim(URI, b"late", instead_of=tag)

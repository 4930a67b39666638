"""Recorded stops brought into a run: from a path or an S3 store, and what is said where they cannot be had."""

import datetime
import hashlib
import ipaddress
import json
import os
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from brakeline import recordings
from brakeline.recordings import NoSuchRecording, RecordingError, StoreUnavailable, UnusableAddress
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conftest import RECORDED, command
from tests.images import store as stores
from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore

URI = "s3://recordings/2026/stops.csv"
AT = "/recordings/2026/stops.csv"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's own settings reaches a test, nor does a proxy."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """A store that the environment tells of."""
    with object_store.serving() as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_a_file_is_kept_under_its_contents_sha256(tmp_path: Path) -> None:
    """The same content gives the same place and is not written again; another content has a place of its own."""
    source = tmp_path / "stops.csv"
    source.write_text(RECORDED)
    first = recordings.bring_in(str(source), tmp_path / "inputs")
    stamp = first.stat().st_mtime_ns
    assert first == tmp_path / "inputs" / hashlib.sha256(RECORDED.encode()).hexdigest() / "stops.csv"
    assert recordings.bring_in(str(source), tmp_path / "inputs") == first
    assert first.stat().st_mtime_ns == stamp
    source.write_text(RECORDED + "20,1,30\n")
    assert recordings.bring_in(str(source), tmp_path / "inputs") != first
    assert len(files(tmp_path / "inputs")) == 2


def test_no_recording_is_an_empty_file(tmp_path: Path) -> None:
    """The pipeline always has an input to read."""
    found = recordings.bring_in(None, tmp_path)
    assert found.name == "none.csv"
    assert found.read_bytes() == b""


def test_an_object_is_streamed_to_the_same_place_as_a_file(s3: ObjectStore, tmp_path: Path) -> None:
    """Byte for byte, also where it comes in many chunks; path and URI of one content are one input."""
    content = RECORDED.encode() + os.urandom(1 << 20) * 5
    s3.objects[AT] = content
    (tmp_path / "stops.csv").write_bytes(content)
    found = recordings.bring_in(URI, tmp_path / "inputs")
    assert found.read_bytes() == content
    assert found == recordings.bring_in(str(tmp_path / "stops.csv"), tmp_path / "inputs")
    assert files(tmp_path / "inputs") == [found]


def test_a_store_that_stumbles_is_asked_again(s3: ObjectStore, tmp_path: Path) -> None:
    """Two failures and an answer that breaks off are no end."""
    s3.objects[AT], s3.failures = RECORDED.encode(), 2
    assert recordings.bring_in(URI, tmp_path).read_text() == RECORDED
    s3.objects[AT], s3.broken_off = RECORDED.encode() * 1000, 1
    assert recordings.bring_in(URI, tmp_path).read_text() == RECORDED * 1000


def test_a_store_that_stays_down_is_unavailable(s3: ObjectStore, tmp_path: Path) -> None:
    """69, and nothing is left of what came before."""
    s3.objects[AT], s3.failures = RECORDED.encode(), 99
    refused(StoreUnavailable, "does not answer", tmp_path)
    s3.failures, s3.broken_off = 0, 99
    refused(StoreUnavailable, "does not answer", tmp_path)
    assert files(tmp_path) == []


def test_no_store_at_all_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port where nothing listens: 69, and the message names the URI."""
    with object_store.serving() as gone:
        environment = gone.environment()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refused(StoreUnavailable, URI, tmp_path)


def test_a_missing_object_is_bad_data(s3: ObjectStore, tmp_path: Path) -> None:
    """65: the store is there, the object is not."""
    refused(NoSuchRecording, "no such object", tmp_path)


def test_a_stranger_is_denied(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """65; the message tells whether credentials were there, and never which."""
    s3.objects[AT] = b""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another-key")
    told = refused(NoSuchRecording, "denies it; AWS_ACCESS_KEY_ID is set", tmp_path)
    assert "another-key" not in told
    assert object_store.SECRET_KEY not in told


def test_a_file_of_credentials_is_read(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a mounted secret is, and by its profile; one that holds none is told without a word of what is in it."""
    s3.objects[AT] = RECORDED.encode()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    refused(UnusableAddress, "no S3 credentials: set", tmp_path / "inputs")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    refused(UnusableAddress, f"cannot read {file}", tmp_path / "inputs")
    keys = f"aws_access_key_id = {object_store.ACCESS_KEY}\naws_secret_access_key = {object_store.SECRET_KEY}\n"
    file.write_text(f"[default]\n{keys}")
    assert recordings.bring_in(URI, tmp_path / "inputs").read_text() == RECORDED
    monkeypatch.setenv("AWS_PROFILE", "other")
    told = refused(UnusableAddress, "allowed [other] with aws_access_key_id", tmp_path / "inputs")
    assert object_store.SECRET_KEY not in told
    file.write_text(f"[other]\n{keys}aws_session_token = a-token\n")
    assert recordings.bring_in(URI, tmp_path / "inputs").read_text() == RECORDED
    file.write_text(f"{object_store.SECRET_KEY}\n")
    assert object_store.SECRET_KEY not in refused(UnusableAddress, "found", tmp_path / "inputs")


@pytest.mark.parametrize(
    "endpoint", ["http://store.example:9000", "http://10.0.0.1", "ftp://127.0.0.1", "127.0.0.1:9000", "store"]
)
def test_nothing_is_sent_in_the_clear_but_on_loopback(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain HTTP to another machine is refused before anything is sent, whatever the environment allows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    refused(UnusableAddress, endpoint, tmp_path)


def test_a_certificate_is_checked_against_the_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS with a private authority: refused until AWS_CA_BUNDLE names it, and no variable switches the check off."""
    certificate, bundle = certified(tmp_path)
    with object_store.serving(certificate) as made:
        made.objects[AT] = RECORDED.encode()
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ALLOW_INVALID_CERTIFICATES", "true")
        refused(StoreUnavailable, "AWS_CA_BUNDLE", tmp_path / "inputs")
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
        assert recordings.bring_in(URI, tmp_path / "inputs").read_text() == RECORDED
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
        refused(UnusableAddress, "none.pem", tmp_path / "inputs")


BAD_ADDRESSES = ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/folder/", "s3:///key", "gs://bucket/key", "", "."]


@pytest.mark.parametrize("recorded", [*BAD_ADDRESSES, "no/such/stops.csv"])
def test_what_can_be_no_recording_is_a_usage_error(recorded: str, tmp_path: Path) -> None:
    """A path that is not there, a URI without a key: 2, and the message names it."""
    for verb in ("run", "demo"):
        done = command("brakeline", verb, "--recorded", recorded, "--state", tmp_path, folder=tmp_path)
        assert done.code == 2
        assert recorded in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("verb", ["run", "demo"])
def test_the_command_ends_as_the_store_did(verb: str, s3: ObjectStore, tmp_path: Path) -> None:
    """No such object ends the command with 65, with one JSON object that says so."""
    words = ("--runner", "process", "--recorded", URI, "--state", tmp_path, "--json")
    done = command("brakeline", verb, *words)
    assert done.code == 65, done.stderr
    assert json.loads(done.stdout) == {"status": "failed", "error": f"{URI}: no such object"}


def test_a_run_reads_an_object(s3: ObjectStore, tmp_path: Path) -> None:
    """The object goes the way of a file: assemble judges its rows, and the record holds no secret."""
    s3.objects[AT] = (RECORDED + "20,1,-4\n").encode()
    sizes = ("--rows", "1000", "--holdout-rows", "1000", "--trials", "1", "--shards", "1", "--no-deploy")
    done = command("brakeline", "run", "--runner", "process", "--recorded", URI, "--state", tmp_path, "--json", *sizes)
    assert done.code == 65, done.stderr
    told = json.loads(done.stdout)
    assert "line 4: stopping_distance_m found -4" in told["error"]
    kept = (Path(told["folder"]) / "run.json").read_text()
    assert hashlib.sha256(s3.objects[AT]).hexdigest() in kept
    assert object_store.SECRET_KEY not in kept


def test_the_real_store_serves_and_denies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS checks every signature: what it holds is brought in, and a wrong secret is denied."""
    with stores.running("seaweedfs") as made:
        made.start()
        known = made.credentials()
        obstore.put(stores.bucket(made), "2026/stops.csv", RECORDED.encode())
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
        monkeypatch.setenv("AWS_REGION", known["region"])
        for name in ("access_key_id", "secret_access_key"):
            monkeypatch.setenv(f"AWS_{name.upper()}", known[name])
        uri = f"s3://{known['bucket']}/2026/stops.csv"
        assert recordings.bring_in(uri, tmp_path).read_text() == RECORDED
        refused(NoSuchRecording, "no such object", tmp_path, f"s3://{known['bucket']}/2026/others.csv")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        refused(NoSuchRecording, "denies it", tmp_path, uri)


def refused(kind: type[RecordingError], told: str, inputs: Path, uri: str = URI) -> str:
    with pytest.raises(kind) as caught:
        recordings.bring_in(uri, inputs)
    assert told in str(caught.value)
    return str(caught.value)


SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True, content_commitment=False, key_encipherment=False, data_encipherment=False,
    key_agreement=False, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
)  # fmt: skip


def certified(folder: Path) -> tuple[Path, Path]:
    """A server's certificate with its key, and the authority that signed it, each as a PEM file."""
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "server")}
    names = {name: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in keys}
    pem = {}
    for name, more in (
        ("authority", x509.BasicConstraints(ca=True, path_length=None)),
        ("server", x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])),
    ):
        builder = x509.CertificateBuilder(names["authority"], names[name], keys[name].public_key())
        builder = (
            builder.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)
        )
        # Python 3.13 trusts no chain without the ids of its keys, and what its authority's may do (RFC 5280, 4.2.1).
        by = x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["authority"].public_key())
        builder = builder.add_extension(by, critical=False).add_extension(more, critical=True)
        if name == "authority":
            builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
        itself = x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key())
        signed = builder.add_extension(itself, critical=False).sign(keys["authority"], hashes.SHA256())
        pem[name] = signed.public_bytes(serialization.Encoding.PEM)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(pem["server"] + keys["server"].private_bytes(*plain))
    (folder / "authority.pem").write_bytes(pem["authority"])
    return folder / "server.pem", folder / "authority.pem"

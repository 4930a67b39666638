"""`brakeline doctor` on this machine and its stores: engine, disk, certificates, bucket and registry file."""

import datetime
import shutil
import sqlite3
from pathlib import Path

import pytest
from brakeline import images
from brakeline.doctor import machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.orchestrator.object_store import ObjectStore
from tests.orchestrator.test_recordings import certified
from tests.upkeep.asked import doctor

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_a_bundle_that_cannot_be_read_or_is_expired_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, no PEM, or of expired authorities alone; one that is good beside expired ones does."""
    _, authority = certified(tmp_path)
    bundle = tmp_path / "bundle.pem"
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert "No such file" in doctor(tmp_path)[1]["certificates"]["found"]
    bundle.write_text("no certificates")
    assert "no PEM" in doctor(tmp_path)[1]["certificates"]["found"]
    shutil.copy(authority, bundle)
    assert doctor(tmp_path)[1]["certificates"]["status"] == "ok"
    bundle.write_bytes(expired_authority())
    _, checks = doctor(tmp_path)
    assert checks["certificates"]["status"] == "failed"
    assert f"AWS_CA_BUNDLE: {bundle}: all expired" in checks["certificates"]["found"]
    bundle.write_bytes(expired_authority() + authority.read_bytes())
    assert "1 of them expired" in doctor(tmp_path)[1]["certificates"]["found"]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("denied", "denies"),
        ("no bucket", "no such object"),
        ("read only", "denies"),
        ("down", "does not answer"),
        ("in the clear", "https"),
    ],
)
def test_a_bucket_that_does_not_do_is_told(
    damage: str, told: str, s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger, a missing bucket, no right to write, a store that is down, a store in the clear."""
    if damage == "denied":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    elif damage == "no bucket":
        s3.failures, s3.failure = 9, 404
    elif damage == "read only":
        s3.refused = {"PUT"}
    elif damage == "down":
        s3.failures = 99
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://store.example")
    code, checks = doctor(tmp_path)
    assert code == 69
    assert told in checks["bucket"]["found"]


def test_a_workbench_without_its_connection_is_told_so(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes leaves the variable's name in the address; no store is asked for a bucket of that name."""
    monkeypatch.setenv("BRAKELINE_STORE", "s3://$(AWS_S3_BUCKET)/brakeline")
    code, checks = doctor(tmp_path)
    assert code == 69
    assert "AWS_S3_BUCKET had no value" in checks["bucket"]["found"]
    assert "Secret, with AWS_S3_BUCKET in it" in checks["bucket"]["todo"]
    assert not [one for one in s3.requests if one.startswith("PUT")]


def test_an_object_that_could_not_be_read_back_is_removed(s3: ObjectStore, tmp_path: Path) -> None:
    """What doctor puts there does not stay, whatever comes between."""
    s3.refused = {"GET"}
    _, checks = doctor(tmp_path)
    assert checks["bucket"]["status"] == "failed"
    assert s3.objects == {}
    s3.refused = {"POST"}
    assert "denies" in doctor(tmp_path)[1]["bucket"]["found"]


def test_a_registry_file_is_looked_into(tmp_path: Path) -> None:
    """None yet is fine; a sound one is; a broken one fails, and is not touched."""
    file = tmp_path / "registry.sqlite"
    assert "none yet" in doctor(tmp_path)[1]["model registry"]["found"]
    assert not file.exists()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE kept (x)")
    assert "is sound" in doctor(tmp_path)[1]["model registry"]["found"]
    file.write_bytes(b"no database" * 1000)
    assert doctor(tmp_path)[1]["model registry"]["status"] == "failed"
    assert file.read_bytes() == b"no database" * 1000


def test_an_engine_that_is_named_and_silent_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST says that there should be one."""
    code, checks = doctor(tmp_path)
    assert code == 69
    assert str(tmp_path / "docker.sock") in checks["container engine"]["found"]
    assert "--runner process" in checks["container engine"]["todo"]


def test_a_full_disk_and_a_place_that_may_not_be_written_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little room is told with what frees some."""
    monkeypatch.setattr(machine, "LEAST_FREE_BYTES", 10**18)
    _, checks = doctor(tmp_path)
    assert "prune" in checks["state folder"]["todo"]
    _, checks = doctor(Path("/proc/brakeline"))
    assert checks["state folder"]["status"] == "failed"


def expired_authority() -> bytes:
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    name, key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "of old")]), ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - 9 * day).not_valid_after(now - day)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_images_that_are_not_of_these_sources_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is named, and what builds them."""
    old = {step: images.Built(f"brakeline/{step}:old", "sha256:0", "0" * 64) for step in images.CONTENT}
    images.write({}, old)
    _, checks = doctor(tmp_path)
    assert checks["images"]["status"] == "failed"
    assert all(step in checks["images"]["found"] for step in set(images.CONTENT) - set(images.OPTIONAL))
    assert checks["images"]["todo"] == "python build.py"

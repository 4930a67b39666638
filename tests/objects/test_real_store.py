"""The same promises before a real S3 server, which checks every signature."""

from pathlib import Path

import pytest
from stepkit import artifacts, objects
from stepkit.errors import ObjectAltered, ObjectDenied, ObjectMissing

from tests.images import store as stores


def test_the_real_store_keeps_the_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS: folders come back whole, a claim is one's, what is altered or half there is refused."""
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(range(256)) * 4096)
    (folder / ".lineage.json").write_text("{}")
    (folder / "deep" / "a b+é.json").write_text("[]")
    with stores.running("seaweedfs") as made:
        made.start()
        known = made.credentials()
        keys = tmp_path / "credentials"
        keys.write_text(made.in_volume("print(open('/state/aws-credentials').read())"))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.port}")
        monkeypatch.setenv("AWS_REGION", known["region"])
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name, raising=False)
        uri = f"s3://{known['bucket']}/kept/model"
        for _ in range(2):
            objects.put(folder, uri)
        objects.fetch(uri, tmp_path / "back", sha256=artifacts.sha256_of(folder))
        assert (tmp_path / "back" / "deep" / "a b+é.json").read_text() == "[]"
        assert objects.exists(uri)
        assert objects.claim(f"{uri}.lock", b"mine")
        assert not objects.claim(f"{uri}.lock", b"theirs")
        tag = objects.read_tagged(f"{uri}.lock")[1]
        assert objects.claim(f"{uri}.lock", b"next", instead_of=tag)
        assert not objects.claim(f"{uri}.lock", b"late", instead_of=tag)
        objects.write_bytes(f"{uri}/model.onnx", b"another")
        with pytest.raises(ObjectAltered):
            objects.fetch(uri, tmp_path / "back")
        objects.delete(f"{uri}/model.onnx")
        with pytest.raises(ObjectMissing, match="not put to its end"):
            objects.fetch(uri, tmp_path / "back")
        objects.delete(uri)
        assert not objects.exists(uri)
        assert objects.read_bytes(f"{uri}.lock") == b"next"
        keys.write_text(keys.read_text().replace("aws_secret_access_key = ", "aws_secret_access_key = x"))
        with pytest.raises(ObjectDenied):
            objects.exists(uri)

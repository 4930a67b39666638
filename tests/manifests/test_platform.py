"""Pipelines, and what an installation sets: values and images reach every object that takes them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline.images import Built
from brakeline_images import manifests, overlays
from brakeline_images.errors import NotRendered

from tests.conftest import HOUSE, command

ROOM = HOUSE / "manifests"
RELEASES = ("rhoai-2.22", "rhoai-3.x")
BUILD = HOUSE / "build.py"
DIGEST = f"sha256:{'ab' * 32}"
POD = """apiVersion: v1
kind: Pod
metadata: {name: asks}
spec:
  containers:
    - {name: serving, image: brakeline/serving}
    - {name: workbench, image: brakeline/workbench}
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """All manifests, in a folder that a test may write to."""
    return Path(shutil.copytree(ROOM, tmp_path / "manifests"))


def rendered(folder: Path) -> dict[str, Any]:
    """Objects by kind and name."""
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in overlays.objects(overlays.render(folder))}


@pytest.mark.parametrize("release", RELEASES)
def test_pipelines_are_what_the_owner_planned(release: str) -> None:
    """v2 with OAuth, cache, a database of 10Gi whose password nobody wrote, an S3 bucket, UTC, TLS between pods."""
    spec = rendered(ROOM / "overlays" / release)["DataSciencePipelinesApplication/dspa"]["spec"]
    assert (spec["dspVersion"], spec["podToPodTLS"], spec["persistenceAgent"]["numWorkers"]) == ("v2", True, 2)
    assert (spec["apiServer"]["enableOauth"], spec["apiServer"]["cacheEnabled"]) == (True, True)
    assert spec["scheduledWorkflow"]["cronScheduleTimezone"] == "UTC"
    assert spec["database"]["mariaDB"]["pvcSize"] == "10Gi"
    assert "passwordSecret" not in spec["database"]["mariaDB"]
    assert spec["objectStorage"]["externalStorage"]["bucket"] == "pipeline-artifacts"
    assert "minio" not in spec["objectStorage"]
    assert "mlmd" not in spec


@pytest.mark.parametrize("release", RELEASES)
def test_every_value_of_an_installation_reaches_its_fields(release: str, room: Path) -> None:
    """A value that is set is in the objects, its placeholder in none of them."""
    values = yaml.safe_load((room / "installation" / "values.yaml").read_text())
    values["data"].update({"s3-scheme": "http", "s3-host": "s3.example.com", "s3-port": "8333", "s3-region": "here"})
    values["data"]["s3-bucket"] = "elsewhere"
    (room / "installation" / "values.yaml").write_text(yaml.safe_dump(values))
    dspa = rendered(room / "overlays" / release)["DataSciencePipelinesApplication/dspa"]
    assert dspa["spec"]["objectStorage"]["externalStorage"] == {
        "scheme": "http", "host": "s3.example.com", "port": "8333", "region": "here", "bucket": "elsewhere",
        "s3CredentialsSecret": {
            "secretName": "brakeline-s3", "accessKey": "AWS_ACCESS_KEY_ID", "secretKey": "AWS_SECRET_ACCESS_KEY",
        },
    }  # fmt: skip


def test_no_value_is_set_for_nothing() -> None:
    """Each key of values.yaml is the source of a replacement, and each replacement has a key there."""
    keys = yaml.safe_load(overlays.VALUES.read_text())["data"].keys()
    sources = [
        one["source"]["fieldPath"].removeprefix("data.")
        for file in ROOM.rglob("*.yaml")
        for document in yaml.safe_load_all(file.read_text())
        for one in (document if isinstance(document, list) else document.get("replacements", []))
        if "source" in one
    ]
    assert set(sources) == set(keys)


def test_the_images_of_the_manifests_come_from_what_was_pushed(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pushed image is named by its digest; one that was not pushed can be pulled from nowhere."""
    monkeypatch.setattr(manifests, "FILE", room / "installation" / "images" / "kustomization.yaml")
    before = manifests.FILE.read_text()
    manifests.name_images({})
    assert manifests.FILE.read_text() == before
    manifests.name_images({"serving": Built("", "", "", f"registry.example.com:5000/b/brakeline/serving@{DIGEST}")})
    asks = room / "asks"
    asks.mkdir()
    (asks / "pod.yaml").write_text(POD)
    (asks / "kustomization.yaml").write_text("resources: [pod.yaml]\ncomponents: [../installation]\n")
    serving, workbench = rendered(asks)["Pod/asks"]["spec"]["containers"]
    assert serving["image"] == f"registry.example.com:5000/b/brakeline/serving@{DIGEST}"
    assert workbench["image"] == f"{manifests.NOWHERE}/brakeline/workbench@{manifests.NO_DIGEST}"
    (unset,) = overlays.unset([rendered(asks)["Pod/asks"]])
    assert unset.field == "images[brakeline/workbench]"
    assert not list(manifests.FILE.parent.glob("*.partial"))


@pytest.mark.parametrize("name", overlays.names())
def test_every_overlay_is_rendered_by_its_name(name: str) -> None:
    """`build.py manifests NAME` prints what kustomize makes of it."""
    done = command("python", BUILD, "manifests", name)
    assert (done.code, done.stdout) == (0, overlays.render(overlays.names()[name]))


def test_an_untouched_overlay_is_refused_with_file_and_field(room: Path) -> None:
    """What is unset is told with its place, 65; once it is set the check passes, wherever the overlay is."""
    words = ("manifests", room / "overlays" / "rhoai-3.x", "--check", "--json")
    done = command("python", BUILD, *words)
    assert done.code == 65
    places = {(one["file"], one["field"]) for one in json.loads(done.stdout)["unset"]}
    assert ("manifests/installation/values.yaml", "data.s3-host") in places
    assert "data.s3-host: found s3.installation.invalid" in done.stderr
    for file in (room / "installation").rglob("*.yaml"):
        text = file.read_text().replace(".invalid", ".example.com").replace(manifests.NO_DIGEST, DIGEST)
        file.write_text(text)
    done = command("python", BUILD, *words)
    assert (done.code, json.loads(done.stdout)["unset"]) == (0, []), done.stderr


def test_what_cannot_be_rendered_says_why(room: Path) -> None:
    """Kustomize's own words, and 65; a name that there is not is a usage error with the names."""
    folder = room / "overlays" / "rhoai-3.x"
    (folder / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    with pytest.raises(NotRendered, match=r"nowhere\.yaml"):
        overlays.render(folder)
    assert command("python", BUILD, "manifests", folder, "--check").code == 65
    done = command("python", BUILD, "manifests", "rhoai-1.0")
    assert done.code == 2
    assert "rhoai-3.x" in done.stderr
    assert command("python", BUILD, "manifests").stdout.split() == list(overlays.names())

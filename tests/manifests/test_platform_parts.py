"""Optional parts, each by one line on an overlay: secrets from a store, a storage class, sizes of production."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import BIN
from tests.manifests import trees
from tests.manifests.trees import MANIFESTS, OVERLAYS

PARTS = MANIFESTS / "components"
README = (MANIFESTS / "README.md").read_text()
# Of the store's `HOST:PORT`, as installation/values.yaml has it before anybody set it.
ENDPOINT = "https://s3.installation.invalid:443"


def told(name: str, folder: Path) -> dict[str, Any]:
    """The Secret of this name that the README's command makes, up to the line that sends it to a cluster."""
    (block,) = [block for block in re.findall(r"^```\n(.*?)^```", README, re.M | re.S) if f"generic {name}" in block]
    made, _, sent = block.strip().rpartition("|\n")
    assert sent.startswith("oc apply --server-side -n ")
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    (bin_folder / "oc").symlink_to(BIN / "kubectl")
    for key in ("access-key-id", "secret-access-key"):
        (folder / key).write_text(f"this-is-{key}")
    environment = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder)}
    command = ["bash", "-ec", f"set -o pipefail; {made}"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return dict(yaml.safe_load(done.stdout))


@pytest.mark.parametrize("release", OVERLAYS)
def test_a_store_makes_the_connection_that_a_person_would(release: str, tmp_path: Path) -> None:
    """The same keys, labels and annotations from External Secrets as from the README's command."""
    secret = told("brakeline-s3", tmp_path)
    objects = trees.composed(MANIFESTS / "overlays" / release, PARTS / "external-secrets")
    (external,) = [one for one in objects if one.kind == "ExternalSecret"]
    target = external.spec["target"]
    assert (target["name"], external.namespace) == (secret["metadata"]["name"], "distance-prediction")
    assert target["template"]["data"].keys() == secret["data"].keys()
    for what in ("labels", "annotations"):
        assert target["template"]["metadata"][what] == secret["metadata"][what]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which the README's command calls, is not here")
def test_a_store_makes_the_databases_password_that_a_person_would(tmp_path: Path) -> None:
    """The same key; a person's password is of characters that a connection string takes as they are, on one line."""
    secret = told("brakeline-registry-database", tmp_path)
    password = subprocess.run(
        ["base64", "-d"], input=secret["data"]["password"], capture_output=True, text=True, check=True
    ).stdout
    assert re.fullmatch("[0-9a-f]{48}", password)
    objects = trees.composed(MANIFESTS / "registry" / "rhoai-3.x", PARTS / "external-secrets-registry")
    (external,) = [one for one in objects if one.kind == "ExternalSecret"]
    assert external.spec["target"]["name"] == secret["metadata"]["name"]
    assert external.spec["target"]["template"]["data"].keys() == secret["data"].keys()
    assert external.namespace == "rhoai-model-registries"


def test_only_what_is_secret_comes_from_the_store() -> None:
    """Each fetched value is used once, in order; the store's address is put together from the installation's values."""
    for part, tree in (("external-secrets", "overlays"), ("external-secrets-registry", "registry")):
        objects = trees.composed(MANIFESTS / tree / "rhoai-3.x", PARTS / part)
        (external,) = [one for one in objects if one.kind == "ExternalSecret"]
        data = external.spec["target"]["template"]["data"]
        fetched = [entry["secretKey"] for entry in external.spec["data"]]
        used = re.findall(r"\{\{ \.(\w+) \}\}", " ".join(data.values()))
        assert used == fetched
        assert data.get("AWS_S3_ENDPOINT", ENDPOINT) == ENDPOINT
        assert external.spec["secretStoreRef"]["name"] == "store.installation.invalid"


@pytest.mark.parametrize("place", [f"{tree}/{release}" for tree in ("overlays", "registry") for release in OVERLAYS])
def test_every_claim_is_of_the_class_that_the_installation_names(place: str, tmp_path: Path) -> None:
    """With the part, claims and the pipelines' database name it; without it none does, and the default class holds."""
    plain = str([one.content for one in trees.rendered(MANIFESTS / place)])
    assert "storageClassName" not in plain
    room = Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))
    values = room / "installation" / "values.yaml"
    values.write_text(values.read_text().replace("class.installation.invalid", "fast"))
    objects = trees.composed(room / place, room / "components" / "storage-class")
    asked = [one.spec.get("storageClassName") for one in objects if one.kind == "PersistentVolumeClaim"]
    asked += [
        one.spec["database"]["mariaDB"].get("storageClassName")
        for one in objects
        if one.kind == "DataSciencePipelinesApplication"
    ]
    assert asked
    assert set(asked) == {"fast"}


def test_a_part_before_the_values_is_refused(tmp_path: Path) -> None:
    """In the wrong order nothing is quietly left unset."""
    room = Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))
    with pytest.raises(trees.Refused, match="installation"):
        trees.composed(room / "base", room / "components" / "storage-class", room / "installation")


def test_every_room_and_part_is_told_of() -> None:
    """The README names each room of the base, and each optional part."""
    rooms = [file.parent.name for file in (MANIFESTS / "base").glob("*/kustomization.yaml")]
    assert all(f"`base/{room}/`" in README for room in rooms)
    assert all(f"`{part}`" in README or f"components/{part}`" in README for part in trees.components())

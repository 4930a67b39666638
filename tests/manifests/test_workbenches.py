"""Workbenches: what operator and dashboard demand of a Notebook, and what the commands in it find set."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from brakeline import access, images
from brakeline_images import manifests

from tests.conftest import HOUSE
from tests.manifests import trees
from tests.manifests.elsewhere import OURS, REGISTRIES
from tests.manifests.objects import Manifest
from tests.manifests.trees import MANIFESTS, Tree

NAMES = ("build-model", "data-generation")
DOCKERFILE = (HOUSE / "notebooks" / "Dockerfile").read_text()
SERVICE_CA = "openshift-service-ca.crt"
# Services that operators make of our DSPA and our ModelRegistry, with a certificate of the service CA for this name.
SERVICES = {f"https://ds-pipeline-dspa.{OURS}.svc:8443", f"https://brakeline-registry.{REGISTRIES}.svc:8443"}


@pytest.fixture(params=NAMES)
def workbench(request: pytest.FixtureRequest, installation: Tree) -> Manifest:
    """Each of the two, of each release."""
    return installation.one("Notebook", request.param)


def container(workbench: Manifest) -> dict[str, Any]:
    """Its one container."""
    (found,) = workbench.spec["template"]["spec"]["containers"]
    return dict(found)


def environment(workbench: Manifest) -> dict[str, str]:
    """What is set in so many words."""
    return {entry["name"]: entry["value"] for entry in container(workbench)["env"] if "value" in entry}


def test_both_are_there_and_no_other(installation: Tree) -> None:
    """By the names of the plan, each with a claim and an account."""
    assert sorted(one.name for one in installation.of("Notebook")) == sorted(NAMES)
    for name in NAMES:
        assert installation.one("PersistentVolumeClaim", f"{name}-storage").spec["accessModes"] == ["ReadWriteOnce"]
        assert installation.one("ServiceAccount", name).labels["notebook-name"] == name


def test_each_release_finds_the_annotation_by_which_it_guards(workbench: Manifest) -> None:
    """2.22 knows inject-oauth alone, 3.x inject-auth alone; nothing of a proxy is written by hand."""
    for word in ("inject-oauth", "inject-auth"):
        assert workbench.annotations[f"notebooks.opendatahub.io/{word}"] == "true"
    spec = workbench.spec["template"]["spec"]
    assert [one["name"] for one in spec["containers"]] == [workbench.name]
    assert not [volume for volume in spec["volumes"] if re.search("oauth|rbac-proxy|tls", volume["name"])]


def test_the_dashboard_finds_it(workbench: Manifest) -> None:
    """By its labels, and by the annotation that names the connection that it has."""
    wanted = {"app": workbench.name, "opendatahub.io/dashboard": "true", "opendatahub.io/odh-managed": "true"}
    assert wanted.items() <= workbench.labels.items()
    assert workbench.annotations["opendatahub.io/connections"] == f"{OURS}/brakeline-s3"
    assert {"secretRef": {"name": "brakeline-s3", "optional": True}} in container(workbench)["envFrom"]


def test_nothing_puts_another_image_or_size_in_its_place(workbench: Manifest) -> None:
    """An image selection is looked up as an ImageStream; 3.x refuses a hardware profile that is not there."""
    told = " ".join(workbench.annotations)
    assert not re.search("last-image-selection|hardware-profile|last-size-selection|workbench-image-namespace", told)


def test_it_runs_as_the_account_of_its_name(workbench: Manifest) -> None:
    """3.x admits no other."""
    assert workbench.spec["template"]["spec"]["serviceAccountName"] == workbench.name


def test_the_path_is_the_one_that_router_and_probes_ask(workbench: Manifest) -> None:
    """/notebook/NAMESPACE/NAME everywhere, at the port of the name that the controller's Service knows."""
    path, found = f"/notebook/{OURS}/{workbench.name}", container(workbench)
    assert found["ports"] == [{"name": "notebook-port", "containerPort": 8888, "protocol": "TCP"}]
    words = dict(word.split("=", 1) for word in environment(workbench)["NOTEBOOK_ARGS"].split())
    assert words["--ServerApp.base_url"] == path
    assert words["--ServerApp.port"] == "8888"
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = found[probe]["httpGet"]
        assert (asked["path"], asked["port"], asked["scheme"]) == (f"{path}/api", "notebook-port", "HTTP")
    assert found["livenessProbe"]["periodSeconds"] * found["livenessProbe"]["failureThreshold"] >= 60


def test_the_claim_is_the_images_home(workbench: Manifest) -> None:
    """What the image calls HOME is where the claim is mounted, and where the server starts."""
    (home,) = re.findall(r"HOME=(\S+)", DOCKERFILE)
    mounts = {mount["mountPath"]: mount["name"] for mount in container(workbench)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in workbench.spec["template"]["spec"]["volumes"]}
    assert container(workbench)["workingDir"] == home
    assert volumes[mounts[home]]["persistentVolumeClaim"]["claimName"] == f"{workbench.name}-storage"


def test_what_it_asks_it_trusts_and_reaches(workbench: Manifest) -> None:
    """Services of the cluster over TLS, with the service CA at the place that is named."""
    told = environment(workbench)
    assert {told["BRAKELINE_KFP_URL"], told["BRAKELINE_REGISTRY"]} == SERVICES
    mounts = {mount["mountPath"]: mount["name"] for mount in container(workbench)["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in workbench.spec["template"]["spec"]["volumes"]}
    for name in ("BRAKELINE_KFP_CA", "BRAKELINE_REGISTRY_CA"):
        file = Path(told[name])
        assert volumes[mounts[str(file.parent)]]["configMap"]["name"] == SERVICE_CA
        assert file.name == "service-ca.crt"


def test_every_variable_is_one_that_somebody_reads(workbench: Manifest) -> None:
    """A misspelt one would be set for nobody: each is a word of our sources."""
    rooms = ("orchestrator", "steps", "notebooks/src")
    sources = "".join(file.read_text() for room in rooms for file in (HOUSE / room).rglob("*.py"))
    read = set(re.findall(r"[\"']([A-Z][A-Z0-9_]+)[\"']", sources)) | {access.URL, access.CA}
    assert {entry["name"] for entry in container(workbench)["env"]} <= read


def test_they_are_alike_but_for_their_names(installation: Tree) -> None:
    """One of them is not forgotten where the other is changed."""
    first, second = (installation.one("Notebook", name) for name in NAMES)
    said = str(first.spec).replace(first.name, second.name)
    assert said == str(second.spec)
    own = {"openshift.io/display-name", "openshift.io/description"}
    assert {key: first.annotations[key] for key in first.annotations.keys() - own} == {
        key: second.annotations[key] for key in second.annotations.keys() - own
    }


def test_both_accounts_may_use_the_registry(installation: Tree) -> None:
    """In the registry's own namespace."""
    (binding,) = [one for one in installation.of("RoleBinding") if one.name == "brakeline-registry-accounts"]
    accounts = {(subject["name"], subject["namespace"]) for subject in binding.content["subjects"]}
    assert {(name, OURS) for name in NAMES} <= accounts


def test_what_was_pushed_is_what_a_workbench_submits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock travels by the installation's images into the ConfigMap, and is read there as one of our own making."""
    room = Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))
    monkeypatch.setattr(manifests, "FILE", room / "installation" / "images" / "kustomization.yaml")
    pushed = {
        step: images.Built(
            f"brakeline/{step}:1", "sha256:0", images.source_hash(step), f"r.test/{step}@sha256:{'ab' * 32}"
        )
        for step in images.STEPS
    }
    local = images.Built("brakeline/client:1", "sha256:0", "0", "")
    manifests.name_images({**pushed, "client": local, "train": images.Built("brakeline/train:2", "sha256:1", "1", "")})
    objects = trees.rendered(room / "overlays" / "rhoai-3.x")
    (lock,) = [one for one in objects if (one.kind, one.name) == ("ConfigMap", "brakeline-images")]
    ((name, text),) = lock.content["data"].items()
    (tmp_path / name).write_text(text)
    monkeypatch.setattr(images, "LOCK", tmp_path / name)
    del pushed["train"]
    assert images.built() == pushed
    told = environment(next(one for one in objects if one.kind == "Notebook"))
    assert Path(told[images.LOCK_VARIABLE]).name == name

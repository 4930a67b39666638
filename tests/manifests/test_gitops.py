"""Argo CD: it may touch what the trees have and no more, in an order that works, and leaves alone what is others'."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline_deploy import manifest, sharing
from brakeline_deploy.kube import MANAGER
from brakeline_deploy.target import ClusterPlace, Release

from tests.manifests import elsewhere, references, trees
from tests.manifests.objects import Manifest, leaves
from tests.manifests.trees import MANIFESTS, OVERLAYS, Tree

WAVE, OPTIONS = "argocd.argoproj.io/sync-wave", "argocd.argoproj.io/sync-options"
HOLDS_DATA = {"Namespace", "PersistentVolumeClaim", "DataSciencePipelinesApplication", "ModelRegistry"}
GITOPS = trees.tree("gitops")
APPLICATIONS = {one.name: one for one in GITOPS.of("Application")}
PLACE = ClusterPlace("distance-prediction", "stopping-distance")
LAST = """apiVersion: v1
kind: ConfigMap
metadata: {name: last, namespace: distance-prediction, annotations: {argocd.argoproj.io/sync-wave: "4"}}
"""


def as_applied(application: Manifest, overlay: Path, folder: Path) -> tuple[Manifest, ...]:
    """What an Application makes of an overlay: its patches come after the overlay's own."""
    patches = application.spec["source"]["kustomize"]["patches"]
    content = {"resources": [os.path.relpath(overlay, folder)], "patches": patches}
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return trees.rendered(folder)


def names(objects: tuple[Manifest, ...]) -> set[str]:
    return {f"{one.kind} {one.namespace} {one.name}" for one in objects}


def wave(one: Manifest) -> int:
    return int(one.annotations.get(WAVE, "0"))


@pytest.mark.parametrize("release", OVERLAYS)
def test_main_and_model_share_an_overlay_out(release: str, tmp_path: Path) -> None:
    """Each object of an overlay is one Application's; the model's has the last wave alone."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "last.yaml").write_text(LAST)
    overlay = os.path.relpath(MANIFESTS / "overlays" / release, site)
    (site / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [overlay, "last.yaml"]}))
    main = as_applied(APPLICATIONS["brakeline"], site, tmp_path / "main")
    model = as_applied(APPLICATIONS["brakeline-model"], site, tmp_path / "model")
    assert names(main) | names(model) == names(trees.rendered(site))
    assert not names(main) & names(model)
    assert "ConfigMap distance-prediction last" in names(model)
    assert {one.kind for one in model} <= {"ConfigMap", "InferenceService"}
    assert not [one for one in main if one.kind == "InferenceService"]


@pytest.mark.parametrize("release", OVERLAYS)
@pytest.mark.parametrize(("application", "folder"), [("brakeline", "overlays"), ("brakeline-registry", "registry")])
def test_what_holds_data_is_not_pruned(application: str, folder: str, release: str, tmp_path: Path) -> None:
    """Neither where a file is gone from Git nor where the Application is; other annotations stay."""
    place = MANIFESTS / folder / release
    found = as_applied(APPLICATIONS[application], place, tmp_path / "made")
    kept = {one.kind for one in found if one.annotations.get(OPTIONS) == "Prune=false,Delete=false"}
    assert kept == {one.kind for one in found} & HOLDS_DATA
    assert kept
    before = {(one.kind, one.name): one.annotations for one in trees.rendered(place)}
    assert all(before[one.kind, one.name].items() <= one.annotations.items() for one in found)


def test_the_project_allows_the_kinds_that_there_are(installation: Tree) -> None:
    """All of them, in their namespaces, from one repository, and no Secret."""
    (project,) = GITOPS.of("AppProject")
    allowed = {(entry["group"], entry["kind"]) for entry in project.spec["namespaceResourceWhitelist"]}
    cluster_wide = {(entry["group"], entry["kind"]) for entry in project.spec["clusterResourceWhitelist"]}
    objects = [one for one in installation.objects if one.namespace != project.namespace]
    needed = {(one.api_version.rpartition("/")[0], one.kind) for one in objects if one.namespace}
    assert needed <= allowed
    assert {(one.api_version.rpartition("/")[0], one.kind) for one in objects if not one.namespace} == cluster_wide
    destinations = {entry["namespace"] for entry in project.spec["destinations"]}
    assert {one.namespace for one in objects if one.namespace} == destinations
    assert ("", "Secret") not in allowed
    assert len(project.spec["sourceRepos"]) == 1


@pytest.mark.parametrize("application", APPLICATIONS.values(), ids=str)
def test_applications_apply_on_the_servers_side_and_end_with_nothing(application: Manifest) -> None:
    """The API server compares, ignored differences stay ignored in a sync, and no finalizer takes all of it along."""
    (project,) = GITOPS.of("AppProject")
    spec = application.spec
    assert {"ServerSideApply=true", "RespectIgnoreDifferences=true"} <= set(spec["syncPolicy"]["syncOptions"])
    assert application.annotations["argocd.argoproj.io/compare-options"] == "ServerSideDiff=true"
    assert "finalizers" not in application.content["metadata"]
    assert spec["project"] == project.name
    assert spec["destination"] in project.spec["destinations"]
    assert [spec["source"]["repoURL"]] == project.spec["sourceRepos"]


def test_what_a_deployment_owns_is_ignored_by_its_owner_alone() -> None:
    """By the manager's name. A path would be copied into the sync, whose owner the next deployment conflicts with."""
    rules = [rule for one in APPLICATIONS.values() for rule in one.spec.get("ignoreDifferences", [])]
    (rule,) = [rule for rule in rules if rule["kind"] == "InferenceService"]
    assert rule == {"group": "serving.kserve.io", "kind": "InferenceService", "managedFieldsManagers": [MANAGER]}
    assert rule in APPLICATIONS["brakeline-model"].spec["ignoreDifferences"]


def owned(content: Any) -> dict[str, Any]:
    """The fields of an apply, as the API server notes them; a list is one field."""
    return {f"f:{key}": owned(value) for key, value in content.items()} if isinstance(content, dict) else {}


@pytest.mark.parametrize("part", ["", " with production"])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_deployment_finds_nothing_of_git_in_its_way(overlay: str, part: str) -> None:
    """On what manifests made it applies no field of theirs, so that neither has a conflict with the other."""
    ours = trees.tree(f"overlays/{overlay}{part}").one("InferenceService", PLACE.service).content
    metadata = {key: ours["metadata"][key] for key in ("labels", "annotations")}
    fields = owned({"metadata": metadata, "spec": ours["spec"]})
    entry = {"manager": "manifests", "operation": "Apply", "fieldsV1": fields}
    live = {**ours, "metadata": {**ours["metadata"], "managedFields": [entry]}}
    about = {"registered_model_id": "1", "model_version_id": "2", "registry_name": "stopping-distance"}
    release = Release("stopping-distance", "2", "2" * 64, Path("model"), {"uri": "s3://pipeline-artifacts/2", **about})
    content = manifest.content(PLACE, release, "rollout", "2026-11-26T00:00:00Z")
    wanted = manifest.applied(PLACE, content, [content.entry("2026-11-26T00:00:00Z")])
    alone, shared = leaves(Manifest(wanted)), leaves(Manifest(sharing.left_to_others(wanted, live)))
    assert alone.keys() & leaves(Manifest(ours)).keys() > {"spec/predictor/minReplicas", "spec/predictor/model/runtime"}
    identity = {"apiVersion", "kind", "metadata/name", "metadata/namespace"}
    assert shared.keys() & leaves(Manifest(ours)).keys() == identity
    assert "spec/predictor/model/storageUri" in shared


def test_whoever_stops_a_workbench_is_not_overruled() -> None:
    """The annotations by which dashboard and culler stop, start and mark one; nothing of its pod."""
    rules = [rule for one in APPLICATIONS.values() for rule in one.spec.get("ignoreDifferences", [])]
    (rule,) = [rule for rule in rules if rule["kind"] == "Notebook"]
    assert "/metadata/annotations/kubeflow-resource-stopped" in rule["jsonPointers"]
    assert all(pointer.startswith("/metadata/annotations/") for pointer in rule["jsonPointers"])
    assert rule.keys() == {"group", "kind", "jsonPointers"}


def test_nothing_comes_before_what_it_names(installation: Tree) -> None:
    """No object's wave is before that of what it refers to, or of what makes that; bindings may wait for either end."""
    waves = {(one.kind, one.name, one.namespace): wave(one) for one in installation.objects}
    for one in installation.objects:
        waves.update({(made.kind, made.name, made.namespace): wave(one) for made in elsewhere.made_of(one)})
    for one in installation.objects:
        for wanted in references.of(one) if one.kind != "RoleBinding" else ():
            named = waves.get((wanted.kind, wanted.name, wanted.namespace), 0)
            assert named <= wave(one), f"{wanted} is of wave {named}, {one} of {wave(one)}"


def test_a_claim_comes_with_whom_it_waits_for(installation: Tree) -> None:
    """A claim may be bound by its first pod alone, and Argo CD waits for claims to be bound before the next wave."""
    waves = {(one.name, one.namespace): wave(one) for one in installation.of("PersistentVolumeClaim")}
    assert waves
    for pod in installation.pods():
        for volume in pod.spec.get("volumes") or []:
            claim = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                assert waves[claim, pod.of.namespace] == wave(pod.of), f"{claim} of {pod}"


def test_waves_are_in_order(installation: Tree) -> None:
    """Rights and networks, secrets and databases, pipelines and registry, what works with them; the model last."""
    order = {
        **dict.fromkeys(("Namespace", "Role", "NetworkPolicy", "ResourceQuota", "LimitRange"), 0),
        **dict.fromkeys(("ExternalSecret", "Deployment"), 1),
        **dict.fromkeys(("DataSciencePipelinesApplication", "ModelRegistry"), 2),
        **dict.fromkeys(("ServingRuntime", "Notebook", "ServiceMonitor", "PrometheusRule", "PodDisruptionBudget"), 3),
        "InferenceService": 4,
    }
    for one in installation.objects:
        assert wave(one) == order.get(one.kind, wave(one)), str(one)
        assert wave(one) < 4 or one.kind == "InferenceService", str(one)


def test_an_installation_says_what_is_followed(tmp_path: Path) -> None:
    """Repository, revision and folders reach project and Applications."""
    room = Path(shutil.copytree(MANIFESTS, tmp_path / "manifests"))
    file = room / "installation" / "values.yaml"
    values: dict[str, Any] = yaml.safe_load(file.read_text())
    told = {"git-url": "https://git.example.com/a.git", "git-revision": "v1", "git-overlay": "o", "git-registry": "r"}
    values["data"].update(told)
    file.write_text(yaml.safe_dump(values))
    objects = {f"{one.kind}/{one.name}": one.spec for one in trees.rendered(room / "gitops")}
    assert objects["AppProject/brakeline"]["sourceRepos"] == [told["git-url"]]
    for name, path in (("brakeline", "o"), ("brakeline-model", "o"), ("brakeline-registry", "r")):
        source = objects[f"Application/{name}"]["source"]
        assert (source["repoURL"], source["targetRevision"], source["path"]) == (told["git-url"], "v1", path)

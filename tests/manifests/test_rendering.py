"""The manifests render, and hold what every object of ours has to hold."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.manifests import elsewhere, policies, references, trees
from tests.manifests.trees import MANIFESTS, OVERLAYS, Tree


def contents(tree: Tree) -> set[str]:
    """The objects, each as text, by which two trees are told apart."""
    return {repr(one.content) for one in tree.objects}


def test_each_tree_renders_objects_of_their_own_names(tree: Tree) -> None:
    """Every kustomization renders without a warning, and no two of its objects are the same one."""
    met = Counter((one.api_version.rpartition("/")[0], one.kind, one.namespace, one.name) for one in tree.objects)
    assert met
    assert not [found for found, times in met.items() if times > 1]


def test_what_kustomize_cannot_render_fails(tmp_path: Path) -> None:
    """A resource that is not there, and one that it only warns of, are refused with its words."""
    (tmp_path / "kustomization.yaml").write_text("resources: [nothing.yaml]")
    with pytest.raises(trees.Refused, match=r"nothing\.yaml"):
        trees.rendered(tmp_path)
    (tmp_path / "kustomization.yaml").write_text("commonLabels: {a: b}")
    with pytest.raises(trees.Refused, match="commonLabels"):
        trees.composed(tmp_path)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_is_its_own(overlay: str) -> None:
    """An overlay is neither the base with an installation's values, nor the other overlay."""
    plain = trees.composed(MANIFESTS / "base", MANIFESTS / "installation")
    own = contents(trees.tree(f"overlays/{overlay}"))
    assert own != contents(Tree("", (), plain))
    assert own != contents(trees.tree(f"overlays/{next(one for one in OVERLAYS if one != overlay)}"))


def test_nothing_is_fixed_unpinned_or_secret(tree: Tree) -> None:
    """No id, no host path, no image without its digest, no moving tag, no secret's value."""
    found = [problem for one in tree.objects for problem in policies.forbidden(one)]
    # A base names images by the names of `installation/images`, which gives them their digests.
    is_base = tree.name.endswith("base")
    assert not [problem for problem in found if not (is_base and "found brakeline/" in problem)]


def test_every_object_and_pod_is_labelled(tree: Tree) -> None:
    """What is ours is found by one label; pods also by name and component."""
    assert not [problem for one in tree.objects for problem in policies.unlabelled(one)]
    assert not [problem for pod in tree.pods() for problem in policies.unlabelled_pod(pod)]


def test_every_pod_is_admitted_by_restricted_v2(tree: Tree) -> None:
    """Each pod of ours, those of ServingRuntime and Notebook among them, keeps restricted-v2's rules."""
    assert not [problem for pod in tree.pods() for problem in policies.unrestricted(pod)]


def test_every_container_has_requests_and_limits(tree: Tree) -> None:
    """CPU and memory, asked for and bounded."""
    assert not [problem for pod in tree.pods() for problem in policies.unbounded(pod)]


def test_rights_are_named_one_by_one_in_one_namespace(tree: Tree) -> None:
    """No wildcard, and nothing that is the cluster's."""
    assert not policies.overreaching(tree.objects)


def test_references_resolve(installation: Tree) -> None:
    """Services, ConfigMaps, Secrets with their keys, claims, accounts and Roles: ours, or stated as made by others."""
    assert not references.unresolved(installation.objects)


def test_no_name_is_an_operators(installation: Tree) -> None:
    """None of our objects has the name by which an operator makes, changes or deletes one of its own."""
    assert not elsewhere.taken(installation.objects)


def test_selectors_select_something(installation: Tree) -> None:
    """Each Service, budget, policy and monitor meets pods or Services of its own namespace."""
    assert not references.selecting_nothing(installation.objects)


def test_no_manifest_is_left_out() -> None:
    """Every YAML file of the manifests is named by a kustomization beside it."""
    listed = subprocess.run(["git", "ls-files", "*.yaml"], cwd=MANIFESTS, capture_output=True, text=True, check=True)
    for file in (MANIFESTS / name for name in listed.stdout.split()):
        near = file.parent / "kustomization.yaml"
        if file != near and near.is_file():
            assert file.name in near.read_text(), f"{file.relative_to(MANIFESTS)} is in no kustomization"

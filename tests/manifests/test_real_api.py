"""A real API server takes every object of both overlays, whole, and refuses what it has to refuse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.crds import published
from tests.manifests import operators, trees
from tests.manifests.cluster import APPLY, Cluster
from tests.manifests.objects import Manifest, amount, fields
from tests.manifests.trees import MANIFESTS, Tree

pytestmark = pytest.mark.slow


def kustomizations(overlay: str) -> list[Tree]:
    """What is applied for a release."""
    names = (f"registry/{overlay}", f"overlays/{overlay}", "gitops")
    return [trees.tree(name) for name in names if name in trees.names()]


def lost(sent: Any, stored: Any, path: str = "") -> list[str]:
    """Fields that were sent and are not stored, or not with what was sent."""
    if isinstance(sent, dict) and isinstance(stored, dict):
        return [problem for key, value in sent.items() for problem in lost(value, stored.get(key), f"{path}.{key}")]
    if isinstance(sent, list) and isinstance(stored, list) and len(sent) == len(stored):
        pairs = enumerate(zip(sent, stored, strict=True))
        return [problem for index, pair in pairs for problem in lost(*pair, f"{path}[{index}]")]
    is_same = sent == stored or (amount(sent) is not None and amount(sent) == amount(stored))
    return [] if is_same else [f"{path}: sent {sent!r}, stored {stored!r}"]


def address(cluster: Cluster, one: Manifest) -> str:
    """Where an object is, as the API itself says of its kind."""
    base = "/api/v1" if one.api_version == "v1" else f"/apis/{one.api_version}"
    known = cluster.made("GET", base)["resources"]
    (resource,) = [entry for entry in known if entry["kind"] == one.kind and "/" not in entry["name"]]
    space = f"/namespaces/{one.namespace}" if resource["namespaced"] else ""
    return f"{base}{space}/{resource['name']}/{one.name}"


def test_every_object_is_stored_as_it_was_sent(installed: Cluster, overlay: str) -> None:
    """Applied for real, under strict validation, CEL rules and all: no field of ours is pruned or changed."""
    for tree in kustomizations(overlay):
        for one in tree.objects:
            stored = installed.made("GET", address(installed, one))
            assert lost(one.content, stored) == [], f"{tree.name}: {one}"
            assert [entry["manager"] for entry in stored["metadata"]["managedFields"]].count("manifests") == 1


def test_applied_again_and_again_it_comes_to_rest(installed: Cluster, overlay: str) -> None:
    """Another apply is no change: no object gets another version, so that GitOps has nothing to do."""
    objects = [one for tree in kustomizations(overlay) for one in tree.objects]
    versions = []
    # The first apply of a claim also owns the status that it begins with, which the next one gives up.
    for _ in range(2):
        for tree in kustomizations(overlay):
            done = operators.applied(installed, tree.name)
            assert done.code == 0, done.stderr
        found = [installed.made("GET", address(installed, one)) for one in objects]
        versions.append(
            {str(one): told["metadata"]["resourceVersion"] for one, told in zip(objects, found, strict=True)}
        )
    assert versions[0] == versions[1]


def test_each_optional_part_is_taken(installed: Cluster, overlay: str) -> None:
    """Every component on the overlay is accepted, in a dry run: the overlay itself stays as it is."""
    for part in trees.components():
        for one in trees.composed(MANIFESTS / "overlays" / overlay, MANIFESTS / "components" / part):
            query = {"fieldManager": "manifests", "fieldValidation": "Strict", "dryRun": "All", "force": "true"}
            answer = installed.ask("PATCH", address(installed, one), one.content, kind=APPLY, **query)
            assert answer.is_success, f"{part}: {one}: {answer.text}"


@pytest.mark.parametrize(
    ("kind", "path", "value", "word"),
    [
        ("DataSciencePipelinesApplication", "spec.apiServer.stripEOF", True, "field not declared in schema"),
        ("DataSciencePipelinesApplication", "spec.apiServer.pipelineStore", "elsewhere", "Unsupported value"),
        ("DataSciencePipelinesApplication", "spec.database.mariaDB.pvcSize", "ten", "should match"),
        ("RoleBinding", "roleRef.name", "another", "cannot change roleRef"),
        ("NetworkPolicy", "spec.policyTypes", ["Sideways"], "Unsupported value"),
        ("ResourceQuota", "spec.hard", {"requests.cpu": "a lot"}, "quantities must match"),
        ("LimitRange", "spec.limits", [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}], "min value 2"),
    ],
)  # fmt: skip
def test_it_refuses(installed: Cluster, overlay: str, kind: str, path: str, value: Any, word: str) -> None:
    """Unknown and wrong fields, values, and what may not change, each in the words of a real server."""
    one = trees.tree(f"overlays/{overlay}").of(kind)[0]
    content = json.loads(json.dumps(one.content))
    *parents, last = path.split(".")
    at = content
    for part in parents:
        at = at[part]
    at[last] = value
    query = {"fieldManager": "manifests", "fieldValidation": "Strict", "dryRun": "All", "force": "true"}
    answer = installed.ask("PATCH", address(installed, one), content, kind=APPLY, **query)
    assert not answer.is_success
    assert word in answer.json()["message"], answer.text


def test_rules_between_fields_are_run(installed: Cluster, overlay: str) -> None:
    """What no schema says is refused in a CRD's own words: two proxies before the registry, half of a certificate."""
    one = trees.tree(f"registry/{overlay}").one("ModelRegistry", "brakeline-registry")
    half = {"oauthProxy": {"tlsCertificateSecret": {"name": "a", "key": "tls.crt"}}, "kubeRBACProxy": None}
    faults: list[tuple[dict[str, Any], str]] = [(half, "tlsCertificateSecret and tlsKeySecret MUST be set together")]
    if overlay == "rhoai-3.x":
        faults.append(({"oauthProxy": {}}, "Cannot use both oauthProxy and kubeRBACProxy"))
    query = {"fieldManager": "manifests", "fieldValidation": "Strict", "dryRun": "All", "force": "true"}
    for fault, word in faults:
        spec = {key: value for key, value in {**one.spec, **fault}.items() if value is not None}
        schema = published(trees.OVERLAYS[overlay], one.api_version, one.kind)
        assert schema is not None
        assert schema.problems({**one.content, "spec": spec}) == [], "by schemas alone it is allowed"
        answer = installed.ask("PATCH", address(installed, one), {**one.content, "spec": spec}, kind=APPLY, **query)
        assert (answer.status_code, word in answer.text) == (422, True), answer.text


def test_what_is_compared_is_compared() -> None:
    """A field that went or changed is told with its path; equal amounts in other units are the same."""
    sent = {"a": [{"b": "1000m"}], "c": {"d": 1}}
    assert lost(sent, {"a": [{"b": "1"}], "c": {"d": 1}, "more": 1}) == []
    assert lost(sent, {"a": [{"b": "1"}], "c": {}}) == [".c.d: sent 1, stored None"]
    assert lost(sent, {"a": [], "c": {"d": 1}}) == [".a: sent [{'b': '1000m'}], stored []"]


def spoilt(one: Manifest) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object with one field misspelt, or with a value of another type, for each field of its specification."""
    for path, value in fields(one.spec):
        if isinstance(path[-1], str):
            for fault in ("misspelt", "another type"):
                content = json.loads(json.dumps(one.content))
                at = content["spec"]
                for part in path[:-1]:
                    at = at[part]
                taken = at.pop(path[-1])
                at[path[-1] + "X" if fault == "misspelt" else path[-1]] = taken if fault == "misspelt" else [[value]]
                yield f"{one} with spec.{'.'.join(map(str, path))} {fault}", content


def test_the_offline_check_says_what_the_server_says(installed: Cluster, overlay: str) -> None:
    """For each field of each custom object, misspelt and mistyped: the check by schemas and the API server agree."""
    release = trees.OVERLAYS[overlay]
    query = {"fieldManager": "manifests", "fieldValidation": "Strict", "dryRun": "All", "force": "true"}
    compared = 0
    for one in (one for tree in kustomizations(overlay) for one in tree.objects):
        schema = published(release, one.api_version, one.kind)
        for what, content in spoilt(one) if schema else ():
            answer = installed.ask("PATCH", address(installed, one), content, kind=APPLY, **query)
            assert schema is not None
            assert answer.is_success == (schema.problems(content) == []), f"{what}: {answer.text}"
            compared += 1
    assert compared

"""Production's sizes: each patch meets its object, changes what it says and nothing else, and only to more."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.manifests import inventory, trees
from tests.manifests.objects import Manifest, amount, leaves
from tests.manifests.trees import MANIFESTS, OVERLAYS

PART = MANIFESTS / "components" / "production"
PATCHES = yaml.safe_load((PART / "kustomization.yaml").read_text())["patches"]


def sized(place: str) -> tuple[dict[str, Manifest], dict[str, Manifest]]:
    """The objects of a tree without and with the part, by kind and name."""
    before, after = trees.rendered(MANIFESTS / place), trees.composed(MANIFESTS / place, PART)
    return {str(one): one for one in before}, {str(one): one for one in after}


@pytest.mark.parametrize("release", OVERLAYS)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch["path"]))
def test_each_patch_changes_what_it_says(release: str, patch: dict[str, Any]) -> None:
    """Its target is in one of the two trees, and has every value of the patch, none of which it had before."""
    told = leaves(Manifest(yaml.safe_load((PART / patch["path"]).read_text())))
    name = f"{patch['target']['kind']} {patch['target']['name']}"
    (found,) = [pair for pair in map(sized, (f"overlays/{release}", f"registry/{release}")) if name in pair[0]]
    before, after = leaves(found[0][name]), leaves(found[1][name])
    said = {path: value for path, value in told.items() if path.startswith("spec/") and not path.endswith("/name")}
    assert said.items() <= after.items()
    new = {path for path, value in after.items() if before.get(path) != value}
    assert new == said.keys()


@pytest.mark.parametrize("place", [f"{tree}/{release}" for tree in ("overlays", "registry") for release in OVERLAYS])
def test_nothing_else_changes_and_nothing_shrinks(place: str) -> None:
    """Other objects are as they were; an amount that was there is more now; requests stay within limits."""
    before, after = sized(place)
    assert before.keys() == after.keys()
    changed = {name for name in before if before[name].content != after[name].content}
    assert changed == {f"{patch['target']['kind']} {patch['target']['name']}" for patch in PATCHES} & before.keys()
    assert changed
    for name in changed:
        was, now = leaves(before[name]), leaves(after[name])
        for path, value in now.items():
            if was.get(path, value) != value:
                assert (amount(value) or 0) > (amount(was[path]) or 0), f"{name}: {path}"
            if "/requests/" in path and path.replace("/requests/", "/limits/") in now:
                limit = now[path.replace("/requests/", "/limits/")]
                assert (amount(value) or 0) <= (amount(limit) or 0), f"{name}: {path}"


def asked(spec: dict[str, Any], what: str) -> float:
    """What the scheduler counts of a pod: its containers together, or the largest of those before them."""

    def of(container: dict[str, Any]) -> float:
        return amount(container["resources"].get("requests", {}).get(what, "0")) or 0

    return max([sum(map(of, spec["containers"])), *map(of, spec.get("initContainers", []))])


@pytest.mark.parametrize("release", OVERLAYS)
def test_three_runs_at_once_fit_productions_quota(release: str) -> None:
    """The busiest of the base with three searches of eight shards, and pipelines' servers three times their size."""
    tree = trees.tree(f"overlays/{release} with production")
    quota = tree.one("ResourceQuota", "brakeline").spec["hard"]
    pods = [*inventory.at_its_busiest(tree), *inventory.run("search"), *inventory.run("search")]
    for what in ("cpu", "memory"):
        place = ("cpu", "memory").index(what)
        servers = sum(amount(size[place]) or 0 for sizes in inventory.PIPELINES.values() for size in sizes)
        assert sum(asked(spec, what) for spec in pods) + 2 * servers < (amount(quota[f"requests.{what}"]) or 0)
    assert len(pods) < int(quota["pods"])

"""What `kubectl kustomize` makes of the manifests, each tree rendered once a session; and what an installation has."""

from __future__ import annotations

import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.conftest import BIN, HOUSE
from tests.crds import RELEASES
from tests.manifests.objects import Manifest, Pod, pods

MANIFESTS = HOUSE / "manifests"
# An overlay's name, and the release whose published CRDs stand for it.
OVERLAYS = dict(zip(("rhoai-2.22", "rhoai-3.x"), RELEASES, strict=True))
# Kubernetes below OpenShift 4.16 to 4.19, and below 4.19 and newer.
KUBERNETES = {"rhoai-2.22": ("1.29", "1.30", "1.31", "1.32"), "rhoai-3.5": ("1.32", "1.33", "1.34", "1.35")}


@dataclass(frozen=True)
class Tree:
    """A rendered kustomization, and the releases that have to take it."""

    name: str
    releases: tuple[str, ...]
    objects: tuple[Manifest, ...]

    def of(self, *kinds: str) -> list[Manifest]:
        """Every object of these kinds."""
        return [one for one in self.objects if one.kind in kinds]

    def one(self, kind: str, name: str) -> Manifest:
        """The object of this kind and name. Raises LookupError."""
        found = [one for one in self.of(kind) if one.name == name]
        if len(found) != 1:
            raise LookupError(f"{self.name}: {len(found)} of {kind} {name}; it has {', '.join(map(str, self.objects))}")
        return found[0]

    def pods(self) -> list[Pod]:
        """A pod of every template, as its controller would make it."""
        return pods(self.objects)


class Refused(Exception):
    """`kubectl kustomize` does not render it."""


@functools.cache
def rendered(folder: Path) -> tuple[Manifest, ...]:
    """The objects of a kustomization. Raises Refused."""
    done = subprocess.run(
        [str(BIN / "kubectl"), "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    # What is deprecated, or named and not found, is said on stderr with exit status 0.
    if done.returncode or done.stderr:
        raise Refused(f"{folder}: {done.stderr}")
    return tuple(map(Manifest, read(done.stdout)))


def read(text: str) -> list[dict[str, Any]]:
    """YAML documents as an API server reads them: nothing becomes a date."""
    return [one for one in yaml.load_all(text, Loader=_Loader) if one]


@functools.cache
def composed(*parts: Path) -> tuple[Manifest, ...]:
    """An overlay of the test's: the first folder is its resource, the rest are its components. Raises Refused."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        resource, *components = [os.path.relpath(part, folder) for part in parts]
        content = {"resources": [resource], "components": components}
        (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
        return rendered(folder)


def components() -> list[str]:
    """The optional parts."""
    return sorted(file.parent.name for file in (MANIFESTS / "components").glob("*/kustomization.yaml"))


def names() -> list[str]:
    """Every kustomization that somebody applies, and the bases below them: by its path, and the optional part on it."""
    made = ["base"]
    for overlay in OVERLAYS:
        made += [f"overlays/{overlay}", *(f"overlays/{overlay} with {part}" for part in components())]
    rest = ["registry/base", *(f"registry/{overlay}" for overlay in OVERLAYS), "gitops"]
    return made + [name for name in rest if (MANIFESTS / name / "kustomization.yaml").is_file()]


def tree(name: str) -> Tree:
    """A tree by its name. Raises Refused."""
    path, _, part = name.partition(" with ")
    objects = composed(MANIFESTS / path, MANIFESTS / "components" / part) if part else rendered(MANIFESTS / path)
    overlay = path.rpartition("/")[2]
    return Tree(name, (OVERLAYS[overlay],) if overlay in OVERLAYS else RELEASES, objects)


def installation(overlay: str) -> Tree:
    """All that an installation of a release is of: its overlay with every optional part, the registry's, GitOps."""
    parts = [MANIFESTS / "components" / one for one in components()]
    objects = list(composed(MANIFESTS / "overlays" / overlay, *parts))
    for name in (f"registry/{overlay}", "gitops"):
        objects += tree(name).objects if name in names() else ()
    return Tree(f"installation of {overlay}", (OVERLAYS[overlay],), tuple(objects))


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """Without the types of YAML that JSON does not have."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in known if tag not in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")]
    for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}

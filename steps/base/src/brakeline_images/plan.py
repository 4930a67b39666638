"""What is to be built: the table of images, the ladder they stand on, and each one's name by content.

A rung holds what all images on it and above it need, computed from their locks; packages that an image alone needs
stand in a layer between its rung and its own code, so that a change of code moves a few hundred kilobytes.
"""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from brakeline.images import HOUSE, OPTIONAL, SHARED, STEPS, WORKBENCH, source_hash

from brakeline_images import locks
from brakeline_images.locks import Pinned

ROOM = HOUSE / "steps" / "base"
LADDER = {"python": None, "commands": "python", "numeric": "python", "data": "numeric", "learning": "data"}
CONTRACT = "brakeline.step/1"
# What turns the same files into other images is part of their names too: of every name, and of those with our code.
_HERE = Path(__file__).parent
_WRITES_ALL = ("wheels.py", "context.py")
_WRITES_OURS = ("about.py", "sbom.py", "inventory.py")


@dataclass(frozen=True)
class Microimage:
    """An image with code of ours in it."""

    name: str
    folder: str
    packages: tuple[str, ...]  # folders of the Python packages that are its code
    is_step: bool = True
    shared: tuple[str, ...] = ()  # files for people, below share/brakeline


_OURS = ("steps/kit", *(f"steps/{step}" for step in STEPS), "orchestrator", "serving", "serving/client", "notebooks")
IMAGES = (
    *(Microimage(step, f"steps/{step}", ("steps/kit", f"steps/{step}")) for step in STEPS),
    Microimage("serving", "serving", ("serving",), is_step=False),
    Microimage("client", "serving/client", ("serving/client",), is_step=False),
    Microimage(WORKBENCH, "notebooks", _OURS, is_step=False, shared=SHARED),
)
# What is built unless something else is asked for.
USUAL = tuple(image.name for image in IMAGES if image.name not in OPTIONAL)


@dataclass(frozen=True)
class Node:
    """One image to build: from what, with which packages or which code, and its name by content."""

    name: str
    parent: str
    dockerfile: Path
    packages: frozenset[Pinned] = frozenset()
    code: Microimage | None = None
    source: str = ""


@dataclass
class Plan:
    """All nodes, parents before children, and the reference of each."""

    base: str
    builder: str = field(default_factory=lambda: _hash_of(_WRITES_ALL))
    teller: str = field(default_factory=lambda: _hash_of(_WRITES_OURS))
    nodes: dict[str, Node] = field(default_factory=dict)
    references: dict[str, str] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Take a node up and name it by everything that goes into it."""
        self.nodes[node.name] = node
        parent = self.references[node.parent] if node.parent else self.base
        parts = [self.builder, parent, _file_hash(node.dockerfile), node.source, self.teller if node.code else ""]
        parts += [f"{package.name}=={package.version} {package.lines}" for package in sorted(node.packages)]
        if not node.parent:
            parts.append(_file_hash(ROOM / "prepare.py"))
        digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        kind = "" if node.code else "base-"
        self.references[node.name] = f"brakeline/{kind}{node.name}:{digest[:20]}"

    def packages_in(self, name: str) -> frozenset[Pinned]:
        """Every Python package of an image, those of its parents too."""
        node = self.nodes[name]
        return node.packages | (self.packages_in(node.parent) if node.parent else frozenset())


def make(base: str, only: tuple[str, ...] = ()) -> Plan:
    """The plan for the usual images, or for some, and what they stand on. `base` is the base's reference by content.

    What the optional ones need changes no rung: they stand on what the usual ones have in common.
    """
    installed = {image.name: locks.read(HOUSE / image.folder / "requirements.lock") for image in IMAGES}
    rung_of = {image.name: _rung(HOUSE / image.folder / "Dockerfile") for image in IMAGES}
    plan = Plan(base)
    chosen = [image for image in IMAGES if image.name in (only or USUAL)]
    needed = {rung for image in chosen for rung in _down(rung_of[image.name])}
    below: frozenset[Pinned] = frozenset()
    content: dict[str, frozenset[Pinned]] = {}
    for rung, parent in LADDER.items():
        content[rung] = locks.shared([installed[name] for name in USUAL if rung in _down(rung_of[name])])
        below = content[parent] if parent else frozenset()
        if rung in needed:
            if parent is None:
                plan.add(Node("foundation", "", ROOM / "foundation.Dockerfile"))
            plan.add(Node(rung, parent or "foundation", ROOM / "packages.Dockerfile", content[rung] - below))
    for image in chosen:
        rung, own = rung_of[image.name], installed[image.name] - content[rung_of[image.name]]
        if own:
            plan.add(Node(f"{image.name}-packages", rung, ROOM / "packages.Dockerfile", own))
        parent = f"{image.name}-packages" if own else rung
        dockerfile = HOUSE / image.folder / "Dockerfile"
        plan.add(Node(image.name, parent, dockerfile, code=image, source=source_hash(image.name)))
    return plan


def _rung(dockerfile: Path) -> str:
    """The rung that a Dockerfile stands on: its `FROM ${LEARNING}` names it."""
    found = re.search(r"^FROM \$\{([A-Z]+)\}$", dockerfile.read_text(encoding="utf-8"), re.MULTILINE)
    if not found or found[1].lower() not in LADDER:
        rungs = ", ".join(f"${{{rung.upper()}}}" for rung in LADDER)
        raise ValueError(f"{dockerfile}: FROM must be one of {rungs}")
    return found[1].lower()


def _down(rung: str) -> list[str]:
    """A rung and all below it."""
    steps = [rung]
    while parent := LADDER[steps[-1]]:
        steps.append(parent)
    return steps


def _file_hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _hash_of(modules: tuple[str, ...]) -> str:
    return "".join(_file_hash(_HERE / module) for module in modules)

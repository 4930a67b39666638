"""Builds what the engine lacks of a plan: fetches in parallel, parents before children, nothing that is there already."""

import json
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from brakeline.images import HOUSE

from brakeline_images import context, sbom, wheels
from brakeline_images.engine import Engine
from brakeline_images.foundation import PACKAGES_LABEL
from brakeline_images.plan import CONTRACT, IMAGES, ROOM, Microimage, Node, Plan

SBOMS = ROOM / "sbom"
PYTHON = "/opt/brakeline/bin/python"
_WORKERS = 3


@dataclass
class Builder:
    """One call of `images`: its engine, its plan, and whom it tells."""

    engine: Engine
    plan: Plan
    tell: Callable[[str], None]
    ca_bundle: Path | None = None
    built: list[str] = field(default_factory=list)

    def build(self) -> None:
        """Build every image of the plan that the engine lacks, and the rungs those stand on."""
        missing = self._missing()
        futures: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(_WORKERS) as pool:
            for name in self.plan.nodes:
                if name in missing:
                    futures[name] = pool.submit(self._build, self.plan.nodes[name], futures)
            try:
                for future in futures.values():
                    future.result()
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _missing(self) -> set[str]:
        missing: set[str] = set()
        for name, node in self.plan.nodes.items():
            if node.code:
                while node and name not in missing and not self.engine.inspect(self.plan.references[name]):
                    missing.add(name)
                    if not node.parent:
                        break
                    name, node = node.parent, self.plan.nodes[node.parent]  # noqa: PLW2901  climbing down the ladder
        return missing

    def _build(self, node: Node, futures: dict[str, Future[None]]) -> None:
        start, reference = time.monotonic(), self.plan.references[node.name]
        with tempfile.TemporaryDirectory() as folder:
            files = self._files(node, Path(folder))
            if node.parent in futures:
                futures[node.parent].result()
            with context.pack(node.dockerfile, files) as packed:
                self.engine.build(packed, reference, self._arguments(node), self._labels(node))
        self.built.append(node.name)
        self.tell(f"{reference}  built in {time.monotonic() - start:.1f} s")

    def _files(self, node: Node, folder: Path) -> list[tuple[str, Path | bytes]]:
        if node.code:
            own = wheels.own([HOUSE / package for package in node.code.packages], PYTHON)
            bill = self._write_bill(node.code).encode()
            return [
                *((f"opt/brakeline/{name}", content) for name, content in own),
                ("opt/brakeline/sbom.cdx.json", bill),
            ]
        if node.packages:
            self.tell(f"{node.name}: fetching {len(node.packages)} packages")
            wheels.fetch(node.name, node.packages, folder, self.ca_bundle)
            return context.tree(folder, f"opt/brakeline/{wheels.SITE}")
        return [("prepare.py", ROOM / "prepare.py")]

    def _arguments(self, node: Node) -> dict[str, str]:
        parent = self.plan.references[node.parent] if node.parent else self.plan.base
        if node.code:
            # Between a step and the rung that its Dockerfile names stand the packages it needs alone.
            names = [line.split()[1] for line in node.dockerfile.read_text().splitlines() if line.startswith("ARG ")]
            return {names[0]: parent, "IMAGE": self.plan.references[node.name]}
        return {"PARENT" if node.parent else "BASE": parent}

    def _labels(self, node: Node) -> dict[str, str]:
        if not node.code:
            return {"brakeline.rung": node.name}
        about = _project(node.code)
        labels = {
            "org.opencontainers.image.title": self.plan.references[node.name].partition(":")[0],
            "org.opencontainers.image.description": about["description"],
            "org.opencontainers.image.version": about["version"],
            "org.opencontainers.image.licenses": about["license"],
            "brakeline.source": node.source,
        }
        if node.code.is_step:
            labels |= {"brakeline.contract": CONTRACT, "brakeline.describe": _describe(node.code)}
        return labels

    def _write_bill(self, image: Microimage) -> str:
        base = self.engine.inspect(self.plan.base) or {}
        listed = ((base.get("Config") or {}).get("Labels") or {}).get(PACKAGES_LABEL, "[]")
        projects = [
            tomllib.loads((HOUSE / folder / "pyproject.toml").read_text())["project"] for folder in image.packages
        ]
        own = {project["name"]: project["version"] for project in projects}
        reference = self.plan.references[image.name]
        bill = sbom.make(reference, json.loads(listed), self.plan.packages_in(image.name), own)
        SBOMS.mkdir(exist_ok=True)
        (SBOMS / f"{image.name}.cdx.json").write_text(bill, encoding="utf-8")
        return bill


def _project(image: Microimage) -> dict[str, str]:
    return dict(tomllib.loads((HOUSE / image.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def _describe(image: Microimage) -> str:
    """What the step says of itself, by the very sources that go into the image."""
    script = Path(sys.executable).parent / f"brakeline-{image.name}"
    return subprocess.run([str(script), "--describe"], capture_output=True, text=True, check=True).stdout.strip()


def is_known(name: str) -> bool:
    """Whether there is an image of this name."""
    return name in {image.name for image in IMAGES}

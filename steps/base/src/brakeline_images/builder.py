"""Builds what the engine lacks of a plan: in parallel, parents before children, and nothing that is there already."""

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from brakeline.images import CONTENT, HOUSE, OPTIONAL, SOURCES, source_hash

from brakeline_images import about, context, inventory, processes, wheels
from brakeline_images.engine import Engine
from brakeline_images.errors import BaseUnfit, BuildFailed, SourcesChanged
from brakeline_images.plan import ROOM, Microimage, Node, Plan

SBOMS = ROOM / "sbom"
PYTHON = "/opt/brakeline/bin/python"
_SHARED = "share/brakeline"
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
        """Build every image of the plan that the engine lacks, and the rungs those stand on.

        An exception ends what other threads are at: programs are ended, and the engine drops a build whose caller goes.
        Raises ImagesError.
        """
        missing = self._missing()
        if missing:
            self._build_all(missing)
        self._keep_bills()

    def _keep_bills(self) -> None:
        """Each image's bill of materials beside the others, read from the image where another stands there."""
        SBOMS.mkdir(exist_ok=True)
        for name, node in self.plan.nodes.items():
            kept, reference = SBOMS / f"{name}.cdx.json", self.plan.references[name]
            if node.code and not (kept.is_file() and reference in kept.read_text(encoding="utf-8")):
                (bill,) = self.engine.files(reference, (f"/opt/brakeline/{about.BILL}",)).values()
                kept.write_bytes(bill)

    def _build_all(self, missing: set[str]) -> None:
        self._base = inventory.take(self.engine, self.plan.base)
        if self._base.unlisted:
            self.tell(f"base {self.plan.base}: {self._base.unlisted}")
        futures: dict[str, Future[None]] = {}
        pool = ThreadPoolExecutor(_WORKERS)
        with tempfile.TemporaryDirectory(prefix="brakeline-", ignore_cleanup_errors=True) as scratch:
            try:
                for name in self.plan.nodes:
                    if name in missing:
                        folder = Path(scratch) / name
                        futures[name] = pool.submit(self._build, self.plan.nodes[name], folder, futures)
                for future in futures.values():
                    future.result()
            except Exception:
                pool.shutdown(cancel_futures=True)
                raise
            except BaseException:
                # Interrupted: not a moment for others' threads to finish in.
                pool.shutdown(wait=False, cancel_futures=True)
                processes.end_all()
                raise
        pool.shutdown()

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

    def _build(self, node: Node, folder: Path, futures: dict[str, Future[None]]) -> None:
        start, reference = time.monotonic(), self.plan.references[node.name]
        asked = about.ask(node.code) if node.code else None
        files = self._files(node, folder)
        dockerfile = node.dockerfile.read_bytes() + b"\n" + about.instruction(about.labels(self.plan, node, asked))
        if node.code and source_hash(node.name) != node.source:
            raise SourcesChanged(node.name)
        waiting = time.monotonic()
        if node.parent in futures:
            futures[node.parent].result()
        waited_s = time.monotonic() - waiting
        if not node.code:
            self.tell(f"{node.name}: building")
        with context.pack(dockerfile, files) as packed:
            try:
                self.engine.build(packed, reference, self._arguments(node))
            except BuildFailed as error:
                raise error if node.parent else BaseUnfit(self.plan.base, error.said) from error
        self.built.append(node.name)
        self.tell(f"{reference}  built in {time.monotonic() - start - waited_s:.1f} s")

    def _files(self, node: Node, folder: Path) -> list[tuple[str, Path | bytes]]:
        if node.code:
            self.tell(f"{node.name}: building")
            own = wheels.own([HOUSE / package for package in node.code.packages], PYTHON)
            bill = about.bill(self.plan, node, self._base)
            named: list[tuple[str, bytes]] = [*own, (about.BILL, bill.encode()), *_for_people(node.code)]
            return [(f"opt/brakeline/{name}", content) for name, content in named]
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


def _for_people(image: Microimage) -> list[tuple[str, bytes]]:
    """An image's files for people, and what its code was made of where it has the orchestrator, which asks for that."""
    files = [(f"{_SHARED}/notebooks/{Path(name).name}", (HOUSE / name).read_bytes()) for name in image.shared]
    if "orchestrator" in image.packages:
        made_of = {name: source_hash(name) for name in CONTENT if name not in OPTIONAL}
        files.append((f"{_SHARED}/{SOURCES.name}", (json.dumps(made_of, indent=2) + "\n").encode()))
    return files

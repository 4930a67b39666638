"""What an image says of itself: its labels, its signature as the step prints it, and its bill of materials."""

import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brakeline.images import HOUSE

from brakeline_images import processes, sbom
from brakeline_images.errors import BuildFailed
from brakeline_images.inventory import Inventory
from brakeline_images.plan import CONTRACT, Microimage, Node, Plan

BILL = "sbom.cdx.json"


def ask(image: Microimage) -> "subprocess.Popen[str] | None":
    """Ask a step for its signature, by the very sources that go into the image. It takes a moment; `labels` waits."""
    script = Path(sys.executable).parent / f"brakeline-{image.name}"
    return processes.start([str(script), "--describe"]) if image.is_step else None


def labels(plan: Plan, node: Node, asked: "subprocess.Popen[str] | None") -> dict[str, str]:
    """The labels of an image or of a rung. Raises BuildFailed where a step cannot say what it is."""
    if not node.code:
        return {"brakeline.rung": node.name}
    about = _project(node.code.folder)
    said = {
        "org.opencontainers.image.title": plan.references[node.name].partition(":")[0],
        "org.opencontainers.image.description": about["description"],
        "org.opencontainers.image.version": about["version"],
        "org.opencontainers.image.licenses": about["license"],
        "brakeline.source": node.source,
    }
    if asked:
        signature = processes.finish(asked)
        if signature.status:
            raise BuildFailed(plan.references[node.name], f"--describe failed: {signature.stderr.strip()[-1500:]}")
        said |= {"brakeline.contract": CONTRACT, "brakeline.describe": signature.stdout.strip()}
    return said


def instruction(labels: Mapping[str, str]) -> bytes:
    """All labels as one line of a Dockerfile: the engine makes a container for each line."""
    quoted = (f"{name}={_quoted(value)}" for name, value in sorted(labels.items()))
    return f"LABEL {' '.join(quoted)}\n".encode()


def bill(plan: Plan, node: Node, base: Inventory) -> str:
    """The bill of materials of an image."""
    folders = node.code.packages if node.code else ()
    own = {project["name"]: project["version"] for project in map(_project, folders)}
    return sbom.make(plan.references[node.name], base, plan.packages_in(node.name), own)


def _quoted(value: str) -> str:
    for special in ("\\", '"', "$"):
        value = value.replace(special, f"\\{special}")
    return '"' + value.replace("\n", " ") + '"'


def _project(folder: str) -> dict[str, Any]:
    return dict(tomllib.loads((HOUSE / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"])

"""The gate's verdict as register and deploy read it: nothing goes on without one that passed this very model."""

from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import Refused, UnreadableArtifact

MODEL_FILE = "model.onnx"
SCHEMA_VERSION = 1


def model_sha256(model: Path) -> str:
    """sha256 of the ONNX graph in a model artifact. Raises UnreadableArtifact."""
    graph = model / MODEL_FILE
    if not graph.is_file():
        raise UnreadableArtifact(model, "model artifact", f"no {MODEL_FILE} in it")
    return artifacts.sha256_of(graph)


def require_passed(verdict: Path, model: Path) -> dict[str, Any]:
    """Read a verdict and return it if it passed exactly this model; raise Refused otherwise.

    Anything but the literal `true` of a known schema counts as not passed.
    """
    content = artifacts.read_json(verdict)
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise UnreadableArtifact(verdict, f"verdict of schema version {SCHEMA_VERSION}", f"found {found}")
    failed = [gate.get("name", "?") for gate in content.get("gates", []) if gate.get("passed") is not True]
    if content.get("passed") is not True or failed or not content.get("gates"):
        raise Refused(f"{verdict}: the model did not pass its gates: {', '.join(failed) or 'no gate'}", failed=failed)
    found = model_sha256(model)
    if content.get("model_sha256") != found:
        raise Refused(
            f"{verdict}: the verdict is about another model: {content.get('model_sha256')}, this one is {found}",
            found=found,
            allowed=content.get("model_sha256"),
        )
    return content

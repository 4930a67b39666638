"""The gate's verdict as register and deploy read it: nothing goes on without one that passed this very model."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import Refused, UnreadableArtifact

MODEL_FILE = "model.onnx"
SCHEMA_VERSION = 2
_SEAL = "seal"


def model_sha256(model: Path) -> str:
    """sha256 of the ONNX graph in a model artifact. Raises UnreadableArtifact."""
    graph = model / MODEL_FILE
    if not graph.is_file():
        raise UnreadableArtifact(model, "model artifact", f"no {MODEL_FILE} in it")
    return artifacts.sha256_of(graph)


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict with the hash of all that it says, so that a figure changed by hand shows.

    It shows an accident or a careless hand, no forger, who can hash too: the proof of a verdict is to give it again.
    """
    return {**content, _SEAL: _seal_of(content)}


def read(verdict: Path) -> dict[str, Any]:
    """Read a verdict as the gate wrote it, passed or not. Raises UnreadableArtifact, or Refused for an altered one."""
    content, expected = artifacts.read_json(verdict), f"verdict of schema version {SCHEMA_VERSION}"
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        found = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise UnreadableArtifact(verdict, expected, f"found {found}")
    gates = content.get("gates", [])
    if not isinstance(gates, list) or not all(isinstance(gate, dict) for gate in gates):
        raise UnreadableArtifact(verdict, expected, "its gates are no list of gates")
    if content.get(_SEAL) != _seal_of(content):
        raise Refused(f"{verdict}: altered: it says something else than when the gate sealed it", failed=[])
    return content


def failed_gates(content: Mapping[str, Any]) -> list[str]:
    """Names of the gates that did not pass, in the verdict's order.

    Anything but the literal `true` did not, nor did a value that is no number up to the gate's limit.
    """
    return [str(gate.get("name", "?")) for gate in content.get("gates", []) if not _gate_passed(gate)]


def has_passed(content: Mapping[str, Any]) -> bool:
    """Whether a verdict says so by the literal `true`, has gates, and every one of them passed."""
    return content.get("passed") is True and bool(content.get("gates")) and not failed_gates(content)


def require_passed(verdict: Path, model: Path) -> dict[str, Any]:
    """Read a verdict and return it if it passed exactly this model; raise Refused otherwise.

    Anything but the literal `true` of a known schema counts as not passed.
    """
    content = read(verdict)
    if not has_passed(content):
        failed = failed_gates(content)
        raise Refused(f"{verdict}: the model did not pass its gates: {', '.join(failed) or 'no gate'}", failed=failed)
    found = model_sha256(model)
    if content.get("model_sha256") != found:
        raise Refused(
            f"{verdict}: the verdict is about another model: {content.get('model_sha256')}, this one is {found}",
            found=found,
            allowed=content.get("model_sha256"),
        )
    return content


def _gate_passed(gate: Mapping[str, Any]) -> bool:
    value, limit = gate.get("value"), gate.get("limit")
    numbers = all(isinstance(number, int | float) and not isinstance(number, bool) for number in (value, limit))
    return gate.get("passed") is True and numbers and float(value or 0) <= float(limit or 0)


def _seal_of(content: Mapping[str, Any]) -> str:
    said = {key: value for key, value in content.items() if key != _SEAL}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

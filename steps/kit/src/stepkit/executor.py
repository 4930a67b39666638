"""KFP's executor input and output: how a container component hears of its artifacts and reports them.

Source: kubeflow/pipelines sdk-2.17.0, `ExecutorInput` and `ExecutorOutput` of pipeline_spec.proto.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import UsageError

# Where the cluster's launcher keeps local copies of remote artifacts.
_LOCAL_ROOTS = {"s3://": "/s3/", "minio://": "/minio/", "gs://": "/gcs/"}


@dataclass(frozen=True)
class InputRecord:
    """An input artifact as the pipeline knows it."""

    path: Path
    uri: str
    sha256: str | None


@dataclass(frozen=True)
class ExecutorInput:
    """The parsed `{{$}}` of a task; empty when the step was started by hand."""

    message: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> "ExecutorInput":
        """Parse `--executor-input`: JSON, or `@FILE` with the JSON in it. Raises UsageError."""
        if text.startswith("@"):
            text = _content(Path(text[1:]))
        try:
            message = json.loads(text) if text else {}
        except ValueError as error:
            raise UsageError(f"--executor-input is not JSON: {error}") from error
        if not isinstance(message, dict):
            raise UsageError(f"--executor-input: found {type(message).__name__}, allowed a JSON object")
        return cls(message)

    def inputs(self, name: str) -> list[InputRecord]:
        """The artifacts of one input, in the pipeline's order."""
        listed = self.message.get("inputs", {}).get("artifacts", {}).get(name, {}).get("artifacts", [])
        return [
            InputRecord(local_path(item["uri"]), item["uri"], item.get("metadata", {}).get("sha256")) for item in listed
        ]

    def output_uri(self, name: str) -> str | None:
        """Where the pipeline stores an output."""
        listed = self.message.get("outputs", {}).get("artifacts", {}).get(name, {}).get("artifacts", [])
        return listed[0]["uri"] if listed else None

    @property
    def output_file(self) -> Path | None:
        """The executor output, which says that the task is done."""
        file = self.message.get("outputs", {}).get("outputFile")
        return Path(file) if file else None


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--executor-input @{file}: cannot be read: {error}") from error


def local_path(uri: str) -> Path:
    """Where an artifact's bytes lie for a step: the uri itself locally, the launcher's copy on a cluster."""
    for scheme, root in _LOCAL_ROOTS.items():
        if uri.startswith(scheme):
            return Path(root + uri.removeprefix(scheme))
    return Path(uri.removeprefix("file://"))


def write_output(file: Path, made: dict[str, dict[str, Any]], parameters: dict[str, Any]) -> None:
    """Write the executor output: `made` maps an output's name to its uri and metadata."""
    listed = {
        name: {"artifacts": [{"name": name, "uri": record["uri"], "metadata": record["metadata"]}]}
        for name, record in made.items()
    }
    artifacts.write_json(file, {"artifacts": listed, "parameterValues": parameters})

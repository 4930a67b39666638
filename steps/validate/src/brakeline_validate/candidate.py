"""A model as the gate sees it: a graph to ask and properties to count, nothing of how it was trained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from stepkit import artifacts
from stepkit import contract as data_contract
from stepkit.contract import Contract
from stepkit.errors import ContractViolation, UnreadableArtifact
from stepkit.verdict import MODEL_FILE, model_sha256

MEDIAN, UPPER, FLAG = "stopping_distance_m", "stopping_distance_upper_m", "out_of_range"

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A loaded model artifact."""

    folder: Path
    sha256: str
    contract: Contract
    training: Mapping[str, Any]
    session: ort.InferenceSession

    @classmethod
    def load(cls, folder: Path) -> "Candidate":
        """Load a model artifact. Raises UnreadableArtifact, ContractViolation."""
        sha256 = model_sha256(folder)
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        file = folder / MODEL_FILE
        try:
            session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors share no base class of their own
            raise UnreadableArtifact(file, "ONNX model", str(error).splitlines()[0]) from error
        properties = session.get_modelmeta().custom_metadata_map
        try:
            contract = data_contract.parse(properties.get(data_contract.METADATA_KEY, "null"))
            training = json.loads(properties.get("brakeline.training", "{}"))
        except ValueError as error:
            allowed = f"versions {data_contract.SUPPORTED_VERSIONS}"
            raise ContractViolation(file, data_contract.METADATA_KEY, error, allowed) from error
        outputs = {output.name for output in session.get_outputs()}
        missing = {MEDIAN, UPPER, FLAG} - outputs
        if missing:
            raise ContractViolation(file, "outputs", sorted(outputs), f"also {sorted(missing)}")
        return cls(folder, sha256, contract, training, session)

    def ask(self, inputs: NDArray[np.float32]) -> dict[str, Vector]:
        """Answers for rows (N, F) in the contract's order, by output name, each of shape (N,)."""
        feed = {name: inputs[:, [index]] for index, name in enumerate(self.contract.names)}
        names = [MEDIAN, UPPER, FLAG]
        found = self.session.run(names, feed)
        return {name: np.asarray(values, dtype=np.float64).ravel() for name, values in zip(names, found, strict=True)}

    def column(self, role: str) -> int:
        """Where the feature of a role stands in the inputs."""
        return self.contract.names.index(self.contract.by_role(role).name)


def load_champion(folder: Path) -> Candidate | None:
    """The live model that register handed over, or None where there is none yet. Raises as `Candidate.load`."""
    note = artifacts.read_json(folder / "champion.json")
    return Candidate.load(folder) if note.get("sha256") else None

"""A model as the gate sees it: a graph to ask and properties to count, nothing of how it was trained."""

import json
from collections.abc import Mapping, Sequence
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
DECELERATION, REQUIRED, NOVELTY = "deceleration_lower_mps2", "required_deceleration_mps2", "ood_score"
# What the server publishes, each float32 of shape (N, 1).
OUTPUTS = (MEDIAN, UPPER, DECELERATION, REQUIRED, NOVELTY, FLAG)
# So many rows and their sums stay in a core's cache: a third of the time of all rows at once, and the same answers.
_ROWS_AT_ONCE = 1_000

_FLOAT = "tensor(float)"

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """A loaded model artifact."""

    folder: Path
    sha256: str
    contract: Contract
    training: Mapping[str, Any]
    session: ort.InferenceSession
    outputs: tuple[str, ...]  # those of OUTPUTS that the graph has, as float32

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
        inputs = {tensor.name: tensor.type for tensor in session.get_inputs()}
        if inputs != dict.fromkeys(contract.names, _FLOAT):
            raise ContractViolation(file, "inputs", inputs, f"{_FLOAT} for each feature of its contract")
        made = {output.name: output.type for output in session.get_outputs()}
        missing = {MEDIAN, UPPER, FLAG} - made.keys()
        if missing:
            raise ContractViolation(file, "outputs", sorted(made), f"also {sorted(missing)}")
        outputs = tuple(name for name in OUTPUTS if made.get(name) == _FLOAT)
        return cls(folder, sha256, contract, training, session, outputs)

    def ask(
        self, inputs: NDArray[np.float32], names: Sequence[str] = (MEDIAN, UPPER, FLAG), at_once: int = _ROWS_AT_ONCE
    ) -> dict[str, Vector]:
        """Answers for rows (N, F) in the contract's order, by output name, each of shape (N,).

        An output that the graph does not have, or has not one number of for each row, is NaN.
        """
        parts = [self._answers(inputs[first : first + at_once], names) for first in range(0, len(inputs), at_once)]
        empty = [np.empty(0)]
        return {name: np.concatenate([part[name] for part in parts] or empty) for name in names}

    def _answers(self, inputs: NDArray[np.float32], names: Sequence[str]) -> dict[str, Vector]:
        feed = {name: inputs[:, [index]] for index, name in enumerate(self.contract.names)}
        made = [name for name in names if name in self.outputs]
        found = dict(zip(made, self.session.run(made, feed) if made else [], strict=True))
        return {name: _one_each(found.get(name), len(inputs)) for name in names}

    def column(self, role: str) -> int:
        """Where the feature of a role stands in the inputs."""
        return self.contract.names.index(self.contract.by_role(role).name)


def _one_each(found: NDArray[np.float32] | None, rows: int) -> Vector:
    if found is None or found.size != rows:
        return np.full(rows, np.nan)
    return found.astype(np.float64).ravel()


def load_champion(folder: Path) -> Candidate | None:
    """The live model that register handed over, or None where there is none yet. Raises as `Candidate.load`."""
    note = artifacts.read_json(folder / "champion.json")
    return Candidate.load(folder) if note.get("sha256") else None

"""A model ready to be served: an ONNX session with the contract it states and the answers it must give.

A file is served only if its metadata parses, its inputs and outputs are those that the metadata describe,
and it reproduces its own golden request. Whatever requests need is worked out here, before the model takes over.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import onnxruntime as ort

from brakeline_serving import contract as data_contract
from brakeline_serving import distribution
from brakeline_serving.cells import key_of
from brakeline_serving.codec import Codec, rows_of
from brakeline_serving.contract import Contract
from brakeline_serving.distribution import MOST_FEATURES, Training
from brakeline_serving.errors import ModelRefused
from brakeline_serving.lane import Column, Lane

OUTPUTS_KEY = "brakeline.outputs"
GOLDEN_KEY = "brakeline.golden"
TRAINING_KEY = "brakeline.training"  # what it was trained on, if it says so
GOLDEN_RELATIVE, GOLDEN_ABSOLUTE = 1e-4, 1e-6  # float32 arithmetic differs that much between CPUs
OUT_OF_RANGE_ROLE = "out_of_range"  # the flag that the model's fail-safe raises; > 0.5 is raised
OOD_ROLE, UPPER_ROLE, GAP_ROLE = "ood_score", "stopping_distance_upper_m", "range"
PLATFORM = "onnxruntime_onnx"
CHECKSUM_ENDING = ".sha256"  # of the file beside a graph that says what it has to be
WARM_RUNS = 20

_ONNX_FLOAT = "tensor(float)"
_ONLY_FATAL = 4  # onnxruntime's own lines on stderr are no JSON; what fails is raised as well

_Kind = TypeVar("_Kind")
_Places = tuple[tuple[int, Training], ...]


class Output(msgspec.Struct, frozen=True):
    """What an output means. Its role is its own name unless the model says otherwise."""

    unit: str
    description: str
    role: str | None = None


@dataclass(frozen=True)
class Parts:
    """Columns with a meaning of their own: places among the outputs, and of the gap among the features."""

    flags: tuple[int, ...]
    ood: int | None
    median: int | None
    upper: int | None
    gap: int | None


class _Golden(msgspec.Struct, frozen=True):
    inputs: dict[str, list[float | None]]
    outputs: dict[str, list[float | None]]


@dataclass(eq=False)
class Model:
    """One version of a model, checked and warm.

    `features` and `outputs` are in the graph's order, `optional` may be left out of a request, `flags` are
    the outputs that count as out of range. `lane` is the event loop's, `beside` the thread's for large requests;
    `training` is what the model says of its origin, for people; `since_s` since when its file has been kept
    [s since 1970].
    """

    version: str
    sha256: str
    contract: Contract
    outputs: Mapping[str, Output]
    training: Mapping[str, Any]
    features: tuple[str, ...]
    optional: frozenset[str]
    flags: tuple[str, ...]
    session: Any
    parts: Parts
    distribution: _Places
    codec: Codec = field(init=False)
    lane: Lane = field(init=False)
    beside: Lane = field(init=False)
    since_s: float | None = None
    key: float = 0.0
    slot: int = 0  # where its counts are, once it is adopted

    def new_lane(self, *, eager: bool = False) -> Lane:
        """A way to the session for one more user."""
        return Lane(self.session, self.features, tuple(self.outputs), eager=eager)

    def described(self) -> Mapping[str, dict[str, str]]:
        """What each output means: unit, description and role."""
        return {
            name: {"unit": output.unit, "description": output.description, "role": output.role or name}
            for name, output in self.outputs.items()
        }

    def run(self, columns: Mapping[str, Column], names: Sequence[str]) -> list[Column]:
        """Answer columns of shape (N, 1) for every feature with the named outputs, each of shape (N, 1)."""
        answers: list[Column] = self.session.run(names, columns)
        return answers


def load(path: Path, version: str, name: str = "model") -> Model:
    """Read, check and warm up the model at a path.

    Raises ModelRefused, with what was found, for a file that is missing, no ONNX, without sound metadata, or
    that does not give its golden answers.
    """
    try:
        content, since_s = path.read_bytes(), path.stat().st_mtime
    except OSError as error:
        raise ModelRefused(path, "file", str(error.strerror or error)) from error
    sha256 = hashlib.sha256(content).hexdigest()
    _require_recorded(path, sha256)
    session = _open_session(path, content)
    metadata = session.get_modelmeta().custom_metadata_map
    contract = _read_contract(path, metadata)
    outputs = _read(path, metadata, OUTPUTS_KEY, dict[str, Output])
    if len(contract.names) > MOST_FEATURES:
        raise ModelRefused(path, "inputs", f"found {len(contract.names)}, allowed at most {MOST_FEATURES}")
    features = _check_tensors(path, "inputs", session.get_inputs(), contract.names)
    answers = _check_tensors(path, "outputs", session.get_outputs(), tuple(outputs))
    model = Model(
        version=version,
        sha256=sha256,
        contract=contract,
        outputs={name: outputs[name] for name in answers},
        training=_read(path, metadata, TRAINING_KEY, dict[str, Any]) if TRAINING_KEY in metadata else {},
        features=features,
        optional=frozenset(feature.name for feature in contract.features if feature.missing_allowed),
        flags=tuple(name for name, output in outputs.items() if (output.role or name) == OUT_OF_RANGE_ROLE),
        session=session,
        parts=_parts(contract, {name: outputs[name] for name in answers}, features),
        distribution=_read_distribution(path, metadata, features),
        since_s=since_s,
    )
    _check_golden(path, model, golden := _read(path, metadata, GOLDEN_KEY, _Golden))
    model.key = key_of(version, model.sha256)
    model.codec, model.lane, model.beside = Codec(name, version, model), model.new_lane(eager=True), model.new_lane()
    _warm_up(path, model, golden)
    return model


def _require_recorded(path: Path, found: str) -> None:
    """Hold a graph to the sha256 that its deployer put beside it; a flipped byte may leave the golden answers right."""
    file = path.with_name(path.name + CHECKSUM_ENDING)
    try:
        recorded = file.read_text(errors="replace").split()[:1] if file.is_file() else [found]
    except OSError as error:
        raise ModelRefused(file, "file", str(error.strerror or error)) from error
    if recorded != [found]:
        raise ModelRefused(path, "sha256", f"found {found}, allowed {''.join(recorded)[:64]}, of {file.name}")


def _read_distribution(path: Path, metadata: Mapping[str, str], features: tuple[str, ...]) -> _Places:
    if distribution.KEY not in metadata:
        return ()
    try:
        return distribution.in_order(features, _read(path, metadata, distribution.KEY, dict[str, Training]))
    except ValueError as error:
        raise ModelRefused(path, distribution.KEY, str(error)) from error


def _parts(contract: Contract, outputs: Mapping[str, Output], features: tuple[str, ...]) -> Parts:
    roles = [output.role or name for name, output in outputs.items()]
    gap = [feature.name for feature in contract.features if feature.role == GAP_ROLE]
    return Parts(
        flags=tuple(place for place, role in enumerate(roles) if role == OUT_OF_RANGE_ROLE),
        ood=roles.index(OOD_ROLE) if OOD_ROLE in roles else None,
        median=roles.index(contract.target.name) if contract.target.name in roles else None,
        upper=roles.index(UPPER_ROLE) if UPPER_ROLE in roles else None,
        gap=features.index(gap[0]) if gap else None,
    )


def _warm_up(path: Path, model: Model, golden: _Golden) -> None:
    """The first runs are slow; and what requests will get must be what the session itself answers, bit for bit."""
    columns = {name: _column(values) for name, values in golden.inputs.items()}
    rows, count = rows_of(columns, model.features), len(next(iter(columns.values())))
    answers = np.concatenate(model.run(columns, tuple(model.outputs)), axis=1)
    width = len(rows) // count
    for _ in range(WARM_RUNS):
        for row in range(count):
            told = model.lane.run(rows[row * width : (row + 1) * width], 1)
            if not np.array_equal(told[:, 0], answers[row], equal_nan=True):
                reason = f"row {row} alone: found {told[:, 0].tolist()}, allowed {answers[row].tolist()}"
                raise ModelRefused(path, GOLDEN_KEY, reason)


def _open_session(path: Path, content: bytes) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ONLY_FATAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise ModelRefused(path, "file", f"onnxruntime cannot load it: {error}") from error


def _read_contract(path: Path, metadata: Mapping[str, str]) -> Contract:
    try:
        return data_contract.parse(metadata[data_contract.METADATA_KEY])
    except KeyError as error:
        raise ModelRefused(path, data_contract.METADATA_KEY, "found none in the model's metadata") from error
    except (ValueError, RecursionError) as error:
        raise ModelRefused(path, data_contract.METADATA_KEY, str(error)) from error


def _read(path: Path, metadata: Mapping[str, str], key: str, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(metadata[key], type=kind)
    except KeyError as error:
        raise ModelRefused(path, key, "found none in the model's metadata") from error
    except (ValueError, RecursionError) as error:
        raise ModelRefused(path, key, str(error)) from error


def _check_tensors(path: Path, side: str, tensors: Sequence[Any], described: Sequence[str]) -> tuple[str, ...]:
    names = tuple(tensor.name for tensor in tensors)
    if set(names) != set(described):
        found, allowed = ", ".join(names), ", ".join(described)
        raise ModelRefused(path, side, f"found {found} in the graph, its metadata describe {allowed}")
    for tensor in tensors:
        if tensor.type != _ONNX_FLOAT or len(tensor.shape) != 2 or tensor.shape[1] != 1:
            reason = f"found {tensor.type} of shape {tensor.shape}, allowed {_ONNX_FLOAT} of [N, 1]"
            raise ModelRefused(path, f"{side}: {tensor.name}", reason)
    return names


def _check_golden(path: Path, model: Model, golden: _Golden) -> None:
    sides = {"inputs": (golden.inputs, model.features), "outputs": (golden.outputs, tuple(model.outputs))}
    for side, (given, names) in sides.items():
        if set(given) != set(names):
            reason = f"found {side} {', '.join(given) or 'none'}, allowed exactly {', '.join(names)}"
            raise ModelRefused(path, GOLDEN_KEY, reason)
    lengths = {len(values) for values in (*golden.inputs.values(), *golden.outputs.values())}
    if len(lengths) != 1 or 0 in lengths:
        reason = f"found columns of {sorted(lengths)} rows, allowed one length above 0"
        raise ModelRefused(path, GOLDEN_KEY, reason)
    columns = {name: _column(values) for name, values in golden.inputs.items()}
    names = tuple(golden.outputs)
    try:
        answers = model.run(columns, names)
    except Exception as error:  # onnxruntime's exceptions share no base of their own
        raise ModelRefused(path, GOLDEN_KEY, f"the request fails: {error}") from error
    for name, answer in zip(names, answers, strict=True):
        expected = _column(golden.outputs[name])
        if answer.shape != expected.shape:
            reason = f"found shape {answer.shape}, allowed {expected.shape}"
            raise ModelRefused(path, f"{GOLDEN_KEY}: {name}", reason)
        # JSON has no infinity, so null stands for whatever is not finite.
        finite = np.where(np.isfinite(answer), answer, np.float32(np.nan))
        if not np.allclose(finite, expected, rtol=GOLDEN_RELATIVE, atol=GOLDEN_ABSOLUTE, equal_nan=True):
            reason = f"found {finite.ravel().tolist()}, allowed {expected.ravel().tolist()}"
            raise ModelRefused(path, f"{GOLDEN_KEY}: {name}", reason)


def _column(values: Sequence[float | None]) -> Column:
    return np.array(values, dtype=np.float32).reshape(-1, 1)

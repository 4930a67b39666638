"""What the server answers, whatever the transport: health, metadata and inference on the model served."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import brakeline_serving
from brakeline_serving import diary, infer
from brakeline_serving.errors import NotReady, UnknownModel
from brakeline_serving.metrics import Metrics
from brakeline_serving.model import PLATFORM, Column, Model
from brakeline_serving.store import Served

SERVER = "brakeline-serving"
EXTENSIONS = ("binary_tensor_data", "model_configuration")


class DataPlane:
    """One model by name, in the versions served at present.

    `adopt` replaces all of it at once, between two requests: no request ever sees half a change.
    """

    def __init__(self, name: str, metrics: Metrics) -> None:
        self.name = name
        self._metrics = metrics
        self._served = Served()

    def adopt(self, served: Served) -> None:
        """Serve this from the next request on, and say what changed."""
        before, self._served = self._served, served
        self._metrics.adopted(self.name, before, served)
        for role, model, old in (
            ("primary", served.primary, before.primary),
            ("shadow", served.shadow, before.shadow),
        ):
            if model is not None and model is not old:
                facts = {"version": model.version, "sha256": model.sha256}
                diary.note("model_served", model=self.name, role=role, **facts)
        for what, why in served.refused.items():
            if before.refused.get(what) != why:
                diary.warn("model_refused", model=self.name, what=what, message=why)

    def server_metadata(self) -> dict[str, Any]:
        """Name, version and extensions of the server."""
        return {"name": SERVER, "version": brakeline_serving.__version__, "extensions": EXTENSIONS}

    def readiness(self) -> dict[str, Any]:
        """Which version is served, and what was refused though. Raises NotReady without a primary."""
        model = self._find(self.name, None)
        return {"ready": True, "model": self.name, "version": model.version, "refused": self._served.refused}

    def model_readiness(self, name: str, version: str | None) -> dict[str, Any]:
        """Says that a version is served. Raises UnknownModel or NotReady."""
        return {"name": name, "version": self._find(name, version).version, "ready": True}

    def model_metadata(self, name: str, version: str | None) -> dict[str, Any]:
        """Tensors, contract and outputs' meaning of a version (None: the primary). Raises as `infer`."""
        model = self._find(name, version)
        return {
            "name": name,
            "versions": list(self._served.versions),
            "platform": PLATFORM,
            "inputs": [_tensor(feature) for feature in model.features],
            "outputs": [_tensor(output) for output in model.outputs],
            "parameters": {
                "contract": model.contract.to_object(),
                "outputs": _described(model),
                "training": model.training,
                "sha256": model.sha256,
                "version": model.version,
                "refused": self._served.refused,
            },
        }

    def model_config(self, name: str, version: str | None) -> dict[str, Any]:
        """The configuration in Triton's terms, where dims leave out the batch. Raises as `infer`."""
        model = self._find(name, version)
        return {
            "name": name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "max_batch_size": infer.MAX_ROWS,
            "input": [_configured(feature) for feature in model.features],
            "output": [_configured(output) for output in model.outputs],
        }

    def infer(self, name: str, version: str | None, body: bytes, json_bytes: int | None) -> tuple[bytes, int | None]:
        """Answer a request's body; `json_bytes` is where binary tensors begin, in request and reply.

        Raises UnknownModel, NotReady, and what `infer` raises for requests that break the protocol or the
        contract.
        """
        started = time.perf_counter()
        model = self._find(name, version)
        request, raw = infer.decode(body, json_bytes)
        names = infer.wanted_outputs(model, request)
        columns = infer.columns_of(model, request, raw)
        # Flags are counted, so they are computed though the client may not want them.
        run_names = names + [flag for flag in model.flags if flag not in names]
        answers = dict(zip(run_names, model.run(columns, run_names), strict=True))
        reply = infer.encode(name, model, request, names, [answers[output] for output in names])
        rows = len(answers[names[0]])
        self._metrics.inference(time.perf_counter() - started, rows, _raised(model, answers))
        return reply

    def _find(self, name: str, version: str | None) -> Model:
        if name != self.name:
            raise UnknownModel("model", name, [self.name])
        if self._served.primary is None:
            raise NotReady(self.name, self._served.refused.values())
        if version is None:
            return self._served.primary
        versions = self._served.versions
        if version not in versions:
            raise UnknownModel("version", version, versions)
        return versions[version]


def _raised(model: Model, answers: Mapping[str, Column]) -> int:
    return sum(int(np.count_nonzero(answers[flag] > 0.5)) for flag in model.flags)


def _tensor(name: str) -> dict[str, Any]:
    return {"name": name, "datatype": infer.DATATYPE, "shape": [-1, 1]}


def _configured(name: str) -> dict[str, Any]:
    return {"name": name, "data_type": "TYPE_FP32", "dims": [1]}


def _described(model: Model) -> dict[str, dict[str, str]]:
    return {
        name: {"unit": output.unit, "description": output.description, "role": output.role or name}
        for name, output in model.outputs.items()
    }

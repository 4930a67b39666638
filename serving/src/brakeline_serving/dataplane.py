"""What the server answers, whatever the transport: health, metadata, statistics and inference on the model served."""

from typing import Any

import brakeline_serving
from brakeline_serving import diary, infer
from brakeline_serving.ask import Ask
from brakeline_serving.batch import Batcher
from brakeline_serving.cells import FIXED, SLOT
from brakeline_serving.counters import Counters
from brakeline_serving.errors import NotReady, UnknownModel
from brakeline_serving.model import PLATFORM, Model
from brakeline_serving.store import Served

SERVER = "brakeline-serving"
EXTENSIONS = ("binary_tensor_data", "model_configuration", "model_repository", "statistics")


class DataPlane:
    """One model by name, in the versions served at present.

    `adopt` replaces all of it at once, between two requests: no request ever sees half a change.
    """

    def __init__(self, name: str, counters: Counters, batcher: Batcher) -> None:
        self.name = name
        self.counters = counters
        self._batcher = batcher
        self.served = Served()
        self.is_leaving = False  # what is asked is answered, and nobody should ask any more

    def adopt(self, served: Served) -> None:
        """Serve this from the next request on, and say what changed."""
        before, self.served = self.served, served
        self.counters.set("wishes_met", served.met)
        self.counters.set("ready", float(served.primary is not None))
        kept = [model.key for model in served.versions.values()]
        for model in served.versions.values():
            model.slot = self.counters.slot(model.key, kept)
        loaded_before = {model.sha256 for model in before.versions.values()}
        self.counters.add("loads", sum(model.sha256 not in loaded_before for model in served.versions.values()))
        self.counters.add("refusals", sum(before.refused.get(what) != why for what, why in served.refused.items()))
        for role, model, old in served.beside(before):
            if model is not old:
                diary.note("model_served", model=self.name, role=role, version=model.version, sha256=model.sha256)
        for what, why in served.refused.items():
            if before.refused.get(what) != why:
                diary.warn("model_refused", model=self.name, what=what, message=why)

    def infer(self, ask: Ask, model: Model) -> None:
        """Have rows answered, together with what else arrives in this turn of the loop. Raises Overloaded."""
        ask.model = model
        self._batcher.add(ask)

    def find(self, name: str, version: str | None) -> Model:
        """The version of the model, None or "" meaning the primary. Raises UnknownModel, NotReady."""
        if name != self.name:
            raise UnknownModel("model", name, [self.name])
        if not version:
            if self.served.primary is None:
                raise NotReady(self.name, self.served.reasons)
            return self.served.primary
        versions = self.served.versions
        if version not in versions:
            if not versions:
                raise NotReady(self.name, self.served.reasons)
            raise UnknownModel("version", version, versions)
        return versions[version]

    def server_metadata(self) -> dict[str, Any]:
        """Name, version and extensions of the server."""
        return {"name": SERVER, "version": brakeline_serving.__version__, "extensions": EXTENSIONS}

    def readiness(self) -> dict[str, Any]:
        """Which version is served, and what was refused though. Raises NotReady until every worker has a primary."""
        model = self.find(self.name, None)
        if self.is_leaving:
            raise NotReady(self.name, ["the server is about to end"])
        if not self.counters.board.table[:, FIXED["ready"]].all():
            raise NotReady(self.name, ["a worker is still loading"])
        return {"ready": True, "model": self.name, "version": model.version, "refused": self.served.refused}

    def model_readiness(self, name: str, version: str | None) -> dict[str, Any]:
        """Says that a version is served. Raises as `find`."""
        return {"name": name, "version": self.find(name, version).version, "ready": True}

    def model_metadata(self, name: str, version: str | None) -> dict[str, Any]:
        """Tensors, contract and outputs' meaning of a version (None: the primary). Raises as `find`."""
        model = self.find(name, version)
        return {
            "name": name,
            "versions": list(self.served.versions),
            "platform": PLATFORM,
            "inputs": [_tensor(feature) for feature in model.features],
            "outputs": [_tensor(output) for output in model.outputs],
            "parameters": {
                "contract": model.contract.to_object(),
                "outputs": model.described(),
                "training": model.training,
                "sha256": model.sha256,
                "version": model.version,
                "refused": self.served.refused,
            },
        }

    def model_config(self, name: str, version: str | None) -> dict[str, Any]:
        """The configuration in Triton's terms, where dims leave out the batch. Raises as `find`."""
        model = self.find(name, version)
        return {
            "name": name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "max_batch_size": infer.MAX_ROWS,
            "input": [_configured(feature) for feature in model.features],
            "output": [_configured(output) for output in model.outputs],
            "parameters": {"brakeline.contract": {"string_value": model.contract.to_json()}},
        }

    def statistics(self, name: str, version: str | None) -> dict[str, Any]:
        """Counts and times [ns] of all workers by version, in Triton's terms; name "" means every model."""
        if name or version:
            found = [self.find(name, version)] if version else list(self._all_of(name))
        else:
            found = list(self.served.versions.values())
        return {"model_stats": [self._statistics(model) for model in found]}

    def _all_of(self, name: str) -> list[Model]:
        self.find(name, None)
        return list(self.served.versions.values())

    def _statistics(self, model: Model) -> dict[str, Any]:
        cells = self.counters.board.slot(model.key)
        told = {part: int(cells[place]) for part, place in SLOT.items() if part not in ("key", "features")}

        def duration(part: str, count: int) -> dict[str, int]:
            return {"count": count, "ns": told[f"{part}_ns"] if part else 0}

        success = told["success"]
        return {
            "name": self.name,
            "version": model.version,
            "last_inference": told["last_ms"],
            "inference_count": told["rows"],
            "execution_count": told["runs"],
            "inference_stats": {
                "success": duration("success", success),
                "fail": duration("fail", told["fail"]),
                "queue": duration("queue", success),
                "compute_input": duration("input", success),
                "compute_infer": duration("infer", success),
                "compute_output": duration("output", success),
                "cache_hit": duration("", 0),
                "cache_miss": duration("", 0),
            },
            "batch_stats": [],
        }


def _tensor(name: str) -> dict[str, Any]:
    return {"name": name, "datatype": infer.DATATYPE, "shape": [-1, 1]}


def _configured(name: str) -> dict[str, Any]:
    return {"name": name, "data_type": "TYPE_FP32", "dims": [1]}

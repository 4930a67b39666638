"""`tritonclient`'s four clients, unmodified, behind one face: HTTP and gRPC, blocking and asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio

KINDS = ("http", "http.aio", "grpc", "grpc.aio")
_MODULES = {
    "http": tritonclient.http,
    "http.aio": tritonclient.http.aio,
    "grpc": tritonclient.grpc,
    "grpc.aio": tritonclient.grpc.aio,
}


@dataclass
class Answer:
    """A reply: its envelope, and its outputs as arrays."""

    id: str
    version: str
    parameters: dict[str, Any]
    outputs: dict[str, np.ndarray[Any, Any]]


class Client:
    """One of the four; asyncio ones run in a loop of their own."""

    def __init__(self, kind: str, http_address: str, grpc_address: str, **options: Any) -> None:
        self.kind = kind
        self.is_grpc = kind.startswith("grpc")
        self.module: Any = tritonclient.grpc if self.is_grpc else tritonclient.http
        self._loop = asyncio.new_event_loop()
        address = grpc_address if self.is_grpc else http_address

        async def make() -> Any:
            return _MODULES[kind].InferenceServerClient(address, **options)

        self._client = self._loop.run_until_complete(make())

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call a method of the client and wait for its result; gRPC's messages come as JSON."""
        called: Callable[..., Any] = getattr(self._client, method)
        if self.is_grpc and "as_json" in inspect.signature(called).parameters:
            options["as_json"] = True
        result = called(*arguments, **options)
        if inspect.isawaitable(result):
            result = self._loop.run_until_complete(_awaited(result))
        return result

    def infer(
        self,
        model: str,
        columns: Mapping[str, np.ndarray[Any, Any]],
        outputs: list[str] | None = None,
        binary: bool = True,
        **options: Any,
    ) -> Answer:
        """Ask by columns; `binary` False sends and wants JSON, where the client knows the difference."""
        inputs = []
        for name, values in columns.items():
            made = self.module.InferInput(name, list(values.shape), "FP32")
            made.set_data_from_numpy(values, **({} if self.is_grpc else {"binary_data": binary}))
            inputs.append(made)
        wanted = None
        if outputs is not None:
            more = {} if self.is_grpc else {"binary_data": binary}
            wanted = [self.module.InferRequestedOutput(name, **more) for name in outputs]
        result = self.call("infer", model, inputs, outputs=wanted, **options)
        return _answer(result, self.is_grpc)

    def close(self) -> None:
        """Close the connections."""
        self.call("close")
        self._loop.close()


async def _awaited(result: Any) -> Any:
    return await result


def _answer(result: Any, is_grpc: bool) -> Answer:
    if not is_grpc:
        told = result.get_response()
        names = [output["name"] for output in told["outputs"]]
        arrays = {name: result.as_numpy(name) for name in names}
        return Answer(told.get("id", ""), told["model_version"], told.get("parameters", {}), arrays)
    told = result.get_response()
    names = [output.name for output in told.outputs]
    parameters = {key: getattr(value, value.WhichOneof("parameter_choice")) for key, value in told.parameters.items()}
    return Answer(told.id, told.model_version, parameters, {name: result.as_numpy(name) for name in names})

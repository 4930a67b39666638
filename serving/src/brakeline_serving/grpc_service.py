"""The Open Inference Protocol over gRPC, on the same data plane and in the same event loop as HTTP."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from brakeline_serving import diary, grpc_messages
from brakeline_serving.ask import Answers, Ask
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.errors import InternalError, Malformed, NotReady, ServingError, UnknownModel
from brakeline_serving.grpc_messages import message
from brakeline_serving.grpc_request import from_map, set_parameters, to_request
from brakeline_serving.guard import Guard
from brakeline_serving.repository import Repository
from brakeline_serving.tls import Certificate

SERVICE = f"{grpc_messages.PACKAGE}.GRPCInferenceService"
MOST_CALLS = 4096  # under way at once
_TYPE_FP32 = 11  # of Triton's model configuration
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.FAILED_PRECONDITION,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_OPEN = ("ServerLive", "ServerReady")  # need no token, as probes have none
_InferRequest, _InferResponse = message("ModelInferRequest"), message("ModelInferResponse")
_StreamResponse = message("ModelStreamInferResponse")

Context = Any  # grpc.aio's, which is untyped


class Service:
    """Answers calls; errors become statuses here and nowhere else."""

    def __init__(self, plane: DataPlane, repository: Repository, guard: Guard) -> None:
        self._plane = plane
        self._repository = repository
        self._guard = guard
        self._loop = asyncio.get_running_loop()

    def handlers(self) -> grpc.GenericRpcHandler:
        """All methods, by the service's name."""
        answers: dict[str, Callable[[Any], Awaitable[dict[str, Any]]]] = {
            "ServerLive": self._live,
            "ServerReady": self._ready,
            "ModelReady": self._model_ready,
            "ServerMetadata": self._server_metadata,
            "ModelMetadata": self._model_metadata,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        made = {name: self._unary(name, answer) for name, answer in answers.items()}
        # Requests are parsed here: the library would answer what it cannot parse with UNKNOWN and a log of its own.
        made["ModelInfer"] = grpc.unary_unary_rpc_method_handler(
            self._infer_call, response_serializer=_InferResponse.SerializeToString
        )
        made["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._infer_stream, response_serializer=_StreamResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, made)

    def _unary(self, name: str, answer: Callable[[Any], Awaitable[dict[str, Any]]]) -> grpc.RpcMethodHandler:
        asked, respond = message(f"{name}Request"), message(f"{name}Response")

        async def call(content: bytes, context: Context) -> Any:
            try:
                if name not in _OPEN:
                    self._guard.check(_metadata(context).get("authorization"))
                response = respond(**await answer(_parse(asked, content)))
            except Exception as error:  # noqa: BLE001  the one place where a bug becomes an answer
                await self._abort(error, context, "grpc_other")
            else:
                self._plane.counters.request("grpc_other", 200)
                return response

        return grpc.unary_unary_rpc_method_handler(call, response_serializer=respond.SerializeToString)

    async def _abort(self, error: Exception, context: Context, endpoint: str) -> None:
        told = self._refused(error, endpoint)
        await context.abort(_CODES.get(told.status, grpc.StatusCode.INTERNAL), str(told))

    def _refused(self, error: Exception, endpoint: str) -> ServingError:
        if not isinstance(error, ServingError):
            diary.error("bug", endpoint=endpoint, traceback="".join(traceback.format_exception(error)))
            error = InternalError()
        self._plane.counters.error(error)
        self._plane.counters.request(endpoint, error.status)
        return error

    async def _infer_call(self, content: bytes, context: Context) -> Any:
        try:
            metadata = _metadata(context)
            self._guard.check(metadata.get("authorization"))
            return await self._infer(_parse(_InferRequest, content), metadata.get("traceparent"))
        except Exception as error:  # noqa: BLE001
            await self._abort(error, context, "grpc_infer")

    async def _infer_stream(self, contents: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        metadata = _metadata(context)
        try:
            self._guard.check(metadata.get("authorization"))
        except ServingError as error:
            await self._abort(error, context, "grpc_infer")
        async for content in contents:
            asked = ""
            try:
                request = _parse(_InferRequest, content)
                asked = request.id
                yield _StreamResponse(infer_response=await self._infer(request, metadata.get("traceparent")))
            except Exception as error:  # noqa: BLE001
                told = self._refused(error, "grpc_infer")
                yield _StreamResponse(error_message=str(told), infer_response=_InferResponse(id=asked))

    async def _infer(self, request: Any, trace: bytes | None) -> Any:
        started_s = time.perf_counter()
        model = self._plane.find(request.model_name, request.model_version)
        ask = model.codec.read_parsed(*to_request(request))
        ask.trace, ask.started_s, ask.read_s = trace, started_s, time.perf_counter()
        done: asyncio.Future[Any] = self._loop.create_future()

        def finish(ask: Ask, answers: Answers | Exception, start: int) -> None:
            if done.done():
                return  # the caller went away
            if isinstance(answers, Exception):
                done.set_exception(answers)
            else:
                done.set_result(_response(self._plane.name, ask, answers, start))

        ask.finish = finish
        self._plane.infer(ask, model)
        response = await done
        self._plane.counters.request("grpc_infer", 200)
        return response

    async def _live(self, request: Any) -> dict[str, Any]:
        return {"live": True}

    async def _ready(self, request: Any) -> dict[str, Any]:
        try:
            return {"ready": self._plane.readiness()["ready"]}
        except NotReady:
            return {"ready": False}

    async def _model_ready(self, request: Any) -> dict[str, Any]:
        try:
            self._plane.find(request.name, request.version)
        except (UnknownModel, NotReady):
            return {"ready": False}
        return {"ready": True}

    async def _server_metadata(self, request: Any) -> dict[str, Any]:
        return self._plane.server_metadata()

    async def _model_metadata(self, request: Any) -> dict[str, Any]:
        told = self._plane.model_metadata(request.name, request.version or None)
        del told["parameters"]  # the message has no place for it; the configuration has
        return told

    async def _model_config(self, request: Any) -> dict[str, Any]:
        told = self._plane.model_config(request.name, request.version or None)
        for side in ("input", "output"):
            told[side] = [tensor | {"data_type": _TYPE_FP32} for tensor in told[side]]
        return {"config": told}

    async def _statistics(self, request: Any) -> dict[str, Any]:
        told = self._plane.statistics(request.name, request.version or None)
        for each in told["model_stats"]:
            del each["batch_stats"]
        return told

    async def _index(self, request: Any) -> dict[str, Any]:
        return {"models": self._repository.index(b'{"ready":true}' if request.ready else b"")}

    async def _load(self, request: Any) -> dict[str, Any]:
        return await self._when_done(self._repository.load, request)

    async def _unload(self, request: Any) -> dict[str, Any]:
        return await self._when_done(self._repository.unload, request)

    async def _when_done(self, change: Callable[..., None], request: Any) -> dict[str, Any]:
        done: asyncio.Future[ServingError | None] = self._loop.create_future()

        def answer(error: ServingError | None) -> None:
            if not done.done():  # the caller is still there
                done.set_result(error)

        change(request.model_name, from_map(request.parameters), answer)
        error = await done
        if error is not None:
            raise error
        return {}


async def start(service: Service, address: str, certificate: Certificate | None, most_bytes: int) -> Any:
    """Listen and answer; returns the server, which `stop` ends. The port was found to be free before."""
    options = [
        ("grpc.so_reuseport", 1),
        ("grpc.max_receive_message_length", most_bytes),
        ("grpc.max_send_message_length", 2 * most_bytes),
    ]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MOST_CALLS)
    server.add_generic_rpc_handlers((service.handlers(),))
    if certificate is None:
        server.add_insecure_port(address)
    else:
        server.add_secure_port(address, certificate.for_grpc())
    await server.start()
    return server


def _parse(kind: Any, content: bytes) -> Any:
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise Malformed("message", str(error)) from error


def _metadata(context: Context) -> dict[str, bytes]:
    found = context.invocation_metadata() or ()
    return {key: value.encode() if isinstance(value, str) else value for key, value in found}


def _response(name: str, ask: Ask, answers: Answers, start: int) -> Any:
    response = _InferResponse(model_name=name, model_version=ask.model.version, id=ask.id or "")
    set_parameters(response.parameters, ask.parameters or {})
    for output, place in zip(ask.form.names, ask.form.places, strict=True):
        response.outputs.add(name=output, datatype="FP32", shape=(ask.count, 1))
        response.raw_output_contents.append(answers.matrix[place, start : start + ask.count].tobytes())
    return response

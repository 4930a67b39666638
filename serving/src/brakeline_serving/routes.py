"""The protocol's paths: which part of the data plane answers a request, and errors made into answers."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from brakeline_serving import diary, static
from brakeline_serving import metrics as prometheus
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.errors import (
    EncodingNotSupported,
    FieldRefused,
    InternalError,
    Malformed,
    MethodNotAllowed,
    ServingError,
    UnknownPath,
)
from brakeline_serving.http import MAX_BODY_BYTES
from brakeline_serving.messages import Request, Response
from brakeline_serving.metrics import Metrics

_MODELS = "/v2/models/"
_TENSORS_AT = b"inference-header-content-length"
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class _Call:
    """A request to a found endpoint; `model` is empty and `version` None where the path names none."""

    request: Request
    model: str
    version: str | None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    name: str
    methods: str
    answer: Callable[[_Call], Response]


class Routes:
    """Answers every request with the data plane; the one place where errors become statuses."""

    def __init__(self, plane: DataPlane, metrics: Metrics) -> None:
        self._plane = plane
        self._metrics = metrics
        self._endpoints = {
            "/v2": _get("server", lambda call: plane.server_metadata()),
            "/v2/health/live": _get("live", lambda call: {"live": True}),
            "/v2/health/ready": _get("ready", lambda call: plane.readiness()),
            "/v2/models/*": _get("model", lambda call: plane.model_metadata(call.model, call.version)),
            "/v2/models/*/ready": _get("model_ready", lambda call: plane.model_readiness(call.model, call.version)),
            "/v2/models/*/config": _get("config", lambda call: plane.model_config(call.model, call.version)),
            "/v2/models/*/infer": _Endpoint("infer", "POST", self._infer),
            "/metrics": _Endpoint("metrics", "GET, HEAD", self._exposition),
        }
        self._endpoints |= {path: _file(file) for path, file in static.files(plane.name).items()}

    def answer(self, request: Request) -> Response:
        """Answer a request; an unforeseen failure is a 500 whose traceback goes to the log only."""
        endpoint = "unknown"
        try:
            found, call = self._locate(request)
            endpoint = found.name
            _check_method(found, request.method)
            response = found.answer(call)
        except ServingError as error:
            response = _response_to(error)
        except Exception as error:  # noqa: BLE001  the one place where a bug becomes an answer
            diary.error("bug", endpoint=endpoint, message=str(error), traceback=traceback.format_exc())
            response = _response_to(InternalError())
        self._metrics.request(endpoint, response.status)
        return response

    def refuse(self, error: ServingError) -> Response:
        """Answer what could not be read as a request."""
        self._metrics.request("unreadable", error.status)
        return _response_to(error)

    def _locate(self, request: Request) -> tuple[_Endpoint, _Call]:
        template, model, version = _split(_path_of(request.path))
        if template not in self._endpoints:
            raise UnknownPath(template)
        return self._endpoints[template], _Call(request, model, version)

    def _infer(self, call: _Call) -> Response:
        headers = call.request.headers
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1")
        if encoding.strip().lower() not in ("identity", ""):
            raise EncodingNotSupported(encoding)
        tensors_at = headers.get(_TENSORS_AT)
        json_bytes = None if tensors_at is None else _length(tensors_at)
        body, json_bytes = self._plane.infer(call.model, call.version, call.request.body, json_bytes)
        if json_bytes is None:
            return Response(200, body)
        extra = b"Inference-Header-Content-Length: %d\r\n" % json_bytes
        return Response(200, body, b"application/octet-stream", extra)

    def _exposition(self, call: _Call) -> Response:
        return Response(200, self._metrics.exposition(), prometheus.CONTENT_TYPE.encode())


def _get(name: str, tell: Callable[[_Call], dict[str, Any]]) -> _Endpoint:
    return _Endpoint(name, "GET, HEAD", lambda call: Response(200, _encode(tell(call))))


def _file(file: static.File) -> _Endpoint:
    return _Endpoint("root", "GET, HEAD", lambda call: file.answer(call.request))


def _check_method(endpoint: _Endpoint, method: str) -> None:
    if method not in endpoint.methods.split(", "):
        raise MethodNotAllowed(method, endpoint.methods)


def _split(path: str) -> tuple[str, str, str | None]:
    """The path with model and version taken out of it, the model, and the version."""
    if not path.startswith(_MODELS):
        return path, "", None
    name, *rest = path[len(_MODELS) :].split("/")
    version = None
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = _unquote(rest[1]), rest[2:]
    return "/".join(("/v2/models/*", *rest)), _unquote(name), version


def _path_of(target: bytes) -> str:
    if not target.startswith(b"/"):
        # A proxy's client sends the whole URL, which a server must take as well.
        try:
            target = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError as error:
            raise Malformed("path", "no URL") from error
    return target.partition(b"?")[0].decode("latin-1")


def _unquote(segment: str) -> str:
    return unquote_to_bytes(segment).decode("utf-8", "replace") if "%" in segment else segment


def _length(value: bytes) -> int:
    # int() would also take signs, spaces and underscores; a body's length has few digits.
    if not value.isdigit() or len(value) > len(str(MAX_BODY_BYTES)):
        found = value[:20].decode("latin-1")
        raise FieldRefused("Inference-Header-Content-Length", found, "a length in bytes")
    return int(value)


def _response_to(error: ServingError) -> Response:
    extra = f"Allow: {error.allowed}\r\n".encode() if isinstance(error, MethodNotAllowed) else b""
    return Response(error.status, _encode({"error": str(error)}), extra=extra)

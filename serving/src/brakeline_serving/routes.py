"""The protocol's paths: which part of the data plane answers a request, and errors made into answers."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

import httptools
import msgspec

from brakeline_serving import compression, diary, static
from brakeline_serving.ask import Answers, Ask
from brakeline_serving.connections import Limits
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.errors import (
    FieldRefused,
    ForeignOrigin,
    InternalError,
    Malformed,
    MethodNotAllowed,
    NotReady,
    ServingError,
    UnknownPath,
)
from brakeline_serving.guard import Guard
from brakeline_serving.messages import Done, Request, Response
from brakeline_serving.repository import Repository, parameters_in
from brakeline_serving.scrape import Scrape

_MODELS, _REPOSITORY = "/v2/models/", "/v2/repository/models/"
_TENSORS_AT, _ACCEPTS, _ENCODED = b"inference-header-content-length", b"accept-encoding", b"content-encoding"
_TENSORS, _AUTHORIZATION = b"application/octet-stream", b"authorization"
_MOST_PATHS = 256  # kept with what answers them
_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Call:
    """A request to a found endpoint; `model` is empty and `version` None where the path names none."""

    request: Request
    model: str
    version: str | None
    done: Done
    at_door: bool = False  # of those who watch: a stranger perhaps, who needs no token there


Answer = Callable[[Call], Response | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What answers a path by some methods; `open_to_all` needs no token."""

    name: str
    methods: tuple[str, ...]
    answer: Answer
    open_to_all: bool = False


class Routes:
    """Answers every request with the data plane; the one place where errors become statuses."""

    def __init__(self, plane: DataPlane, scrape: Scrape, repository: Repository, guard: Guard, limits: Limits) -> None:
        self._plane = plane
        self._scrape = scrape
        self._counters = plane.counters
        self._repository = repository
        self._guard = guard
        self._limits = limits
        self._paths: dict[bytes, tuple[Endpoint, str, str | None]] = {}
        self._endpoints = {
            "/v2": _get("server", lambda _: plane.server_metadata()),
            "/v2/health/live": _get("live", lambda _: {"live": True}, open_to_all=True),
            "/v2/health/ready": _get("ready", self._readiness, open_to_all=True),
            "/v2/models/stats": _get("stats", lambda _: plane.statistics("", None)),
            "/v2/models/*": _get("model", lambda call: plane.model_metadata(call.model, call.version)),
            "/v2/models/*/ready": _get("model_ready", lambda call: plane.model_readiness(call.model, call.version)),
            "/v2/models/*/config": _get("config", lambda call: plane.model_config(call.model, call.version)),
            "/v2/models/*/stats": _get("stats", lambda call: plane.statistics(call.model, call.version)),
            "/v2/models/*/infer": Endpoint("infer", ("POST",), self._infer),
            "/v2/repository/index": Endpoint("index", ("POST",), self._index),
            "/v2/repository/models/*/load": Endpoint("load", ("POST",), self._load),
            "/v2/repository/models/*/unload": Endpoint("unload", ("POST",), self._unload),
            "/metrics": Endpoint("metrics", ("GET", "HEAD"), self._exposition),
        }
        self._endpoints |= {path: _file(file) for path, file in static.files(plane.name).items()}

    def answer(self, request: Request, done: Done, *, at_door: bool = False) -> Response | None:
        """Answer a request, now or later; an unforeseen failure is a 500 whose traceback goes to the log only."""
        name = "unknown"
        try:
            found = self._paths.get(request.path)
            endpoint, model, version = found or self._locate(request.path)
            name = endpoint.name
            if request.method not in endpoint.methods:
                _refuse_method(endpoint, request.method)
            if not (endpoint.open_to_all or at_door):
                self._guard.check(request.headers.get(_AUTHORIZATION))
            response = endpoint.answer(Call(request, model, version, done, at_door))
        except Exception as error:  # noqa: BLE001  the one place where a bug becomes an answer
            response = self.to_error(error, name, request)
        if response is not None:
            self._counters.request(name, response.status)
        return response

    def refusal(self, path: bytes, headers: dict[bytes, bytes]) -> ServingError | None:
        """Why the body of such a request need not be received, if there is a reason already."""
        try:
            endpoint, _, _ = self._paths.get(path) or self._locate(path)
            if not endpoint.open_to_all:
                self._guard.check(headers.get(_AUTHORIZATION))
        except ServingError as error:
            return error
        return None

    def refuse(self, error: ServingError, endpoint: str = "unreadable") -> Response:
        """Answer what could not be read as a request."""
        response = self.to_error(error, endpoint)
        self._counters.request(endpoint, response.status)
        return response

    def to_error(self, error: Exception, endpoint: str, request: Request | None = None) -> Response:
        """An error as an answer, counted by its reason."""
        if not isinstance(error, ServingError):
            told = "".join(traceback.format_exception(error))
            diary.error("bug", endpoint=endpoint, message=str(error), traceback=told, **_trace(request))
            error = InternalError()
        self._counters.error(error)
        extra = f"Allow: {error.allowed}\r\n" if isinstance(error, MethodNotAllowed) else ""
        extra += f"Retry-After: {error.retry_after_s}\r\n" if error.retry_after_s else ""
        extra += f"WWW-Authenticate: {error.challenge}\r\n" if error.challenge else ""
        return Response(error.status, _encode({"error": str(error)}), extra=extra.encode())

    def _locate(self, target: bytes) -> tuple[Endpoint, str, str | None]:
        template, model, version = _split(_path_of(target))
        if template not in self._endpoints:
            raise UnknownPath(template)
        found = self._endpoints[template], model, version
        if len(self._paths) < _MOST_PATHS and len(target) < _MOST_PATHS and b"?" not in target:
            self._paths[target] = found
        return found

    def _readiness(self, call: Call) -> dict[str, Any]:
        """Probes bear no token, and are told no reasons: these name the server's files."""
        if not call.at_door and self._guard.lets_in(call.request.headers.get(_AUTHORIZATION)):
            return self._plane.readiness()
        try:
            return self._plane.readiness() | {"refused": {}}
        except NotReady as error:
            why = "ask the server itself why" if call.at_door else "why is for who bears the token"
            raise NotReady(self._plane.name, [why]) from error

    def _infer(self, call: Call) -> None:
        started_s = time.perf_counter()
        headers, body = call.request.headers, call.request.body
        model = self._plane.find(call.model, call.version)
        if _ENCODED in headers:
            body = compression.unpack(headers[_ENCODED], body, self._limits.body_bytes)
        tensors_at = headers.get(_TENSORS_AT)
        ask = model.codec.read(body, None if tensors_at is None else _length(tensors_at, len(body)))
        ask.trace = headers.get(b"traceparent")
        ask.started_s, ask.read_s = started_s, time.perf_counter()
        accepts, done = headers.get(_ACCEPTS), call.done

        def finish(ask: Ask, answers: Answers | Exception, start: int) -> None:
            if isinstance(answers, Exception):
                response = self.to_error(answers, "infer", call.request)
            else:
                said, json_bytes = model.codec.write(ask, answers, start)
                response = Response(200, said)
                if json_bytes is not None or accepts is not None:
                    response = _dressed(said, json_bytes, accepts)
            self._counters.request("infer", response.status)
            done(response)

        ask.finish = finish
        self._plane.infer(ask, model)

    def _index(self, call: Call) -> Response:
        return Response(200, _encode(self._repository.index(call.request.body)))

    def _load(self, call: Call) -> None:
        _refuse_other_sites(call.request)
        self._repository.load(call.model, parameters_in(call.request.body), self._later(call, "load"))

    def _unload(self, call: Call) -> None:
        _refuse_other_sites(call.request)
        self._repository.unload(call.model, parameters_in(call.request.body), self._later(call, "unload"))

    def _later(self, call: Call, name: str) -> Callable[[ServingError | None], None]:
        def done(error: ServingError | None) -> None:
            response = Response(200, b"") if error is None else self.to_error(error, name, call.request)
            self._counters.request(name, response.status)
            call.done(response)

        return done

    def _exposition(self, call: Call) -> None:
        def told(body: bytes | Exception, content_type: bytes) -> None:
            if isinstance(body, Exception):
                response = self.to_error(body, "metrics", call.request)
            else:
                body, extra = compression.pack(call.request.headers.get(_ACCEPTS, b""), body)
                response = Response(200, body, content_type, extra)
            self._counters.request("metrics", response.status)
            call.done(response)

        self._scrape.tell(told)


def _dressed(body: bytes, json_bytes: int | None, accepts: bytes | None) -> Response:
    response = Response(200, body)
    if json_bytes is not None:
        response.content_type = _TENSORS
        response.extra = b"Inference-Header-Content-Length: %d\r\n" % json_bytes
    if accepts is not None:
        response.body, lines = compression.pack(accepts, body)
        response.extra += lines
    return response


def _get(name: str, tell: Callable[[Call], dict[str, Any]], *, open_to_all: bool = False) -> Endpoint:
    return Endpoint(name, ("GET", "HEAD"), lambda call: Response(200, _encode(tell(call))), open_to_all)


def _file(file: static.File) -> Endpoint:
    """The page's files hold nothing secret, and a browser that loads them has no token yet."""
    return Endpoint("root", ("GET", "HEAD"), lambda call: file.answer(call.request), open_to_all=True)


def _refuse_method(endpoint: Endpoint, method: str) -> None:
    raise MethodNotAllowed(method, ", ".join(endpoint.methods))


def _refuse_other_sites(request: Request) -> None:
    """A browser lets every page send such a request, and says whose page it was."""
    origin = request.headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != request.headers.get(b"host"):
        raise ForeignOrigin(origin.decode("latin-1"))


def _trace(request: Request | None) -> dict[str, str]:
    found = request.headers.get(b"traceparent") if request else None
    return {"traceparent": found.decode("latin-1")} if found else {}


def _split(path: str) -> tuple[str, str, str | None]:
    """The path with model and version taken out of it, the model, and the version."""
    prefix = _MODELS if path.startswith(_MODELS) else _REPOSITORY
    if not path.startswith(prefix) or path == "/v2/models/stats":
        return path, "", None
    name, *rest = path[len(prefix) :].split("/")
    version = None
    if rest[:1] == ["versions"] and len(rest) > 1:
        version, rest = _unquote(rest[1]), rest[2:]
    return "/".join((prefix + "*", *rest)), _unquote(name), version


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


def _length(value: bytes, most: int) -> int:
    # int() would also take signs, spaces and underscores; a body's length has few digits.
    if not value.isdigit() or len(value) > len(str(10**9)):
        found = value[:20].decode("latin-1")
        raise FieldRefused("Inference-Header-Content-Length", found, f"a length up to {most} bytes")
    return int(value)

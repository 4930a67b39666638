"""The flat error tree of the server: facts in, a message and an HTTP status (or an exit code) out."""

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

UNAVAILABLE, BAD_DATA = 69, 65


class ServingError(Exception):
    """A failure that the server foresaw. `status` is what a client gets, with the message as `error`."""

    status: ClassVar[int] = 500
    retry_after_s: ClassVar[int | None] = None
    challenge: ClassVar[str | None] = None  # for WWW-Authenticate


class InternalError(ServingError):
    """A bug; what it was stays in the log."""

    def __init__(self) -> None:
        super().__init__("internal error; the server's log says more")


class Malformed(ServingError):
    """The bytes are not the HTTP or the JSON they should be."""

    status = 400

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what} cannot be read: {reason}")


class FieldRefused(ServingError):
    """A field of the request holds something that is not allowed there."""

    status = 400

    def __init__(self, field: str, found: object, allowed: object) -> None:
        super().__init__(f"{field}: found {found}, allowed {allowed}")


class InputMissing(ServingError):
    """The request leaves out inputs that the contract requires."""

    status = 400

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"inputs: missing {', '.join(names)}, which the contract requires")


class Unauthorized(ServingError):
    """The request does not carry the server's token."""

    status = 401
    challenge = "Bearer"

    def __init__(self, found: str) -> None:
        super().__init__(f"Authorization: found {found}, allowed Bearer and the server's token")


class ForeignOrigin(ServingError):
    """Another site's page asks a browser to change what is served."""

    status = 403

    def __init__(self, found: str) -> None:
        super().__init__(f"Origin: found {found[:100]}, allowed none, or the server itself")


class UnknownPath(ServingError):
    """Nothing is served under this path."""

    status = 404

    def __init__(self, path: str) -> None:
        super().__init__(f"path: found {path[:200]}, nothing is served there; start at /v2")


class UnknownModel(ServingError):
    """No model of this name or no version of it is served."""

    status = 404

    def __init__(self, what: str, found: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{what}: found {found[:200]}, allowed {', '.join(allowed) or 'none at present'}")


class MethodNotAllowed(ServingError):
    """The path is served, but not by this method. `allowed` goes into the Allow header."""

    status = 405

    def __init__(self, method: str, allowed: str) -> None:
        super().__init__(f"method: found {method}, allowed {allowed}")
        self.allowed = allowed


class RequestTimedOut(ServingError):
    """The request did not arrive in full in time."""

    status = 408

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the request did not arrive in full within {limit_s:g} s")


class BodyTooLarge(ServingError):
    """The body is larger than the server reads."""

    status = 413

    def __init__(self, limit_bytes: int, part: str = "body") -> None:
        super().__init__(f"{part}: found more than allowed, which is {limit_bytes} bytes")


class StoreDecides(ServingError):
    """A version that the store's pointer names cannot be unloaded by a request."""

    status = 409

    def __init__(self, version: str) -> None:
        super().__init__(f"version: found {version}, which serving.json names, allowed those loaded by request")


class EncodingNotSupported(ServingError):
    """The body is compressed in a way that the server does not read."""

    status = 415

    def __init__(self, encoding: str) -> None:
        super().__init__(f"Content-Encoding: found {encoding[:50]}, allowed gzip, deflate, identity")


class ExpectationFailed(ServingError):
    """The client expects what the server does not do."""

    status = 417

    def __init__(self, found: str) -> None:
        super().__init__(f"Expect: found {found[:50]}, allowed 100-continue")


class HeadTooLarge(ServingError):
    """The request line and headers are larger than the server reads."""

    status = 431

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"headers: found more than allowed, which is {limit_bytes} bytes")


class Overloaded(ServingError):
    """More is waiting than the server can answer soon."""

    status = 503
    retry_after_s = 1

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: found more waiting than allowed, which is {limit}; try again")


class TooManyConnections(ServingError):
    """As many connections are open as the server keeps."""

    status = 503
    retry_after_s = 1

    def __init__(self, limit: int) -> None:
        super().__init__(f"connections: found more than allowed, which is {limit}; try again")


class LoadTimedOut(ServingError):
    """Not every worker said in time that it loaded what was asked for."""

    status = 503
    retry_after_s = 5

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"the model store was not followed within {limit_s:g} s")


class NotReady(ServingError):
    """No model is served yet."""

    status = 503
    retry_after_s = 1

    def __init__(self, model: str, reasons: Iterable[str]) -> None:
        super().__init__(f"no version of {model} is served yet: {'; '.join(reasons) or 'still looking'}")


class LoadRefused(ServingError):
    """What a request asked to load cannot be served."""

    status = 400

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(f"version: found {version[:100]}, which is refused: {reason}")


class ModelRefused(ServingError):
    """A model or the pointer to it is not fit to be served."""

    exit_code: ClassVar[int] = BAD_DATA

    def __init__(self, path: Path, field: str, reason: str) -> None:
        super().__init__(f"{path}: {field}: {reason}")


class ObjectMissing(ServingError):
    """A store has no such object."""

    def __init__(self, uri: str) -> None:
        super().__init__(f"{uri}: no such object")


class StoreUnreachable(ServingError):
    """A store cannot be asked at present. The message stays the same as long as the trouble does."""

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri}: {reason}")


class CannotListen(ServingError):
    """The address cannot be bound."""

    exit_code: ClassVar[int] = UNAVAILABLE

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}: {reason}")


class CannotKeep(ServingError):
    """The folder for predictions cannot be had."""

    exit_code: ClassVar[int] = UNAVAILABLE

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"cannot keep predictions in {folder}: {reason}")


class BadSecret(ServingError):
    """A token or certificate file is not what it should be."""

    exit_code: ClassVar[int] = BAD_DATA

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")

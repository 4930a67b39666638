"""How to serve, as the command line says it."""

from dataclasses import dataclass, field
from pathlib import Path

from brakeline_serving.connections import Limits


@dataclass(frozen=True)
class Secrets:
    """Files of the certificate chain and key, and of the token; each is read again when it changes."""

    certificate: Path | None = None
    key: Path | None = None
    token: Path | None = None


@dataclass(frozen=True)
class Keeping:
    """Of which share of the requests the predictions are kept, where, and how much in all [bytes per worker]."""

    folder: Path
    share: float
    most_bytes: int


@dataclass(frozen=True)
class Watched:
    """Where those who watch the server ask: metrics, with a certificate of their own, and health. No token is asked."""

    host: str
    metrics_port: int | None = None
    health_port: int | None = None
    secrets: Secrets = field(default_factory=Secrets)


@dataclass(frozen=True)
class Settings:
    """How to serve: exactly one of `store` and `file`, and port 0 for any free one.

    With `remote`, an s3:// address, `store` is the folder that mirrors what is served of it. `awaits` a file that may
    come later. After a signal it goes on for `withdrawal_s`, not ready.
    """

    name: str
    store: Path | None
    file: Path | None
    host: str
    port: int
    ready_file: Path | None
    until_stdin_closes: bool = False
    grpc_port: int | None = None
    unix_socket: Path | None = None
    workers: int = 1
    secrets: Secrets = field(default_factory=Secrets)
    access_log: bool = False
    predictions: Keeping | None = None
    limits: Limits = field(default_factory=Limits)
    spin_s: float = 0.0
    remote: str | None = None
    awaits: bool = False
    withdrawal_s: float = 0.0
    watched: Watched | None = None

"""A store in a container with a volume of its own, as OpenShift would run it, and its real client."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import obstore
import pymysql
import pytest
from brakeline import images as locked
from brakeline_images import stores
from brakeline_images.engine import Engine
from obstore.store import S3Store

from tests import engine

PYTHON = "/opt/brakeline/bin/python"
PATIENCE_S = 60
HARDENED: dict[str, Any] = {
    "user": "1000670000:0",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": ""},
    "mem_limit": "1g",
}
PORTS = {"seaweedfs": 8333, "mariadb": 3306}


def reference(name: str) -> str:
    """The store's image; where it is missing or older than its sources the test is skipped."""
    engine.client()
    base = locked.base()
    found = stores.here(Engine(), base["reference"]) if base else {}
    if name not in found:
        pytest.skip(f"no image of {name} that fits the sources: run `python build.py images --stores`")
    return found[name]


@dataclass
class Store:
    """A running store."""

    name: str
    container: Any
    volume: str

    @property
    def port(self) -> int:
        """Where it is published on this machine; a restart may change it."""
        self.container.reload()
        return int(self.container.ports[f"{PORTS[self.name]}/tcp"][0]["HostPort"])

    def answers(self) -> bool:
        """Whether the image's own question, compose's healthcheck, is answered."""
        asked = self.container.exec_run([PYTHON, "-m", f"brakeline_stores.{self.name}", "ask"])
        return bool(asked.exit_code == 0)

    def wait(self) -> None:
        """Until it answers; fails with what it said if it ends or does not come."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            self.container.reload()
            if self.container.status == "running" and self.answers():
                return
            assert self.container.status in {"created", "running"}, self.container.logs(tail=30).decode()
            time.sleep(0.2)
        raise AssertionError(self.container.logs(tail=30).decode())

    def start(self) -> None:
        """Start it again on what is in its volume."""
        self.container.start()
        self.wait()

    def in_volume(self, code: str, mode: str = "ro") -> str:
        """Run Python as another user with group 0 that mounts the volume, as a client does; its stdout."""
        said = engine.client().containers.run(
            reference(self.name), ["-c", code], entrypoint=PYTHON, remove=True, network_mode="none",
            volumes={self.volume: {"bind": "/state", "mode": mode}}, **{**HARDENED, "user": "2002:0"},
        )  # fmt: skip
        return str(said.decode())

    def credentials(self) -> dict[str, Any]:
        """What a client reads from the volume."""
        return dict(json.loads(self.in_volume("print(open('/state/credentials.json').read())")))


@contextmanager
def running(name: str) -> Iterator[Store]:
    """A store at its first start; container and volume are removed at the end."""
    client, image = engine.client(), reference(name)
    volume = client.volumes.create()
    container = client.containers.create(
        image, ports={f"{PORTS[name]}/tcp": ("127.0.0.1", None)}, volumes={volume.name: {"bind": "/state"}}, **HARDENED
    )
    try:
        yield Store(name, container, volume.name)
    finally:
        container.remove(force=True)
        volume.remove()


def bucket(store: Store, **changed: Any) -> S3Store:
    """An S3 client with the store's credentials, or with some of them changed."""
    known = store.credentials()
    options: dict[str, Any] = {
        "bucket": known["bucket"],
        "endpoint": f"http://127.0.0.1:{store.port}",
        "region": known["region"],
        "access_key_id": known["access_key_id"],
        "secret_access_key": known["secret_access_key"],
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    return S3Store(**{**options, **changed})


def database(store: Store, **changed: Any) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    """A connection with the store's credentials, or with some of them changed."""
    known = store.credentials()
    wanted = {name: known[name] for name in ("user", "password", "database")}
    return pymysql.connect(host="127.0.0.1", port=store.port, connect_timeout=5, **{**wanted, **changed})


def _put(store: Store, text: str) -> None:
    obstore.put(bucket(store), "kept/text", text.encode())


def _got(store: Store) -> str:
    return bytes(obstore.get(bucket(store), "kept/text").bytes()).decode()


def _insert(store: Store, text: str) -> None:
    with database(store) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kept (text VARCHAR(80))")
        cursor.execute("INSERT INTO kept VALUES (%s)", (text,))
        connection.commit()


def _selected(store: Store) -> str:
    with database(store) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM kept")
        ((text,),) = cursor.fetchall()
        return str(text)


KEEP: dict[str, Callable[[Store, str], None]] = {"seaweedfs": _put, "mariadb": _insert}
FIND: dict[str, Callable[[Store], str]] = {"seaweedfs": _got, "mariadb": _selected}

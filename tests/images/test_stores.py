"""The stores beside the pipeline, asked by real clients: what they keep, whom they refuse, and how they end."""

import json
import time
from collections.abc import Iterator
from typing import Any

import obstore
import pymysql
import pytest
from brakeline import images as locked
from brakeline_images import stores
from brakeline_images.engine import Engine
from docker.errors import ContainerError
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from tests import engine
from tests.images.store import FIND, HARDENED, KEEP, PORTS, PYTHON, Store, bucket, database, reference, running

pytestmark = pytest.mark.slow
# compose.yaml's stop_grace_period; a machine under load needs some of it.
GRACE_S = 20
LISTENING = """
import json
from pathlib import Path
rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
addresses = [row[1].split(":") for row in rows if row[3] == "0A"]
# 127.0.0.1 in little-endian hex; a mapped one ends so too.
print(json.dumps(sorted({int(port, 16) for host, port in addresses if not host.endswith("0100007F")})))
"""
MODES = """
import json, os
print(json.dumps({path: oct(os.stat(f"/state/{path}").st_mode)[-3:] for path in ("credentials.json", ".")}))
"""
DENIED = (PermissionDeniedError, UnauthenticatedError)
every_store = pytest.mark.parametrize("name", PORTS)


@pytest.fixture(scope="module", params=PORTS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """Each of the stores, serving."""
    with running(request.param) as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def s3() -> Iterator[Store]:
    """An S3 store that serves."""
    with running("seaweedfs") as made:
        made.start()
        yield made


@pytest.fixture(scope="module")
def sql() -> Iterator[Store]:
    """A MariaDB that serves."""
    with running("mariadb") as made:
        made.start()
        yield made


def test_a_build_of_what_is_there_is_none() -> None:
    """A second build names the same images and has nothing to tell."""
    expected = {each.name: reference(each.name) for each in stores.ALL}
    base, told = locked.base(), list[str]()
    assert base
    assert stores.build(Engine(), base["reference"], told.append) == expected
    assert not told


def test_one_port_is_open(store: Store) -> None:
    """All that a store is made of listens on its own loopback, but for the port that clients use."""
    listening = store.container.exec_run([PYTHON, "-c", LISTENING]).output
    assert json.loads(listening) == [PORTS[store.name]]


def test_secrets_are_in_the_volume_alone(store: Store) -> None:
    """A client of another user reads them by its group; nobody else may, and no log and no environment has them."""
    known = store.credentials()
    assert json.loads(store.in_volume(MODES)) == {"credentials.json": "640", ".": "775"}
    secret = str(known.get("password") or known.get("secret_access_key"))
    assert len(secret) >= 32
    shown = store.container.logs().decode() + json.dumps(store.container.attrs) + json.dumps(store.container.top())
    assert secret not in shown


def test_each_volume_has_secrets_of_its_own(store: Store) -> None:
    """Two stores of one image share no credentials."""
    with running(store.name) as other:
        other.start()
        assert store.credentials() != other.credentials()


def test_objects_are_put_got_and_listed(s3: Store) -> None:
    """What a client puts it gets byte by byte, also in several parts, and finds in the list."""
    large, client = bytes(range(256)) * (12 << 12), bucket(s3)
    obstore.put(client, "runs/1/metrics.json", b"{}")
    obstore.put(client, "runs/1/model.onnx", large, chunk_size=5 << 20)
    assert bytes(obstore.get(client, "runs/1/metrics.json").bytes()) == b"{}"
    assert bytes(obstore.get(client, "runs/1/model.onnx").bytes()) == large
    (listed,) = obstore.list(client, "runs/1")
    assert sorted((found["path"], found["size"]) for found in listed) == [
        ("runs/1/metrics.json", 2),
        ("runs/1/model.onnx", len(large)),
    ]
    obstore.delete(client, "runs/1/metrics.json")
    with pytest.raises(FileNotFoundError):
        obstore.head(client, "runs/1/metrics.json")


@pytest.mark.parametrize(
    "changed",
    [
        {"secret_access_key": "wrong"},
        {"access_key_id": "unknown"},
        {"skip_signature": True},
        {"bucket": "another"},
    ],
    ids=["wrong secret", "unknown key", "anonymous", "another bucket"],
)
def test_an_object_is_refused(changed: dict[str, Any], s3: Store) -> None:
    """Only the store's own identity, and only in its bucket, reads, lists and writes."""
    obstore.put(bucket(s3), "there", b"1")
    client = bucket(s3, **changed)
    with pytest.raises(DENIED):
        obstore.put(client, "new", b"1")
    with pytest.raises(DENIED):
        obstore.get(client, "there")
    # The client has no name of its own for a list that is refused.
    with pytest.raises(BaseError, match="403 Forbidden"):
        list(obstore.list(client))


def test_a_table_is_made_filled_and_read(sql: Store) -> None:
    """Text of any script, transactions, and rights on one database alone."""
    with database(sql) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE runs (id INT PRIMARY KEY, name VARCHAR(40))")
        cursor.execute("INSERT INTO runs VALUES (%s, %s), (%s, %s)", (1, "Bremsweg näß", 2, "制動距離"))
        connection.commit()
        cursor.execute("INSERT INTO runs VALUES (3, 'taken back')")
        connection.rollback()
        cursor.execute("SELECT * FROM runs ORDER BY id")
        assert list(cursor.fetchall()) == [(1, "Bremsweg näß"), (2, "制動距離")]
        cursor.execute("SHOW DATABASES")
        assert {name for (name,) in cursor.fetchall()} == {"information_schema", "mlpipeline"}
        for beyond in ("CREATE DATABASE other", "SELECT * FROM mysql.global_priv", "CREATE USER other", "SHUTDOWN"):
            with pytest.raises(pymysql.Error, match="denied"):
                cursor.execute(beyond)


@pytest.mark.parametrize(
    "changed",
    [
        {"password": "wrong"},
        {"password": ""},
        {"user": "", "password": ""},
        {"user": "root", "password": ""},
        {"user": "mariadb.sys", "password": ""},
    ],
    ids=["wrong password", "no password", "anonymous", "root", "system"],
)
def test_a_guest_is_refused(changed: dict[str, Any], sql: Store) -> None:
    """Only the one user with the one password comes in."""
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        database(sql, **changed)


@every_store
def test_a_stop_is_clean_and_a_start_finds_the_data(name: str) -> None:
    """SIGTERM ends a store that was at work with 0, within the time that compose.yaml gives it, and nothing is lost."""
    with running(name) as made:
        made.start()
        KEEP[name](made, "kept")
        known, begun = made.credentials(), time.monotonic()
        made.container.stop(timeout=30)
        assert time.monotonic() - begun < GRACE_S
        assert made.container.wait()["StatusCode"] == 0
        made.start()
        assert made.credentials() == known
        assert FIND[name](made) == "kept"


@every_store
def test_what_was_committed_outlives_a_kill(name: str) -> None:
    """SIGKILL in the middle of work costs nothing that a client was told is kept."""
    with running(name) as made:
        made.start()
        KEEP[name](made, "kept")
        made.container.kill()
        made.start()
        assert FIND[name](made) == "kept"


@every_store
@pytest.mark.parametrize("delay_s", [0.15, 0.3, 0.6, 1.0])
def test_a_first_start_that_is_killed_is_done_anew(name: str, delay_s: float) -> None:
    """Killed at any instant of its first start, a store serves after the second."""
    with running(name) as made:
        made.container.start()
        time.sleep(delay_s)
        made.container.kill()
        made.start()
        KEEP[name](made, "kept")
        assert FIND[name](made) == "kept"


@every_store
@pytest.mark.parametrize("delay_s", [0.4, 0.7, 1.0])
def test_a_stop_while_starting_is_prompt(name: str, delay_s: float) -> None:
    """SIGTERM before the store serves is not lost: it ends in time, by itself, and starts again."""
    with running(name) as made:
        made.container.start()
        time.sleep(delay_s)
        begun = time.monotonic()
        made.container.stop(timeout=30)
        assert time.monotonic() - begun < GRACE_S
        made.start()


@every_store
def test_without_credentials_a_start_makes_new_ones(name: str) -> None:
    """Who removes the file has changed the secret: the old one is refused, the data is kept."""
    with running(name) as made:
        made.start()
        KEEP[name](made, "kept")
        old = made.credentials()
        made.container.stop(timeout=30)
        made.in_volume("import os; os.remove('/state/credentials.json')", mode="rw")
        made.start()
        assert made.credentials() != old
        assert FIND[name](made) == "kept"
        with pytest.raises((*DENIED, pymysql.err.OperationalError)):
            _enter(made, old)


@every_store
def test_a_volume_has_one_owner(name: str) -> None:
    """A second store on the volume is refused while the first runs, another user's after it, and both are told why."""
    with running(name) as made:
        made.start()
        with pytest.raises(ContainerError, match="another store is running"):
            _start_on(made.volume, name)
        made.container.stop(timeout=30)
        with pytest.raises(ContainerError, match="start the store as that user"):
            _start_on(made.volume, name, user="2002:0")


def _start_on(volume: str, name: str, **changed: str) -> None:
    settings: dict[str, Any] = {**HARDENED, **changed}
    mounted = {volume: {"bind": "/state"}}
    engine.client().containers.run(reference(name), remove=True, network_mode="none", volumes=mounted, **settings)


def _enter(made: Store, known: dict[str, Any]) -> None:
    if made.name == "mariadb":
        database(made, password=known["password"])
    else:
        obstore.head(bucket(made, **{key: known[key] for key in ("access_key_id", "secret_access_key")}), "kept/text")

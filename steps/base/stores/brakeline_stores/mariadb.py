"""MariaDB on a volume: made at the first start, with one database and one user, and no administrator.

Like `mariadb-install-db` it feeds the system tables to `mariadbd --bootstrap`; it leaves out root's accounts, help
texts and the sys schema. The user's password is set anew at each start: without `credentials.json` a restart makes a
new one.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from . import volume

DATABASE, USER, PORT = "mlpipeline", "pipeline", 3306
_SERVER = ("/usr/sbin/mariadbd", "--defaults-file=/opt/brakeline/mariadb.cnf")
_TABLES = tuple(Path("/usr/share/mariadb") / f"mariadb_{part}_tables.sql" for part in ("system", "performance"))
_DATA = volume.VOLUME / "mariadb"
# Renamed when whole: a first start that was killed is done anew.
_HIDDEN = volume.VOLUME / ".mariadb.partial"
_NOTICES = Path("/tmp/mariadb.notices")  # noqa: S108  the container's own


def start() -> None:
    """Run the server until it ends or is told to; ends with its exit status."""
    volume.claim()
    made = {"user": USER, "password": secrets.token_urlsafe(30), "database": DATABASE, "port": PORT}
    password = str(volume.credentials(made)["password"])
    if not volume.own(_DATA).exists():
        _make_data()
    sys.exit(_run(volume.in_memory("account", _account(password))))


def ask() -> None:
    """End with 0 if the server answers this user's query in time."""
    import pymysql  # noqa: PLC0415  the start does without

    known = volume.read_credentials()
    try:
        with pymysql.connect(
            host="127.0.0.1", port=PORT, user=known["user"], password=known["password"], database=known["database"],
            connect_timeout=2, read_timeout=2,
        ) as connection, connection.cursor() as cursor:  # fmt: skip
            cursor.execute("SELECT 1")
    except pymysql.Error as error:
        sys.exit(f"MariaDB does not serve: {error}")


def _run(account: int) -> int:
    command = [*_SERVER, f"--datadir={_DATA}", f"--init-file=/proc/self/fd/{account}"]
    # Told to stop while it starts, mariadbd 11.8 may hang: the signal waits until the server says that it is ready.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        _NOTICES.unlink(missing_ok=True)
        notices.bind(str(_NOTICES))
        notices.settimeout(0.1)
        environment = {**os.environ, "NOTIFY_SOCKET": str(_NOTICES)}
        server = subprocess.Popen(command, pass_fds=(account,), env=environment)
        while server.poll() is None and not _is_ready(notices):
            pass
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    status = server.wait()
    return status if status >= 0 else 128 - status


def _is_ready(notices: socket.socket) -> bool:
    """Whether the next notice, in the manner of systemd's sd_notify, says so."""
    try:
        return b"READY=1" in notices.recv(4096).splitlines()
    except TimeoutError:
        return False


def _make_data() -> None:
    shutil.rmtree(_HIDDEN, ignore_errors=True)
    _HIDDEN.mkdir()
    tables = "\n".join(file.read_text(encoding="utf-8") for file in _TABLES)
    script = f"CREATE DATABASE mysql;\nUSE mysql;\n{tables}\nDELETE FROM proxies_priv;\n"
    command = [*_SERVER, "--bootstrap", f"--datadir={_HIDDEN}", "--log-warnings=0", "--enforce-storage-engine="]
    made = subprocess.run(command, input=script, text=True, check=False)
    if made.returncode:
        sys.exit(f"{_HIDDEN}: the system tables could not be made, mariadbd ended with {made.returncode}")
    os.sync()
    _HIDDEN.rename(_DATA)


def _account(password: str) -> str:
    """The one database and its one user, whatever was there before."""
    quoted = password.replace("\\", "\\\\").replace("'", "''")
    statements = (
        f"CREATE DATABASE IF NOT EXISTS {DATABASE}",
        f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{quoted}'",
        f"ALTER USER '{USER}'@'%' IDENTIFIED BY '{quoted}'",
        f"GRANT ALL PRIVILEGES ON {DATABASE}.* TO '{USER}'@'%'",
    )
    return "".join(f"{statement};\n" for statement in statements)


if __name__ == "__main__":
    {"start": start, "ask": ask}[sys.argv[1]]()

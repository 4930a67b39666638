"""A store's volume: it has one owner at a time, and keeps the credentials that a client reads from it."""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

VOLUME = Path("/state")
CREDENTIALS = VOLUME / "credentials.json"
_LOCK = VOLUME / ".lock"
_STAGED = VOLUME / ".credentials.json.partial"


def claim() -> int:
    """Take the volume for as long as the descriptor that is returned is open; ends where that cannot be."""
    # The first process of a container ignores what it does not handle: without this a stop would wait to be a kill.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    os.umask(0o007)
    try:
        descriptor = os.open(_LOCK, os.O_RDWR | os.O_CREAT, 0o660)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{VOLUME}: another store is running on this volume")
    except OSError as error:
        sys.exit(f"{VOLUME}: user {os.getuid()} with group {os.getgid()} cannot write to the volume: {error.strerror}")
    return descriptor


def own(folder: Path) -> Path:
    """A folder of the volume that is not there yet or is this user's with all in it; ends where it is another's."""
    for path in (folder, *folder.rglob("*")):
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            sys.exit(f"{path} is user {path.stat().st_uid}'s: start the store as that user, found {os.getuid()}")
    return folder


def credentials(made: Mapping[str, Any]) -> dict[str, Any]:
    """The credentials in the volume. Where there are none, what was made now is written: whole or not at all."""
    if not CREDENTIALS.exists():
        write(CREDENTIALS, json.dumps(made, indent=1))
    return read_credentials()


def write(file: Path, content: str) -> None:
    """Replace a file of the volume for clients to read, in one move."""
    with _STAGED.open("w", encoding="utf-8") as staged:
        os.fchmod(staged.fileno(), 0o640)
        staged.write(content)
        staged.flush()
        os.fsync(staged.fileno())
    _STAGED.replace(file)


def read_credentials() -> dict[str, Any]:
    """What `credentials` wrote."""
    return dict(json.loads(CREDENTIALS.read_text(encoding="utf-8")))


def in_memory(name: str, content: str) -> int:
    """A file that is in no file system, for a program that wants a secret as a file; it inherits the descriptor."""
    descriptor = os.memfd_create(name, 0)
    os.write(descriptor, content.encode())
    return descriptor

"""A server's worker processes, and which of them holds a connection: the kernel chooses that, and tells nobody."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable
from pathlib import Path


def children_of(parent: int) -> list[int]:
    """The processes that a process started and that live; a bare Debian has no `ps` to ask."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            # After the name in brackets, which may hold anything: state, parent.
            state, its_parent = file.read_text().rpartition(")")[2].split()[:2]
            if int(its_parent) == parent and state != "Z":
                found.append(int(file.parent.name))
    return sorted(found)


def holders(pids: Iterable[int], port: int) -> dict[int, int]:
    """Of the connections to a port, by the client's port, which of the processes holds the server's end."""
    sockets: dict[str, int] = {}
    for pid in pids:
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                sockets[str(file.readlink())] = pid
    held = {}
    # gRPC's library takes IPv4's connections by sockets of IPv6.
    lines = [Path(f"/proc/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
    for line in itertools.chain(*lines):
        _, own, other, *_, inode = line.split()[:10]
        pid_of = sockets.get(f"socket:[{inode}]")
        if _port(own) == port and pid_of is not None:
            held[_port(other)] = pid_of
    return held


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)

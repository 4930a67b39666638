"""A server's worker processes, and which of them holds a connection: the kernel chooses that, and tells nobody."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from collections.abc import Iterable
from pathlib import Path


def children_of(parent: int) -> list[int]:
    """The processes that a process started and that live."""
    # `ps` says 1 where there are none.
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(parent)], capture_output=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


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

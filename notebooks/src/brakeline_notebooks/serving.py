"""A server of this machine for the time of a notebook: it ends with the kernel, however that ends."""

import subprocess
import time
from pathlib import Path
from types import TracebackType

from brakeline_notebooks.commands import script

_SECONDS_TO_LISTEN = 30.0
_SECONDS_TO_END = 10.0


class ServerFailed(Exception):
    """The server did not start; the message has its last words."""


class LocalServer:
    """`brakeline-serving` on a model store, on a free port of the loopback. `log` keeps what it says."""

    def __init__(self, store: Path, log: Path, *options: object) -> None:
        """Start it and wait until it listens. Raises ServerFailed."""
        store.mkdir(parents=True, exist_ok=True)
        ready = log.with_name(f"{log.name}.ready")
        ready.unlink(missing_ok=True)
        words = ["--model-store", store, "--port", 0, "--ready-file", ready, "--until-stdin-closes", *options]
        with log.open("ab") as stream:
            self._child = subprocess.Popen(
                [script("brakeline-serving"), *map(str, words)],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=stream,
                # A Ctrl-C to the kernel is for a cell, not for the server.
                start_new_session=True,
            )
        deadline = time.monotonic() + _SECONDS_TO_LISTEN
        while not ready.exists():
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                last = " ".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:])
                raise ServerFailed(f"brakeline-serving did not start: {last or 'no word'}")
            time.sleep(0.02)
        self.url = ready.read_text(encoding="utf-8").strip()

    def stop(self) -> None:
        """End it; what is under way is answered first. A second call does nothing."""
        if self._child.stdin and not self._child.stdin.closed:
            self._child.stdin.close()
        self._child.terminate()
        try:
            self._child.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> "LocalServer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

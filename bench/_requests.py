"""The server over the rows of a request, and over its workers: `python _requests.py CHAIN SECONDS ROUNDS`.

CHAIN is a folder with `model` and `holdout`. `wrk` asks. Each series is a line of JSON. A request is the unit of work,
its processor seconds are those of all the server's processes. Where there are two cores, load and server share them;
what a second worker changes is told by processor time, not by requests a second.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from _asked import Asked, http_request
from _costs import BIN, Cost, Series, measured
from _servers import Server, free_port
from stepkit import tables

ROWS, WORKERS = (1, 4, 16, 64), (1, 2)
CONNECTIONS = 64
HERE = Path(__file__).parent


def all_series(chain: Path, seconds: int, rounds: int) -> Iterator[Series]:
    """Rows of a request with one worker, and workers with one row."""
    model = chain / "model" / "model.onnx"
    asked = Asked.of(model, tables.read_table(chain / "holdout")[0], chain)
    by_rows = Series("server, per request", "rows of a request")
    files = {rows: _requests(asked, rows) for rows in ROWS}
    yield measured(by_rows, ROWS, rounds, lambda rows: _cost(asked, model, files[rows], 1, seconds))
    by_workers = Series("server, per request", "workers")
    yield measured(by_workers, WORKERS, rounds, lambda workers: _cost(asked, model, files[1], workers, seconds))


def _requests(asked: Asked, rows: int) -> Path:
    """Requests of so many rows each, all of them different, as the load generator reads them."""
    file, table = asked.folder / f"{rows}.requests", asked.rows
    with file.open("wb") as stream:
        for first in range(0, table.shape[0] - rows + 1, rows):
            tensors = [
                {"name": name, "shape": [rows, 1], "datatype": "FP32", "data": table[first : first + rows, at].tolist()}
                for at, name in enumerate(asked.names)
            ]
            request = http_request(json.dumps({"inputs": tensors}, separators=(",", ":")).encode())
            stream.write(b"%d\n%b" % (len(request), request))
    return file


def _cost(asked: Asked, model: Path, requests: Path, workers: int, seconds: int) -> Cost:
    """The cost of one request: processor time of all of the server's processes, wall time at this many connections."""
    port, cores = free_port(), sorted(os.sched_getaffinity(0))
    command: list[str | Path] = [BIN / "brakeline-serving", "--model", model, "--port", str(port)]
    server = Server("ours", [*command, "--workers", str(workers)], port)
    # One worker has a core of its own; two have to share theirs with the load.
    pinned = ["taskset", "-c", str(cores[-1]) if workers == 1 else ",".join(map(str, cores))]
    wrk = [*pinned, "wrk", "--timeout", "10s", "-t", "1", "-c", str(CONNECTIONS), "-s", str(HERE / "wrk.lua")]
    wrk += [f"http://127.0.0.1:{port}", "-d"]
    try:
        server.start(cores[0] if workers == 1 else cores, asked.json(0))
        _wrk([*wrk, "1s", "--", str(requests)])
        before_s = server.cpu_s()
        told = _wrk([*wrk, f"{seconds}s", "--", str(requests)])
        cpu_s, peak_mb = server.cpu_s() - before_s, server.memory_mb()
    finally:
        server.stop()
    if told["failed"] or not told["requests"]:
        raise SystemExit(f"{told['failed']:g} of {told['requests']:g} requests failed")
    return Cost(cpu_s / told["requests"], told["us"] / 1e6 / told["requests"], peak_mb)


def _wrk(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"wrk failed: {done.stderr or done.stdout}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    for made in all_series(Path(sys.argv[1]), *map(int, sys.argv[2:])):
        print(json.dumps(made.facts()), flush=True)

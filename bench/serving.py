"""The server beside MLServer, KServe's Python server, FastAPI, an echo on its own stack, and nginx's empty reply.

Everybody serves the same model from one core; the load comes from another, with rows that differ; rounds are
interleaved, and answers compared with the model's own before anything is timed. The peers are what others serve such a
model with; the limits are an echo on our own stack, and a C server that replies nothing.

`--quick` goes without the peers, which are installed first.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import _servers
from _asked import Asked, in_process_us
from _report import Figure, options, report, skip
from _servers import BIN, Server
from stepkit import tables

CONNECTIONS = (1, 16, 64)
ROUNDS, SECONDS, QUICK_SECONDS, WARM_S = 5, 2, 1, 1
TRAINED_ROWS = 100_000
SPINS, SPEAKS_GRPC = "ours, spinning", "ours with gRPC"
HERE = Path(__file__).parent
RECORDED = HERE.parent / "tests" / "data" / "recorded_stops.csv"


class Load:
    """What the servers were seen to do: rounds of each figure by server and number of connections."""

    def __init__(self, asked: Asked, server_core: int, load_core: int, seconds: int) -> None:
        self.asked, self.seconds = asked, seconds
        self.server_core, self.load_core = server_core, load_core
        self.seen: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def http(self, server: Server, form: str, connections: int) -> None:
        """One round over HTTP."""
        file, url = self.asked.file(form), f"http://127.0.0.1:{server.port}"
        command = ["wrk", "--timeout", "10s", "-t", "1", "-c", str(connections), "-s", str(HERE / "wrk.lua"), url]
        self._run([*command, "-d", f"{WARM_S}s", "--", str(file)])
        name = server.name if form == "json" else f"{server.name}, {form}"
        self._count(server, name, connections, [*command, "-d", f"{self.seconds}s", "--", str(file)])

    def grpc(self, server: Server, connections: int) -> None:
        """One round over gRPC, with `connections` callers on a channel."""
        words = [str(server.grpc_port), str(connections), str(self.seconds), str(self.asked.file("grpc"))]
        self._count(server, f"{server.name}, gRPC", connections, [sys.executable, str(HERE / "_calls.py"), *words])

    def _count(self, server: Server, name: str, connections: int, command: list[str]) -> None:
        before_s = server.cpu_s()
        told = self._run(command)
        if told["failed"]:
            raise SystemExit(f"{name}: {told['failed']:g} of {told['requests']:g} requests failed")
        seen = self.seen[name, connections]
        seen["rps"].append(told["requests"] / (told["us"] / 1e6))
        seen["p50_us"].append(told["p50_us"])
        seen["cpu_us"].append(1e6 * (server.cpu_s() - before_s) / told.get("asked", told["requests"]))

    def _run(self, command: list[str]) -> dict[str, float]:
        pinned = ["taskset", "-c", str(self.load_core), *command]
        done = subprocess.run(pinned, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command[0]} failed: {done.stderr or done.stdout}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def ratio(self, part: str, one: str, other: str, connections: int) -> list[float]:
        """Round by round."""
        pairs = zip(self.seen[one, connections][part], self.seen[other, connections][part], strict=True)
        return [value / peer for value, peer in pairs]


def main() -> None:
    """Start everybody, compare answers, then take turns."""
    parser = options(__doc__)
    parser.add_argument("--model", type=Path, metavar="FILE", help="serve this model; otherwise one is trained")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        skip("this benchmark asks with wrk, which is not here; on Debian: apt-get install wrk")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        skip(f"found {len(cores)} core, needed two: one for the servers, one for the load")
    server_core, load_core = cores[:2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = _train(folder / "trained", 10_000 if chosen.quick else TRAINED_ROWS, chosen.model)
        asked = Asked.of(model, tables.read_table(folder / "trained" / "holdout")[0], folder)
        servers = [*_servers.ours(model), _servers.echo()]
        servers += [found for found in [_servers.nginx(folder)] if found]
        found, missing = ([], {"peers": "left out by --quick"}) if chosen.quick else _servers.peers(model, folder)
        servers += found
        load = Load(asked, server_core, load_core, QUICK_SECONDS if chosen.quick else SECONDS)
        figures = _measured(load, model, servers, 1 if chosen.quick else ROUNDS)
    notes = {server.name: server.told for server in servers}
    notes["pinning"] = f"servers on core {server_core}, load (wrk; gRPC: its Python client) on core {load_core}"
    if "nginx" not in notes:
        missing["nginx"] = "not on this machine; on Debian: apt-get install nginx-light"
    report("serving", figures, notes, chosen=chosen, missing=missing)


def _measured(load: Load, model: Path, servers: list[Server], rounds: int) -> list[Figure]:
    by_name = {server.name: server for server in servers}
    calls = [server for server in servers if server.grpc_port is not None]
    cold: dict[str, list[float]] = defaultdict(list)
    own_us, memory = [], {}
    try:
        for _ in range(rounds):
            for server in servers:
                server.stop()
                cold[server.name].append(server.start(load.server_core, load.asked.json(0)))
        for server in servers:
            if server.infers:
                load.asked.check(server)
        for _ in range(rounds):
            own_us.append(in_process_us(model, load.asked, load.server_core))
            for connections in CONNECTIONS:
                for server in servers:
                    if server.name != SPEAKS_GRPC and (connections == 1 or server.name != SPINS):
                        load.http(server, "json", connections)
                load.http(by_name["ours"], "binary", connections)
                for server in calls:
                    load.grpc(server, connections)
        memory = {server.name: server.memory_mb() for server in servers}
    finally:
        for server in servers:
            server.stop()
    return _aims(load, own_us, cold, memory) + _seen(load, own_us, cold, memory)


def _aims(load: Load, own_us: list[float], cold: dict[str, list[float]], memory: dict[str, float]) -> list[Figure]:
    """What is wanted, as ratios; against a peer where it was asked."""
    figures = []
    for name in ("ours", SPINS):
        each = zip(load.seen[name, 1]["p50_us"], own_us, load.seen["echo", 1]["p50_us"], strict=True)
        beside = [(whole - model) / echo for whole, model, echo in each]
        figures.append(Figure(f"{name}, alone: (p50 - the model's own time) / echo's p50", beside, "ratio", "<= 1.3"))
    for connections in CONNECTIONS:
        ratio = load.ratio("cpu_us", "ours", "echo", connections)
        aim = None if connections == 1 else "<= 4"
        figures.append(Figure(f"CPU per request / echo's, {connections} connections", ratio, "ratio", aim))
    for peer in ("MLServer", "KServe", "FastAPI"):
        if peer not in memory:
            continue
        strict = peer == "MLServer"
        for connections in CONNECTIONS:
            ratio = load.ratio("rps", "ours", peer, connections)
            aim = ">= 25" if strict and connections > 1 else None
            figures.append(Figure(f"requests/s / {peer}'s, {connections} connections", ratio, "ratio", aim))
            ratio = load.ratio("cpu_us", peer, "ours", connections)
            figures.append(Figure(f"{peer}'s CPU per request / ours, {connections} connections", ratio, "ratio"))
        for name in ("ours", SPINS):
            ratio = load.ratio("p50_us", name, peer, 1)
            figures.append(Figure(f"{name}, alone: p50 / {peer}'s", ratio, "ratio", "<= 0.2" if strict else None))
        ratio = [memory["ours"] / memory[peer]]
        figures.append(Figure(f"memory / {peer}'s", ratio, "ratio", "<= 0.5" if strict else None))
        ratio = [one / other for one, other in zip(cold["ours"], cold[peer], strict=True)]
        figures.append(Figure(f"cold start / {peer}'s", ratio, "ratio", "<= 0.25" if strict else None))
        if strict:
            for connections in CONNECTIONS:
                ratio = load.ratio("rps", f"{SPEAKS_GRPC}, gRPC", "MLServer, gRPC", connections)
                figures.append(Figure(f"gRPC requests/s / MLServer's, {connections} callers", ratio, "ratio"))
    for connections in CONNECTIONS:
        for form, of_form in (("binary", "ours, binary"), ("gRPC", f"{SPEAKS_GRPC}, gRPC")):
            ratio = load.ratio("rps", of_form, "ours", connections)
            figures.append(Figure(f"{form} / JSON, requests/s, {connections} connections", ratio, "ratio"))
        if "nginx" in memory:
            ratio = load.ratio("rps", "ours", "nginx", connections)
            figures.append(Figure(f"requests/s / nginx's empty reply, {connections} connections", ratio, "ratio"))
    return figures


def _seen(load: Load, own_us: list[float], cold: dict[str, list[float]], memory: dict[str, float]) -> list[Figure]:
    """What the ratios were made of; figures of this machine in this hour."""
    figures = [Figure("the model's own time", own_us, "us")]
    for (name, connections), seen in load.seen.items():
        for part, unit in (("rps", "requests/s"), ("p50_us", "us, p50"), ("cpu_us", "us of CPU per request")):
            figures.append(Figure(f"{name}, {connections} connections", seen[part], unit))
    figures += [Figure(f"{name}, memory", [value], "MB") for name, value in memory.items()]
    return figures + [Figure(f"{name}, cold start", values, "s") for name, values in cold.items()]


def _train(at: Path, rows: int, given: Path | None) -> Path:
    """Data for the requests and, unless one is given, a model that was fitted on them."""
    at.mkdir()
    for line in (
        f"synthesize generate --part part --rows {rows} --holdout-rows 20000 --faulty-rows 1000",
        "synthesize assemble --parts part --dataset dataset --holdout holdout --faulty faulty --rejects rejects"
        f" --recorded {RECORDED}",
        "train search --dataset dataset --results scored --trials 1",
        "train rank --scored scored --ranking ranking",
        "train refine --dataset dataset --scored ranking --results results",
        "train fit --dataset dataset --results results --model model",
    ):
        if given is not None and line.startswith("train"):
            break
        step, *words = line.split()
        done = subprocess.run([BIN / f"brakeline-{step}", *words], cwd=at, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{line}: {done.stderr}")
    return given or at / "model" / "model.onnx"


main()

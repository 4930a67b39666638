"""Servers under test: each a process pinned to the server's core, what it costs, and the peers' own environments."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BIN = Path(sys.executable).parent
PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parents[1] / ".brakeline" / "bench"
NAME = "stopping-distance"
INFER = f"/v2/models/{NAME}/infer"
_START_S, _POLL_S = 60.0, 0.002
_TICKS = os.sysconf("SC_CLK_TCK")

Words = list[str | Path]


@dataclass
class Server:
    """How a server is started: its command, what is set in its environment, and how it is known in figures."""

    name: str
    command: Words
    port: int
    grpc_port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    told: str = ""  # versions and settings, for the report
    infers: bool = True
    process: subprocess.Popen[bytes] | None = None
    last: tuple[int, bytes] = (0, b"")  # what it answered while it started

    def start(self, core: int | list[int], probe: bytes) -> float:
        """Start it on a core, or on several; returns the seconds until it answered `probe`, a body for inference."""
        cores = ",".join(map(str, core)) if isinstance(core, list) else str(core)
        began = time.perf_counter()
        self.process = subprocess.Popen(
            ["taskset", "-c", cores, *map(str, self.command)],
            cwd=self.folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while not self._answers(probe):
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} ended with {self.process.returncode} instead of serving")
            if time.perf_counter() - began > _START_S:
                raise SystemExit(f"{self.name} did not answer within {_START_S:g} s: {self.last!r}")
            time.sleep(_POLL_S)
        return time.perf_counter() - began

    def _answers(self, probe: bytes) -> bool:
        try:
            self.last = self.ask(probe)
        except OSError as error:
            self.last = (0, str(error).encode())
        return self.last[0] == http.client.OK

    def ask(self, body: bytes, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
        """Status and body of one request."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            client.request("POST", INFER, body, {"Content-Type": "application/json", **(headers or {})})
            reply = client.getresponse()
            return reply.status, reply.read()
        finally:
            client.close()

    def stop(self) -> None:
        """End it and all that it started."""
        if self.process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(self.process.pid, number)
                    self.process.wait(10)
                    break
                except subprocess.TimeoutExpired:
                    continue
                except ProcessLookupError:
                    break
            self.process = None

    def cpu_s(self) -> float:
        """Processor time of its processes so far [s]."""
        ticks = 0
        for process in self._processes():
            fields = (Path("/proc") / process / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / _TICKS

    def memory_mb(self) -> float:
        """Resident memory of its processes [MB]; each server is one process here, but for nginx."""
        kib = 0
        for process in self._processes():
            status = (Path("/proc") / process / "status").read_text()
            kib += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        return kib * 1024 / 1e6

    def _processes(self) -> list[str]:
        """Those of its session: a peer may start workers."""
        assert self.process is not None
        wanted = str(self.process.pid)
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[3] == wanted:
                found.append(entry.name)
        return found


def ours(model: Path) -> list[Server]:
    """The server as it comes, one that looks out for requests without sleeping, and one that speaks gRPC as well."""
    servers = []
    for name, option, told in (
        ("ours", [], "one worker, telemetry on"),
        ("ours, spinning", ["--spin-us", "100"], "--spin-us 100: awake for 100 us after each answer"),
        ("ours with gRPC", ["--grpc-port"], "gRPC on"),
    ):
        port, grpc_port = free_port(), free_port() if "--grpc-port" in option else None
        command: Words = [BIN / "brakeline-serving", "--model", model, "--port", str(port), *option]
        command += [str(grpc_port)] if grpc_port else []
        servers.append(Server(name, command, port, grpc_port, told=told))
    return servers


def echo() -> Server:
    """The limit of the stack that the server stands on."""
    port = free_port()
    command: Words = [sys.executable, Path(__file__).with_name("_echo.py"), str(port)]
    return Server("echo", command, port, told="uvloop and httptools, the body back", infers=False)


def nginx(folder: Path) -> Server | None:
    """A C server's empty reply, if this machine has nginx."""
    program = shutil.which("nginx")
    if program is None:
        return None
    port = free_port()
    kept = " ".join(f"{kind}_temp_path {folder};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    server = f"server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200; }} }}"
    (folder / "nginx.conf").write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit; events {{ worker_connections 512; }}"
        f" http {{ access_log off; keepalive_requests 1000000000; {kept} {server} }}\n"
    )
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr.strip()
    command: Words = [program, "-c", folder / "nginx.conf", "-p", folder]
    return Server("nginx", command, port, told=f"{version}, one worker, an empty reply", infers=False)


def peers(model: Path, folder: Path) -> tuple[list[Server], dict[str, str]]:
    """MLServer, KServe's Python server and FastAPI, each in an environment of its own; and why one is missing."""
    found, missing = list[Server](), dict[str, str]()
    for name, peer in (("MLServer", _mlserver), ("KServe", _kserve), ("FastAPI", _fastapi)):
        try:
            found.append(peer(model, folder))
        except subprocess.CalledProcessError:
            missing[name] = "its environment could not be installed; is a package index reachable?"
    return found, missing


def _mlserver(model: Path, folder: Path) -> Server:
    python = _environment("mlserver")
    port, grpc_port = free_port(), free_port()
    at = folder / "mlserver"
    at.mkdir()
    shutil.copy(PEERS / "mlserver" / "onnx_model.py", at)
    settings = {"debug": False, "parallel_workers": 0, "host": "127.0.0.1", "http_port": port, "grpc_port": grpc_port}
    settings["metrics_port"] = free_port()
    (at / "settings.json").write_text(json.dumps(settings))
    of_model = {"name": NAME, "implementation": "onnx_model.OnnxModel", "parameters": {"uri": str(model.resolve())}}
    (at / "model-settings.json").write_text(json.dumps(of_model))
    command: Words = [python.parent / "mlserver", "start", at]
    told = "parallel_workers 0 (in the server's own process), metrics on, debug off"
    return Server("MLServer", command, port, grpc_port, {}, at, f"{_versions('mlserver')}; {told}")


def _kserve(model: Path, _: Path) -> Server:
    port = free_port()
    command: Words = [_environment("kserve"), PEERS / "kserve" / "serve.py", NAME, model.resolve(), str(port)]
    return Server("KServe", command, port, told=f"{_versions('kserve')}; one worker, no gRPC, no latency log")


def _fastapi(model: Path, _: Path) -> Server:
    port = free_port()
    command: Words = [_environment("fastapi"), "-m", "uvicorn", "serve:app", "--port", str(port), "--no-access-log"]
    environment = {"MODEL_NAME": NAME, "MODEL_FILE": str(model.resolve())}
    told = "uvicorn with uvloop and httptools, one worker, no access log"
    return Server("FastAPI", command, port, None, environment, PEERS / "fastapi", f"{_versions('fastapi')}; {told}")


def _environment(peer: str) -> Path:
    """The Python of a peer's environment, which is made anew when its lock changes."""
    lock, at = PEERS / peer / "requirements.lock", ENVIRONMENTS / peer
    stamp, wanted = at / "lock.sha256", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        print(f"installing {peer} in an environment of its own: a minute, the first time only", file=sys.stderr)
        subprocess.run([BIN / "uv", "venv", "-q", "--clear", "--python", sys.executable, at], check=True)
        install: Words = [BIN / "uv", "pip", "install", "-q", "--compile-bytecode", "--python", at / "bin" / "python"]
        subprocess.run([*install, "--require-hashes", "-r", lock], check=True)
        stamp.write_text(wanted)
    return at / "bin" / "python"


def _versions(peer: str) -> str:
    wanted = (peer, "onnxruntime", "uvicorn", "uvloop")
    lines = (PEERS / peer / "requirements.lock").read_text().splitlines()
    pins = [line.partition(" ")[0].split("==") for line in lines if "==" in line]
    return ", ".join(f"{name} {version}" for name, version in pins if name in wanted)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

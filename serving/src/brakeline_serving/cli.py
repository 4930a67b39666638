"""The command line: `brakeline-serving --model-store DIR`.

It is argparse's, and little is imported here: a server is started anew for every pod, and a start waits for imports.
"""

import argparse
import ipaddress
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import brakeline_serving

MIB = 1024 * 1024
_WHAT = "Serve a stopping-distance model by the Open Inference Protocol v2 over HTTP and gRPC."
_NEEDED = "TLS (--tls-certificate, --tls-key) and a token (--token-file) guard it; --insecure goes without"


def app(arguments: Sequence[str] | None = None) -> None:
    """Serve as the command line says; ends with the server's exit code, or 2 for a call that says no such thing."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    complaint = _complaint(chosen)
    if complaint:
        parser.error(complaint)
    from brakeline_serving import server
    from brakeline_serving.connections import Limits
    from brakeline_serving.settings import Keeping, Secrets, Settings, Watched

    remote = chosen.model_store if _is_remote(chosen.model_store) else None
    folder = _mirrored(remote, chosen.model_cache) if remote else chosen.model_store
    watched = chosen.metrics_port is not None or chosen.health_port is not None
    monitors = Secrets(chosen.metrics_tls_certificate, chosen.metrics_tls_key)
    kept = chosen.prediction_log
    settings = Settings(
        name=chosen.model_name,
        store=Path(folder) if folder else None,
        file=_file_of(chosen),
        host=chosen.host,
        port=chosen.port,
        ready_file=chosen.ready_file,
        until_stdin_closes=chosen.until_stdin_closes,
        grpc_port=chosen.grpc_port,
        unix_socket=chosen.unix_socket,
        workers=chosen.workers,
        secrets=Secrets(chosen.tls_certificate, chosen.tls_key, chosen.token_file),
        access_log=chosen.access_log,
        predictions=Keeping(kept, chosen.prediction_share, chosen.prediction_mib * MIB) if kept else None,
        limits=Limits(
            chosen.body_mib * MIB, idle_s=chosen.idle_s, receive_s=chosen.receive_s, connections=chosen.connections
        ),
        spin_s=chosen.spin_us * 1e-6,
        remote=remote,
        awaits=chosen.await_model,
        withdrawal_s=chosen.withdrawal_s,
        watched=Watched(_monitor_host(chosen), chosen.metrics_port, chosen.health_port, monitors) if watched else None,
    )
    code = server.run(settings)
    if remote and not chosen.model_cache:
        _forget(folder)
    sys.stdout.flush()
    # All is written. A thread may still be in onnxruntime, as a shadow's is, and would abort an interpreter that ends.
    os._exit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="brakeline-serving", description=_WHAT)
    version = f"brakeline-serving {brakeline_serving.__version__}"
    parser.add_argument("--version", action="version", version=version, help="Print the version.")

    part = parser.add_argument_group("what is served: one of")
    stored = "Folder of <model>/<version>/model.onnx, or s3://bucket/prefix."
    part.add_argument("--model-store", metavar="DIR", help=stored)
    part.add_argument("--model", type=Path, metavar="FILE", help="ONNX file, or folder of model.onnx.")
    later = "Where nothing is at --model yet, be alive and not ready until it is, instead of ending."
    part.add_argument("--await-model", action="store_true", help=later)
    kept = "Folder that keeps what was fetched of an s3:// store, so that a start can do without it."
    part.add_argument("--model-cache", type=Path, metavar="DIR", help=kept)
    part = parser.add_argument_group("where, and as whom")
    part.add_argument(
        "--model-name", default="stopping-distance", metavar="NAME", help="In the store and in URLs (%(default)s)."
    )
    part.add_argument("--host", default="127.0.0.1", help="Address to listen on (%(default)s).")
    port = os.environ.get("PORT") or "8080"
    part.add_argument(
        "--port", type=_whole(0, 65_535), default=port, help="0 takes a free one; or PORT says it (%(default)s)."
    )
    part.add_argument("--grpc-port", type=_whole(0, 65_535), metavar="PORT", help="Port of gRPC, if it is wanted.")
    part.add_argument("--unix-socket", type=Path, metavar="PATH", help="Path of a socket to listen on as well.")
    leave = "After SIGTERM go on for so long, not ready, while traffic is led elsewhere [s] (%(default)s)."
    part.add_argument("--withdrawal-s", type=_number(0, 600), default=0.0, metavar="S", help=leave)
    part.add_argument("--ready-file", type=Path, metavar="FILE", help="Gets the URL once the server listens.")
    stays = "End with the process that holds the other end of stdin."
    part.add_argument("--until-stdin-closes", action="store_true", help=stays)

    _add_doors(parser)
    part = parser.add_argument_group("how")
    part.add_argument("--workers", type=_whole(1, 64), default=1, help="Processes that share the port (%(default)s).")
    spins = "Look for the next request so long before sleeping, which answers it sooner and takes the core [us] (0)."
    part.add_argument("--spin-us", type=_whole(0, 10_000), default=0, metavar="US", help=spins)

    part = parser.add_argument_group("who may ask, and for how much")
    part.add_argument("--tls-certificate", type=Path, metavar="FILE", help="Certificate chain, PEM.")
    part.add_argument("--tls-key", type=Path, metavar="FILE", help="Its key, PEM.")
    part.add_argument("--token-file", type=Path, metavar="FILE", help="Holds the token that requests must bear.")
    part.add_argument("--insecure", action="store_true", help="Allow any address without TLS or token.")
    part.add_argument(
        "--body-mib", type=_whole(1, 1024), default=8, metavar="MIB", help="Largest request body [MiB] (%(default)s)."
    )
    most = "Most connections of a worker (%(default)s)."
    part.add_argument("--connections", type=_whole(1, 1_000_000), default=20_000, metavar="N", help=most)
    silent, late = (
        "Until a silent connection is closed [s] (%(default)s).",
        "For a request to arrive in full [s] (%(default)s).",
    )
    part.add_argument("--idle-s", type=_number(1, math.inf), default=75.0, metavar="S", help=silent)
    part.add_argument("--receive-s", type=_number(1, math.inf), default=30.0, metavar="S", help=late)

    part = parser.add_argument_group("what is kept")
    part.add_argument("--access-log", action="store_true", help="A JSON line per request on stderr.")
    part.add_argument("--prediction-log", type=Path, metavar="DIR", help="Folder for a sample of the predictions.")
    part.add_argument(
        "--prediction-share",
        type=_number(0, 1),
        default=0.01,
        metavar="SHARE",
        help="Share of requests in it (%(default)s).",
    )
    part.add_argument(
        "--prediction-mib",
        type=_whole(1, MIB),
        default=256,
        metavar="MIB",
        help="All its files of a worker [MiB] (%(default)s).",
    )
    return parser


def _add_doors(parser: argparse.ArgumentParser) -> None:
    part = parser.add_argument_group("who watches it, and is asked for no token")
    metrics, health = "Port of /metrics and health.", "Port of health alone, in clear text and without reasons."
    part.add_argument("--metrics-port", type=_whole(0, 65_535), metavar="PORT", help=metrics)
    part.add_argument("--health-port", type=_whole(0, 65_535), metavar="PORT", help=health)
    part.add_argument("--monitor-host", metavar="HOST", help="Address of these ports (that of --host).")
    chain = "Certificate chain of --metrics-port, PEM; it may come later, and the port opens then."
    part.add_argument("--metrics-tls-certificate", type=Path, metavar="FILE", help=chain)
    part.add_argument("--metrics-tls-key", type=Path, metavar="FILE", help="Its key, PEM.")


def _complaint(chosen: Any) -> str:
    """What is wrong with options that are each well-formed; empty if nothing is."""
    if (chosen.model_store is None) == (chosen.model is None):
        return "give one of --model-store and --model"
    if not chosen.model_name or "/" in chosen.model_name or chosen.model_name.startswith("."):
        return f"--model-name: found {chosen.model_name!r}, allowed the name of a folder in the store"
    if (chosen.tls_certificate is None) != (chosen.tls_key is None):
        return "--tls-certificate and --tls-key need each other"
    if not (chosen.insecure or _is_loopback(chosen.host) or (chosen.tls_certificate and chosen.token_file)):
        return f"--host {chosen.host} can be reached by others: {_NEEDED}"
    if chosen.await_model and chosen.model is None:
        return "--await-model is for --model; a --model-store is waited for anyway"
    return _complaint_of_doors(chosen) or _complaint_of_store(chosen)


def _complaint_of_doors(chosen: Any) -> str:
    if (chosen.metrics_tls_certificate is None) != (chosen.metrics_tls_key is None):
        return "--metrics-tls-certificate and --metrics-tls-key need each other"
    if chosen.metrics_port is None:
        return "--metrics-tls-certificate is for --metrics-port" if chosen.metrics_tls_certificate else ""
    host = _monitor_host(chosen)
    if not (chosen.insecure or _is_loopback(host) or chosen.metrics_tls_certificate):
        return f"--metrics-port at {host} can be reached by others: --metrics-tls-certificate and -key, or --insecure"
    return ""


def _complaint_of_store(chosen: Any) -> str:
    if not _is_remote(chosen.model_store):
        return "--model-cache is for a --model-store in S3" if chosen.model_cache else ""
    from brakeline_serving import remote

    wrong = remote.complaint(chosen.model_store)
    return f"--model-store: {wrong}" if wrong else ""


def _monitor_host(chosen: Any) -> str:
    return str(chosen.monitor_host or chosen.host)


def _file_of(chosen: Any) -> Path | None:
    if chosen.model is None:
        return None
    is_folder = chosen.model.is_dir() or (chosen.await_model and chosen.model.suffix != ".onnx")
    return Path(chosen.model / "model.onnx" if is_folder else chosen.model)


def _is_remote(store: str | None) -> bool:
    return store is not None and "://" in store


def _mirrored(remote: str, cache: Path | None) -> Path:
    """The folder for what is served of a store: its own in a cache that several may share, or one for this life."""
    import hashlib
    import tempfile

    if cache:
        folder = cache / hashlib.sha256(remote.encode()).hexdigest()[:16]
        for state in folder.glob("*/.mirror.json"):  # of an earlier life
            state.unlink()
        return folder
    return Path(tempfile.mkdtemp(prefix="brakeline-models-"))


def _forget(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"found {text!r}, allowed a whole number from {least} to {most}")
        return int(text)

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"found {text!r}, allowed a number from {least:g} to {most:g}")
        return value

    return read


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

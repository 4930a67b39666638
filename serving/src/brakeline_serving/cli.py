"""The command line: `brakeline-serving --model-store DIR`."""

import ipaddress
from pathlib import Path
from typing import Annotated

import typer

import brakeline_serving

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
MIB = 1024 * 1024


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"brakeline-serving {brakeline_serving.__version__}")
        raise typer.Exit


@app.command()
def main(
    *,
    model_store: Annotated[Path | None, typer.Option(help="Folder of <model>/<version>/model.onnx.")] = None,
    model: Annotated[Path | None, typer.Option(help="ONNX file, or folder of model.onnx, to serve instead.")] = None,
    model_name: Annotated[str, typer.Option(help="Name in the store and in URLs.")] = "stopping-distance",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, envvar="PORT", help="Port; 0 takes a free one.")] = 8080,
    grpc_port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port of gRPC, if it is wanted.")] = None,
    unix_socket: Annotated[Path | None, typer.Option(help="Path of a socket to listen on as well.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port.")] = 1,
    tls_certificate: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Holds the token that requests must bear.")] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="A JSON line per request on stderr.")] = False,
    prediction_log: Annotated[Path | None, typer.Option(help="Folder for a sample of the predictions.")] = None,
    prediction_share: Annotated[float, typer.Option(min=0, max=1, help="Share of requests in it.")] = 0.01,
    prediction_mib: Annotated[int, typer.Option(min=1, help="All its files of a worker [MiB].")] = 256,
    body_mib: Annotated[int, typer.Option(min=1, max=1024, help="Largest request body [MiB].")] = 8,
    connections: Annotated[int, typer.Option(min=1, help="Most connections of a worker.")] = 20_000,
    idle_s: Annotated[float, typer.Option(min=1, help="Until a silent connection is closed [s].")] = 75.0,
    receive_s: Annotated[float, typer.Option(min=1, help="For a request to arrive in full [s].")] = 30.0,
    ready_file: Annotated[Path | None, typer.Option(help="Gets the URL once the server listens.")] = None,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", help="End with the process that holds the other end of stdin.")
    ] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow any address without TLS or token.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Serve a stopping-distance model by the Open Inference Protocol v2 over HTTP and gRPC."""
    if (model_store is None) == (model is None):
        raise typer.BadParameter("give one of --model-store and --model")
    if not model_name or "/" in model_name or model_name.startswith("."):
        raise typer.BadParameter(f"found {model_name!r}, allowed the name of a folder in the store")
    if (tls_certificate is None) != (tls_key is None):
        raise typer.BadParameter("--tls-certificate and --tls-key need each other")
    if not (insecure or _is_loopback(host) or (tls_certificate and token_file)):
        needed = "TLS (--tls-certificate, --tls-key) and a token (--token-file) guard it; --insecure goes without"
        raise typer.BadParameter(f"--host {host} can be reached by others: {needed}")
    from brakeline_serving import server
    from brakeline_serving.connections import Limits
    from brakeline_serving.settings import Keeping, Secrets, Settings

    file = model / "model.onnx" if model is not None and model.is_dir() else model
    settings = Settings(
        name=model_name,
        store=model_store,
        file=file,
        host=host,
        port=port,
        ready_file=ready_file,
        until_stdin_closes=until_stdin_closes,
        grpc_port=grpc_port,
        unix_socket=unix_socket,
        workers=workers,
        secrets=Secrets(tls_certificate, tls_key, token_file),
        access_log=access_log,
        predictions=Keeping(prediction_log, prediction_share, prediction_mib * MIB) if prediction_log else None,
        limits=Limits(body_mib * MIB, idle_s=idle_s, receive_s=receive_s, connections=connections),
    )
    raise typer.Exit(server.run(settings))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""The command line: `brakeline-serving --model-store DIR`."""

import ipaddress
from pathlib import Path
from typing import Annotated

import typer

import brakeline_serving

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"brakeline-serving {brakeline_serving.__version__}")
        raise typer.Exit


@app.command()
def main(
    *,
    model_store: Annotated[Path | None, typer.Option(help="Folder of <model>/<version>/model.onnx.")] = None,
    model: Annotated[Path | None, typer.Option(help="One ONNX file to serve instead, as version 1.")] = None,
    model_name: Annotated[str, typer.Option(help="Name in the store and in URLs.")] = "stopping-distance",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080,
    ready_file: Annotated[Path | None, typer.Option(help="Gets the URL once the server listens.")] = None,
    until_stdin_closes: Annotated[
        bool, typer.Option("--until-stdin-closes", help="End with the process that holds the other end of stdin.")
    ] = False,
    insecure: Annotated[bool, typer.Option("--insecure", help="Allow any address.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Serve a stopping-distance model by the Open Inference Protocol v2 over HTTP."""
    if (model_store is None) == (model is None):
        raise typer.BadParameter("give one of --model-store and --model")
    if not model_name or "/" in model_name or model_name.startswith("."):
        raise typer.BadParameter(f"found {model_name!r}, allowed the name of a folder in the store")
    if not insecure and not _is_loopback(host):
        reason = "there is no TLS and no authentication yet; --insecure allows it"
        raise typer.BadParameter(f"--host {host} can be reached by others, and {reason}")
    from brakeline_serving import server
    from brakeline_serving.settings import Settings

    settings = Settings(model_name, model_store, model, host, port, ready_file, until_stdin_closes)
    raise typer.Exit(server.run(settings))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

"""`python build.py manifests`: an overlay as it would be applied, and whether an installation has set all of it."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from brakeline_images import overlays
from brakeline_images.errors import ImagesError, NotSet

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

Overlay = Annotated[
    str, typer.Argument(help="A name, or a folder with a kustomization.yaml of your own; without it, the names.")
]
Check = Annotated[bool, typer.Option("--check", help="Render nothing: say what is not set yet, 65 if any.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def manifests(overlay: Overlay = "", check: Check = False, as_json: AsJson = False) -> None:
    """Render an overlay of manifests/ to stdout, or check that nothing in it is left unset.

    Example: python build.py manifests rhoai-3.x --check --json
    """
    known = overlays.names()
    if not overlay:
        print(json.dumps({"overlays": list(known)}) if as_json else "\n".join(known))
        raise typer.Exit
    folder = known.get(overlay, Path(overlay))
    if not (folder / "kustomization.yaml").is_file():
        allowed = f"{', '.join(known)} or a folder with a kustomization.yaml"
        raise typer.BadParameter(f"found {overlay!r}, allowed {allowed}", param_hint="OVERLAY")
    try:
        text = overlays.render(folder)
        found = overlays.unset(overlays.objects(text)) if check else []
        if as_json and check:
            told = {"status": "unset" if found else "set", "overlay": overlay, "unset": [vars(one) for one in found]}
            print(json.dumps(told))
        elif as_json:
            print(json.dumps({"overlay": overlay, "objects": overlays.objects(text)}))
        elif not check:
            print(text, end="")
        if found:
            raise NotSet(overlay, found)
    except ImagesError as error:
        print(error, file=sys.stderr)
        if as_json and not isinstance(error, NotSet):
            print(json.dumps({"status": "failed", "error": str(error)}))
        raise typer.Exit(error.exit_code) from error


if __name__ == "__main__":
    app(prog_name="build.py manifests")

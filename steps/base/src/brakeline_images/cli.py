"""`brakeline-images`: build what changed, push it, or say whether the lock is current. `python build.py` calls it."""

import json
import os
import sys
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from brakeline import images as locked
from brakeline import revision
from brakeline.images import Built

from brakeline_images import compose, manifests, plan, turns
from brakeline_images.errors import ImagesError, Interrupted

if TYPE_CHECKING:
    from brakeline_images import foundation

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
NAMES = tuple(image.name for image in plan.IMAGES)

Only = Annotated[list[str] | None, typer.Option(help=f"Build only these, of {', '.join(NAMES)}; repeats.")]
Base = Annotated[
    str, typer.Option(help="auto: a public Python, else Debian packages; debian; or an image with Python 3.13.")
]
Push = Annotated[str, typer.Option(help="Push to this registry and record its digests.", metavar="REGISTRY")]
Check = Annotated[bool, typer.Option("--check", help="Build nothing: say whether the lock fits the sources.")]
CaBundle = Annotated[
    Path | None, typer.Option(help="A CA bundle of your own for fetching packages.", exists=True, dir_okay=False)
]
Refresh = Annotated[bool, typer.Option("--refresh-base", help="Pull or make the base anew, with its latest packages.")]
Stores = Annotated[bool, typer.Option("--stores", help="Build the store, MariaDB and Prometheus of compose too.")]
Workbench = Annotated[bool, typer.Option("--workbench", help="Build the notebooks' image too; --push does so unasked.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


_one_at_a_time = threading.Lock()


def tell(message: str) -> None:
    """A line of progress, whole whoever else tells one."""
    with _one_at_a_time:
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


@app.command()
def build(
    only: Only = None, base: Base = "", push: Push = "", check: Check = False, ca_bundle: CaBundle = None,
    refresh_base: Refresh = False, stores: Stores = False, workbench: Workbench = False, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Build the images whose content changed, and write their names to orchestrator/images.lock.json.

    Example: python build.py images --only train --json
    """
    start = time.monotonic()
    for name in only or ():
        if name not in NAMES:
            raise typer.BadParameter(f"found {name!r}, allowed {', '.join(NAMES)}", param_hint="--only")
    try:
        with turns.interruptible(), turns.alone(tell) if not check else nullcontext():
            names = tuple(only or (*plan.USUAL, *((locked.WORKBENCH,) if workbench or push else ())))
            facts = _check(names) if check else _build(names, base, push, ca_bundle, refresh_base, stores)
    except Interrupted as error:
        turns.leave(error, tell)
    except ImagesError as error:
        tell(str(error))
        if as_json:
            print(json.dumps({"status": "failed", "error": str(error)}))
        raise typer.Exit(error.exit_code) from error
    facts["seconds"] = round(time.monotonic() - start, 3)
    if as_json:
        print(json.dumps(facts))
    elif not check:
        for image in facts["images"].values():
            print(image["pushed"] or f"{image['reference']} {image['id']}")
        for reference in facts["stores"].values():
            print(reference)
    raise typer.Exit(0 if facts["status"] != "stale" else 1)


def _build(
    names: tuple[str, ...], base: str, push: str, ca_bundle: Path | None, refresh: bool, with_stores: bool
) -> dict[str, Any]:
    from brakeline_images import foundation
    from brakeline_images.builder import Builder
    from brakeline_images.engine import Engine

    if ca_bundle:
        os.environ["SSL_CERT_FILE"] = str(ca_bundle.absolute())
    engine, before = Engine(), locked.base()
    known = foundation.Base(**before) if before else None
    asked = base or (known.asked if known else foundation.AUTO)
    chosen = foundation.choose(asked, known, engine, tell, ca_bundle, refresh)
    wanted = plan.make(chosen.reference, names)
    builder = Builder(engine, wanted, tell, ca_bundle)
    builder.build()
    images = locked.built()
    for name in names:
        reference = wanted.references[name]
        found, kept = engine.inspect(reference) or {}, images.get(name)
        pushed = kept.pushed if kept and kept.reference == reference else ""
        images[name] = Built(reference, str(found["Id"]), wanted.nodes[name].source, pushed)
    _record(chosen, images)
    beside: dict[str, str] = {}
    if with_stores:
        from brakeline_images import stores

        beside = stores.build(engine, chosen.reference, tell, ca_bundle, refresh)
        compose.name_images(beside)
    if push:
        for name in names:
            tell(f"pushing {images[name].reference} to {push}")
            images[name] = replace(images[name], pushed=engine.push(images[name].reference, push))
        _record(chosen, images)
        manifests.name_images(images)
    tell(f"{len(builder.built)} built, {len(names)} current; base {chosen.reference}")
    return {
        "status": "built" if builder.built else "current",
        "base": chosen.reference,
        "built": builder.built,
        "images": {name: vars(images[name]) for name in names},
        "stores": beside,
    }


def _record(base: "foundation.Base", images: dict[str, Built]) -> None:
    """Write the lock and compose's names of images, where they differ from what stands there."""
    told = {"asked": base.asked, "reference": base.reference}
    if (told, images) != (locked.base(), locked.built()):
        locked.write(told, images)
    compose.name_images({name: image.reference for name, image in images.items()}, revision.here())


def _check(names: tuple[str, ...]) -> dict[str, Any]:
    have, base = locked.built(), locked.base()
    stale = set(locked.stale(names))
    if base:
        wanted = plan.make(base["reference"], names)
        stale |= {name for name in names if name in have and have[name].reference != wanted.references[name]}
    for name in sorted(stale):
        tell(f"{name}: {'older than its sources' if name in have else 'not built'}; `python build.py images` builds it")
    return {"status": "stale" if stale else "current", "stale": sorted(stale)}

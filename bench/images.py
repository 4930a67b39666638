"""Images: their weight, their builds (cold, nothing changed, one line changed) and their start.

The peer is what a plain Dockerfile gives: the same base and the same locked packages, installed as they come, nothing
left out and nothing compiled.

The images have to be built: `python build.py images`. `--quick` builds neither the peer nor all of them anew.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from _report import Figure, options, report, skip
from brakeline import images as locked
from brakeline import place
from brakeline_images import builder, context, locks, plan, wheels
from brakeline_images.engine import Engine

ROUNDS = 3
MB = 1e6
BIN = Path(sys.executable).parent
PROGRAMS = {image.name: f"brakeline-{'ask' if image.name == 'client' else image.name}" for image in plan.IMAGES}
# Imports that a fit begins with.
FIRST_WORK = "import sys; sys.path.insert(0, sys.argv[1]); import sklearn.ensemble, skl2onnx, onnxruntime, polars"
SITE = f"/opt/brakeline/{wheels.SITE}"
PYTHON = "/opt/brakeline/bin/python"
# What a container does first, where that needs no file of a run; imports where it does.
FIRST = {
    "synthesize": [PROGRAMS["synthesize"], "generate", "--part", "/tmp/part", "--rows", "1000", "--holdout-rows", "100",
                   "--faulty-rows", "100"],
    "train": [PYTHON, "-c", FIRST_WORK, SITE],
    "validate": [PYTHON, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import onnx, onnxruntime, polars", SITE],
    "register": [PROGRAMS["register"], "champion", "--live", "/tmp/live", "--registry", "sqlite:////tmp/registry"],
}  # fmt: skip


def main() -> None:
    """Measure what stands, then builds under other names, which are removed again."""
    chosen = options(__doc__).parse_args()
    client, named = _there()
    rounds = 2 if chosen.quick else ROUNDS
    layers = {name: _layers(client, reference) for name, reference in named.items()}
    whole = sum({layer: size for of_image in layers.values() for layer, size in of_image}.values())
    figures = [Figure("all images as stored, shared layers once", [whole / MB], "MB", "<= 900")]
    for name in named:
        size = sum(size for _, size in layers[name])
        figures.append(Figure(f"{name}: size", [size / MB], "MB", "<= 230" if name == "serving" else None))
        own = sum(size for layer, size in layers[name] if not _below(name, layers, layer))
        if name in locked.STEPS:
            figures.append(Figure(f"{name}: its own code's layers", [own / MB], "MB", "<= 1"))
    for name, reference in named.items():
        starts = [_timed(lambda: _run(reference, PROGRAMS[name], "--help")) for _ in range(rounds)]  # noqa: B023
        figures.append(Figure(f"{name}: --help in a container", starts, "s", "<= 1"))
    for name, words in FIRST.items():
        starts = [_timed(lambda: _run(named[name], *words)) for _ in range(rounds)]  # noqa: B023
        figures.append(Figure(f"{name}: first work in a container", starts, "s"))
    figures.append(Figure("build, nothing changed", [_timed(_no_op) for _ in range(rounds)], "s", "<= 1"))
    figures.append(Figure("build and start after a change in train", [_changed() for _ in range(rounds)], "s", "<= 3"))
    if not chosen.quick:
        figures += _beside_the_peer(client, named["train"], sum(size for _, size in layers["train"]))
        figures.append(Figure("cold build of all images, packages in the cache", [_cold(client)], "s", None))
    report("images", figures, chosen=chosen)


def _there() -> tuple[Any, dict[str, str]]:
    """The engine's client and the images by name, all of which it has."""
    try:
        client, named = place.engine(), locked.for_containers()
    except place.NoEngine as error:
        skip(f"{error}: install one (Debian: docker.io), start dockerd, and run `python build.py images`")
    except locked.NotBuilt as error:
        skip(str(error))
    have = place.tags(client)
    if lacking := [reference for reference in named.values() if reference not in have]:
        skip(f"{', '.join(lacking)} not in the engine: run `python build.py images`")
    return client, named


def _layers(client: Any, reference: str) -> list[tuple[str, int]]:
    """An image's layers as the engine stores them [byte]: each diff id with its size, base first."""
    ids = client.images.get(reference).attrs["RootFS"]["Layers"]
    sizes = [step["Size"] for step in reversed(client.api.history(reference)) if step["Size"]]
    if len(sizes) > len(ids):
        raise SystemExit(f"{reference}: {len(sizes)} steps with a size and {len(ids)} layers")
    # Steps that wrote nothing may have an empty layer: it weighs nothing, wherever it is.
    return list(zip(ids, sizes + [0] * (len(ids) - len(sizes)), strict=True))


def _below(name: str, layers: dict[str, list[tuple[str, int]]], layer: str) -> bool:
    """Whether a layer is one that the image stands on: all but its last two, COPY and RUN."""
    return layer not in [known for known, _ in layers[name] if _][-2:]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _run(reference: str, *words: str) -> None:
    command = ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", reference, *words]
    subprocess.run(command, check=True, capture_output=True)


def _no_op() -> None:
    done = subprocess.run([BIN / "brakeline-images", "--json"], check=True, capture_output=True, text=True)
    if json.loads(done.stdout)["built"]:
        raise SystemExit("the images were not current: run `python build.py images` first")


def _changed() -> float:
    """Train's image as after a change in its sources: built under another name, started, removed."""
    other, real = os.urandom(8).hex(), locked.source_hash

    def pretend(name: str) -> str:
        return other if name == "train" else real(name)

    with patch.object(plan, "source_hash", pretend), patch.object(builder, "source_hash", pretend):
        start = time.perf_counter()
        wanted = plan.make(locked.base()["reference"], ("train",))
        builder.Builder(Engine(), wanted, lambda _: None).build()
        _run(wanted.references["train"], PROGRAMS["train"], "--version")
        took = time.perf_counter() - start
    place.engine().images.remove(wanted.references["train"])
    return took


def _cold(client: Any) -> float:
    """All rungs and images under names of their own; the base stays, and so does the cache of packages."""
    with patch.object(plan, "_hash_of", lambda _: os.urandom(8).hex()):
        wanted = plan.make(locked.base()["reference"])
    took = _timed(builder.Builder(_Forgetful(), wanted, lambda _: None).build)
    for reference in reversed(wanted.references.values()):
        client.images.remove(reference)
    return took


class _Forgetful(Engine):
    """An engine without its cache of layers."""

    def __init__(self) -> None:
        super().__init__()
        plain = self._api.build
        self._api.build = lambda **settings: plain(nocache=True, **settings)


def _beside_the_peer(client: Any, ours: str, our_size: int) -> list[Figure]:
    tag = f"brakeline-bench/plain:{os.getpid()}"
    lock = locked.HOUSE / "steps" / "train" / "requirements.lock"
    dockerfile = f"FROM {locked.base()['reference']}\nCOPY opt/ /opt/\n".encode()
    with tempfile.TemporaryDirectory() as folder:
        with patch.object(wheels, "prune", lambda _: None):
            wheels.fetch("peer", locks.read(lock), Path(folder), None)
        with context.pack(dockerfile, context.tree(Path(folder), f"opt/brakeline/{wheels.SITE}")) as packed:
            Engine().build(packed, tag, {})
    try:
        size, times = client.images.get(tag).attrs["Size"], []
        for _ in range(ROUNDS):
            mine = _timed(lambda: _run(ours, PYTHON, "-c", FIRST_WORK, SITE))
            plain = _timed(lambda: _run(tag, "python3", "-c", FIRST_WORK, SITE))
            times.append(mine / plain)
        return [
            Figure("train: size / plain image of the same lock", [our_size / size], "ratio", None),
            Figure("train: start to all imports / plain image's", times, "ratio of wall time", None),
        ]
    finally:
        client.images.remove(tag, force=True)


main()

"""Every call that the pipeline makes of a step, and all that such a call leaves behind, in a form to be compared."""

import hashlib
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from stepkit import lineage

from tests.steps.verbs import VERBS, Verb

# What a clock measured, and what names it by its hash.
CLOCKED = {"measurements", "lineage"}
IMAGE = {"BRAKELINE_IMAGE": f"brakeline/any:{'0' * 20}"}
_REGISTRY = ("--registry", "sqlite:///{out}/registry.sqlite")
RELEASE = (
    Verb("register", "add", {"model": "model", "passed_verdict": "passed_verdict"}, ("registered",), _REGISTRY),
    Verb(
        "register",
        "fetch",
        {},
        ("model", "passed_verdict", "registered"),
        ("--version", "1", "--registry", "sqlite:///{chain}/released/registry.sqlite"),
    ),
    Verb("register", "promote", {"registered": "registered"}, ("promoted",), (*_REGISTRY, "--by", "ann")),
    Verb(
        "deploy",
        "apply",
        {"model": "model", "passed_verdict": "passed_verdict", "registered": "registered"},
        ("endpoint",),
        ("--model-store", "{out}/store", "--timeout-seconds", "30"),
    ),
)
CALLS = {verb.name: verb for verb in (*VERBS, *RELEASE)}
_WITHOUT_TIMES = {
    "versions": "model, version, sha256, uri, state, contract_version, facts, folder_sha256, format, source, papers",
    "changes": "model, version, state, by, why",
    "attempts": "model, dataset_sha256, holdout_sha256, model_sha256, gate_version, passed, failed",
}
_HIDDEN = (".made.json", ".lock", ".deploy.lock")


def begin(verb: Verb, chain: Path, out: Path) -> None:
    """Make the folder of a call, with what has to be there before it."""
    (out / "store").mkdir(parents=True, exist_ok=True)
    if verb.verb == "promote":
        shutil.copy(chain / "released" / "registry.sqlite", out)


def left_by(out: Path, registry: Path | None = None) -> dict[str, Any]:
    """All that a call left, by name: sha256 of files, rows of a registry, without times and what a clock measured.

    Paths are compared as if they were the same; `registry` is the folder where it is, where that is another one.
    """
    found: dict[str, Any] = {}
    named = str(registry or out)
    for file in sorted(file for file in out.rglob("*") if file.is_file()):
        name = file.relative_to(out).as_posix()
        if name in CLOCKED or file.name.endswith(_HIDDEN):
            continue
        if file.suffix == ".sqlite":
            found[name] = _rows(file, named)
        elif file.name == "history.jsonl":
            entries = [json.loads(line) for line in file.read_text().splitlines()]
            found[name] = [{key: value for key, value in entry.items() if key != "at"} for entry in entries]
        elif name == "endpoint":
            # What served before a call that is made again is what the first one put there.
            found[name] = {key: value for key, value in json.loads(file.read_text()).items() if key != "before"}
        elif file.name == lineage.FILE:
            # Its own seal covers where the registry is.
            found[name] = json.dumps(json.loads(file.read_text())["calls"]).replace(named, "OUT")
        else:
            content = file.read_bytes().replace(named.encode(), b"OUT")
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def half_written(out: Path) -> list[str]:
    """What nobody will ever read: staged files of a call that ended."""
    return [file.relative_to(out).as_posix() for file in out.rglob("*") if ".partial-" in file.name]


def _rows(registry: Path, named: str) -> dict[str, list[str]]:
    with sqlite3.connect(f"file:{registry}?mode=ro", uri=True) as db:
        told = {
            table: sorted(str(row).replace(named, "OUT") for row in db.execute(f"SELECT {columns} FROM {table}"))
            for table, columns in _WITHOUT_TIMES.items()
        }
    db.close()
    return told

"""A passed model becomes a version: kept by content with its papers, and entered once."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from stepkit import artifacts, ending, verdict
from stepkit import lineage as told_by_kit
from stepkit.errors import Refused

from brakeline_register import attempts, card, keeping, lineage, signing
from brakeline_register.registry import Entry, Registry, Source, State, Version

# What KServe's runtimes call the present ONNX format.
_FORMAT_VERSION = "1"


def add(
    registry: Registry,
    kept_at: str,
    name: str,
    model: Path,
    passed_verdict: Path,
    source: Source,
    given: Mapping[str, Path | None],
    signing_key: Path | None = None,
    by: str = "",
) -> Version:
    """Register a model that passed its gates, with the papers that were given by name; refuse any other (65).

    The same content again is the version that there is, registered and kept again if it was pruned; one that somebody
    archived stays so, and is refused. Killed at any instant and called again, it ends there too. With a key it is
    signed; `by` is on record where that is later.
    """
    judged = verdict.require_passed(passed_verdict, model)
    attempt = attempts.of(judged, passed_verdict)
    # Also where nobody called `record`: a version that is no attempt would make the count of its dataset too small.
    registry.record(name, attempt)
    if known := registry.by_content(name, attempt.model_sha256):
        if keeping.may_be_put_back(kept_at, known, model):
            if known.state is State.ARCHIVED:
                known = registry.set_state(name, known.version, State.REGISTERED, by, "pruned, and made again")
            _put_back(kept_at, known, model)
        elif known.state is State.ARCHIVED:
            raise withdrawn(registry, known)
        return signing.sign_kept(registry, known, signing_key, by) if signing_key else known
    _require_compared(registry.live(name), judged)
    counted = attempts.count(registry.attempts(name), attempt.dataset_sha256, attempt.model_sha256)
    entry = Entry(
        sha256=attempt.model_sha256,
        uri="",
        contract_version=judged["contract_version"],
        facts=_facts(judged) | {"attempts": counted.describe() if counted else None},
        folder_sha256=artifacts.sha256_of(model),
        format_version=_FORMAT_VERSION,
        source=source,
    )
    calls = lineage.gather(given.get(keeping.LINEAGE), model, passed_verdict)
    statement = lineage.close(calls, model, judged, name, source)
    papers = {paper: file.read_bytes() for paper, file in given.items() if file is not None}
    papers |= {keeping.LINEAGE: (json.dumps(statement, indent=1, sort_keys=True) + "\n").encode()}
    papers |= {keeping.VERDICT: passed_verdict.read_bytes(), keeping.CARD: card.write(name, entry, judged).encode()}
    if signing_key:
        papers[keeping.SIGNATURE] = signing.sign(model, signing_key)
    kept = keeping.put(kept_at, entry.sha256, model, papers)
    added = registry.add(name, replace(entry, uri=kept.uri, papers=kept.papers))
    if not signing_key or keeping.find_signature(added) == papers[keeping.SIGNATURE]:
        return added
    # Kept for another name's version before, it has the papers of that one.
    return signing.sign_kept(registry, added, signing_key, by)


def _require_compared(live: Version | None, judged: Mapping[str, Any]) -> None:
    """Hold a verdict to the version that is live now: it was compared with that one. Raises Refused.

    Another may have gone live since the verdict was given, and a verdict beside none tells nothing of the live one.
    """
    beside = judged.get("champion_sha256")
    if live is None or live.sha256 == beside:
        return
    raise Refused(
        f"the verdict compares with {beside or 'no live version'}, and version {live.version} of {live.model},"
        f" {live.sha256}, is live now: validate again, with the `champion` that `brakeline-register champion` fetches",
        found=beside,
        allowed=live.sha256,
    )


def withdrawn(registry: Registry, known: Version) -> Refused:
    """Who took an archived version out of use, when and why; it comes back by a person, and by no run."""
    last = [change for change in registry.changes(known.model) if change.version == known.version][-1:]
    # Whoever archived it on a dashboard is on no record of ours.
    told = [f" by {one.by} at {one.at}: {one.why or 'no reason given'}" for one in last if one.state is State.ARCHIVED]
    return Refused(
        f"version {known.version} of {known.model} is this model, and archived{''.join(told)}; no run brings it back,"
        " and a person does who promotes it by its number",
        version=known.version,
        found=State.ARCHIVED.value,
    )


def _put_back(kept_at: str, version: Version, model: Path) -> None:
    """Keep a pruned model again, with the past that it was registered with: other code may have made it this time."""
    statement = keeping.find_text(version, keeping.LINEAGE) or ""
    with ending.scratch() as scratch:
        again = scratch / "model"
        shutil.copytree(model, again)
        if calls := lineage.of_statement(statement.encode(), version.folder_sha256):
            told_by_kit.write(again / told_by_kit.FILE, calls)
        keeping.put_back(kept_at, version, again)


def _facts(judged: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict in short."""
    gates = [{key: gate.get(key) for key in ("name", "value", "limit", "unit", "passed")} for gate in judged["gates"]]
    return {
        "overall": judged["overall"],
        "training": judged["training"],
        "holdout": judged["holdout_sha256"],
        "gate": judged["gate_version"],
        "passed": judged["passed"],
        "gates": gates,
    }

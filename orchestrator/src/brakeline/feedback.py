"""Measured stops joined to what the server predicted: is the bound kept, and what is there to learn."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brakeline import coverage, recorded_form
from brakeline.coverage import GROUP
from brakeline.feedback_join import AT, FITS, FLAGGED, SHA256, UPPER_M, USABLE, VERSION, Joined, join
from brakeline.refusals import bad
from brakeline.whole import replace_text

if TYPE_CHECKING:
    import polars as pl

STATE_FILE, SCHEMA_VERSION = "feedback.json", 1
_SOURCE = "source"


@dataclass(frozen=True)
class Ask:
    """Measured stops, the server's log, of which model, where to; `promised` is the share that the bound is to hold."""

    file: Path
    predictions: Path
    state: Path
    name: str
    output: Path | None
    promised: float
    strict: bool


def run(ask: Ask) -> dict[str, Any]:
    """Join, judge, write the recorded data and what `brakeline watch` reads; returns all of it as one JSON object.

    The files are written at the end, each whole; the same stops and log give the same data again. Raises Refused.
    """
    joined = join(ask.file, ask.predictions, ask.name)
    if ask.strict:
        _require_whole(joined)
    told = {
        "status": "done",
        "schema_version": SCHEMA_VERSION,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "file": str(ask.file),
        "predictions": str(ask.predictions),
        "model": ask.name,
        "promised": ask.promised,
        "counts": joined.counts(),
        "named": joined.named(),
        **_judged(joined),
        "output": None if ask.output is None else str(ask.output),
    }
    if ask.output is not None:
        recorded_form.write(_learnable(joined, ask.name), joined.newest, ask.output)
    _write(ask.state, told)
    return told


def _require_whole(joined: Joined) -> None:
    counts, named = joined.counts(), joined.named()
    for what, allowed in (
        ("unmatched", "stops whose request and row are in the log"),
        ("ambiguous", "ids of one request each"),
        ("broken_lines", "a log of whole lines"),
    ):
        if counts[what]:
            found = f"{counts[what]}: {'; '.join(named[what])}"
            raise bad(joined.stops.path, f"--strict, {what.replace('_', ' ')}", found, allowed)


def _judged(joined: Joined) -> dict[str, Any]:
    """Figures over the rows that the model answered; those of its fail-safe, which answers the worst case, apart."""
    import polars as pl  # noqa: PLC0415  native code that only this needs

    usable = joined.frame.filter(pl.col(USABLE))
    flagged = coverage.figures(joined.frame.filter(pl.col(FLAGGED) & pl.col(UPPER_M).is_not_null()))
    overall = coverage.figures(usable)
    roles = {feature.role: feature.name for feature in joined.newest.features}
    versions = usable.partition_by(VERSION, SHA256, maintain_order=True)
    return {
        "overall": overall and overall.facts(),
        "out_of_range": flagged and flagged.facts(),
        "by_version": [
            {"version": rows[VERSION][0], "sha256": rows[SHA256][0], **found.facts()}
            for rows in versions
            if (found := coverage.figures(rows))
        ],
        "by_slice": [{"slice": name, **found.facts()} for name, found in coverage.by_slice(usable, roles)],
    }


def _learnable(joined: Joined, name: str) -> "pl.DataFrame":
    """The rows that may be learned from: answered by the model itself and right by the contract."""
    import polars as pl  # noqa: PLC0415

    stops, newest = joined.stops, joined.newest
    chosen = joined.frame.filter(pl.col(USABLE) & pl.col(FITS))
    at = chosen[AT].to_list()
    more = {truth: [stops.more[truth][place] for place in at] for truth in newest.truths if truth in stops.more}
    if _SOURCE in newest.truths and _SOURCE not in more:
        more[_SOURCE] = [f"feedback {name} {version}" for version in chosen[VERSION]]
    return chosen.select(newest.names).with_columns(
        pl.Series(newest.target, [stops.measured_m[place] for place in at], dtype=pl.Float64),
        chosen[GROUP].alias(newest.group),
        *(pl.Series(truth, values, dtype=pl.String) for truth, values in more.items()),
    )


def _write(state: Path, told: dict[str, Any]) -> None:
    state.mkdir(parents=True, exist_ok=True)
    replace_text(state / STATE_FILE, json.dumps(told, indent=2) + "\n")

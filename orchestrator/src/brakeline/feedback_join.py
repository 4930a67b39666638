"""Measured stops joined to the answers that a server gave, by request id and row."""

from __future__ import annotations

import hashlib
import json
import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from brakeline import feedback_file, prediction_log
from brakeline.coverage import GROUP, MARGIN_M
from brakeline.feedback_file import Stops
from brakeline.prediction_log import Answer, Meaning, Reading
from brakeline.refusals import bad

if TYPE_CHECKING:
    import polars as pl

# No feature has such a name.
AT, UPPER_M, FLAGGED, VERSION, SHA256, USABLE, FITS = (
    "#at",
    "#upper_m",
    "#flagged",
    "#version",
    "#sha256",
    "#ok",
    "#fits",
)
_NAMED = 5  # stops, ids and lines that a person will look up
_RAISED = 0.5  # a flag above it is raised


@dataclass
class _Rows:
    """Answers to measured rows of one model, as columns of one length; `at` is the place among the stops."""

    meaning: Meaning
    at: array[int] = field(default_factory=lambda: array("q"))
    version: list[str] = field(default_factory=list)
    upper_m: array[float] = field(default_factory=lambda: array("d"))
    flagged: list[bool] = field(default_factory=list)
    inputs: list[array[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inputs = [array("f") for _ in self.meaning.features]


@dataclass
class Joined:
    """The stops whose answer is known, in the file's order.

    `frame` has the newest contract's features (null where missing), the place among the stops, the bound [m], its
    margin [m], the drive, the version that answered, whether its fail-safe did, whether the answer is the model's own,
    and whether the row is right by its contract. `ambiguous` has the places of the answers to one id that differ.
    """

    stops: Stops
    newest: Meaning
    frame: pl.DataFrame
    reading: Reading
    ambiguous: dict[str, list[str]]
    repeated: int

    def counts(self) -> dict[str, int]:
        """How many stops came to what, and what of the log was read."""
        ambiguous = sum(id_ in self.ambiguous for id_ in self.stops.ids)
        usable, flagged, fits = self.frame[USABLE], self.frame[FLAGGED], self.frame[FITS]
        return {
            "stops": len(self.stops.ids),
            "duplicates": self.stops.duplicates,
            "joined": self.frame.height,
            "unmatched": len(self.stops.ids) - self.frame.height - ambiguous,
            "ambiguous": ambiguous,
            "repeated_requests": self.repeated,
            "out_of_range": int(flagged.sum()),
            "without_bound": int((~usable & ~flagged).sum()),
            "broken_contract": int((usable & ~fits).sum()),
            "for_training": int((usable & fits).sum()),
            "log_files": self.reading.files,
            "log_lines": self.reading.lines,
            "broken_lines": self.reading.broken_lines,
        }

    def named(self) -> dict[str, list[str]]:
        """The first of each kind that a person will look up."""
        known = set(self.frame[AT])
        unmatched = (at for at, id_ in enumerate(self.stops.ids) if at not in known and id_ not in self.ambiguous)
        return {
            "unmatched": [self._named(at) for at in islice(unmatched, _NAMED)],
            "ambiguous": [f"{id_} ({', '.join(at[:3])})" for id_, at in islice(self.ambiguous.items(), _NAMED)],
            "broken_lines": self.reading.broken,
        }

    def _named(self, at: int) -> str:
        return f"{self.stops.ids[at]} row {self.stops.rows[at]} ({self.stops.numbered_by} {self.stops.places[at]})"


def join(file: Path, predictions: Path, name: str) -> Joined:
    """Join a file of measured stops to the predictions of the model by this name.

    Raises Refused for a file or a log that is none, for contracts that do not go together, and if nothing is joined.
    """
    meanings = prediction_log.meanings(predictions, name)
    newest = max(meanings.values(), key=lambda meaning: meaning.contract_version)
    stops = feedback_file.read(file, (newest.group, *newest.truths))
    reading, wanted, of_model = Reading(), stops.by_id(), dict[str, _Rows]()
    seen, ambiguous, repeated = dict[str, tuple[bytes, str]](), dict[str, list[str]](), 0
    for answer in prediction_log.answers(predictions, name, wanted, reading):
        digest = _digest(answer)
        before, place = seen.setdefault(answer.id, (digest, answer.place))
        if place == answer.place:
            if answer.sha256 not in of_model:
                of_model[answer.sha256] = _Rows(_meaning(answer, meanings, predictions, newest))
            _take(of_model[answer.sha256], answer, stops, wanted[answer.id])
        elif before == digest:
            repeated += 1  # asked again by its client, and answered alike
        else:
            ambiguous.setdefault(answer.id, [place]).append(answer.place)
    _require_any(stops, of_model.values(), ambiguous, reading, name)
    return Joined(stops, newest, _frame(stops, of_model, newest, ambiguous), reading, ambiguous, repeated)


def _digest(answer: Answer) -> bytes:
    told = json.dumps([answer.sha256, answer.inputs, answer.outputs], sort_keys=True)
    return hashlib.sha256(told.encode()).digest()


def _meaning(answer: Answer, meanings: Mapping[str, Meaning], folder: Path, newest: Meaning) -> Meaning:
    found = meanings.get(answer.sha256)
    if found is None:
        missing = folder / f"model-{answer.sha256}.json"
        raise bad(missing, "file", f"none, though {answer.place} is its answer", "the one that the server wrote there")
    known = {(feature.name, feature.role, feature.unit) for feature in newest.features}
    lost = [feature.name for feature in found.features if (feature.name, feature.role, feature.unit) not in known]
    if lost or (found.target, found.target_unit) != (newest.target, newest.target_unit):
        allowed = f"what {newest.file.name} has, the newest contract here; other logs belong in a folder of their own"
        raise bad(found.file, "contract", f"{', '.join(lost) or found.target} of another meaning", allowed)
    return found


def _take(rows: _Rows, answer: Answer, stops: Stops, wanted: Iterable[int]) -> None:
    meaning = rows.meaning
    for side, names in ((answer.inputs, meaning.names), (answer.outputs, [meaning.upper, *meaning.flags])):
        if missing := [name for name in names if name not in side]:
            raise bad(answer.place, "inputs and outputs", f"no {', '.join(missing)}", f"all of {meaning.file.name}")
    for at in wanted:
        row = stops.rows[at]
        if row >= answer.rows:  # the log keeps the first rows of a large request
            continue
        rows.at.append(at)
        rows.version.append(answer.version)
        rows.upper_m.append(_number(answer.outputs[meaning.upper][row]))
        flags = [answer.outputs[name][row] for name in meaning.flags]
        # A flag that is no number does not say that all is well.
        rows.flagged.append(any(flag is None or flag > _RAISED for flag in flags))
        for column, name in zip(rows.inputs, meaning.names, strict=True):
            column.append(_number(answer.inputs[name][row]))


def _require_any(
    stops: Stops, parts: Iterable[_Rows], ambiguous: Mapping[str, list[str]], reading: Reading, name: str
) -> None:
    if reading.lines and reading.broken_lines == reading.lines:
        raise bad(reading.broken[0], "line", "no whole line in any file", "JSON lines of the server's prediction log")
    if all(stops.ids[at] in ambiguous for rows in parts for at in rows.at):
        several = f", and {len(ambiguous)} ids of several requests" if ambiguous else ""
        found = f"none of {len(stops.ids)} stops in {reading.lines} lines of {reading.files} files{several}"
        allowed = f"ids of logged requests for the model {name}; the log has a share of them (--prediction-share)"
        raise bad(stops.path, feedback_file.ID, found, allowed)


def _frame(
    stops: Stops, of_model: Mapping[str, _Rows], newest: Meaning, ambiguous: Mapping[str, list[str]]
) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415  native code that only this needs

    parts = [_part(rows).with_columns(pl.lit(sha256).alias(SHA256)) for sha256, rows in of_model.items()]
    joined = pl.concat(parts, how="diagonal").sort(AT)
    added = [pl.lit(None, dtype=pl.Float32).alias(name) for name in newest.names if name not in joined.columns]
    at = joined[AT].to_list()
    drives, ids = stops.more.get(newest.group), [stops.ids[place] for place in at]
    # Rows of one request are of one car in one place, as those of a drive are.
    group = ids if drives is None else [drives[place] or id_ for place, id_ in zip(at, ids, strict=True)]
    measured_m = pl.Series([stops.measured_m[place] for place in at], dtype=pl.Float64)
    joined = joined.with_columns(
        *added,
        pl.Series(GROUP, group, dtype=pl.String),
        (pl.col(UPPER_M) - measured_m).alias(MARGIN_M),
        (~pl.col(FLAGGED) & pl.col(UPPER_M).is_not_null()).alias(USABLE),
    )
    return joined.filter(~pl.Series([id_ in ambiguous for id_ in ids], dtype=pl.Boolean))


def _part(rows: _Rows) -> pl.DataFrame:
    import polars as pl  # noqa: PLC0415

    readings = zip(rows.meaning.names, rows.inputs, strict=True)
    part = pl.DataFrame(
        [
            pl.Series(AT, rows.at, dtype=pl.Int64),
            pl.Series(VERSION, rows.version, dtype=pl.String),
            pl.Series(UPPER_M, rows.upper_m, dtype=pl.Float64).fill_nan(None),
            pl.Series(FLAGGED, rows.flagged, dtype=pl.Boolean),
            *(pl.Series(name, column, dtype=pl.Float32).fill_nan(None) for name, column in readings),
        ]
    )
    fits = pl.lit(value=True)
    for feature in rows.meaning.features:
        # Judged in single precision, as the steps do.
        low, high = (pl.lit(edge, dtype=pl.Float32) for edge in (feature.low, feature.high))
        fits &= pl.col(feature.name).is_between(low, high).fill_null(feature.missing_allowed)
    return part.with_columns(fits.alias(FITS))


def _number(value: float | None) -> float:
    return math.nan if value is None else value

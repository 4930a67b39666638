"""Recorded stops: measured distances from outside, in the contract's columns and units, as CSV or Parquet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from stepkit import artifacts, tables
from stepkit.errors import ContractViolation

from brakeline_synthesize import recorded_file
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.recorded_file import RecordedFile
from brakeline_synthesize.rejects import SCHEMA, Rejects, reasons

# Numbers of recorded drives lie below 0, so that they meet no synthetic drive.
_FIRST_DRIVE = -1
_UNIT_OF = {feature.name: feature.unit for feature in CONTRACT.features} | {CONTRACT.target.name: CONTRACT.target.unit}
# A plain keyboard's way to write a unit.
_ASCII_UNITS = {"m/s2": "m/s²", "degC": "°C"}
_NO_UNIT = "1"


@dataclass(frozen=True)
class Recorded:
    """The accepted stops in the dataset's columns and types, the rejected ones, and the file's sha256."""

    stops: pl.DataFrame
    rejects: Rejects
    sha256: str

    def facts(self) -> dict[str, Any]:
        """For the artifact's metadata and the line of result."""
        return {"recorded_rows": self.stops.height, **self.rejects.facts()}


def read(path: Path, max_rejected_share: float) -> Recorded:
    """Read recorded stops and judge each row by the contract; an empty file has no rows.

    A CSV has the contract's feature names and target as its header; a feature may be left out, and a cell may
    be empty, where the contract lets it be missing. A column `source` says where a row was published. Rows of
    one `drive` stay together in every split; without that column each row is a drive of its own.

    Raises UnreadableArtifact for a file that cannot be read, and ContractViolation for a column that is unknown or
    lacks its unit, or if more than the given share of the rows breaks the contract.
    """
    file = recorded_file.load(path)
    _require_columns(file)
    if file.rows:
        _require_units(file)
    judged = _judge(file)
    judged.tell(path, file.rows)
    judged.require_share(path, file.rows, max_rejected_share)
    accepted = file.columns.filter(~file.numbers.is_in(judged.reasons["number"].unique().implode()))
    stops = _typed(accepted)
    tables.check(path, stops, CONTRACT)
    return Recorded(stops, judged, artifacts.sha256_of(path))


def _require_columns(file: RecordedFile) -> None:
    present = file.columns.columns
    if not present and not file.rows:
        return
    known = {*_UNIT_OF, CONTRACT.group, *CONTRACT.truths}
    if unknown := [column for column in present if column not in known]:
        raise ContractViolation(file.path, "columns", f"unknown {', '.join(unknown)}", ", ".join(sorted(known)))
    optional = {feature.name for feature in CONTRACT.features if feature.missing_allowed}
    for name in _UNIT_OF:
        if name not in present and name not in optional:
            raise ContractViolation(file.path, f"column {name}", "missing", "present")
    for name, dtype in file.columns.schema.items():
        plain = dtype.is_numeric() or dtype in (pl.String, pl.Null)
        if not plain and (name in _UNIT_OF or dtype.is_nested() or dtype == pl.Binary):
            raise ContractViolation(file.path, f"column {name}", dtype, "numbers" if name in _UNIT_OF else "text")


def _require_units(file: RecordedFile) -> None:
    """Hold what is declared to the contract, and every column that has a unit to a declaration."""
    for column, unit in file.units:
        if column not in _UNIT_OF:
            raise ContractViolation(file.path, f"unit of {column}", unit, f"units of {', '.join(_UNIT_OF)}")
        if _ASCII_UNITS.get(unit, unit) != _UNIT_OF[column]:
            raise ContractViolation(file.path, f"unit of {column}", unit, _UNIT_OF[column])
    declared = {column for column, _ in file.units}
    needed = {name: unit for name, unit in _UNIT_OF.items() if name in file.columns.columns and unit != _NO_UNIT}
    if missing := {name: unit for name, unit in needed.items() if name not in declared}:
        raise ContractViolation(
            file.path, f"unit of {', '.join(missing)}", "none declared", file.how_to_declare(missing)
        )


def _judge(file: RecordedFile) -> Rejects:
    """Every reason of every row that breaks the contract, in the order of rows and the contract's columns."""
    found = [pl.DataFrame(schema=SCHEMA)]
    if file.misfits:
        numbers, cells = (pl.Series(values, dtype=pl.Int64) for values in zip(*file.misfits, strict=True))
        width = len(file.columns.columns)
        found.append(reasons(numbers, "row", cells.cast(pl.String) + " cells", f"{width} cells"))
    for feature in CONTRACT.features:
        if feature.name in file.columns.columns:
            values = _numbers(file.columns[feature.name])
            # NaN is above every number here.
            fits = (values >= feature.low) & (values <= feature.high)
            wrong = ~(fits | values.is_nan()) if feature.missing_allowed else ~fits
            unit = "" if feature.unit == _NO_UNIT else f" {feature.unit}"
            allowed = f"{feature.low:g} to {feature.high:g}{unit}" + (" or nothing" if feature.missing_allowed else "")
            found.append(_broken(file, feature.name, wrong, allowed))
    target = CONTRACT.target
    if target.name in file.columns.columns:
        values = _numbers(file.columns[target.name])
        allowed = f"a finite number above 0 {target.unit}"
        found.append(_broken(file, target.name, ~(values.is_finite() & (values > 0)), allowed))
    if CONTRACT.group in file.columns.columns:
        unnamed = _texts(file.columns[CONTRACT.group]).is_null()
        found.append(_broken(file, CONTRACT.group, unnamed, "a number or a name"))
    return Rejects(pl.concat(found).sort("number", maintain_order=True), file.numbered_by)


def _broken(file: RecordedFile, name: str, wrong: pl.Series, allowed: str) -> pl.DataFrame:
    """Reasons for the rows that are wrong, and for those whose cell is no number where one is asked for."""
    cells = file.columns[name]
    if name in _UNIT_OF:
        wrong = wrong | (_parsed(cells).is_null() & _texts(cells).is_not_null())
    found = _texts(cells).filter(wrong)
    return reasons(file.numbers.filter(wrong), name, found.replace("NaN", None), allowed)


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    empty = pl.Series([None], dtype=pl.Null).new_from_index(0, frame.height)
    columns = {name: frame[name] if name in frame.columns else empty for name in (*_UNIT_OF, *CONTRACT.truths)}
    numbers = [_numbers(columns[name]).alias(name) for name in _UNIT_OF]
    unnamed = {name: "recorded" if name == "source" and name not in frame.columns else "unknown" for name in columns}
    texts = [_texts(columns[name]).fill_null(unnamed[name]).alias(name) for name in CONTRACT.truths]
    return pl.DataFrame([*numbers, _drives(frame), *texts])


def _numbers(cells: pl.Series) -> pl.Series:
    """Cells as the dataset keeps them; NaN where there is no number."""
    return _parsed(cells).fill_null(np.nan).cast(pl.Float32)


def _parsed(cells: pl.Series) -> pl.Series:
    return (_texts(cells) if cells.dtype == pl.String else cells).cast(pl.Float64, strict=False)


def _texts(cells: pl.Series) -> pl.Series:
    """Cells as text; null where there is none."""
    text = cells.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _drives(frame: pl.DataFrame) -> pl.Series:
    """A number below 0 for each drive, in the order in which they first appear."""
    if CONTRACT.group in frame.columns:
        names = _texts(frame[CONTRACT.group])
        order = {name: index for index, name in enumerate(names.unique(maintain_order=True))}
        numbers = pl.Series([order[name] for name in names], dtype=pl.Int64)
    else:
        numbers = pl.Series(range(frame.height), dtype=pl.Int64)
    return (_FIRST_DRIVE - numbers).alias(CONTRACT.group)

"""Measured stops by request: a CSV (UTF-8, one header) or Parquet file of ids and distances."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brakeline.refusals import bad

ID, ROW, MEASURED = "id", "row", "measured_m"
_PARQUET_MAGIC = b"PAR1"
_NUMBERS = "a finite number above 0 [m]"
_MOST_ROWS = 1_000_000  # far more than a request may have
_ROWS = f"a whole number from 0 to {_MOST_ROWS:,}"


@dataclass
class Stops:
    """One entry for each row of a request that was measured, in the file's order; columns of one length.

    `places` are lines of a CSV from 1, or rows of Parquet from 0. `more` has the columns that travel on as they are.
    """

    path: Path
    numbered_by: str
    ids: list[str] = field(default_factory=list)
    rows: array[int] = field(default_factory=lambda: array("q"))
    measured_m: array[float] = field(default_factory=lambda: array("d"))
    places: array[int] = field(default_factory=lambda: array("q"))
    more: dict[str, list[str | None]] = field(default_factory=dict)
    duplicates: int = 0

    def place(self, index: int) -> str:
        """Where an entry stands."""
        return f"{self.path}: {self.numbered_by} {self.places[index]}"

    def by_id(self) -> dict[str, list[int]]:
        """Which entries are of a request."""
        found: dict[str, list[int]] = {}
        for index, id_ in enumerate(self.ids):
            found.setdefault(id_, []).append(index)
        return found


def read(path: Path, optional: Sequence[str]) -> Stops:
    """Read measured stops; `optional` names the columns that may be there beside id, row and measured_m.

    What stands there twice is taken once. Raises Refused for a file that cannot be read, an unknown or missing column,
    a cell that is none, and two different stops of the same row of a request.
    """
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    except OSError as error:
        raise bad(path, "file", error.strerror, "CSV or Parquet") from error
    cells = _parquet(path) if is_parquet else _csv(path)
    stops = Stops(path, "row" if is_parquet else "line")
    known: dict[tuple[str, int], int] = {}
    _, header = next(cells)
    _check(path, header, optional)
    stops.more = {name: [] for name in header if name in optional}
    for place, values in cells:
        _take(stops, known, place, dict(zip(header, values, strict=True)))
    return stops


def _take(stops: Stops, known: dict[tuple[str, int], int], place: int, cells: dict[str, Any]) -> None:
    where = f"{stops.path}: {stops.numbered_by} {place}"
    id_ = cells[ID] if isinstance(cells[ID], str) else "" if cells[ID] is None else str(cells[ID])
    if not id_:
        raise bad(where, ID, "nothing", "the id of a request")
    row = _whole(where, cells.get(ROW))
    measured_m = _distance(where, cells[MEASURED])
    before = known.setdefault((id_, row), len(stops.ids))
    if before < len(stops.ids):
        if stops.measured_m[before] != measured_m:
            one, other = f"{stops.measured_m[before]:g} m at {stops.place(before)}", f"{measured_m:g} m at {where}"
            raise bad(stops.path, f"{ID} {id_}, {ROW} {row}", f"{one} and {other}", "one measured stop")
        stops.duplicates += 1
        return
    stops.ids.append(id_)
    stops.rows.append(row)
    stops.measured_m.append(measured_m)
    stops.places.append(place)
    for name, values in stops.more.items():
        text = "" if cells[name] is None else str(cells[name]).strip()
        values.append(text or None)


def _whole(where: str, cell: Any) -> int:
    if cell is None or cell == "":
        return 0
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if not number.is_integer() or not 0 <= number <= _MOST_ROWS:
        raise bad(where, ROW, repr(cell)[:50], _ROWS)
    return int(number)


def _distance(where: str, cell: Any) -> float:
    try:
        measured_m = float(cell)
    except (TypeError, ValueError):
        measured_m = math.nan
    if not (math.isfinite(measured_m) and measured_m > 0):
        raise bad(where, MEASURED, "nothing" if cell in (None, "") else repr(cell)[:50], _NUMBERS)
    return measured_m


def _check(path: Path, header: Sequence[str], optional: Sequence[str]) -> None:
    allowed = (ID, ROW, MEASURED, *optional)
    if missing := [name for name in (ID, MEASURED) if name not in header]:
        found = ", ".join(header)[:200] or "none"
        raise bad(path, "columns", found, f"{', '.join(missing)} among {', '.join(allowed)}")
    if unknown := [name for name in header if name not in allowed]:
        raise bad(path, "columns", f"unknown {', '.join(unknown)[:200]}", ", ".join(allowed))
    if len(set(header)) != len(header):
        raise bad(path, "columns", "a name twice", "each once")


def _csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The header and each row of cells, with the line where it begins."""
    width, begins = 0, 1
    try:
        # A spreadsheet's byte order mark is no part of the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            for cells in lines:
                place, begins = begins, lines.line_num + 1
                if not cells:
                    continue
                stripped = [cell.strip() for cell in cells]
                width = width or len(stripped)
                if len(stripped) != width:
                    raise bad(f"{path}: line {place}", "row", f"{len(stripped)} cells", f"{width} as in the header")
                yield place, stripped
    except (csv.Error, UnicodeDecodeError) as error:
        raise bad(f"{path}: line {begins}", "row", error, "CSV in UTF-8") from error
    if not width:
        yield 1, []


def _parquet(path: Path) -> Iterator[tuple[int, list[Any]]]:
    import polars as pl  # noqa: PLC0415  native code that only this needs

    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise bad(path, "file", str(error).splitlines()[0], "a Parquet file that can be read") from error
    yield -1, frame.columns
    for row, cells in enumerate(frame.iter_rows()):
        yield row, list(cells)

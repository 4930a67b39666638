"""The file of recorded stops as it is: its columns, what number each row has in it, and what units it declares."""

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import polars as pl
from stepkit import contract as data_contract
from stepkit import tables
from stepkit.errors import ContractViolation, UnreadableArtifact

UNITS_KEY = "brakeline.units"
_DECLARATION = re.compile(r"#\s*(unit|contract)\s*:(.*)")
_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class RecordedFile:
    """A recording before it is judged.

    `numbers` has each row's number: in a CSV the 1-based line of the file, in Parquet the 0-based row. `misfits` are
    rows that have more or fewer cells than the header, with their number and count of cells.
    """

    path: Path
    columns: pl.DataFrame
    numbers: pl.Series
    numbered_by: str
    units: list[tuple[str, str]] = field(default_factory=list)
    misfits: list[tuple[int, int]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All rows, whatever they hold."""
        return self.columns.height + len(self.misfits)

    def how_to_declare(self, units: dict[str, str]) -> str:
        """What to add to the file to declare these units."""
        if self.numbered_by == "row":
            return f"{UNITS_KEY} = {json.dumps(units, ensure_ascii=False)} in the schema metadata"
        listed = ", ".join(f"{column} = {unit}" for column, unit in units.items())
        return f"the line `# unit: {listed}` above the header"


def load(path: Path) -> RecordedFile:
    """Read a recording, CSV (UTF-8) or Parquet. Raises UnreadableArtifact, ContractViolation."""
    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
        return _parquet(path) if is_parquet else _csv(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UnreadableArtifact(path, "CSV or Parquet file", str(error).splitlines()[0]) from error


def _parquet(path: Path) -> RecordedFile:
    metadata, columns, units = tables.read_metadata(path), pl.read_parquet(path), list[tuple[str, str]]()
    if text := metadata.get(data_contract.METADATA_KEY):
        try:
            known = data_contract.parse(text)
        except ValueError as error:
            raise ContractViolation(path, data_contract.METADATA_KEY, error, _versions()) from error
        units += [(feature.name, feature.unit) for feature in known.features]
        units.append((known.target.name, known.target.unit))
    if text := metadata.get(UNITS_KEY):
        try:
            units += [(str(column), str(unit)) for column, unit in json.loads(text).items()]
        except (ValueError, AttributeError) as error:
            raise ContractViolation(path, UNITS_KEY, text[:80], "a JSON object of units by column") from error
    return RecordedFile(path, columns, pl.Series(range(columns.height), dtype=pl.Int64), "row", units)


def _csv(path: Path) -> RecordedFile:
    header, units = list[str](), list[tuple[str, str]]()
    rows, numbers, misfits = list[list[str]](), list[int](), list[tuple[int, int]]()
    number = 0
    try:
        # A spreadsheet's byte order mark is no part of the first column's name.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = enumerate(stream, 1)
            for number, line in lines:
                if line.startswith("#"):
                    units += [] if header else _declared(path, number, line)
                elif not line.strip():
                    continue
                elif not header:
                    header = [name.strip() for name in _cells(line, lines)]
                elif len(cells := _cells(line, lines)) == len(header):
                    rows.append(cells)
                    numbers.append(number)
                else:
                    misfits.append((number, len(cells)))
    except (csv.Error, UnicodeDecodeError) as error:
        raise UnreadableArtifact(path, "CSV file", f"at line {number} or the next: {error}") from error
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ContractViolation(path, "header", f"{', '.join(twice)} twice", "each column once")
    values = zip(*rows, strict=True) if rows else ([] for _ in header)
    columns = pl.DataFrame(
        [pl.Series(name, cells, dtype=pl.String) for name, cells in zip(header, values, strict=True)]
    )
    return RecordedFile(path, columns, pl.Series(numbers, dtype=pl.Int64), "line", units, misfits)


def _cells(line: str, following: Iterator[tuple[int, str]]) -> list[str]:
    """The cells of a row that begins with this line; a quoted cell may go on in the lines that follow."""
    if '"' not in line:
        return line.rstrip("\r\n").split(",")
    return next(csv.reader(chain([line], (text for _, text in following)), strict=True))


def _declared(path: Path, number: int, line: str) -> list[tuple[str, str]]:
    """The units that a comment declares, if it does: `# unit: COLUMN = UNIT, COLUMN = UNIT`."""
    found = _DECLARATION.fullmatch(line.strip())
    if not found:
        return []
    subject, text = found.groups()
    if subject == "contract":
        if text.strip() not in map(str, data_contract.SUPPORTED_VERSIONS):
            raise ContractViolation(path, f"contract, line {number}", f"version {text.strip()}", _versions())
        return []
    pairs = [tuple(part.strip() for part in entry.split("=")) for entry in text.split(",")]
    units = [(pair[0], pair[1]) for pair in pairs if len(pair) == 2 and all(pair)]
    if len(units) < len(pairs):
        raise ContractViolation(path, f"units, line {number}", text.strip(), "COLUMN = UNIT, several by commas")
    return units


def _versions() -> str:
    return f"versions {', '.join(map(str, data_contract.SUPPORTED_VERSIONS))}"

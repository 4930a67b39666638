"""Rows of a recording that break the contract: every reason of every row, and when there are too many of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from stepkit import artifacts, diary
from stepkit.errors import ContractViolation

SHARE_OPTION = "--max-rejected-share"
# What one message can hold and a person will read.
_NAMED_ROWS, _SHOWN_CHARACTERS = 3, 80
SCHEMA = {"number": pl.Int64, "column": pl.String, "found": pl.String, "allowed": pl.String}


@dataclass(frozen=True)
class Rejects:
    """Reasons why rows were rejected, ordered by row: a frame of SCHEMA, and whether numbers are lines or rows."""

    reasons: pl.DataFrame
    numbered_by: str

    @property
    def rows(self) -> int:
        """How many rows were rejected."""
        return self.reasons["number"].n_unique()

    def by_column(self) -> dict[str, int]:
        """How many rows each column is a reason for, the most frequent first."""
        counted = self.reasons.group_by("column").len().sort(["len", "column"], descending=[True, False])
        return dict(counted.iter_rows())

    def facts(self) -> dict[str, Any]:
        """For the artifact's metadata and the line of result."""
        return {"recorded_rejected_rows": self.rows, "recorded_rejected_by_column": self.by_column()}

    def write(self, file: Path) -> None:
        """Write the reasons as CSV, one a line; the number stands under `line` (1-based) or `row` (0-based)."""
        numbers = [
            (pl.col("number") if name == self.numbered_by else pl.lit(None, pl.Int64)).alias(name)
            for name in ("line", "row")
        ]
        rows = self.reasons.select(*numbers, "column", "found", "allowed").write_csv()
        with artifacts.writing(file):
            file.write_text(rows, encoding="utf-8", newline="")

    def tell(self, path: Path, total: int) -> None:
        """Warn in the diary if there are any."""
        if self.rows:
            diary.warn("recorded rows rejected", file=str(path), rows=total, **self.facts(), first=self._first())

    def require_share(self, path: Path, total: int, most: float) -> None:
        """Raises ContractViolation that names the first rows if more than this share of all rows was rejected."""
        if self.rows > most * total:
            counts = ", ".join(f"{column} {count}" for column, count in self.by_column().items())
            found = f"{self.rows} of {total} rejected ({counts}): {self._first()}"
            raise ContractViolation(path, "rows", found, f"at most a share of {most:g} ({SHARE_OPTION})")

    def _first(self) -> str:
        numbers = self.reasons["number"].unique(maintain_order=True).head(_NAMED_ROWS)
        named = [
            f"{self.numbered_by} {number}: {column} found {found}, allowed {allowed}"
            for number, column, found, allowed in self.reasons.filter(
                pl.col("number").is_in(numbers.implode())
            ).iter_rows()
        ]
        more = ["…"] if self.rows > _NAMED_ROWS else []
        return "; ".join([*named[: 2 * _NAMED_ROWS], *more])


def reasons(numbers: pl.Series, column: str, found: pl.Series, allowed: str) -> pl.DataFrame:
    """A frame of SCHEMA for rows that one column rejects; `found` as text, null where nothing was found."""
    shown = found.cast(pl.String).str.slice(0, _SHOWN_CHARACTERS).fill_null("missing")
    constant = [pl.lit(column).alias("column"), shown.alias("found"), pl.lit(allowed).alias("allowed")]
    return pl.DataFrame({"number": numbers}).with_columns(constant).cast(SCHEMA)  # type: ignore[arg-type]

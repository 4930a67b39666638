"""Recorded stops: measured distances from outside, in the contract's columns, as CSV or Parquet."""

from pathlib import Path

import numpy as np
import polars as pl
from stepkit import tables
from stepkit.errors import ContractViolation, UnreadableArtifact

from brakeline_synthesize.contract import CONTRACT

# Numbers of recorded drives lie below 0, so that they meet no synthetic drive.
_FIRST_DRIVE = -1


def read(path: Path) -> pl.DataFrame:
    """Read recorded stops and return them in the dataset's columns and types; an empty file has no rows.

    A CSV has the contract's feature names and target as its header; a feature may be left out, and a cell may
    be empty, where the contract lets it be missing. A column `source` says where a row was published. Rows of
    one `drive` number stay together in every split; without one each row is a drive of its own.

    Raises UnreadableArtifact, and ContractViolation with the row's number.
    """
    frame = _load(path)
    for feature in CONTRACT.features:
        if feature.name not in frame.columns:
            if not feature.missing_allowed:
                raise ContractViolation(path, f"column {feature.name}", "missing", "present")
            frame = frame.with_columns(pl.lit(None, pl.Float32).alias(feature.name))
    known = {*CONTRACT.names, CONTRACT.target.name, CONTRACT.group, *CONTRACT.truths}
    unknown = [column for column in frame.columns if column not in known]
    if unknown:
        raise ContractViolation(path, "columns", f"unknown {', '.join(unknown)}", ", ".join(sorted(known)))
    numbers = [_numbers(path, frame, name) for name in (*CONTRACT.names, CONTRACT.target.name)]
    typed = pl.DataFrame([*numbers, _drives(frame), *(_texts(frame, name) for name in CONTRACT.truths)])
    tables.check(path, typed, CONTRACT)
    return typed


def _load(path: Path) -> pl.DataFrame:
    try:
        with path.open("rb") as stream:
            if stream.read(4) == b"PAR1":
                return pl.read_parquet(path)
        return pl.read_csv(path, infer_schema=False, comment_prefix="#")
    except pl.exceptions.NoDataError:
        return pl.DataFrame({name: [] for name in (*CONTRACT.names, CONTRACT.target.name)})
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise UnreadableArtifact(path, "CSV or Parquet file", str(error).splitlines()[0]) from error


def _numbers(path: Path, frame: pl.DataFrame, name: str) -> pl.Series:
    if name not in frame.columns:
        raise ContractViolation(path, f"column {name}", "missing", "present")
    cells = frame[name]
    values = cells.cast(pl.Float64, strict=False)
    broken = values.is_null() & cells.is_not_null() & (cells.cast(pl.String) != "")
    if broken.any():
        row = int(broken.arg_max() or 0)
        raise ContractViolation(path, f"column {name}, row {row}", repr(cells[row]), "a number or nothing")
    return values.fill_null(np.nan).cast(pl.Float32).alias(name)


def _drives(frame: pl.DataFrame) -> pl.Series:
    if CONTRACT.group in frame.columns:
        numbers = frame[CONTRACT.group].rank("dense").cast(pl.Int64)
    else:
        numbers = pl.Series(range(1, frame.height + 1), dtype=pl.Int64)
    return (_FIRST_DRIVE + 1 - numbers).alias(CONTRACT.group)


def _texts(frame: pl.DataFrame, name: str) -> pl.Series:
    if name in frame.columns:
        return frame[name].cast(pl.String).fill_null("unknown")
    return pl.Series(name, ["unknown" if name != "source" else "recorded"] * frame.height, dtype=pl.String)

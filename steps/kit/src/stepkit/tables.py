"""Tables as artifacts: folders of Parquet files that carry the data contract, checked when they are read."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from stepkit import artifacts
from stepkit import contract as data_contract
from stepkit.contract import Contract
from stepkit.errors import ContractViolation, UnreadableArtifact

ROW_GROUP_ROWS = 65_536


def write_part(file: Path, frame: pl.DataFrame, contract: Contract, more: Mapping[str, str] | None = None) -> None:
    """Write one Parquet file with the contract in its schema metadata; same rows, same bytes."""
    metadata = dict(sorted({data_contract.METADATA_KEY: contract.to_json(), **(more or {})}.items()))
    write_parquet(file, frame, statistics=True, row_group_size=ROW_GROUP_ROWS, metadata=metadata)


def write_parquet(file: Path, frame: pl.DataFrame, **options: Any) -> None:
    """Write any frame as a Parquet file, with `options` of polars. Raises TryAgain when the disk is full."""
    # By way of memory: of a disk that is full polars says a dozen things, none of them with the file's name.
    whole = io.BytesIO()
    frame.write_parquet(whole, compression="zstd", **options)
    with artifacts.writing(file):
        file.write_bytes(whole.getbuffer())


def read_metadata(file: Path) -> dict[str, str]:
    """The schema metadata of one Parquet file. Raises UnreadableArtifact."""
    try:
        return pl.read_parquet_metadata(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UnreadableArtifact(file, "Parquet file", _first_line(error)) from error


def parts_of(table: Path) -> list[Path]:
    """The Parquet files of a table in their order. Raises UnreadableArtifact where there is none."""
    # Hidden files are no part of an artifact: its hash does not cover them.
    parts = sorted(table.glob("[!.]*.parquet")) if table.is_dir() else [table]
    if not parts:
        raise UnreadableArtifact(table, "table", "no .parquet file in the folder")
    return parts


def read_contract(table: Path) -> Contract:
    """The contract that every part of a table carries. Raises UnreadableArtifact, ContractViolation."""
    found: Contract | None = None
    for part in parts_of(table):
        text = read_metadata(part).get(data_contract.METADATA_KEY)
        if text is None:
            raise ContractViolation(part, "schema metadata", "no data contract", data_contract.METADATA_KEY)
        try:
            contract = data_contract.parse(text)
        except ValueError as error:
            allowed = f"versions {data_contract.SUPPORTED_VERSIONS}"
            raise ContractViolation(part, "contract", error, allowed) from error
        if found is not None and contract != found:
            raise ContractViolation(part, "contract", "another contract than the other parts", "one contract")
        found = contract
    assert found is not None
    return found


def read_table(table: Path, columns: Sequence[str] | None = None) -> tuple[pl.DataFrame, Contract]:
    """Read and check a whole table; `columns` limits what is returned, not what is checked.

    Raises UnreadableArtifact (not Parquet, truncated) and ContractViolation (a column missing or of another
    type, NaN where none may be, out of range, no rows).
    """
    contract = read_contract(table)
    frames = []
    for part in parts_of(table):
        try:
            frame = pl.read_parquet(part)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise UnreadableArtifact(part, "Parquet file", _first_line(error)) from error
        check(part, frame, contract)
        frames.append(frame.select(columns) if columns else frame)
    whole = pl.concat(frames)
    if whole.height == 0:
        raise ContractViolation(table, "rows", 0, "at least 1")
    return whole, contract


def count_rows(table: Path) -> int:
    """Rows of a whole table, from its files' footers. Raises UnreadableArtifact."""
    total = 0
    for part in parts_of(table):
        try:
            total += int(pl.scan_parquet(part).select(pl.len()).collect().item())
        except (OSError, pl.exceptions.PolarsError) as error:
            raise UnreadableArtifact(part, "Parquet file", _first_line(error)) from error
    return total


def check(artifact: Path, frame: pl.DataFrame, contract: Contract) -> None:
    """Hold a frame to the contract. Raises ContractViolation that names the column."""
    wanted = {**dict.fromkeys(contract.names, pl.Float32), contract.target.name: pl.Float32, contract.group: pl.Int64}
    for column, dtype in wanted.items():
        if column not in frame.columns:
            raise ContractViolation(artifact, f"column {column}", "missing", "present")
        if frame.schema[column] != dtype:
            raise ContractViolation(artifact, f"column {column}", frame.schema[column], dtype)
        if frame[column].null_count():
            raise ContractViolation(artifact, f"column {column}", "null", "NaN where missing is allowed")
    for feature in contract.features:
        values = frame[feature.name]
        missing = values.is_nan()
        if not feature.missing_allowed and missing.any():
            raise ContractViolation(artifact, f"column {feature.name}, row {missing.arg_max()}", "NaN", "a number")
        outside = values.is_not_nan() & ((values < feature.low) | (values > feature.high))
        if outside.any():
            row = int(outside.arg_max() or 0)
            allowed = f"{feature.low} to {feature.high} {feature.unit}"
            raise ContractViolation(artifact, f"column {feature.name}, row {row}", values[row], allowed)
    target = frame[contract.target.name]
    wrong = ~(target.is_finite() & (target > 0))
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise ContractViolation(artifact, f"column {contract.target.name}, row {row}", target[row], "a length above 0")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

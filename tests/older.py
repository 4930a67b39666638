"""Data and a model of the data contract's version 1, made for real from a chain of today's version."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from stepkit import contract, tables

from tests.conftest import HOUSE, Chain, command

V1 = contract.parse((HOUSE / "tests" / "data" / "contract-v1.json").read_text())


@dataclass(frozen=True)
class Older:
    """A dataset, a holdout and a model of version 1."""

    dataset: Path
    holdout: Path
    model: Path


def project(table: Path, target: Path) -> Path:
    """Those rows of a table that version 1 allows, in its columns, as a table that carries it."""
    rows, _ = tables.read_table(table)
    fits = [pl.col(each.name).is_nan() | pl.col(each.name).is_between(each.low, each.high) for each in V1.features]
    kept = rows.filter(*fits).select(*V1.names, V1.target.name, V1.group, *V1.truths)
    assert 0 < kept.height < rows.height
    target.mkdir(parents=True)
    tables.write_part(target / "part-000000.parquet", kept, V1)
    return target


def make(chain: Chain, folder: Path) -> Older:
    """Project a chain's data and train on it by the real commands."""
    dataset, holdout = (project(chain.folder / name, folder / name) for name in ("dataset", "holdout"))
    results, model = folder / "results", folder / "model"
    for words in (
        ("search", "--dataset", dataset, "--results", results, "--trials", "1"),
        ("fit", "--dataset", dataset, "--results", results, "--model", model),
    ):
        done = command("brakeline-train", *words)
        assert done.code == 0, done.stderr
    return Older(dataset, holdout, model)

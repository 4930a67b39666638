"""Traffic of a known world: rows of the tiny chain's holdout, whose true distances are there to measure."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tests.conftest import Chain
from tests.serving.conftest import NAME, Server, tensor

MEASURED = "measured_m"


@dataclass(frozen=True)
class World:
    """Rows with the contract's features, and what stands in the contract."""

    rows: pl.DataFrame
    contract: dict[str, Any]

    @property
    def names(self) -> list[str]:
        """The features' names."""
        return [feature["name"] for feature in self.contract["features"]]

    @property
    def distances_m(self) -> list[float]:
        """The true way to standstill of each row [m]."""
        return [float(way_m) for way_m in self.rows[self.contract["target"]["name"]]]

    def named(self, role: str) -> str:
        """The feature of a role."""
        return next(str(feature["name"]) for feature in self.contract["features"] if feature["role"] == role)

    def with_rows(self, rows: pl.DataFrame) -> World:
        """The same contract, other rows."""
        return World(rows, self.contract)

    def slick(self, by: float = 0.5) -> World:
        """The same world on roads that grip less."""
        friction = self.named("friction")
        return self.with_rows(self.rows.with_columns((pl.col(friction) * by).cast(pl.Float32)))


def world(chain: Chain) -> World:
    """The chain's holdout."""
    file = next((chain.holdout).rglob("*.parquet"))
    contract = json.loads(pl.read_parquet_metadata(file)["brakeline.contract"])
    return World(pl.read_parquet(chain.holdout / "*.parquet"), contract)


def ask(server: Server, given: World, rows: Sequence[int], id_: str | None = None, suffix: str = "") -> dict[str, Any]:
    """Ask for some rows in one request; returns the answer by output."""
    chosen = given.rows[list(rows)]
    tensors = [tensor(name, *(_number(value) for value in chosen[name])) for name in given.names]
    body = {"inputs": tensors} | ({} if id_ is None else {"id": id_})
    reply = server.infer(body, suffix)
    assert reply.status == 200, reply.body
    return {output["name"]: output["data"] for output in reply.json["outputs"]}


def logged(server: Server, count: int) -> None:
    """Wait until so many requests are in the prediction log."""
    server.wait_until(lambda: server.metric("brakeline_predictions_logged_total") == count)


def stops_file(path: Path, stops: Sequence[tuple[Any, ...]], header: str = f"id,row,{MEASURED}") -> Path:
    """A CSV of measured stops."""
    path.write_text("\n".join([header, *(",".join(map(str, stop)) for stop in stops)]) + "\n")
    return path


def model_of(chain: Chain) -> Path:
    """The chain's model file."""
    return chain.model / "model.onnx"


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


__all__ = ["MEASURED", "NAME", "World", "ask", "logged", "model_of", "stops_file", "world"]

"""Joined stops as recorded data: the form that `--recorded` takes, in which the next training reads them."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from brakeline.prediction_log import Meaning
from brakeline.refusals import USAGE, Refused
from brakeline.whole import staged

if TYPE_CHECKING:
    import polars as pl

ENDINGS = (".csv", ".parquet")
_UNITS_KEY = "brakeline.units"
_NO_UNIT = "1"


def check(target: Path | None) -> Path | None:
    """Return a path that says by its ending what to write. Raises Refused."""
    if target is not None and target.suffix not in ENDINGS:
        raise Refused(f"--output: found {target.name!r}, allowed a name that ends in {' or '.join(ENDINGS)}", USAGE)
    return target


def write(stops: "pl.DataFrame", meaning: Meaning, target: Path) -> None:
    """Write stops in the contract's columns, null as missing; atomically, and the same bytes for the same stops.

    Columns are the features, the target, the group and any of the truths. Raises CannotWrite.
    """
    units = {feature.name: feature.unit for feature in meaning.features} | {meaning.target: meaning.target_unit}
    units = {name: unit for name, unit in units.items() if unit != _NO_UNIT}
    if target.suffix == ".csv":
        # A feature comes first: no row begins with the sign of a comment, as a drive's name might.
        head = f"# contract: {meaning.contract_version}\n# unit: {', '.join(f'{n} = {u}' for n, u in units.items())}\n"
        content = (head + stops.write_csv()).encode()
    else:
        # By way of memory: of a disk that is full polars says a dozen things.
        whole = io.BytesIO()
        stops.write_parquet(whole, metadata={_UNITS_KEY: json.dumps(units, ensure_ascii=False)})
        content = whole.getvalue()
    with staged(target) as hidden:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden.write_bytes(content)

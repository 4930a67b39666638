"""Joined stops as recorded data: the form that `--recorded` takes, in which the next training reads them."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from brakeline.prediction_log import Meaning
from brakeline.refusals import USAGE, Refused

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

    Columns are the features, the target, the group and any of the truths. Raises Refused where nothing can be written.
    """
    units = {feature.name: feature.unit for feature in meaning.features} | {meaning.target: meaning.target_unit}
    units = {name: unit for name, unit in units.items() if unit != _NO_UNIT}
    staged = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".csv":
            # A feature comes first: no row begins with the sign of a comment, as a drive's name might.
            head = (
                f"# contract: {meaning.contract_version}\n# unit: {', '.join(f'{n} = {u}' for n, u in units.items())}\n"
            )
            staged.write_text(head + stops.write_csv(), encoding="utf-8")
        else:
            stops.write_parquet(staged, metadata={_UNITS_KEY: json.dumps(units, ensure_ascii=False)})
        staged.replace(target)
    except OSError as error:
        raise Refused(f"--output: cannot write {target}: {error.strerror or error}", USAGE) from error
    finally:
        staged.unlink(missing_ok=True)

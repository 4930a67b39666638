"""Models that learned the wrong thing: the real fit, calibration and export, on other rows than they should have."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from brakeline_synthesize import generate, scenario, sensors
from brakeline_synthesize.sensors import Sensor
from brakeline_train import calibrate, distribution, envelope, export, graph, quantiles, rows
from brakeline_train.calibrate import Offsets
from brakeline_train.rows import Rows
from stepkit import tables
from stepkit.contract import Contract

from tests.conftest import Chain
from tests.validate.sabotages.attempt import Attempt

OtherRows = Callable[[Rows, Contract, Chain], Rows]
# A leak is used best by a model that may remember single rows.
REMEMBERS = {"max_iter": 250, "max_leaf_nodes": 255, "min_samples_leaf": 2, "learning_rate": 0.15}
_SEED = 3


def trained(
    change: OtherRows, settings: Mapping[str, object] | None = None, offsets: Callable[[Offsets], Offsets] | None = None
) -> Callable[[Chain, Path], Attempt]:
    """A model of changed rows, with other settings or offsets than the defaults' where told."""

    def make(chain: Chain, folder: Path) -> Attempt:
        table, contract = rows.read(chain.dataset)
        fold = rows.divide_by_drive(change(table, contract, chain), _SEED)
        pair = quantiles.fit(fold.fit, contract, quantiles.DEFAULTS | dict(settings or {}), _SEED)
        found = calibrate.calibrate(pair, fold.held, contract)
        found = offsets(found) if offsets else found
        built = graph.build(pair, found, envelope.seen_in(fold.fit.inputs), contract)
        probes = export.probe_rows(pair, found, fold.held, contract)
        seen = distribution.seen_in(fold.fit.inputs, contract)
        export.write(folder / "model", built, probes, contract, {"seed": _SEED}, seen)
        return Attempt(folder / "model")

    return make


def as_they_are(table: Rows, contract: Contract, chain: Chain) -> Rows:
    """The dataset's own rows."""
    return table


def holdout_alone(table: Rows, contract: Contract, chain: Chain) -> Rows:
    """The rows that the model will be judged by, twice under other drives' numbers: hardly a row is held back."""
    seen, _ = rows.read(chain.holdout)
    return _joined(seen, replace(seen, drive=seen.drive + 10_000_000))


def without_surface(name: str) -> OtherRows:
    """No row of a surface."""

    def change(table: Rows, contract: Contract, chain: Chain) -> Rows:
        truth, _ = tables.read_table(chain.dataset)
        return table.take((truth["surface"] != name).to_numpy())

    return change


def scrambled(role: str) -> OtherRows:
    """Readings of a role that are some other row's: there to be read, and of no use."""

    def change(table: Rows, contract: Contract, chain: Chain) -> Rows:
        inputs, column = table.inputs.copy(), contract.names.index(contract.by_role(role).name)
        inputs[:, column] = np.random.default_rng(_SEED).permutation(inputs[:, column])
        return replace(table, inputs=inputs)

    return change


def always_read(role: str) -> OtherRows:
    """Only rows that have a reading: what its absence means is not learned."""

    def change(table: Rows, contract: Contract, chain: Chain) -> Rows:
        return table.take(~np.isnan(table.inputs[:, contract.names.index(contract.by_role(role).name)]))

    return change


def upside_down(table: Rows, contract: Contract, chain: Chain) -> Rows:
    """Long stops for short ones: the ratio to the textbook stop turned over."""
    textbook = quantiles.reference_of(table.inputs, contract).astype(np.float64)
    return replace(table, distance_m=textbook * textbook / table.distance_m)


def shorter(factor: float) -> OtherRows:
    """Labels that are too short by a factor, as from an odometer that is."""

    def change(table: Rows, contract: Contract, chain: Chain) -> Rows:
        return replace(table, distance_m=factor * table.distance_m)

    return change


def of_scenario(name: str) -> OtherRows:
    """As many rows of another scenario."""

    def change(table: Rows, contract: Contract, chain: Chain) -> Rows:
        return _made(name, table.drive.size, contract)

    return change


def without_noise(table: Rows, contract: Contract, chain: Chain) -> Rows:
    """As many rows of the same scenario, but of sensors that always read the truth."""
    perfect = {role: Sensor(role) for role in sensors.SENSORS}
    with mock.patch.dict(sensors.SENSORS, perfect):
        return _made("default", table.drive.size, contract)


def no_offsets(found: Offsets) -> Offsets:
    """The quantile as it was fitted, uncalibrated."""
    return replace(found, by_bin=(0.0,) * len(found.by_bin), if_missing=0.0, by_class=(0.0,) * len(found.by_class))


def offsets_negated(found: Offsets) -> Offsets:
    """A sign mistaken: what should make the bound longer makes it shorter."""
    return replace(
        found,
        by_bin=tuple(-abs(value) for value in found.by_bin),
        if_missing=-abs(found.if_missing),
        by_class=tuple(-value for value in found.by_class),
    )


def _made(name: str, count: int, contract: Contract) -> Rows:
    call = generate.Call(scenario.load(name), {"dataset": count, "holdout": 0, "faulty": 0}, 77)
    blocks = [generate.make_block(call, "dataset", block) for block in range(generate.block_count(count))]
    return Rows(
        np.concatenate([block.select(contract.names).to_numpy().astype(np.float32) for block in blocks]),
        np.concatenate([block[contract.target.name].to_numpy().astype(np.float64) for block in blocks]),
        np.concatenate([block[contract.group].to_numpy() for block in blocks]),
    )


def _joined(*parts: Rows) -> Rows:
    return Rows(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.distance_m for part in parts]),
        np.concatenate([part.drive for part in parts]),
    )

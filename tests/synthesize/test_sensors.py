"""Sensors: their noise, steps, latency and gaps are what the table says; faults do what their kind says."""

from dataclasses import replace

import numpy as np
import pytest
from brakeline_synthesize import drives, faults, generate, scenario, sensors
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.sensors import SENSORS

DEFAULT = scenario.load("default")
MOMENTS = drives.SNAPSHOTS_PER_DRIVE
NO_FAULT = faults.Chosen(np.full(4_000, -1), np.ones(4_000, dtype=np.int64), np.ones(4_000))


def observed(friction_missing: float = 0.25) -> tuple[drives.Snapshots, dict[str, np.ndarray]]:
    """4,000 fault-free drives and their readings by role."""
    seen = drives.sample(np.random.default_rng(1), DEFAULT, 0, 4_000)
    readings, told = sensors.observe(np.random.default_rng(2), seen, friction_missing, NO_FAULT)
    assert np.all(told == -1)
    return seen, {feature.role: readings[feature.name] for feature in CONTRACT.features}


def test_every_sensor_is_in_the_contract() -> None:
    """The table of sensors and the contract name the same roles."""
    assert set(SENSORS) == {feature.role for feature in CONTRACT.features}


@pytest.mark.parametrize(
    "role", ["friction", "grade", "acceleration", "disc_temperature", "tyre_pressure", "tread_depth"]
)
def test_noise_has_the_spread_of_the_table(role: str) -> None:
    """Standard deviation of reading minus truth: noise, bias and the step's own, within 5 %."""
    seen, readings = observed()
    sensor, feature = SENSORS[role], CONTRACT.by_role(role)
    reading, truth = readings[role], sensors.truths(seen)[role]
    inside = np.isfinite(reading) & (reading > feature.low) & (truth > feature.low + 3 * sensor.noise_sd)
    expected = np.sqrt(sensor.noise_sd**2 + sensor.bias_sd**2 + sensor.step**2 / 12)
    assert np.std((reading - truth)[inside]) == pytest.approx(expected, rel=0.05)


def test_scale_and_bias_last_for_the_drive() -> None:
    """The mass estimate's error is one number per drive, about 5 % between drives."""
    seen, readings = observed()
    error = (readings["mass"] / seen.stop.mass_kg - 1.0).reshape(-1, MOMENTS)
    assert np.nanmax(np.nanmax(error, axis=1) - np.nanmin(error, axis=1)) < 1e-9
    assert np.nanstd(error[:, 0]) == pytest.approx(0.05, rel=0.05)


def test_readings_come_in_steps_and_late() -> None:
    """Wheel speed in 0.01 m/s; a car that brakes seems faster than it is, by its latency."""
    seen, readings = observed()
    in_steps = readings["speed"] / 0.01
    assert np.abs(in_steps - np.round(in_steps)).max() < 1e-6
    range_error = readings["range"] - seen.gap_m
    fast = np.isfinite(range_error) & (seen.closing_speed_mps > 20.0)
    late = SENSORS["range"].latency_s * seen.closing_speed_mps[fast]
    assert np.mean(range_error[fast]) == pytest.approx(np.mean(late), rel=0.05)


def test_gaps_are_as_frequent_as_the_table_says() -> None:
    """Friction by the scenario, others by their own absence and dropouts; radar range and rate together."""
    seen, readings = observed(friction_missing=0.5)
    assert np.isnan(readings["friction"]).mean() == pytest.approx(1 - 0.5 * 0.94, abs=0.02)
    assert np.isnan(readings["tread_depth"]).mean() == pytest.approx(1 - 0.3 * 0.98, abs=0.03)
    assert np.array_equal(np.isnan(readings["range"]), np.isnan(readings["range_rate"]))
    assert np.all(np.isnan(readings["range"][np.isnan(seen.gap_m)]))


def test_the_camera_keeps_the_pinhole_relation() -> None:
    """Z = f H / h: the box gives the gap back within its pixel's worth."""
    seen, readings = observed()
    near = np.isfinite(readings["box_height"]) & (seen.gap_m < 30.0)
    back = sensors.FOCAL_LENGTH_PX * seen.object_height_m[near] / readings["box_height"][near]
    assert np.median(np.abs(back / seen.gap_m[near] - 1.0)) < 0.03


@pytest.mark.parametrize("fault", faults.CATALOGUE, ids=faults.NAMES)
def test_a_fault_changes_its_own_sensor_from_its_onset_on(fault: faults.Fault) -> None:
    """Every other reading, and every moment before, is as without it; its own does what its kind says."""
    number, rng = faults.CATALOGUE.index(fault), np.random.default_rng(4)
    readings = {sensor: np.round(rng.uniform(5.0, 40.0, 50 * MOMENTS), 3) for sensor in SENSORS}
    chosen = replace(faults.one_after_another(rng, 0, 50), index=np.full(50, number))
    broken, told = faults.inject(rng, readings, chosen, MOMENTS)
    for role, values in readings.items():
        assert role == fault.role or np.array_equal(broken[role], values)
    before, after = (part[fault.role].reshape(-1, MOMENTS) for part in (readings, broken))
    late = np.arange(MOMENTS) >= chosen.onset[:, None]
    hit = (told == number).reshape(-1, MOMENTS)
    assert np.array_equal(after[~hit], before[~hit])
    assert np.array_equal(hit, late) if fault.kind != "spikes" else 0.3 < hit[late].mean() < 0.7
    change = (after - before)[hit] / (before[hit] if fault.relative else 1.0)
    if fault.kind == "dropout":
        assert np.all(np.isnan(after[hit]))
    elif fault.kind == "stuck":
        held = after[np.arange(50), chosen.onset]
        assert np.array_equal(after[hit], np.repeat(held, hit.sum(axis=1)))
    elif fault.kind == "drift":
        age = (np.arange(MOMENTS) - chosen.onset[:, None] + 1)[hit]
        assert np.abs(change) == pytest.approx(fault.size * age)
    else:
        assert np.abs(change) == pytest.approx(fault.size)


def test_faulty_drives_have_every_fault_equally_often() -> None:
    """The catalogue over and over: each fault in as many drives, none without."""
    call = generate.Call(DEFAULT, dict.fromkeys(generate.SETS, 50_000), 0)
    block = generate.make_block(call, "faulty", 0)
    counts = dict(block["fault"].value_counts().iter_rows())
    assert set(counts) == {*faults.NAMES, faults.NONE}
    steady = [counts[fault.name] for fault in faults.CATALOGUE if fault.kind != "spikes"]
    assert max(steady) < 1.2 * min(steady)


def test_a_scenario_chooses_its_faults() -> None:
    """Shares of drives are kept; a fault without a share never comes."""
    chosen = faults.choose(np.random.default_rng(0), 40_000, {"rain_stuck": 0.1, "grade_dropout": 0.05})
    numbers, counts = np.unique(chosen.index[chosen.index >= 0], return_counts=True)
    found = {faults.NAMES[number]: count for number, count in zip(numbers, counts, strict=True)}
    assert found.keys() == {"rain_stuck", "grade_dropout"}
    assert found["rain_stuck"] == pytest.approx(4_000, rel=0.1)

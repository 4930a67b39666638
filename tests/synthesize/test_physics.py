"""The stop, tested by physics: by hand, against a 1 ms integration, by monotonicity and at the limits."""

from dataclasses import fields, replace

import numpy as np
import pytest
from brakeline_synthesize import drives, physics, scenario, surfaces, vehicles
from brakeline_synthesize.physics import GRAVITY_MPS2, Stop

DEFAULT = scenario.load("default")


def level_stop(speed_mps: float, friction: float, **other: float) -> Stop:
    """A stop on level ground without air, rolling drag, dead time or slip: only friction brakes."""
    plain = {
        "speed_mps": speed_mps, "grade": 0.0, "headwind_mps": 0.0, "disc_temperature_c": 20.0, "friction": friction,
        "friction_slope_spm": 0.0, "grip_share": 1.0, "abs_efficiency": 1.0, "dead_time_s": 0.0, "ramp_time_s": 1e-9,
        "mass_kg": 1500.0, "gross_mass_kg": 2000.0, "capacity_mps2": 50.0, "fade_share": 0.35,
        "rolling_resistance": 0.0, "drag_area_m2": 0.0, "air_temperature_c": 15.0,
    } | other  # fmt: skip
    return Stop(**{name: np.array([value]) for name, value in plain.items()})


def distance(stop: Stop) -> float:
    return float(physics.stopping_distance_m(stop)[0])


def test_friction_alone_gives_the_textbook_distance() -> None:
    """20 m/s at 5 m/s² take 20²/(2·5) = 40 m."""
    assert distance(level_stop(20.0, 5.0 / GRAVITY_MPS2)) == pytest.approx(40.0, rel=1e-9)


def test_dead_time_adds_speed_times_time() -> None:
    """0.5 s at 20 m/s add 10 m."""
    assert distance(level_stop(20.0, 5.0 / GRAVITY_MPS2, dead_time_s=0.5)) == pytest.approx(50.0, rel=1e-9)


def test_a_linear_ramp_costs_half_its_time_and_a_little() -> None:
    """d = v τ - A τ²/6 + (v - A τ/2)²/(2 A); with v 20, A 5, τ 0.4: 8 - 0.1333 + 19²/10 = 43.9667 m."""
    assert distance(level_stop(20.0, 5.0 / GRAVITY_MPS2, ramp_time_s=0.4)) == pytest.approx(43.966667, rel=1e-7)


def test_a_stop_inside_the_ramp_is_the_cubic() -> None:
    """v 0.5, A 10, τ 1: t = √(2 v τ/A) = 0.31623 s, d = v t - A t³/(6 τ) = 0.10541 m."""
    assert distance(level_stop(0.5, 10.0 / GRAVITY_MPS2, ramp_time_s=1.0)) == pytest.approx(0.1054093, rel=1e-6)


def test_air_drag_gives_the_logarithm() -> None:
    """d = ln(1 + c v²/a)/(2 c) with c = ρ C_dA/(2 m), the closed form for constant friction."""
    c, a, v = 0.5 * physics.AIR_DENSITY_KGPM3 * 3.0 / 1500.0, 5.0, 40.0
    expected = np.log(1.0 + c * v**2 / a) / (2.0 * c)
    assert distance(level_stop(v, a / GRAVITY_MPS2, drag_area_m2=3.0)) == pytest.approx(expected, rel=1e-9)


def test_a_slope_that_friction_cannot_hold_never_stops() -> None:
    """Ice of 0.05 on a fall of 10 %: the way is infinite, not negative."""
    assert distance(level_stop(10.0, 0.05, grade=-0.10)) == float("inf")


def test_no_speed_needs_no_way() -> None:
    """A standing car has stopped."""
    assert distance(level_stop(0.0, 0.8)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("field", "more", "longer"),
    [
        ("speed_mps", 1.0, True),
        ("friction", 0.05, False),
        ("grade", 0.02, False),
        ("headwind_mps", 5.0, False),
        ("disc_temperature_c", 200.0, True),
        ("mass_kg", 300.0, True),
        ("dead_time_s", 0.1, True),
        ("ramp_time_s", 0.1, True),
        ("friction_slope_spm", 0.002, True),
    ],
)
def test_each_cause_works_in_its_direction(field: str, more: float, longer: bool) -> None:
    """More of a cause never shortens, or never lengthens, any of 500 sampled stops."""
    stop = sampled(500)
    before = physics.stopping_distance_m(stop)
    after = physics.stopping_distance_m(replace(stop, **{field: getattr(stop, field) + more}))
    # Mass helps nobody but on the flat, where drag weighs less on a heavier car: allow the drag's share.
    slack = 1e-2 if field == "mass_kg" else 1e-9
    assert np.all(after >= before * (1 - slack)) if longer else np.all(after <= before * (1 + slack))


def test_the_closed_form_agrees_with_a_millisecond_integration() -> None:
    """Within 0.1 % for 200 sampled stops: what remains is resistance held constant for dead time and ramp."""
    stop = sampled(200)
    assert physics.stopping_distance_m(stop) == pytest.approx(integrated(stop), rel=1e-3)


def test_colder_air_is_denser_and_shortens_the_way() -> None:
    """ρ = 1.225 · 288.15/T: at -20 °C 1.394 kg/m³, by the closed form with drag."""
    v, a, density = 40.0, 5.0, 1.225 * 288.15 / 253.15
    c = 0.5 * density * 3.0 / 1500.0
    stop = level_stop(v, a / GRAVITY_MPS2, drag_area_m2=3.0, air_temperature_c=-20.0)
    assert distance(stop) == pytest.approx(np.log(1.0 + c * v**2 / a) / (2.0 * c), rel=1e-9)


@pytest.mark.parametrize("kind", range(len(vehicles.CLASSES)), ids=vehicles.NAMES)
@pytest.mark.parametrize("number", range(len(surfaces.SURFACES)), ids=surfaces.NAMES)
def test_every_stop_ends_in_the_worst_corner_of_all(kind: int, number: int) -> None:
    """Least grip, steepest fall, strongest wind from behind, full load, hottest discs: still a net deceleration."""
    surface, vehicle = surfaces.SURFACES[number], vehicles.CLASSES[kind]
    worst = {
        "speed": vehicle.fastest_mps * surface.speed_share, "grade": -surface.steepest_downhill,
        "headwind_mps": -10.0, "disc": 1000.0, "friction": float(surface.friction.low),
        "tread": drives.WORN_OUT_MM, "pressure": 0.6 * vehicle.pressure_kpa, "rain": 100.0, "air": -25.0,
        "mass_kg": vehicle.gross_kg, "abs_efficiency": 0.8, "dead_time_s": 0.6, "ramp_time_s": 1.35,
        "fade_share": 0.55, "rolling_resistance": 0.008, "drag_share": 1.05,
    }  # fmt: skip
    drawn = {name: np.array([value]) for name, value in worst.items()}
    light = drawn | {"mass_kg": np.array([0.93 * vehicle.kerb_kg])}
    for corner in (drawn, light):
        stop = drives.stop_of(np.array([number]), np.array([kind]), corner)
        assert physics.weakest_deceleration_mps2(stop)[0] > 0.05


def test_trucks_need_more_room_than_cars_at_the_same_speed() -> None:
    """Late and slow air brakes, little capacity: at 20 m/s on dry roads a half more than a mid-size car."""
    seen = drives.sample(np.random.default_rng(5), DEFAULT, 0, 20_000)
    dry = (seen.surface == 0) & (np.abs(seen.stop.speed_mps - 20.0) < 1.0)
    way = physics.stopping_distance_m(seen.stop)
    truck, car = (np.median(way[dry & (seen.vehicle_class == kind)]) for kind in (4, 1))
    assert 1.3 < truck / car < 2.0


def sampled(rows: int) -> Stop:
    return drives.sample(np.random.default_rng(3), DEFAULT, 0, -(-rows // drives.SNAPSHOTS_PER_DRIVE)).stop.take(
        slice(rows)
    )


def integrated(stop: Stop, step_s: float = 1e-3) -> np.ndarray:
    """The same physics by the midpoint rule, every force at its momentary speed."""
    v, way = stop.speed_mps.copy(), np.zeros_like(stop.speed_mps)
    time_s = 0.0
    # The ramp rises to the deceleration that brakes give at its beginning, as in eq. (2) at v1.
    start = np.maximum(v - physics.resistance_mps2(stop, v) * stop.dead_time_s, 0.0)
    full_at_start = physics.braking_mps2(stop, start)
    while np.any(v > 0.0):
        into = time_s + 0.5 * step_s - stop.dead_time_s
        share = np.clip(into / stop.ramp_time_s, 0.0, 1.0)
        brakes = np.where(share < 1.0, share * full_at_start, physics.braking_mps2(stop, v))
        after = v - step_s * (brakes + physics.resistance_mps2(stop, v))
        moving = v > 0.0
        way += np.where(
            moving, np.where(after > 0.0, 0.5 * (v + after) * step_s, 0.5 * v * v / (v - after) * step_s), 0.0
        )
        v = np.where(moving, np.maximum(after, 0.0), 0.0)
        time_s += step_s
    return way


def test_every_field_of_a_stop_is_sampled() -> None:
    """No latent is left at a default; none is NaN."""
    stop = sampled(100)
    for field in fields(stop):
        assert np.all(np.isfinite(getattr(stop, field.name))), field.name

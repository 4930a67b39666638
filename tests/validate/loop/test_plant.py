"""The plant brakes as physics says, and not as the simulator that made the training data says."""

from dataclasses import replace

import numpy as np
import pytest
from brakeline_synthesize import physics
from brakeline_synthesize.physics import Stop
from brakeline_validate.loop import draws, plant
from brakeline_validate.loop.plant import GRAVITY_MPS2, Plant, Vehicle
from brakeline_validate.loop.scenario import Limits, Road, Scenario


def vehicle(n: int, **instead: float) -> Vehicle:
    """A mid-size car on a level dry road without wind, as often as wanted."""
    usual = {
        "mass_kg": 1600.0, "gross_mass_kg": 2100.0, "front_load": 0.58, "height_over_base": 0.21, "axle_mass_kg": 22.0,
        "front_brake": 0.68, "capacity_mps2": 10.2, "fade_share": 0.35, "delay_s": 0.15, "lag_s": 0.13,
        "drag_area_m2": 0.66, "rolling_resistance": 0.012, "slip_peak": 0.12, "friction": 0.92,
        "friction_slope_spm": 0.0015, "patch_after_m": np.inf, "patch_factor": 1.0, "grade": 0.0, "headwind_mps": 0.0,
        "air_temperature_c": 15.0, "disc_temperature_c": 120.0,
    } | instead  # fmt: skip
    return Vehicle(**{name: np.full(n, value, dtype=np.float64) for name, value in usual.items()})


def way_m(car: Vehicle, speed_mps: np.ndarray) -> np.ndarray:
    """Way to standstill [m] with the brakes demanded at once, (N,)."""
    moving = Plant(car, speed_mps)
    still = np.zeros(speed_mps.size)
    moving.demand(np.ones(speed_mps.size, dtype=bool), still)
    for _ in range(3000):
        moving.advance(0.05, still)
        if not moving.speed_mps.any():
            return moving.way_m
    raise AssertionError("a vehicle never came to rest")


def test_a_drivers_braking_is_kinematics() -> None:
    """Until the brakes are demanded: from 20 m/s at 2 m/s² the car is at 16 m/s after 2 s and 36 m."""
    moving = Plant(vehicle(1), np.array([20.0]))
    for _ in range(40):
        moving.advance(0.05, np.array([-2.0]))
    assert moving.speed_mps == pytest.approx([16.0], abs=1e-9)
    assert moving.way_m == pytest.approx([36.0], abs=1e-6)


def test_brakes_too_weak_for_the_tyres_give_their_own_deceleration() -> None:
    """8400 N brake 1600 kg and 44 kg of wheels with 5.11 m/s²: from 20 m/s 39.1 m, after 5.6 m of delay and lag."""
    car = vehicle(1, capacity_mps2=4.0, friction=1.2, drag_area_m2=0.0, rolling_resistance=0.0)
    by_hand = 20.0**2 / (2 * 8400.0 / 1644.0) + 20.0 * (0.15 + 0.13)
    # Half a step of delay, and the lag's own small term, 5.11 * 0.13² / 2 = 0.04 m.
    assert way_m(car, np.array([20.0]))[0] == pytest.approx(by_hand, abs=0.1)


@pytest.mark.parametrize("friction", [0.92, 0.6, 0.28, 0.12])
def test_abs_uses_most_of_the_grip_and_never_more(friction: float) -> None:
    """Full braking reaches 80 to 100 % of what the road gives, at every friction: from 10, 20 and 35 m/s."""
    at_once = {"delay_s": 0.0, "lag_s": 1e-6, "drag_area_m2": 0.0, "rolling_resistance": 0.0}
    speeds = np.array([10.0, 20.0, 35.0])
    braked = way_m(vehicle(3, friction=friction, friction_slope_spm=0.0, **at_once), speeds)
    used = speeds**2 / (2.0 * braked) / (friction * GRAVITY_MPS2)
    assert np.all(used > 0.8)
    assert np.all(used < 1.0)


@pytest.mark.parametrize(
    ("name", "worse"),
    [("friction", 0.7), ("grade", -0.05), ("delay_s", 0.3), ("lag_s", 0.4), ("headwind_mps", -8.0),
     ("patch_factor", 0.6)],
)  # fmt: skip
def test_what_makes_a_stop_harder_makes_it_longer(name: str, worse: float) -> None:
    """Less grip, a descent, a late or slow brake, wind from behind, a slick patch: all lengthen the way."""
    speeds = np.array([8.0, 20.0, 35.0])
    patch = {"patch_after_m": 1.0}
    assert np.all(way_m(vehicle(3, **(patch | {name: worse})), speeds) > way_m(vehicle(3, **patch), speeds))


def test_load_transfer_decides_where_the_grip_is() -> None:
    """With a short brake bias to the rear, a higher centre of gravity costs way: the rear wheels lose their load."""
    speeds = np.full(1, 25.0)
    low, high = (
        way_m(vehicle(1, front_brake=0.45, capacity_mps2=7.5, height_over_base=h), speeds) for h in (0.05, 0.4)
    )
    assert high[0] > 1.01 * low[0]


def test_discs_heat_up_and_fade_while_braking() -> None:
    """A truck's hot discs brake less than cold ones where brakes, not tyres, set the limit."""
    hot, cold = (
        way_m(vehicle(1, capacity_mps2=6.0, disc_temperature_c=t), np.array([30.0]))[0] for t in (600.0, 100.0)
    )
    assert hot > 1.1 * cold


def test_a_finer_step_changes_next_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halving the step moves the way by less than 2.5 %, since ABS acts once a step and is then a finer one."""
    speeds, car = np.array([8.0, 20.0, 35.0]), vehicle(3)
    usual = way_m(car, speeds)
    monkeypatch.setattr(plant, "STEP_S", plant.STEP_S / 2)
    assert way_m(car, speeds) == pytest.approx(usual, rel=0.025)


def test_it_is_not_the_simulator_of_the_training_data() -> None:
    """On the same vehicles and roads the ways differ by more than 3 % in most runs, and agree within 40 % in all."""
    rng = np.random.default_rng(4)
    scenario = Scenario("any", "own", 20.0, 100.0, Limits(impact=1.0), runs=2000)
    for road in (Road.DRY, Road.WET):
        car, _, outside = draws.draw(rng, replace(scenario, road=road))
        speed = rng.uniform(8.0, 35.0, 2000)
        theirs = physics.stopping_distance_m(_as_simulated(car, speed))
        difference = np.abs(way_m(car, speed) / theirs - 1.0)
        assert (difference > 0.03)[~outside].mean() > 0.5
        assert np.all(difference[~outside] < 0.4)


def _as_simulated(car: Vehicle, speed_mps: np.ndarray) -> Stop:
    n = speed_mps.size
    return Stop(
        speed_mps=speed_mps, grade=car.grade, headwind_mps=car.headwind_mps, disc_temperature_c=car.disc_temperature_c,
        friction=car.friction, friction_slope_spm=car.friction_slope_spm, grip_share=np.ones(n),
        abs_efficiency=np.full(n, 0.93), dead_time_s=car.delay_s, ramp_time_s=2.0 * car.lag_s, mass_kg=car.mass_kg,
        gross_mass_kg=car.gross_mass_kg, capacity_mps2=car.capacity_mps2, fade_share=car.fade_share,
        rolling_resistance=car.rolling_resistance, drag_area_m2=car.drag_area_m2,
        air_temperature_c=car.air_temperature_c,
    )  # fmt: skip

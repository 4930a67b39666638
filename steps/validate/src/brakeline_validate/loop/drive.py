"""Drive scenarios: in each cycle tracks are seen, the model is asked, the policy decides, and the plant moves on."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

from brakeline_validate.loop import draws, world
from brakeline_validate.loop.draws import Sensors
from brakeline_validate.loop.plant import GRAVITY_MPS2, Array, Plant, Vehicle
from brakeline_validate.loop.policy import Answers, Flags, Policy
from brakeline_validate.loop.scenario import Scenario
from brakeline_validate.loop.tracks import Track, Tracker
from brakeline_validate.loop.world import World

CYCLE_S = 0.05
# The model is asked about what is near in time or space; the rest concerns nobody yet.
ASKED_WITHIN_S, ASKED_HEADWAY_S, LEAST_CLOSING_MPS = 12.0, 3.0, 0.3
STANDING_MPS, ROLLING_MPS = 0.05, 1.0
PASSED_M = 5.0
FRICTION_NOISE, SPEED_NOISE_MPS, ACCELERATION_NOISE_MPS2 = 0.02, 0.03, 0.05
_NOISES = 7
# Runs that move together: many enough that numpy's calls pay, few enough that their state stays in the cache.
_TOGETHER = 2_000


class Asked(Protocol):
    """A model that can be asked about rows (N, F) in its contract's order."""

    @property
    def contract(self) -> Contract:
        """What the rows are."""
        ...

    def decide(self, inputs: NDArray[np.float32]) -> Answers:
        """What it says of each row."""
        ...


@dataclass(frozen=True)
class Runs:
    """How the N runs of a scenario went; arrays (N,), times from the begin [s], NaN for what did not happen."""

    scenario: Scenario
    outside: Flags
    closing_mps: Array  # at the begin
    warned_s: Array
    braked_s: Array
    impact_mps: Array  # closing speed at contact, 0 where there was none
    least_gap_m: Array
    hardest_jerk_mps3: Array
    speed_mps: NDArray[np.float32]  # (N, C) by cycle, NaN after the end
    gap_m: NDArray[np.float32]
    deceleration_mps2: NDArray[np.float32]


def drive(scenarios: Sequence[Scenario], model: Asked, policy: Callable[[int], Policy], seed: int) -> list[Runs]:
    """Drive every scenario; a scenario's runs depend on it, the model, the policy and the seed, on none beside it."""
    return [runs for group in groups(scenarios) for runs in _Loop(group, model, policy, seed).run()]


def groups(scenarios: Sequence[Scenario]) -> Iterator[list[Scenario]]:
    """Scenarios that are driven together; which ones changes nothing but the time it takes."""
    group: list[Scenario] = []
    for scenario in scenarios:
        group.append(scenario)
        if sum(each.runs for each in group) >= _TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _generator(scenario: Scenario, seed: int) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {scenario.name}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


class _Loop:
    """The runs of some scenarios, all at once; `_at` are the places of those that are not over."""

    def __init__(self, scenarios: Sequence[Scenario], model: Asked, policy: Callable[[int], Policy], seed: int) -> None:
        self._scenarios, self._model = scenarios, model
        self._cycles = max(round(scenario.duration_s / CYCLE_S) for scenario in scenarios)
        begun = [self._begin(scenario, _generator(scenario, seed)) for scenario in scenarios]
        vehicles, sensors, worlds, outside, speeds, luck, noise = zip(*begun, strict=True)
        self._sensors, self._world = Sensors.joined(sensors), World.joined(worlds)
        self._plant = Plant(Vehicle.joined(vehicles), np.concatenate(speeds))
        self._outside = np.concatenate(outside)
        self._luck, self._noise = np.concatenate(luck, axis=2), np.concatenate(noise, axis=2)
        kinds = [scenario.kind for scenario in scenarios for _ in range(scenario.runs)]
        self._tracker, self._policy = Tracker(kinds, self._sensors), policy(len(kinds))
        n = len(kinds)
        self._at = np.arange(n)
        self._told = {name: np.full(n, np.nan) for name in ("warned_s", "braked_s")}
        self._told |= {"impact_mps": np.zeros(n), "least_gap_m": np.full(n, np.inf), "hardest_jerk_mps3": np.zeros(n)}
        self._told["closing_mps"] = self._plant.speed_mps - self._world.target_mps
        names = ("speed_mps", "gap_m", "deceleration_mps2")
        self._seen = {name: np.full((n, self._cycles), np.nan, dtype=np.float32) for name in names}

    def run(self) -> list[Runs]:
        """Drive to the end."""
        for cycle in range(self._cycles):
            if not self._at.size:
                break
            self._cycle(cycle)
        edges = np.cumsum([0, *(scenario.runs for scenario in self._scenarios)])
        told: dict[str, Any] = self._told | self._seen
        return [
            Runs(scenario, self._outside[a:b], **{name: each[a:b] for name, each in told.items()})
            for scenario, a, b in zip(self._scenarios, edges[:-1], edges[1:], strict=True)
        ]

    def _begin(self, scenario: Scenario, rng: np.random.Generator) -> tuple[object, ...]:
        vehicle, sensors, outside = draws.draw(rng, scenario)
        around = world.draw(rng, scenario)
        speed = scenario.speed_mps * rng.uniform(0.98, 1.02, scenario.runs)
        # Drawn for its own duration: who drives beside a scenario changes nothing of it.
        own = round(scenario.duration_s / CYCLE_S)
        luck, noise = (np.zeros((self._cycles, k, scenario.runs), dtype=np.float32) for k in (2, _NOISES))
        luck[:own] = rng.random((own, 2, scenario.runs), dtype=np.float32)
        noise[:own] = rng.standard_normal((own, _NOISES, scenario.runs), dtype=np.float32)
        return vehicle, sensors, around, outside, speed, luck, noise

    def _cycle(self, cycle: int) -> None:
        now, around, plant, at = cycle * CYCLE_S, self._world, self._plant, self._at
        luck, noise = (drawn[cycle][:, at].astype(np.float64) for drawn in (self._luck, self._noise))
        driver = around.driver_at(now)
        closing = plant.speed_mps - around.target_mps
        track = self._tracker.see(
            around.gap_m, closing, around.lateral_m(now), around.radar_is_out(now), luck, noise, CYCLE_S
        )
        speed = plant.speed_mps * self._sensors.speed_scale + SPEED_NOISE_MPS * noise[4]
        speed = np.maximum(speed - self._sensors.speed_offset_mps, 0.0)
        warn, brake = self._policy.decide(track, speed, self._ask(track, speed, driver, noise), CYCLE_S)
        brake &= ~plant.braking
        self._tell("warned_s", at[warn], now)
        self._tell("braked_s", at[brake], now)
        plant.demand(brake, driver)
        before = np.where(plant.braking, plant.deceleration_mps2, -driver)
        values = {"speed_mps": plant.speed_mps, "gap_m": around.gap_m, "deceleration_mps2": before}
        for name, seen in values.items():
            self._seen[name][at, cycle] = seen

        way = plant.way_m.copy()
        plant.advance(CYCLE_S, driver)
        around.advance(now, CYCLE_S, plant.way_m - way)
        after = np.where(plant.braking, plant.deceleration_mps2, -driver)
        # Coming to rest is no jerk of the brakes.
        jerk = np.where(plant.speed_mps > ROLLING_MPS, np.abs(after - before) / CYCLE_S, 0.0)
        self._told["hardest_jerk_mps3"][at] = np.maximum(self._told["hardest_jerk_mps3"][at], jerk)
        self._end(now + CYCLE_S)

    def _ask(self, track: Track, speed: Array, driver: Array, noise: Array) -> Answers:
        """Ask about those to whom the answer matters; for the others it is NaN, at which nobody brakes."""
        n, contract = speed.size, self._model.contract
        closing = -track.range_rate_mps
        near = track.range_m < np.maximum(ASKED_WITHIN_S * closing, ASKED_HEADWAY_S * speed)
        asked = np.flatnonzero(near & (closing > LEAST_CLOSING_MPS) & ~self._plant.braking)
        answers = Answers(np.full(n, np.nan), np.full(n, np.nan), np.zeros(n, dtype=bool))
        if asked.size:
            by_role = self._readings(track, speed, driver, noise)
            rows = np.full((asked.size, len(contract.features)), np.nan, dtype=np.float32)
            for column, feature in enumerate(contract.features):
                if feature.role in by_role:
                    rows[:, column] = np.clip(by_role[feature.role][asked], feature.low, feature.high)
            said = self._model.decide(rows)
            answers.median_m[asked], answers.upper_m[asked] = said.median_m, said.upper_m
            answers.flagged[asked] = said.flagged
        return answers

    def _readings(self, track: Track, speed: Array, driver: Array, noise: Array) -> dict[str, Array]:
        """What the car reads of itself and the object, by role; a role that no sensor here has stays missing."""
        sensors = self._sensors
        # What closes faster than the car drives is oncoming, or the speed reading is stuck: the policy takes the worse.
        closing = np.where(np.isfinite(track.range_rate_mps), -track.range_rate_mps, 0.0)
        return {
            "speed": np.maximum(speed, closing),
            "vehicle_class": sensors.vehicle_class,
            "friction": sensors.friction + FRICTION_NOISE * noise[5],
            "mass": sensors.mass_kg,
            "grade": sensors.grade,
            "acceleration": driver + GRAVITY_MPS2 * sensors.grade + ACCELERATION_NOISE_MPS2 * noise[6],
            "disc_temperature": sensors.disc_temperature_c,
            "rain": sensors.rain_mmph,
            "air_temperature": sensors.air_temperature_c,
            "tyre_pressure": sensors.tyre_pressure_kpa,
            "range": track.range_m,
            "range_rate": track.range_rate_mps,
            "box_height": track.box_height_px,
        }

    def _end(self, now: float) -> None:
        """Note contacts, and drop the runs that are over: contact, out of danger, passed by, or their time is up."""
        around, plant, at = self._world, self._plant, self._at
        closing = plant.speed_mps - around.target_mps
        touches = around.touches(now)
        self._told["impact_mps"][at] = np.where(touches, np.maximum(closing, 0.0), 0.0)
        self._told["least_gap_m"][at] = np.minimum(self._told["least_gap_m"][at], around.gap_m)
        calm = (plant.speed_mps < STANDING_MPS) | ((closing < -1.0) & (around.target_mps > 1.0))
        over = touches | (around.gap_m < -PASSED_M) | (now >= around.ends_s) | (plant.braking & calm)
        if over.any():
            stay = np.flatnonzero(~over)
            self._at = at[stay]
            self._world, self._plant, self._sensors = around.take(stay), plant.take(stay), self._sensors.take(stay)
            self._tracker, self._policy = self._tracker.take(stay), self._policy.take(stay)

    def _tell(self, name: str, who: NDArray[np.intp], now: float) -> None:
        first = who[np.isnan(self._told[name][who])]
        self._told[name][first] = now

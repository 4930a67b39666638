"""The plant that answers the policy: two axles on a slip curve, ABS, a brake that answers late, integrated in time.

    m dv/dt = -(F_f + F_r) - f_r N - rho/2 C_dA (v + w)|v + w| - m g sin(theta)                       (1)
    m_w du_i/dt = F_i - B_i,  F_i = N_i mu(v, x) c(s_i),  s_i = (v - u_i)/v                          (2)
    c(s) = [(1 - q) 2 z/(1 + z²) + q z/(z + 1/3)]/c_max,  z = s/s_peak                               (3)
    N_f = m (g cos(theta) b/L + a h/L),  N_r = m (g cos(theta) (1 - b/L) - a h/L)                    (4)

u_i is the speed of a wheel's rim, B_i the brake's force at it, m_w an axle's rotational mass. Unlike the simulator of
the training data it has no closed form: the way is what the integration makes of slip, load transfer, a road that
changes under the car, and discs that heat up meanwhile. Figures are engineering guesses [U]. Only + - * / and sqrt
decide here, so that every machine gives the same runs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.loop.rows import Rows

Array = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665  # CODATA standard gravity
AIR_DENSITY_KGPM3, DENSITY_AT_K, ZERO_CELSIUS_K = 1.225, 288.15, 273.15  # ISA at sea level
STEP_S = 0.0025
FRICTION_FLOOR_SHARE = 0.4
SLIDING_SHARE, _CURVE_PEAK = 0.6, 0.86417  # q of eq. (3), and the largest value of its bracket
# ABS in units of the slip of most grip: pressure is let off above one, taken up below the other, by shares per second.
RELEASE_ABOVE, APPLY_BELOW, RELEASE_PER_S, APPLY_PER_S = 2.2, 1.0, 12.0, 5.0
LEAST_MODULATION = 0.02
FADE_START_C, FADE_SPAN_K = 280.0, 450.0
DISC_HEAT_JPKGK = 8.0  # heat that the discs take, per kilogram of vehicle
# Below it slip is taken as if at this speed, since the quotient has no meaning at rest; below the other a car stands.
SLIP_SPEED_FLOOR_MPS, REST_MPS = 0.5, 0.02


@dataclass
class Vehicle(Rows):
    """What N vehicles are and where they drive; arrays of shape (N,)."""

    mass_kg: Array
    gross_mass_kg: Array
    front_load: Array  # [1] b/L, share of the weight on the front axle at rest
    height_over_base: Array  # [1] h/L
    axle_mass_kg: Array  # m_w, rotational
    front_brake: Array  # [1] share of the brake's force at the front axle
    capacity_mps2: Array  # what cold brakes reach at gross mass
    fade_share: Array
    delay_s: Array
    lag_s: Array
    drag_area_m2: Array
    rolling_resistance: Array
    slip_peak: Array  # [1] s_peak
    friction: Array  # [1] mu at low speed, of this tyre on this road
    friction_slope_spm: Array
    patch_after_m: Array  # way after which the road changes, infinite where it does not
    patch_factor: Array  # [1] friction after that, as a share
    grade: Array
    headwind_mps: Array
    air_temperature_c: Array
    disc_temperature_c: Array


# What a plant knows of its vehicles beside what they are; the last axis is theirs.
_STATE = (
    "speed_mps", "way_m", "braking", "deceleration_mps2", "_slower_mps2", "_wait_s", "_pressure", "_disc_c", "_rim_mps",
    "_modulation",
)  # fmt: skip


class Plant:
    """N vehicles in motion. Until their brakes are demanded they follow the driver's acceleration."""

    def __init__(self, vehicle: Vehicle, speed_mps: Array) -> None:
        n = speed_mps.size
        self.vehicle = vehicle
        self.speed_mps = speed_mps.astype(np.float64)
        self.way_m = np.zeros(n)
        self.braking = np.zeros(n, dtype=bool)
        self.deceleration_mps2 = np.zeros(n)
        self._wait_s = np.zeros(n)
        self._slower_mps2 = np.zeros(n)  # all that slows down, in the last step
        self._pressure = np.zeros(n)  # [1] share of what the brakes can do
        self._rim_mps = np.stack([self.speed_mps, self.speed_mps])
        self._modulation = np.ones((2, n))
        self._disc_c = vehicle.disc_temperature_c.copy()
        along = 1.0 / np.sqrt(1.0 + vehicle.grade * vehicle.grade)
        self._cos, self._sin = along, vehicle.grade * along
        density = AIR_DENSITY_KGPM3 * DENSITY_AT_K / (ZERO_CELSIUS_K + vehicle.air_temperature_c)
        self._drag = 0.5 * density * vehicle.drag_area_m2 / vehicle.mass_kg
        self._brake_share = np.stack([vehicle.front_brake, 1.0 - vehicle.front_brake])
        self._load = np.stack([vehicle.front_load, 1.0 - vehicle.front_load])
        self._shift = np.stack([vehicle.height_over_base, -vehicle.height_over_base])
        self._capacity_n = vehicle.capacity_mps2 * vehicle.gross_mass_kg

    def demand(self, who: NDArray[np.bool_], driver_mps2: Array) -> None:
        """Demand full braking of the vehicles `who` (N,); the driver's own braking is what the pressure begins at."""
        new = who & ~self.braking
        self.braking |= new
        self._wait_s[new] = self.vehicle.delay_s[new]
        own = np.maximum(-driver_mps2, 0.0) * self.vehicle.mass_kg / self._capacity_n
        self._pressure[new] = own[new]
        self._rim_mps[:, new] = self.speed_mps[new]

    def advance(self, seconds: float, driver_mps2: Array) -> None:
        """Move on by some time; `driver_mps2` (N,) moves those that are not braking."""
        braking = np.flatnonzero(self.braking)
        v = self.speed_mps
        faster = np.maximum(v + driver_mps2 * seconds, 0.0)
        # Who comes to rest within the time has not braked for all of it.
        lasted = np.where(faster > 0.0, seconds, np.where(driver_mps2 < 0.0, v / np.maximum(-driver_mps2, 1e-9), 0.0))
        driven = self.way_m + 0.5 * (v + faster) * lasted
        if braking.size:
            part = self.take(braking)
            for _ in range(round(seconds / STEP_S)):
                part._step()
            for name in _STATE:
                getattr(self, name)[..., braking] = getattr(part, name)
        self.way_m = np.where(self.braking, self.way_m, driven)
        self.speed_mps = np.where(self.braking, self.speed_mps, faster)

    def take(self, chosen: NDArray[np.intp]) -> "Plant":
        """The chosen vehicles as they are now."""
        plant = Plant(self.vehicle.take(chosen), self.speed_mps[chosen])
        for name in _STATE:
            setattr(plant, name, getattr(self, name)[..., chosen])
        return plant

    def _step(self) -> None:
        """One step of eq. (1) and (2), brakes demanded; semi-implicit in the wheels, which are the stiff part."""
        car, v, dt = self.vehicle, self.speed_mps, STEP_S
        self._wait_s -= dt
        self._pressure += np.where(self._wait_s <= 0.0, dt / (car.lag_s + dt) * (1.0 - self._pressure), 0.0)

        share = np.maximum(1.0 - car.friction_slope_spm * v, FRICTION_FLOOR_SHARE)
        grip = car.friction * share * np.where(self.way_m > car.patch_after_m, car.patch_factor, 1.0)
        gravity = GRAVITY_MPS2 * self._cos
        by_tyres = self.deceleration_mps2
        load_n = car.mass_kg * np.maximum(gravity * self._load + by_tyres * self._shift, 0.0)
        slip_base = np.maximum(v, SLIP_SPEED_FLOOR_MPS)
        z = np.maximum(v - self._rim_mps, 0.0) / (slip_base * car.slip_peak)
        hyper, slide = 1.0 + z * z, z + 1.0 / 3.0
        curve = ((1.0 - SLIDING_SHARE) * 2.0 * z / hyper + SLIDING_SHARE * z / slide) / _CURVE_PEAK
        rise = (1.0 - SLIDING_SHARE) * 2.0 * (1.0 - z * z) / (hyper * hyper) + SLIDING_SHARE / (3.0 * slide * slide)
        tyre_n = load_n * grip * curve
        stiff = load_n * grip * np.maximum(rise, 0.0) / (_CURVE_PEAK * slip_base * car.slip_peak)

        hot = np.minimum(np.maximum((self._disc_c - FADE_START_C) / FADE_SPAN_K, 0.0), 1.0)
        able_n = self._capacity_n * (1.0 - car.fade_share * hot)
        brake_n = self._pressure * able_n * self._brake_share * self._modulation
        # Slip is between two speeds that both fall: without the car's own change the wheels would seem to be heavier.
        falling = -self._slower_mps2 * dt * self._rim_mps / slip_base
        change = (tyre_n - brake_n + stiff * falling) * dt / (car.axle_mass_kg + stiff * dt)
        self._rim_mps = np.minimum(np.maximum(self._rim_mps + change, 0.0), v)
        letting, taking = z > RELEASE_ABOVE, z < APPLY_BELOW
        rate = np.where(letting, 1.0 - RELEASE_PER_S * dt, np.where(taking, 1.0 + APPLY_PER_S * dt, 1.0))
        self._modulation = np.minimum(np.maximum(self._modulation * rate, LEAST_MODULATION), 1.0)

        by_tyres = (tyre_n[0] + tyre_n[1]) / car.mass_kg
        air = v + car.headwind_mps
        resisting = gravity * car.rolling_resistance + self._drag * air * np.abs(air) + GRAVITY_MPS2 * self._sin
        self._slower_mps2 = by_tyres + resisting
        faster = v - self._slower_mps2 * dt
        faster = np.where(faster > REST_MPS, faster, 0.0)
        self.way_m += 0.5 * (v + faster) * dt
        power_w = (brake_n * self._rim_mps).sum(axis=0)
        self._disc_c += power_w * dt / (DISC_HEAT_JPKGK * car.mass_kg)
        self.deceleration_mps2 = by_tyres
        self.speed_mps = faster

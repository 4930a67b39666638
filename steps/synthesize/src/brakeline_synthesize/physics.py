"""The way a braking vehicle needs to stop: dead time, linear ramp, full braking.

    m dv/dt = -[F_b + m g sin(theta) + f_r m g cos(theta) + rho(T)/2 C_dA (v + w) |v + w|]       (1)
    a_b     = min(mu(v) eta g cos(theta), a_cap fade(T) m_gvm / m)                               (2)
    mu(v)   = mu0 max(1 - k v, 0.4) tread pressure,   fade = 1 - k_f clip((T - 300 K above 0 degC)/400)

Resistance is held constant during dead time and ramp (together under half a second); the full phase is
d = integral of v / a(v) dv by 12-point Gauss-Legendre quadrature. Only + - * / and sqrt on arrays decide
bytes here, and numpy's sin/cos never appear: the grade is a small rise over run, sin = g/sqrt(1+g²).
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GRAVITY_MPS2 = 9.80665  # CODATA standard gravity
AIR_DENSITY_KGPM3, DENSITY_AT_K = 1.225, 288.15  # ISA at sea level; falls with 1 / absolute temperature
ZERO_CELSIUS_K = 273.15
FRICTION_FLOOR_SHARE = 0.4  # a guess: friction never falls below this share of its low-speed value
FADE_START_C, FADE_SPAN_K = 300.0, 400.0  # a guess, order of magnitude of organic pads
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True)
class Stop:
    """State of N stops at the moment of the brake demand; every field is an array of shape (N,)."""

    speed_mps: Array
    grade: Array  # [1] rise over run, above 0 uphill
    headwind_mps: Array
    disc_temperature_c: Array
    friction: Array  # [1] mu0, peak tyre-road friction at low speed
    friction_slope_spm: Array  # [s/m] k, loss of friction with speed
    grip_share: Array  # [1] tread and tyre pressure
    abs_efficiency: Array  # [1] eta
    dead_time_s: Array
    ramp_time_s: Array
    mass_kg: Array
    gross_mass_kg: Array  # m_gvm, at which the brakes reach their capacity
    capacity_mps2: Array  # a_cap
    fade_share: Array  # [1] k_f
    rolling_resistance: Array  # [1] f_r
    drag_area_m2: Array  # C_dA
    air_temperature_c: Array

    def take(self, chosen: NDArray[np.intp] | NDArray[np.bool_] | slice) -> "Stop":
        """The chosen stops."""
        return Stop(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})


def stopping_distance_m(stop: Stop) -> Array:
    """Way from the brake demand to standstill [m], shape (N,), by eq. (1) and (2) in three phases.

    Infinite where the brakes cannot hold the vehicle on its slope.
    """
    v0, reach = stop.speed_mps, stop.dead_time_s
    drift = resistance_mps2(stop, v0)
    v1 = np.maximum(v0 - drift * reach, 0.0)
    dead_m = 0.5 * (v0 + v1) * reach
    ramp_m, v2 = _ramp(stop, v1)
    return dead_m + ramp_m + _full_braking_m(stop, v2)


def braking_mps2(stop: Stop, speed_mps: Array) -> Array:
    """Deceleration by the brakes alone at a speed [m/s²], eq. (2)."""
    share = np.maximum(1.0 - stop.friction_slope_spm * speed_mps, FRICTION_FLOOR_SHARE)
    along = 1.0 / np.sqrt(1.0 + stop.grade * stop.grade)
    by_tyre = stop.friction * share * stop.grip_share * stop.abs_efficiency * GRAVITY_MPS2 * along
    hot = np.clip((stop.disc_temperature_c - FADE_START_C) / FADE_SPAN_K, 0.0, 1.0)
    by_brake = stop.capacity_mps2 * (1.0 - stop.fade_share * hot) * stop.gross_mass_kg / stop.mass_kg
    return np.minimum(by_tyre, by_brake)


def resistance_mps2(stop: Stop, speed_mps: Array) -> Array:
    """Deceleration by slope, rolling and air [m/s²]; below 0 where a slope speeds the vehicle up."""
    along = 1.0 / np.sqrt(1.0 + stop.grade * stop.grade)
    air = speed_mps + stop.headwind_mps
    density = AIR_DENSITY_KGPM3 * DENSITY_AT_K / (ZERO_CELSIUS_K + stop.air_temperature_c)
    drag = 0.5 * density * stop.drag_area_m2 / stop.mass_kg * air * np.abs(air)
    return GRAVITY_MPS2 * along * (stop.grade + stop.rolling_resistance) + drag


def weakest_deceleration_mps2(stop: Stop) -> Array:
    """Least net deceleration of the full phase over all speeds from the initial one to 0 [m/s²]."""
    speeds = stop.speed_mps[:, None] * np.linspace(0.0, 1.0, 9)
    wide = Stop(**{field.name: getattr(stop, field.name)[:, None] for field in fields(stop)})
    weakest: Array = np.min(braking_mps2(wide, speeds) + resistance_mps2(wide, speeds), axis=1)
    return weakest


def _ramp(stop: Stop, v1: Array) -> tuple[Array, Array]:
    """Way and final speed of the linear rise to full braking, where some stops already end."""
    tau, full, drift = stop.ramp_time_s, braking_mps2(stop, v1), resistance_mps2(stop, v1)
    v2 = v1 - drift * tau - 0.5 * full * tau
    whole_m = v1 * tau - 0.5 * drift * tau**2 - full * tau**2 / 6.0
    root = np.sqrt(np.maximum(drift**2 + 2.0 * full * v1 / tau, 0.0))
    end_s = np.minimum(tau * (root - drift) / full, tau)
    short_m = v1 * end_s - 0.5 * drift * end_s**2 - full * end_s**3 / (6.0 * tau)
    return np.where(v2 > 0.0, whole_m, short_m), np.maximum(v2, 0.0)


def _full_braking_m(stop: Stop, v2: Array) -> Array:
    total = np.zeros_like(v2)
    stuck = np.zeros(v2.shape, dtype=bool)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        v = 0.5 * v2 * (1.0 + node)
        net = braking_mps2(stop, v) + resistance_mps2(stop, v)
        stuck |= net <= 0.0
        total += weight * v / np.where(net > 0.0, net, 1.0)
    return np.where(stuck & (v2 > 0.0), np.inf, 0.5 * v2 * total)

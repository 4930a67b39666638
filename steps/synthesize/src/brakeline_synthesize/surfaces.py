"""Surfaces and the weather that goes with them: one row of figures each, after published ranges where there are any.

Friction lies about the published 0.70-0.80 (dry asphalt), 0.45-0.55 (wet), 0.25-0.35 (packed snow) and 0.05-0.15
(ice), and the 0.9 of test tracks (peak braking coefficient in UN R152 and Euro NCAP). Everything else is an
engineering guess [U]. Bounds are chosen so that every stop ends: the steepest slope that is open to traffic on a
surface still leaves a net deceleration, which a test works out for the worst corner of all.
"""

from dataclasses import dataclass

import numpy as np

from brakeline_synthesize.priors import Truncated


@dataclass(frozen=True)
class Surface:
    """What a surface does to grip, weather and drivers."""

    name: str
    friction: Truncated  # [1] mu0, peak tyre-road friction at low speed
    steepest_downhill: float  # [1] rise over run; steeper roads are closed or gritted
    slope_spm: float  # [s/m] loss of friction with speed
    film_slope: float  # [s/m per mm/h] more of it in rain, on a worn tyre
    tread_loss: float  # [1] share of grip that a worn-out tyre lacks
    air_sd_k: float
    air_low_c: float
    air_high_c: float
    raining_share: float
    rain_mean_mmph: float  # while it rains; snowfall as water
    speed_share: float  # drivers' speed, as a share of that on a dry road


SURFACES = (
    Surface("dry", Truncated(0.92, 0.07, 0.65, 1.15), 0.15, 0.0015, 0.0, 0.0, 9.0, -25.0, 46.0, 0.02, 0.3, 1.0),
    Surface("wet", Truncated(0.62, 0.10, 0.36, 0.90), 0.10, 0.0035, 0.0004, 0.15, 6.0, 0.5, 38.0, 0.75, 4.0, 0.94),
    Surface("snow", Truncated(0.28, 0.06, 0.15, 0.45), 0.07, 0.0030, 0.0, 0.15, 3.0, -25.0, 3.0, 0.5, 1.5, 0.75),
    Surface("ice", Truncated(0.12, 0.035, 0.08, 0.25), 0.03, 0.0020, 0.0, 0.10, 2.5, -25.0, 2.0, 0.15, 0.8, 0.6),
)
NAMES = tuple(surface.name for surface in SURFACES)

# Heavier rain runs off as fast as it falls [U].
MOST_FILM_MMPH = 10.0
STEEPEST_UPHILL = 0.15


def of_each(field: str) -> np.ndarray:
    """A field of all surfaces, shape (4,)."""
    return np.array([getattr(surface, field) for surface in SURFACES], dtype=np.float64)

"""What a scenario is: a named row that says who drives how, what is ahead, and what is held against the policy."""

from dataclasses import dataclass
from enum import StrEnum

KMPH = 1.0 / 3.6  # [m/s]
STANDING_G_MPS2 = 9.81  # as the protocols state decelerations in g


class Road(StrEnum):
    """What is under the tyres."""

    DRY = "dry"
    WET = "wet"
    SNOW = "snow"
    ICE = "ice"


class Load(StrEnum):
    """What the vehicle carries."""

    ANY = "any"
    UNLADEN = "unladen"
    LADEN = "laden"


class Kind(StrEnum):
    """What is ahead, as radar and camera take it."""

    CAR = "car"
    PLATE = "steel plate"  # a strong echo that no camera takes for an obstacle
    RADAR_GHOST = "radar ghost"  # an echo that comes and goes
    CAMERA_GHOST = "camera ghost"  # a shadow or a picture of a car, for a moment


class Fault(StrEnum):
    """What is wrong with the sensors of the car."""

    NONE = "none"
    RADAR_DROPOUT = "radar dropout"
    SPEED_STUCK = "speed stuck"
    FRICTION_BIASED = "friction biased"


@dataclass(frozen=True)
class Change:
    """From a moment on [s], another acceleration [m/s²]."""

    at_s: float
    acceleration_mps2: float


@dataclass(frozen=True)
class Sideways:
    """A way across, from one lateral place to another [m], between two moments [s]; the lane's middle is 0."""

    from_m: float = 0.0
    to_m: float = 0.0
    begin_s: float = 0.0
    end_s: float = 1.0


@dataclass(frozen=True)
class Limits:
    """The checks of a scenario. Rates are limits of the upper end of a 95 % interval; None is no check.

    `impact`: share of runs that hit faster than allowed. `nuisance`: share of runs with braking. `unwarned`: share of
    runs that braked less than `WARNED_BEFORE_S` after the warning.
    """

    impact: float | None = None
    nuisance: float | None = None
    unwarned: float | None = None


@dataclass(frozen=True)
class Scenario:
    """One row. Speeds [m/s], distances [m]; `after` names what it is modelled on."""

    name: str
    after: str
    speed_mps: float
    gap_m: float
    limits: Limits
    target_speed_mps: float = 0.0
    target: tuple[Change, ...] = ()
    driver: tuple[Change, ...] = ()
    sideways: Sideways = Sideways()
    bend_radius_m: float = float("inf")  # of a bend that begins `bend_after_m` ahead and turns to the target's side
    bend_after_m: float = 0.0
    kind: Kind = Kind.CAR
    road: Road = Road.DRY
    load: Load = Load.ANY
    fault: Fault = Fault.NONE
    truck: bool = False
    allowed_impact_mps: float = 0.0
    duration_s: float = 12.0
    runs: int = 240
    per_1000_km: float = 0.0  # how often a car meets this [U]

    @property
    def is_positive(self) -> bool:
        """Whether braking is wanted."""
        return self.limits.impact is not None

"""Scenarios in which braking is wanted, one named row each, after UN R152, FMVSS 127 and Euro NCAP C2C.

They follow the published speeds, gaps and decelerations; tracks, tolerances, tyres and the judging are this gate's own.
No regulation is claimed to be met. Where the policy is allowed to touch, the allowed speed is R152's for that row, or
stated here where nothing is published (snow, ice, sensor faults).
"""

from brakeline_validate.loop.scenario import KMPH, STANDING_G_MPS2, Change, Fault, Limits, Load, Road, Scenario

_R152, _FMVSS, _NCAP, _OWN = "UN R152", "FMVSS 127", "Euro NCAP C2C", "own"
_G = STANDING_G_MPS2
# A rate whose upper bound must stay below these: one run in a hundred may lie beyond the model's bound.
_HITS = 0.08
_WARNED = 0.10
# On ice that no sensor tells from a wet road, the bound is missed more often, and says so in the dossier.
_HITS_ON_ICE = 0.25
# A friction estimate that is wrong and possible: `faults.py` accepts that 13 % of the bounds are missed then.
_HITS_MISLED = 0.2

# Highest relative impact speed [km/h] against a standing target, laden and unladen, by own speed: UN R152.
_R152_ALLOWED = {20: (0, 0), 30: (0, 0), 40: (0, 0), 42: (10, 0), 45: (15, 15), 50: (25, 25), 55: (30, 30),
                 60: (35, 35)}  # fmt: skip


def _standing(kmph: float, after: str, words: str = "", ttc_s: float = 5.0, **more: object) -> Scenario:
    settings = {"limits": Limits(impact=_HITS, unwarned=_WARNED)} | more
    speed = kmph * KMPH
    return Scenario(f"{after}: standing, {kmph:g} km/h{words}", after, speed, speed * ttc_s, **settings)  # type: ignore[arg-type]


def _moving(kmph: float, target_kmph: float, after: str, words: str = "", **more: object) -> Scenario:
    settings = {"limits": Limits(impact=_HITS, unwarned=_WARNED)} | more
    speed, target = kmph * KMPH, target_kmph * KMPH
    name = f"{after}: moving, {kmph:g} to {target_kmph:g} km/h{words}"
    return Scenario(name, after, speed, 5.0 * (speed - target), target_speed_mps=target, **settings)  # type: ignore[arg-type]


def _braking(kmph: float, gap_m: float, deceleration_mps2: float, after: str) -> Scenario:
    name = f"{after}: braking {deceleration_mps2 / _G:.2g} g, {kmph:g} km/h, {gap_m:g} m"
    return Scenario(
        name, after, kmph * KMPH, gap_m, Limits(impact=_HITS), target_speed_mps=kmph * KMPH,
        target=(Change(1.0, -deceleration_mps2),), duration_s=14.0,
    )  # fmt: skip


_LOADS = ((Load.LADEN, 0), (Load.UNLADEN, 1))

POSITIVE: tuple[Scenario, ...] = (
    *(
        _standing(kmph, _R152, f", {load}", ttc_s=4.0, load=load, allowed_impact_mps=allowed[place] * KMPH)
        for kmph, allowed in _R152_ALLOWED.items()
        for load, place in _LOADS
    ),
    *(_moving(kmph, 20, _R152, f", {load}", load=load) for kmph in (30, 60) for load, _ in _LOADS),
    *(_standing(kmph, _FMVSS) for kmph in (10, 50, 80)),
    *(_moving(kmph, 20, _FMVSS) for kmph in (40, 60, 80)),
    *(_braking(50, gap, share * _G, _FMVSS) for gap in (12, 40) for share in (0.3, 0.5)),
    *(_braking(80, gap, share * _G, _FMVSS) for gap in (12, 40) for share in (0.3, 0.5)),
    *(_standing(kmph, _NCAP) for kmph in (35, 65, 75)),
    *(_moving(kmph, 20, _NCAP) for kmph in (35, 55, 75)),
    *(_braking(50, gap, a, _NCAP) for gap in (12, 40) for a in (2.0, 6.0)),
    *(_standing(kmph, _OWN, ", wet", road=Road.WET) for kmph in (40, 60, 80)),
    _moving(80, 20, _OWN, ", wet", road=Road.WET),
    _standing(40, _OWN, ", snow", ttc_s=8.0, road=Road.SNOW, allowed_impact_mps=15 * KMPH),
    _standing(60, _OWN, ", snow", ttc_s=8.0, road=Road.SNOW, allowed_impact_mps=20 * KMPH, duration_s=16.0),
    _standing(30, _OWN, ", ice", ttc_s=10.0, road=Road.ICE, allowed_impact_mps=15 * KMPH, duration_s=18.0,
              limits=Limits(impact=_HITS_ON_ICE)),
    _standing(60, _OWN, ", truck", truck=True),
    _standing(80, _OWN, ", truck", truck=True),
    _standing(60, _OWN, ", radar out for a second", fault=Fault.RADAR_DROPOUT, allowed_impact_mps=20 * KMPH),
    _standing(50, _OWN, ", speed reading stuck too low", fault=Fault.SPEED_STUCK, allowed_impact_mps=15 * KMPH),
    _standing(60, _OWN, ", wet, friction read too high", fault=Fault.FRICTION_BIASED, road=Road.WET,
              allowed_impact_mps=20 * KMPH, limits=Limits(impact=_HITS_MISLED, unwarned=_WARNED)),
)  # fmt: skip

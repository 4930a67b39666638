"""Scenarios in which braking is wrong, one named row each; how often a car meets each of them is a guess [U].

FMVSS 127 names the steel plate; the others are what drivers of real systems complain of.
"""

from brakeline_validate.loop.scenario import KMPH, Change, Kind, Limits, Road, Scenario, Sideways

_OWN = "own"
_CALM = Limits(nuisance=0.05)
# What is hard for any system: braking in some of these is accepted, and the rate is published.
_HARD = Limits(nuisance=0.10)

NEGATIVE: tuple[Scenario, ...] = (
    Scenario(
        "cut-out: the lead leaves the lane", _OWN, 80 * KMPH, 40.0, _CALM, target_speed_mps=55 * KMPH,
        target=(Change(0.5, -1.0),), driver=(Change(0.8, -1.2),),
        sideways=Sideways(0.0, 3.5, 0.5, 2.5), duration_s=6.0, per_1000_km=40.0,
    ),
    Scenario(
        "turn-off: the lead slows down and turns", _OWN, 60 * KMPH, 30.0, _HARD, target_speed_mps=50 * KMPH,
        target=(Change(0.3, -2.5), Change(3.3, 0.0)), driver=(Change(1.0, -2.0), Change(3.5, 0.0)),
        sideways=Sideways(0.0, 4.5, 2.2, 4.2), duration_s=6.0, per_1000_km=30.0,
    ),
    Scenario(
        "brief braking by the lead", _OWN, 80 * KMPH, 27.0, _HARD, target_speed_mps=80 * KMPH,
        target=(Change(1.0, -3.0), Change(1.9, 0.0), Change(2.4, 1.5)),
        driver=(Change(1.9, -2.0), Change(3.2, 0.0)), duration_s=6.0, per_1000_km=60.0,
    ),
    Scenario(
        "following close behind", _OWN, 100 * KMPH, 25.0, _CALM, target_speed_mps=99 * KMPH,
        duration_s=8.0, per_1000_km=80.0,
    ),
    Scenario(
        "overtaking: the driver changes lanes late", _OWN, 110 * KMPH, 60.0, _CALM, target_speed_mps=85 * KMPH,
        sideways=Sideways(0.0, -3.5, 2.0, 4.5), duration_s=8.0, per_1000_km=40.0,
    ),
    *(
        Scenario(
            f"the driver stops behind a queue, {road}", _OWN, kmph * KMPH, gap, _CALM,
            driver=(Change(begin, -brakes),), road=road, duration_s=duration, per_1000_km=often,
        )
        for road, kmph, gap, begin, brakes, duration, often in (
            (Road.DRY, 50, 63.0, 1.0, 2.4, 8.0, 100.0),
            (Road.WET, 50, 70.0, 1.0, 2.2, 9.0, 30.0),
            (Road.SNOW, 30, 58.0, 1.0, 0.9, 12.0, 10.0),
        )
    ),
    Scenario(
        "radar ghost", _OWN, 80 * KMPH, 60.0, _CALM, kind=Kind.RADAR_GHOST, duration_s=3.0, per_1000_km=20.0,
    ),
    Scenario(
        "camera ghost: a shadow for half a second", _OWN, 80 * KMPH, 35.0, _CALM, kind=Kind.CAMERA_GHOST,
        duration_s=0.5, per_1000_km=10.0,
    ),
    Scenario(
        "steel plate on the road", "FMVSS 127", 80 * KMPH, 111.0, _CALM, kind=Kind.PLATE, duration_s=6.0,
        per_1000_km=5.0,
    ),
    Scenario(
        "oncoming traffic in a bend", _OWN, 70 * KMPH, 140.0, _HARD, target_speed_mps=-60 * KMPH,
        sideways=Sideways(3.5, 3.5), bend_radius_m=180.0, bend_after_m=45.0, duration_s=5.0, per_1000_km=60.0,
    ),
    Scenario(
        "a queue in the next lane", _OWN, 60 * KMPH, 80.0, _CALM, sideways=Sideways(3.3, 3.3),
        duration_s=6.0, per_1000_km=80.0,
    ),
    Scenario(
        "a queue in the next lane of a bend", _OWN, 60 * KMPH, 90.0, _HARD, sideways=Sideways(3.3, 3.3),
        bend_radius_m=250.0, bend_after_m=30.0, duration_s=7.0, per_1000_km=20.0,
    ),
    Scenario(
        "a car parked at the edge", _OWN, 50 * KMPH, 70.0, _CALM, sideways=Sideways(2.7, 2.7), duration_s=6.0,
        per_1000_km=150.0,
    ),
)  # fmt: skip

"""The scenario table in words, for people."""

from brakeline_validate.loop.closed_loop import SCENARIOS
from brakeline_validate.loop.scenario import KMPH, Scenario


def listing() -> str:
    """Every scenario on a line of its own, with what is held against it; positive ones first."""
    rows: list[tuple[str, ...]] = [
        ("scenario", "speed", "gap", "target", "road", "runs", "at most (upper end of a 95 % interval)")
    ]
    rows += [_row(one) for one in SCENARIOS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows)


def _row(one: Scenario) -> tuple[str, ...]:
    limits = one.limits
    held = []
    if limits.impact is not None:
        allowed = f"above {one.allowed_impact_mps / KMPH:.0f} km/h " if one.allowed_impact_mps else ""
        held.append(f"{100 * limits.impact:g} % contact {allowed}".rstrip())
    if limits.nuisance is not None:
        held.append(f"{100 * limits.nuisance:g} % braking")
    if limits.unwarned is not None:
        held.append(f"{100 * limits.unwarned:g} % late warning")
    target = f"{one.target_speed_mps / KMPH:.0f} km/h"
    return (
        one.name,
        f"{one.speed_mps / KMPH:.0f} km/h",
        f"{one.gap_m:.0f} m",
        target if one.kind.value == "car" else one.kind.value,
        str(one.road),
        str(one.runs),
        ", ".join(held),
    )

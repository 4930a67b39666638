"""What makes each alert about drift fire, and what just does not."""

from __future__ import annotations

from brakeline import drift
from brakeline.rule import Rule

from tests.telemetry import healthy
from tests.telemetry.cases import HERE, Case
from tests.telemetry.healthy import ROWS, SERVER, STEPS, feature, gauge, info, one

TRAINING = (0.5, 0.3, 0.2)
LIMIT = Rule().psi or 0.0
FEW = 101  # rows in 30 s of which a window has just enough
# Another model that becomes the primary after ten minutes, as wide from the first as would be an alert of the old one.
OTHER_MODEL = {
    info("3", "primary"): "1x19 stale",
    info("5", "primary"): f"_x20 1x{STEPS - 20}",
    f'brakeline_bound_spread_metres_sum{{{SERVER},version="5"}}': f"_x20 0+{16 * ROWS}x{STEPS - 20}",
    f'brakeline_bound_spread_metres_count{{{SERVER},version="5"}}': f"_x20 0+{ROWS}x{STEPS - 20}",
    f'brakeline_margin_metres_bucket{{{SERVER},version="5",le="0.0"}}': f"_x20 0+{0.9 * ROWS}x{STEPS - 20}",
    f'brakeline_margin_metres_bucket{{{SERVER},version="5",le="+Inf"}}': f"_x20 0+{ROWS}x{STEPS - 20}",
}


def shifted(index: float) -> tuple[float, float, float]:
    """Shares of the three bins whose stability index is as asked: so much goes from the first bin to the last."""
    low, high = 0.0, 0.45
    for _ in range(60):
        moved = (low + high) / 2
        shares = (TRAINING[0] - moved, TRAINING[1], TRAINING[2] + moved)
        low, high = (moved, high) if drift.stability(TRAINING, shares) < index else (low, moved)
    return shares


def rows(shares: tuple[float, ...], total: float = ROWS) -> tuple[float, ...]:
    """Readings in each bin per 30 s."""
    return tuple(share * total for share in shares)


def then(name: str, before: float, after: float) -> dict[str, str]:
    """A counter that grows by one amount for ten minutes, and by another from then on."""
    return {f'{name}{{{SERVER},version="3"}}': f"0+{before:g}x20 {before * 20 + after:g}+{after:g}x{STEPS - 21}"}


def margin(before: float, after: float, rows: float = ROWS) -> dict[str, str]:
    """The share of margins below 0 for ten minutes, and from then on, of so many rows."""
    changed = then("brakeline_margin_metres_bucket", before * ROWS, after * rows)
    return {name.replace("}", ',le="0.0"}'): values for name, values in changed.items()}


def margins(rows: float) -> dict[str, str]:
    """Margins at all: as many rows as ever for ten minutes, and so many from then on."""
    changed = then("brakeline_margin_metres_bucket", ROWS, rows)
    return {name.replace("}", ',le="+Inf"}'): values for name, values in changed.items()}


def index_of(shares: tuple[float, ...]) -> str:
    """The index as a description has it."""
    return f"{drift.stability(TRAINING, shares):.2f}"


def restarted(series: dict[str, str]) -> dict[str, str]:
    """The same, with every counter back at 0 after ten minutes."""
    growth = {name: values.rpartition("x")[0] for name, values in series.items()}
    return {name: f"{by}x20 {by}x{STEPS - 21}" for name, by in growth.items()}


DRIFT = (
    Case(
        "BrakelineOutOfRange",
        {**one("brakeline_rows_total", FEW), **one("brakeline_out_of_range_total", FEW * 0.021)},
        1200,
        HERE,
        "2.1% of the rows break the contract and get the worst case, the limit is 2%.",
        {
            "just below the limit": one("brakeline_out_of_range_total", ROWS * 0.0199),
            "fewer rows than say something": {
                **one("brakeline_rows_total", 99),
                **one("brakeline_out_of_range_total", 9),
            },
            "no rows at all": {**one("brakeline_rows_total", 0), **one("brakeline_out_of_range_total", 0)},
        },
    ),
    Case(
        "BrakelineFeatureDrift",
        feature(rows(shifted(0.26), FEW)),
        1200,
        {**HERE, "version": "3", "feature": "f"},
        "The stability index of f against the training data of version 3 is 0.26, the limit is 0.25.",
        {
            "just below the limit": feature(rows(shifted(LIMIT - 1e-4))),
            "fewer rows than say something": feature(rows(shifted(0.3), 99)),
            "a version that is not the primary": {
                **feature(rows(shifted(0.3))),
                info("3", "primary"): None,
                healthy.info("3", "primary", healthy.OTHER): None,
            },
            "a burst shorter than it must hold": {
                name: values.replace(f"x{STEPS}", "x20 stale") for name, values in feature(rows(shifted(0.3))).items()
            },
            "a server that starts anew": restarted(feature(rows(TRAINING))),
        },
    ),
    Case(
        "BrakelineFeatureDrift",
        feature(rows(TRAINING, ROWS * 0.8), missing=ROWS * 0.2),
        1020,
        {**HERE, "version": "3", "feature": "f"},
        "The stability index of f against the training data of version 3 is 1.56, the limit is 0.25.",
        {},
    ),
    Case(
        "BrakelineBoundWidened",
        {
            **then("brakeline_bound_spread_metres_sum", 10 * ROWS, 15.1 * FEW),
            **then("brakeline_bound_spread_metres_count", ROWS, FEW),
        },
        1800,
        {**HERE, "version": "3", "sha256": "sha-3"},
        "The mean of bound less median of version 3 is 5.1 m above what it was while the model was new, the limit is "
        "5 m.",
        {
            "just below the limit": then("brakeline_bound_spread_metres_sum", 10 * ROWS, 14.99 * ROWS),
            "it was as wide when it was new": healthy.spread(40.0),
            "another model, whose width is its own": OTHER_MODEL,
            "fewer rows than say something": {
                **then("brakeline_bound_spread_metres_sum", 10 * ROWS, 20 * 99),
                **then("brakeline_bound_spread_metres_count", ROWS, 99),
            },
        },
        end_s=3000,
    ),
    Case(
        "BrakelineMarginLost",
        {**margin(0.2, 0.305, FEW), **margins(FEW)},
        1800,
        {**HERE, "version": "3", "sha256": "sha-3"},
        "The share of rows whose bound is longer than the gap ahead (margin below 0 m) is 10.5% above what it was "
        "while version 3 was new, the limit is 10%.",
        {
            "just below the limit": margin(0.2, 0.2999),
            "fewer rows than say something": {**margin(0.2, 0.5, 99), **margins(99)},
            "another model, whose margin is its own": OTHER_MODEL,
        },
        end_s=3000,
    ),
    Case(
        "BrakelineShadowDiffers",
        {**healthy.shadow(0.052, FEW), **one("brakeline_shadow_rows_dropped_total", 0)},
        1200,
        {**HERE, "version": "4"},
        "The medians of shadow 4 and primary are more than 0.5 m apart in 5.2% of the rows, the limit is 5%.",
        {
            "just below the limit": healthy.shadow(0.0499),
            "fewer rows than say something": healthy.shadow(0.06, 99),
            "no rows compared": {name: gauge(0) for name in healthy.shadow(0.06)},
        },
    ),
    Case(
        "BrakelineShadowRowsDropped",
        one("brakeline_shadow_rows_dropped_total", ROWS * 1.05 / 98.95),
        930,
        HERE,
        "1.05% of the rows meant for the shadow were dropped, the limit is 1%; its comparison is of the rest.",
        {"just below the limit": one("brakeline_shadow_rows_dropped_total", ROWS * 0.999 / 99)},
    ),
)

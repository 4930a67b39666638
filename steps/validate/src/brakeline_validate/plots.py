"""The dossier's plots, drawn once for light and once for dark paper, as SVG that needs nothing from outside."""

from typing import Any

import altair as alt
import vl_convert

from brakeline_validate.candidate import Candidate
from brakeline_validate.highway_code import BRAKING_M, MPS_PER_MPH, ROADS, curve
from brakeline_validate.metrics import Score

KMPH_PER_MPS = 3.6
STATED_MISS = 0.01
_WIDTH = 560
_ROAD_COLOURS = {"dry": "#b07d2b", "wet": "#3d7ebd", "snow": "#7a8ea3", "ice": "#1aa7a1"}


def stopping_distances(model: Candidate) -> str:
    """Distance against speed by road: median as a line, bound as the band's upper edge, Highway Code as points."""
    speeds = [float(value) for value in range(2, 41)]
    rows = [
        {"road": asked.road, "speed": speed * KMPH_PER_MPS, "median": median, "upper": upper}
        for asked in (curve(model, road, speeds) for road in ROADS)
        for speed, median, upper in zip(asked.speed_mps, asked.median_m, asked.upper_m, strict=True)
    ]
    points = [{"speed": mph * MPS_PER_MPH * KMPH_PER_MPS, "median": m} for mph, m in BRAKING_M.items()]
    colour = alt.Color(
        "road:N",
        title="road",
        legend=alt.Legend(symbolOpacity=1, symbolType="square"),
        scale=alt.Scale(domain=list(_ROAD_COLOURS), range=list(_ROAD_COLOURS.values())),
    )
    base = alt.Chart(_data(rows)).encode(x=alt.X("speed:Q", title="speed [km/h]"), color=colour)
    y = alt.Y(
        "median:Q",
        title="distance to standstill [m]",
        scale=alt.Scale(type="log", domain=[1, 2000], nice=False, clamp=True),
    )
    band = base.mark_area(opacity=0.18).encode(y=y, y2="upper:Q")
    edge = base.mark_line(strokeDash=[4, 3], strokeWidth=1).encode(y="upper:Q")
    line = base.mark_line().encode(y=y)
    code = (
        alt.Chart(_data(points))
        .mark_point(shape="cross", size=60, filled=True, color="#d0433b")
        .encode(x="speed:Q", y="median:Q")
    )
    return _both(alt.layer(band, edge, line, code).properties(width=_WIDTH, height=330))


def missed_by_slice(observable: dict[str, Score]) -> str:
    """Share of stops beyond their bound, by observable slice, beside the stated 1 %."""
    rows = [{"slice": name, "missed": 100 * score.missed_share} for name, score in observable.items() if score.rows]
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(color="#3d7ebd")
        .encode(
            x=alt.X("missed:Q", title="stops longer than their bound [%]"),
            y=alt.Y("slice:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
        )
    )
    rule = alt.Chart(_data([{"at": 100 * STATED_MISS}])).mark_rule(color="#d0433b", strokeWidth=2)
    return _both(alt.layer(bars, rule.encode(x="at:Q")).properties(width=_WIDTH - 140))


def error_by_truth(by_truth: dict[str, Score]) -> str:
    """Relative error of the median by the truth that no car can see."""
    rows = [{"truth": name, "error": 100 * score.relative_error} for name, score in by_truth.items() if score.rows]
    bars = (
        alt.Chart(_data(rows))
        .mark_bar(color="#7a8ea3")
        .encode(
            x=alt.X("error:Q", title="mean error of the median [%]"),
            y=alt.Y("truth:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
        )
    )
    return _both(bars.properties(width=_WIDTH - 140))


def _data(rows: list[dict[str, Any]]) -> alt.InlineData:
    return alt.InlineData(values=rows)


def _both(chart: alt.TopLevelMixin) -> str:
    drawn = (
        f'<div class="{paper}">{_svg(chart, ink, grid)}</div>'
        for paper, ink, grid in (("light", "#222", "#ddd"), ("dark", "#ddd", "#444"))
    )
    return "".join(drawn)


def _svg(chart: alt.TopLevelMixin, ink: str, grid: str) -> str:
    axis = {"labelColor": ink, "titleColor": ink, "gridColor": grid, "domainColor": ink, "tickColor": ink}
    legend = {"labelColor": ink, "titleColor": ink}
    spec: dict[str, Any] = chart.to_dict()
    spec["background"] = None
    spec["config"] = {
        "axis": axis | {"labelFontSize": 12, "titleFontSize": 12},
        "legend": legend,
        "view": {"stroke": None},
    }
    drawn: str = vl_convert.vegalite_to_svg(spec)
    return drawn

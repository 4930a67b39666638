"""The plots beside RESULTS.md, as SVG, from results alone: the same results and fonts give the same bytes.

Every plot has a line where the aim or the limit is, and shows rounds or members, not only their middle.
"""

import re
from collections.abc import Callable
from typing import Any

import altair as alt
import vl_convert as vlc
from _page import families
from _results import Entry, Results

MET, SHORT, PLAIN = "#2a6f97", "#c8553d", "#8d99ae"
_FAR = 20.0  # a figure may be any number of times beyond its aim
_TIMES, _SHARES = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], [0.01, 0.1, 1, 10]
_MUTANTS = re.compile(r"mutants of (\w+) refused / all, ([\d.]+)% changed, probes too")
_WIDTH = 520
Rows = list[dict[str, Any]]
Chart = Any  # altair's charts are typed by generated classes of which each layer is another


def drawn(results: Results) -> dict[str, tuple[str, str, str]]:
    """By bench ('' for all): a file's name, what it shows in words, and the SVG. A plot without figures is left out."""
    makers: tuple[tuple[str, str, str, Callable[[Results], Chart | None]], ...] = (
        ("", "aims.svg", "How far each figure is from its aim", _aims),
        ("model", "model.svg", "The model's error beside the noise floor, and three baselines", _model),
        ("gate", "gate.svg", "What three policies hit and brake for; mutants refused by their behaviour alone", _gate),
        ("serving", "serving.svg", "Requests a second of each server, as multiples of an echo's", _serving),
    )
    found = {}
    for bench, name, words, make in makers:
        chart = make(results)
        if chart is not None:
            styled = chart.configure_view(stroke=None).configure_axis(grid=True, gridColor="#e5e8ec", domain=False)
            svg = vlc.vegalite_to_svg(styled.configure(background="white", font="sans-serif").to_dict())
            found[bench] = (name, words, svg if svg.endswith("\n") else svg + "\n")
    return found


def _aims(results: Results) -> Chart | None:
    """A row for each family of figures, a dot for each member, right of the line where the aim is met."""
    rows: Rows = []
    for entry in results.entries:
        for name, members in families([figure for figure in entry.figures if figure["aim"]]):
            rows += [
                {"of": f"{entry.bench} · {name}", "times": beyond(each), "met": "met" if each["met"] else "fell short"}
                for each in members
            ]
    if not rows:
        return None
    shown = alt.Scale(type="log", domain=[1 / _FAR, _FAR], nice=False)
    x = alt.X("times:Q", title="times better than its aim asks", scale=shown, axis=alt.Axis(values=_TIMES))
    colour = alt.Color("met:N", title=None, scale=alt.Scale(domain=["met", "fell short"], range=[MET, SHORT]))
    y = alt.Y("of:N", title=None, sort=None, axis=alt.Axis(labelLimit=420))
    dots = _of(rows).mark_circle(size=60, opacity=0.75).encode(x=x, y=y, color=colour)
    return (dots + _line(1.0)).properties(width=_WIDTH)


def beyond(figure: dict[str, Any]) -> float:
    """How many times a value is better than its aim, which is 1; what is too far to be shown is at the edge."""
    sign, wanted = figure["aim"].split()
    limit, value = float(wanted), float(figure["value"])
    if limit == 0.0 or value == 0.0:
        better = 1.0 if value == limit else _FAR if (value > limit) == (sign == ">=") else 1 / _FAR
    else:
        better = value / limit if sign == ">=" else limit / value
    return min(max(better, 1 / _FAR), _FAR)


def _model(results: Results) -> Chart | None:
    """Efficiency: the floor's error over the model's, by surface, and that of the baselines."""
    rows: Rows = []
    for figure in _figures(results, "model"):
        name, value = figure["name"], figure["value"]
        low, high = min(figure["rounds"]), max(figure["rounds"])
        if name.startswith("efficiency, "):
            of = name.removeprefix("efficiency, ")
            rows.append({"of": "model, all" if of == "all" else f"model on {of}", "value": value, "low": low,
                         "high": high, "kind": "model"})  # fmt: skip
        elif name.startswith("baseline's efficiency: "):
            of = name.removeprefix("baseline's efficiency: ")
            rows.append({"of": of, "value": value, "low": low, "high": high, "kind": "baseline"})
    if not rows:
        return None
    data = _of(rows)
    y = alt.Y("of:N", title=None, sort=None, axis=alt.Axis(labelLimit=300))
    title, shown = "noise floor / mean error (1 is the best that is possible)", alt.Scale(domain=[0, 1.05])
    x = alt.X("value:Q", title=title, scale=shown)
    colour = alt.Color("kind:N", legend=None, scale=alt.Scale(domain=["model", "baseline"], range=[MET, PLAIN]))
    bars = data.mark_bar(height=14).encode(x=x, y=y, color=colour)
    seeds = data.mark_rule(strokeWidth=2).encode(x="low:Q", x2="high:Q", y=y)
    return (bars + seeds + _line(1.0)).properties(width=_WIDTH)


def _gate(results: Results) -> Chart | None:
    """What three policies hit and brake for, beside the limits of ours; which mutants show by their behaviour alone."""
    figures = _figures(results, "gate")
    policies: dict[str, dict[str, float]] = {}
    mutants: Rows = []
    for figure in figures:
        name, value = figure["name"], 100 * figure["value"]
        policy, colon, what = name.partition(": ")
        if colon and "upper" not in what:
            policies.setdefault(policy, {})[what] = value
        if of := _MUTANTS.fullmatch(name):
            mutants.append({"kind": of[1], "changed": float(of[2]), "refused": value})
    panels = [panel for panel in (_policies(policies), _mutants(mutants)) if panel is not None]
    return alt.hconcat(*panels, spacing=50).resolve_scale(color="independent") if panels else None


def _policies(policies: dict[str, dict[str, float]]) -> Chart | None:
    rows: Rows = [
        {"policy": policy, "hits": told["hits beyond the allowed"], "nuisance": told["brakes for nothing"]}
        for policy, told in policies.items()
        if told.keys() >= {"hits beyond the allowed", "brakes for nothing"}
    ]
    if not rows:
        return None
    x = alt.X("nuisance:Q", title="brakes for nothing [% of negative runs]", scale=_room(rows, "nuisance", 1.7))
    y = alt.Y("hits:Q", title="hits too hard [% of positive runs]", scale=_room(rows, "hits", 1.1))
    dots = _of(rows).mark_circle(size=120, opacity=1, color=MET).encode(x=x, y=y)
    names = _of(rows).mark_text(dx=10, align="left").encode(x=x, y=y, text="policy:N")
    return (dots + names).properties(width=300, height=220)


def _room(rows: Rows, of: str, times: float) -> Any:
    """From zero to beyond the greatest, for the words behind a dot."""
    return alt.Scale(domain=[0, times * max(row[of] for row in rows) or 1.0], nice=True)


def _mutants(rows: Rows) -> Chart | None:
    if not rows:
        return None
    x = alt.X("changed:Q", title="changed of a model [%]", scale=alt.Scale(type="log"), axis=alt.Axis(values=_SHARES))
    y = alt.Y("refused:Q", title="mutants refused by behaviour [%]", scale=alt.Scale(domain=[0, 100]))
    colour = alt.Color("kind:N", title=None, scale=alt.Scale(range=[MET, SHORT, PLAIN]))
    return _of(rows).mark_line(point=True).encode(x=x, y=y, color=colour).properties(width=220, height=220)


def _serving(results: Results) -> Chart | None:
    """Requests a second at each number of connections, beside those of the echo in the same rounds."""
    seen: dict[tuple[str, str], float] = {}
    for figure in _figures(results, "serving"):
        if figure["unit"] == "requests/s":
            server, _, connections = figure["name"].rpartition(", ")
            seen[server, connections] = figure["value"]
    rows: Rows = [
        {"server": server, "connections": connections, "times": value / seen["echo", connections]}
        for (server, connections), value in seen.items()
        if ("echo", connections) in seen
    ]
    if not rows:
        return None
    best = {server: max(row["times"] for row in rows if row["server"] == server) for server, _ in seen}
    order = sorted(best, key=lambda server: -best[server])
    counts = list(dict.fromkeys(row["connections"] for row in rows))
    ticks = alt.Axis(values=[digit * 10.0**power for power in range(-4, 2) for digit in (1, 2, 5)])
    x = alt.X("times:Q", title="requests/s / the echo's", scale=alt.Scale(type="log"), axis=ticks)
    y = alt.Y("server:N", title=None, sort=order)
    shades = alt.Scale(range=["#a9d6e5", "#468faf", "#013a63"])
    colour = alt.Color("connections:N", title=None, sort=counts, scale=shades)
    dots = _of(rows).mark_circle(size=110, opacity=1).encode(x=x, y=y, color=colour)
    return (dots + _line(1.0)).properties(width=_WIDTH)


def _line(at: float) -> Chart:
    return _of([{"at": at}]).mark_rule(color="black", strokeDash=[4, 3]).encode(x="at:Q")


def _of(rows: Rows) -> Chart:
    return alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]


def _figures(results: Results, bench: str) -> list[dict[str, Any]]:
    entry: Entry | None = results.entry(bench)
    return entry.figures if entry else []

"""RESULTS.md, from results alone: the same results give the same bytes.

Ratios, shares and counts tell of the code; times and rates are of one machine on one day, and stand apart as such.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from _results import DONE, Entry, Results

Figures = Sequence[dict[str, Any]]
FAMILY = 4  # figures of one stem, from which on they are told as one line
MOST_ROWS = 15  # of a table of times and rates, which is folded away beyond
_HEAD = ("| figure | value | rounds | aim | unit |", "|---|--:|---|---|---|")
_TIME = re.compile(r"(?:^|[, ])(?:s|ms|us|µs|min|h)(?:$|[, ])|/s\b")
_QUICK = (
    "> **Quick**: small sizes and few rounds, to see that all works. The aims are made for the full sizes; nothing here"
    " says whether one is met."
)


def is_absolute(unit: str) -> bool:
    """Whether a figure is a time or a rate of this machine, as its unit says."""
    return not unit.startswith(("ratio", "share")) and bool(_TIME.search(unit))


def families(figures: Figures) -> list[tuple[str, list[dict[str, Any]]]]:
    """Figures by what their names have in common, before a comma, colon or `under`, or else behind a colon.

    Members have the same unit, and all or none of them an aim; a family of one is called by its whole name.
    """
    stems = [_stems(figure["name"]) for figure in figures]
    kinds = [(figure["unit"], figure["aim"] is None) for figure in figures]
    many = Counter((stem, *kind) for of, kind in zip(stems, kinds, strict=True) for stem in of)
    found: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
    for figure, of, kind in zip(figures, stems, kinds, strict=True):
        _, best = max((many[stem, *kind], stem) for stem in of)
        found.setdefault((best if many[best, *kind] > 1 else figure["name"], *kind), []).append(figure)
    return [(name, members) for (name, _, _), members in found.items()]


def _stems(name: str) -> list[str]:
    before = re.split(r", | under |: ", name)[0]
    _, colon, behind = name.partition(": ")
    return [before, behind] if colon else [before]


def text(results: Results, plots: dict[str, tuple[str, str]]) -> str:
    """The page; `plots` have, by the bench that they belong to ('' for all), a file's name and a description."""
    parts = [_head(results), _aims(results), _plot(plots, "")]
    parts += [_bench(entry, plots) for entry in results.entries]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(results: Results) -> str:
    machine, versions = results.machine, results.machine.get("versions", {})
    told = [entry for entry in results.entries if entry.status == DONE]
    rows = [
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, {machine['system']}"),
        ("programs", ", ".join(f"{name} {each}" for name, each in {"Python": machine["python"], **versions}.items())),
        ("measured", f"{_days(results.entries)} UTC"),
        ("code", ", ".join(dict.fromkeys(f"`{entry.revision}`" for entry in results.entries))),
        ("time", f"{sum(entry.seconds for entry in told) / 60:.0f} min"),
    ]
    lines = ["# What was measured", ""]
    lines += ["Written by `python build.py bench` from `results.json` beside it, by nothing and nobody else."]
    lines += ["`bench/README.md` says how to measure, and how to compare.", ""]
    lines += [_QUICK, ""] if results.quick else []
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += [
        "A figure is the median of its rounds, with the least and the greatest of them. Ratios, shares and counts tell",
        "of the code. Times and rates are of this machine on this day, whoever else was on it, and stand apart.",
    ]
    return "\n".join(lines)


def _days(entries: Sequence[Entry]) -> str:
    times = sorted(entry.at for entry in entries)
    return times[0] if times[0] == times[-1] else f"{times[0]} to {times[-1]}"


def _aims(results: Results) -> str:
    """How many are met, and each that is not."""
    wanted = [(entry.bench, figure) for entry in results.entries for figure in entry.figures if figure["aim"]]
    short = [(bench, figure) for bench, figure in wanted if not figure["met"]]
    lines = ["## Aims", "", f"{len(wanted) - len(short)} of {len(wanted)} aims are met."]
    if short:
        lines += ["Those that fall short:", "", "| bench | figure | value | rounds | aim | unit |"]
        lines += ["|---|---|--:|---|---|---|"]
        lines += [f"| {bench} | {_row(figure)} |" for bench, figure in short]
    lines += _not_measured(results.entries)
    return "\n".join(lines)


def _not_measured(entries: Sequence[Entry]) -> list[str]:
    told = [f"- `{entry.bench}` {entry.status}: {_escaped(entry.why)}" for entry in entries if entry.status != DONE]
    told += [f"- `{entry.bench}` without {name}: {_escaped(why)}" for entry in entries for name, why in
             entry.missing.items()]  # fmt: skip
    return ["", "Not measured:", "", *told] if told else []


def _bench(entry: Entry, plots: dict[str, tuple[str, str]]) -> str:
    parts = [f"## {entry.bench}", " ".join(part for part in (entry.measures, entry.beside) if part)]
    if entry.status != DONE:
        return "\n\n".join([*parts, f"**{entry.status}**: {_escaped(entry.why)}"])
    parts += [_plot(plots, entry.bench)]
    relative = [figure for figure in entry.figures if not is_absolute(figure["unit"])]
    absolute = [figure for figure in entry.figures if is_absolute(figure["unit"])]
    parts += [_tables(relative)] if relative else []
    if absolute:
        took = f"{entry.seconds:.0f} s, {entry.cpu_s:.0f} s of CPU"
        parts += [f"Of this machine on {entry.at.partition(' ')[0]}, which took {took} for all of it:"]
        table = "\n".join([*_HEAD, *(f"| {_row(figure)} |" for figure in absolute)])
        parts += [table if len(absolute) <= MOST_ROWS else _folded(f"{len(absolute)} times and rates", table)]
    if entry.notes:
        parts += ["\n".join(f"- {name}: {_escaped(note)}" for name, note in entry.notes.items())]
    return "\n\n".join(part for part in parts if part)


def _tables(figures: Figures) -> str:
    """Families in a line each, with all their members folded away; the others as they are."""
    lines, folded = list(_HEAD), list[str]()
    for name, members in families(figures):
        unit, aims = members[0]["unit"], {member["aim"] for member in members} - {None}
        if len(members) < FAMILY:
            lines += [f"| {_row(member)} |" for member in members]
            continue
        values = [member["value"] for member in members]
        aim = _aim(*aims) if len(aims) == 1 else "each its own"
        met = f"{aim} ({sum(bool(member['met']) for member in members)} of {len(members)} met)" if aims else ""
        spread = f"{number(min(values))} to {number(max(values))}"
        told = (f"{_escaped(name)}: {len(members)} figures", spread, "", met, unit)
        lines.append(f"| {' | '.join(told)} |")
        folded += [f"| {_row(member)} |" for member in members]
    table = "\n".join(lines)
    return f"{table}\n\n{_folded('each of them', chr(10).join([*_HEAD, *folded]))}" if folded else table


def _folded(summary: str, table: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>"


def _row(figure: dict[str, Any]) -> str:
    rounds = figure["rounds"]
    spread = f"{number(min(rounds))} to {number(max(rounds))} in {len(rounds)}" if len(rounds) > 1 else ""
    aim = _aim(figure["aim"]) + ("" if figure["met"] is None else ", met" if figure["met"] else ", **short**")
    return " | ".join((_escaped(figure["name"]), number(figure["value"]), spread, aim, _escaped(figure["unit"])))


def number(value: float) -> str:
    """Four digits, and no exponent where it can be read without."""
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def _aim(aim: str | None) -> str:
    return "" if aim is None else aim.replace(">=", "≥").replace("<=", "≤")


def _plot(plots: dict[str, tuple[str, str]], bench: str) -> str:
    return f"![{plots[bench][1]}]({plots[bench][0]})" if bench in plots else ""


def _escaped(told: str) -> str:
    return told.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

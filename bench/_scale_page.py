"""The figures of docs/scale.md, made of bench/scale.json alone: what was measured, and what a cluster would need.

Whatever is beyond the largest size measured is an extrapolation along the fitted line, with the ends of its interval.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from _costs import Series
from _fits import Fit, fit, significant
from brakeline.platform import AT_ONCE, TABLE

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
BEGIN, END = "<!-- figures: made by python build.py bench scale --render -->\n", "<!-- end of figures -->"
ROWS, SHARDS, PARTS, TRIALS, REQUESTS = 10**9, 100, 128, 10_000, 10**6
# A server that is to answer in time keeps some of its cores free; two cores are what a pod may use at most
# (manifests/base/serving/runtime.yaml).
BUSY, POD_CORES = 0.6, 2
MOST_FITTED = 4  # millions of rows that training holds (MOST_ROWS of steps/train's rows.py)


def write(told: Mapping[str, Any]) -> None:
    """Put the figures into the page, between its marks."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), block(told)), encoding="utf-8")


def filled(page: str, figures: str) -> str:
    """A page with its figures anew. Raises ValueError where it has no marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN.strip()} and {END}")
    return before + begin + figures + end + after


def block(told: Mapping[str, Any]) -> str:
    """All figures as Markdown."""
    found = {(one.name, one.axis): one for one in map(Series.read, told["series"])}
    fits = {key: _fit(one) for key, one in found.items() if one.can_be_fitted}
    parts = (_machine(told["machine"]), _measured(found, fits), _billion(found, fits), _trials(found, fits),
             _requests(found, fits), _cluster(told["cluster"]))  # fmt: skip
    return "\n".join(parts) + "\n"


def _fit(series: Series) -> Fit:
    """In the units that a slope is told for."""
    return fit([size / series.per for size in series.sizes], series.of("cpu_s"))


def _machine(machine: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"Measured on {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, Python "
        f"{machine['python']}, {versions}.\n"
    )


def _measured(found: Mapping[tuple[str, str], Series], fits: Mapping[tuple[str, str], Fit]) -> str:
    lines = []
    for key, made in fits.items():
        one = found[key]
        per = f"{one.per:,} {one.axis}" if one.per > 1 else one.axis
        lines.append(
            [f"`{one.name}`", f"{per}: {_count(min(one.sizes))} to {_count(max(one.sizes))}", _s(made.fixed),
             f"{_s(made.slope)} ({_s(made.slope_low)} to {_s(made.slope_high)})",
             f"{made.exponent:.2f} ({made.exponent_low:.2f} to {made.exponent_high:.2f})", str(made.growth),
             f"{made.residual:.0%}", f"{max(one.of('peak_mb')):.0f}"]
        )  # fmt: skip
    head = ["cost of", "over, and sizes", "fixed", "for each more", "exponent", "which is", "residual", "peak MB"]
    return "### What was measured\n\n" + _table(head, lines)


def _billion(found: Mapping[tuple[str, str], Series], fits: Mapping[tuple[str, str], Fit]) -> str:
    generate, assemble = fits["generate", "rows"], fits["assemble", "rows"]
    read, fitted = fits["search, one trial", "rows"], fits["fit", "rows"]
    millions = ROWS // 10**6
    each, written = millions / SHARDS, found["generate", "rows"]
    beyond_mb = _per_million(written)
    lines = [
        ["`generate`", f"{SHARDS}, {AT_ONCE} at once", *_times(generate, each, SHARDS, AT_ONCE), _peak(written),
         _gb(beyond_mb * millions)],
        ["`assemble`", "1", *_times(assemble, millions, 1), _peak(found["assemble", "rows"]),
         _gb(_per_million(found["assemble", "rows"]) * millions)],
        ["`search`, reading all of it, one trial", f"{PARTS}, {AT_ONCE} at once",
         *_times(read, millions, PARTS, AT_ONCE), _peak(found["search, one trial", "rows"]), ""],
        [f"`fit`, of the {MOST_FITTED} million rows that it keeps", "1", *_times(fitted, MOST_FITTED, 1),
         _peak(found["fit", "rows"]), ""],
    ]  # fmt: skip
    head = ["task", "pods", "core time in all", "time, one core a pod", "peak MB measured", "written"]
    limit_s = TABLE["assemble"].timeout_s
    word = "stays within" if assemble.between(millions)[1] < limit_s else "may not stay within"
    return (
        f"### {ROWS:,} rows in {SHARDS} shards, searched by {PARTS}\n\n{_table(head, lines)}\n"
        f"`assemble` alone is serial: {_t(assemble.at(millions))}, which {word} the {_t(limit_s)} that it is given.\n"
    )


def _trials(found: Mapping[tuple[str, str], Series], fits: Mapping[tuple[str, str], Fit]) -> str:
    search, rank = fits["search", "trials"], fits["rank", "trials"]
    lines = [
        [f"`search`, {TRIALS / PARTS:.0f} trials a pod", f"{PARTS}, {AT_ONCE} at once",
         *_times(search, TRIALS / PARTS, PARTS, AT_ONCE), _peak(found["search", "trials"])],
        ["`rank`", "1", *_times(rank, TRIALS / 1_000, 1), _peak(found["rank", "trials"])],
    ]  # fmt: skip
    if refine := fits.get(("refine", "finalists")):
        peak = _peak(found["refine", "finalists"])
        lines.append(["`refine`, 3 finalists on one pod", "1", *_times(refine, 3, 1), peak])
    head = ["task", "pods", "core time in all", "time, one core a pod", "peak MB measured"]
    return f"### {TRIALS:,} trials in {PARTS} shards\n\n{_table(head, lines)}"


def _requests(found: Mapping[tuple[str, str], Series], fits: Mapping[tuple[str, str], Fit]) -> str:
    key = ("server, per request", "rows of a request")
    if key not in fits:
        return f"### {REQUESTS:,} requests a second\n\nNot measured: `wrk` was not there.\n"
    single = [cost.cpu_s for size, cost in zip(found[key].sizes, found[key].costs, strict=True) if size == 1]
    low, high = min(single), max(single)
    cores = [REQUESTS * cpu_s / BUSY for cpu_s in (low, high)]
    pods = [-(-significant(one, 3) // POD_CORES) for one in cores]
    workers = found["server, per request", "workers"].ratios()
    lines = [
        ["processor time of a request of one row", f"{_range(1e6 * low, 1e6 * high)} us"],
        ["of each further row in the same request", f"{1e6 * fits[key].slope:.3g} us"],
        ["requests a second that fill one core", _range(1 / high, 1 / low)],
        [f"cores for {REQUESTS:,} a second, {BUSY:.0%} busy", _range(*cores)],
        [f"serving pods of {POD_CORES} cores", _range(*pods)],
        ["peak memory of a worker", f"{max(found[key].of('peak_mb')):.0f} MB"],
        ["processor time of a request with 2 workers / with 1", _range(min(workers), max(workers))],
    ]
    return f"### {REQUESTS:,} requests a second\n\n{_table(['what', 'figure'], lines)}"


def _cluster(told: Mapping[str, Any]) -> str:
    lines = [
        [f"{row['shards']:,}", f"{row['pods']:,}", _kb(row["ir"]), _kb(row["lists"]), _kb(row["argument"]),
         _kb(row["status"]), _kb(row["status_compressed"])]
        for row in told["rows"]
    ]  # fmt: skip
    limits = told["limits"]
    limit = ["limit", "", "", _kb(limits["argument"]), _kb(limits["argument"]), "", _kb(limits["status_compressed"])]
    head = ["shards in each loop", "pods", "pipeline", "lists of a run", "argument of what collects",
            "nodes' status", "compressed"]  # fmt: skip
    return "### Shards on a cluster, estimated, in kB\n\n" + _table(head, [*lines, limit])


def _times(made: Fit, size: float, pods: int, at_once: int = 0) -> list[str]:
    """Core time of all pods with its interval, and the time of a pod, or of as many turns as it takes."""
    turns = -(-pods // at_once) if at_once else 1
    low, high = (one * pods for one in made.between(size))
    return [f"{_t(made.at(size) * pods)} ({_t(low)} to {_t(high)})", _t(made.at(size) * turns)]


def _per_million(series: Series) -> float:
    """Megabytes written for a million rows more, by the two ends of what was measured."""
    ends = sorted(zip(series.sizes, series.of("written_mb"), strict=True))
    (few, small), (many, large) = ends[0], ends[-1]
    return (large - small) / (many - few) * 1e6


def _peak(series: Series) -> str:
    return f"{max(series.of('peak_mb')):.0f}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, *lines)]
    return "\n".join([rows[0], "|---" * len(head) + "|", *rows[1:]]) + "\n"


def _range(low: float, high: float) -> str:
    low, high = significant(low, 3), significant(high, 3)
    return f"{low:,.6g}" if low == high else f"{low:,.6g} to {high:,.6g}"


def _count(size: float) -> str:
    return f"{size:,.0f}"


def _s(seconds: float) -> str:
    """Seconds by their first digits; below a millisecond as microseconds."""
    return f"{significant(1e6 * seconds):g} us" if abs(seconds) < 1e-3 else f"{significant(seconds):g} s"


def _t(seconds: float) -> str:
    """A time in the unit that people would say it in."""
    for unit, length_s in (("h", 3600.0), ("min", 60.0)):
        if seconds >= length_s:
            return f"{significant(seconds / length_s):g} {unit}"
    return f"{significant(seconds):g} s"


def _gb(megabytes: float) -> str:
    return f"{significant(megabytes / 1000):g} GB"


def _kb(size: float) -> str:
    return f"{size / 1000:,.3g}" if size < 1e5 else f"{size / 1000:,.0f}"

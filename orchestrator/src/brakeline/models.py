"""Versions in the registry, as the register step tells them: asked through its command line, drawn as tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from brakeline import releases, steps
from brakeline.refusals import Refused
from brakeline.releases import Tell

_EMBEDDED = "sqlite:///"
_STYLES = {"live": "bold green", "archived": "dim", "registered": ""}
_ABOUT_THE_CALL = {"step", "verb", "status", "seconds", "artifacts", "parameters"}
_DIGITS = 12
_MINUTES = len("2026-01-31T23:59")


@dataclass(frozen=True)
class Shelf:
    """A model's versions in a registry."""

    registry: str
    name: str

    def ask(self, verb: str, **options: Any) -> dict[str, Any]:
        """What a verb of the register step tells. Raises Refused with the step's own message and exit status."""
        try:
            told = steps.call("register", verb, registry=self.registry, name=self.name, **options)
        except steps.StepRefused as error:
            raise Refused(str(error), error.exit_code) from error
        facts = {key: value for key, value in told.items() if key not in _ABOUT_THE_CALL}
        return {"registry": self.registry, "name": self.name, **facts}

    def promote(self, version: str, by: str, why: str, state: Path, tell: Tell) -> dict[str, Any]:
        """Make a version the live one; the call's record is kept in the state. Raises Refused."""
        with releases.kept(state, self.name, version, "promote", "promoted", tell) as outputs:
            return self.ask("promote", version=version, by=by, why=why, **outputs)


def registry_of(registry: str, state: Path) -> str:
    """The registry's URL, that of the state folder where none is given; a file's path is absolute in it."""
    file = registry.removeprefix(_EMBEDDED) if registry.startswith(_EMBEDDED) else ""
    if file or not registry:
        return f"{_EMBEDDED}{Path(file or state / 'registry.sqlite').absolute()}"
    return registry


def drawn_list(told: dict[str, Any]) -> RenderableType:
    """All versions, oldest first, and what was tried for each dataset."""
    if not told["versions"]:
        return f"no versions of {told['name']} in {told['registry']}"
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    # What fits into eighty columns; `show` has the rest.
    for heading in ("version", "state", "sha256", "error [m]", "bound/median", "gates", "at"):
        table.add_column(heading, no_wrap=True, justify="right" if heading in {"error [m]", "bound/median"} else "left")
    for version in told["versions"]:
        table.add_row(*_row(version), style=_STYLES[version["state"]])
    return Group(table, *_tried(told["datasets"]))


def drawn_version(told: dict[str, Any]) -> RenderableType:
    """One version: what it is, its metrics, the gates nearest to their limit, its papers and its changes."""
    facts, source = told["facts"], told["source"]
    head = _facts({
        "model": f"{told['name']} {told['version']}, {told['state']}",
        "sha256": told["sha256"],
        "lies at": told["uri"],
        "format": f"{told['format']} {told['format_version']}, data contract {told['contract_version']}",
        "registered": told["created_at"],
        "run": source["run"],
        "pipeline": source["pipeline"],
        "revision": source["revision"],
        "dataset": (facts.get("training") or {}).get("dataset_sha256"),
        "holdout": facts.get("holdout"),
        "tried": _counted(facts.get("attempts")),
        **(facts.get("overall") or {}),
        **{name: _paper(paper) for name, paper in sorted(told["papers"].items())},
    })  # fmt: skip
    parts: list[RenderableType] = [head]
    if gates := facts.get("gates"):
        parts += ["", f"{len(gates)} gates of version {facts.get('gate')}, nearest to their limits:", _nearest(gates)]
    if told["changes"]:
        parts += ["", _table(("at", "state", "by", "why"), told["changes"])]
    return Group(*parts)


def drawn_difference(told: dict[str, Any], everything: bool) -> RenderableType:
    """Two versions side by side, by subject; what is the same only where everything is wanted."""
    a, b = told["a"], told["b"]
    table = Table(box=None, header_style="bold")
    for heading in ("", "", f"{a['version']} ({a['state']})", f"{b['version']} ({b['state']})"):
        table.add_column(heading, overflow="fold")
    same = 0
    for subject, rows in told["subjects"].items():
        shown = [row for row in rows if everything or not row["same"]]
        same += len(rows) - len(shown)
        for number, row in enumerate(shown):
            style = "" if row["same"] else "yellow"
            table.add_row("" if number else subject, row["name"], _text(row["a"]), _text(row["b"]), style=style)
    return Group(table, *([f"{same} rows are the same; --all shows them"] if same else []))


def _row(version: dict[str, Any]) -> Iterator[str]:
    facts = version["facts"]
    overall, gates = facts.get("overall") or {}, facts.get("gates") or []
    yield from (version["version"], version["state"], version["sha256"][:_DIGITS])
    yield from (_text(overall.get("mae_m")), _text(overall.get("width")))
    yield f"{sum(gate.get('passed') is True for gate in gates)}/{len(gates)}" if gates else ""
    yield version["created_at"][:_MINUTES].replace("T", " ")


def _tried(datasets: list[dict[str, Any]]) -> Iterator[str]:
    if datasets:
        yield ""
    for dataset in datasets:
        models, refused = dataset["models"], dataset["refused"]
        yield f"on dataset {dataset['dataset_sha256'][:_DIGITS]} {models} judged, {refused} refused"


def _nearest(gates: list[dict[str, Any]]) -> Table:
    """The gates by how much of their limit is used up; those with the limit 0 have no such share."""
    judged = [gate for gate in gates if _is_number(gate.get("value")) and _is_number(gate.get("limit"))]
    judged = [gate for gate in judged if gate["limit"] > 0]
    nearest = sorted(judged, key=lambda gate: -gate["value"] / gate["limit"])[:8]
    rows = [{**gate, "used": f"{gate['value'] / gate['limit']:.0%}"} for gate in nearest]
    return _table(("name", "value", "limit", "unit", "used"), rows)


def _facts(told: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in told.items():
        if value not in (None, ""):
            table.add_row(name, _text(value))
    return table


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_text(row.get(column)) for column in columns))
    return table


def _paper(paper: dict[str, Any]) -> str:
    """Where a paper lies, and of one that came later who added it, when and why."""
    later = f"  {paper['why']}, by {paper['by']}, {paper['at'][:_MINUTES]}" if paper.get("at") else ""
    return f"{paper['uri']}{later}"


def _counted(attempts: dict[str, Any] | None) -> str:
    if not attempts:
        return ""
    return f"number {attempts['number']} of {attempts['models']} on its dataset, {attempts['refused']} refused"


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

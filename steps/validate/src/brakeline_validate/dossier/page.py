"""The page put together: what each part shows is prepared by its module and written by its template."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from stepkit import artifacts
from stepkit.verdict import MODEL_FILE

from brakeline_validate import GATE_VERSION, __version__, cost, roads, trials
from brakeline_validate.case import Case
from brakeline_validate.coverage import LEAST_SLICE_ROWS
from brakeline_validate.dossier import curves, driven, rows, subjects
from brakeline_validate.examine import Findings

# What a reader in a hurry sees beside the verdict, by gate, in plain words.
_HEADLINES = {
    "bound missed": "of the stops were longer than their bound, which is stated for 1 %",
    "relative error": "is the mean error of the median",
    "hits beyond the allowed": "of the driven runs hit faster than allowed, at most: the upper end of the interval",
    "needless braking": "of the driven runs braked for nothing, at most: the upper end of the interval",
}


@dataclass(frozen=True)
class Headline:
    """A gate's figure as a sentence that it begins."""

    row: subjects.Row
    words: str


def write(page: Path, findings: Findings, case: Case) -> None:
    """Write the page; the same findings give the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("brakeline_validate.dossier", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "figure": subjects.figure,
        "setting": _setting,
        "spread": _spread,
        "percent": _percent,
        "fixed": _fixed,
        "signed": _signed,
        "plain": lambda name: str(name).replace("_", " "),
    }
    html = environment.get_template("page.html.j2").render(
        findings=findings,
        case=case,
        model=case.model,
        holdout=case.holdout,
        attempts=case.attempts,
        rows=case.holdout.distance_m.size,
        gate_version=GATE_VERSION,
        version=__version__,
        groups=subjects.groups(findings.judged),
        lineage=list(_lineage(case)),
        rungs=trials.read(case.model.folder),
        **(_measured(findings, case) if findings.overall else {}),
    )
    with artifacts.writing(page):
        page.write_text(html, encoding="utf-8")


def _measured(findings: Findings, case: Case) -> dict[str, Any]:
    """What there is to show of a model that could be asked."""
    known = {each.gate.name: each for each in findings.judged}
    return {
        "headlines": [
            Headline(subjects.row(known[gate]), words) for gate, words in _HEADLINES.items() if gate in known
        ],
        "distances": curves.stopping_distances(case.model),
        "highway": curves.highway(case.model),
        "wet_factor": curves.WET_FACTOR,
        "closed_loop": driven.closed_loop(findings),
        "slices": rows.slices(findings),
        "truths": rows.truths(findings),
        "floor": rows.floor(findings.beside_limit) if findings.beside_limit else None,
        "faults": rows.faults(findings.under_fault) if findings.under_fault else None,
        "least_rows": LEAST_SLICE_ROWS,
        "least_on_surface": roads.LEAST_ROWS,
        "cost": cost.count(case.model.folder / MODEL_FILE),
    }


def _lineage(case: Case) -> Iterator[tuple[str, str]]:
    """What the verdict follows from, by name; hashes of all that was read."""
    yield "model", case.model.sha256
    yield "live model", case.champion.sha256 if case.champion else "none yet"
    yield "holdout", case.holdout.sha256
    for name, folder in (("noise floor", case.floor), ("faulty drives", case.faulty)):
        yield name, artifacts.sha256_of(folder) if folder else "none"
    yield from _flat("training", case.model.training)


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _flat(f"{name}: {key}", each)
    else:
        yield name.replace("_", " "), _exact(value)


def _exact(value: object) -> str:
    """Whole numbers with separators, others as they are: lineage is looked up, not read."""
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) and value > 9_999 else str(value)


def _setting(value: object) -> str:
    """A parameter of the fit; one that is no number as it is."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return subjects.figure(value) if is_number else str(value)  # type: ignore[arg-type]


def _spread(share: float, sd: float | None) -> str:
    """A share in percent with its standard deviation, where there is one."""
    return f"{100 * share:+.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def _percent(share: float | None, digits: int = 2) -> str:
    """A share in percent without its sign; a dash where there is none."""
    return _fixed(None if share is None else 100.0 * share, digits)


def _fixed(value: float | None, digits: int) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def _signed(share: float, digits: int = 1) -> str:
    """A difference in percent."""
    return "–" if not math.isfinite(share) else f"{100.0 * share:+.{digits}f}"

"""The dossier: the verdict and its evidence as one page that needs no network, prints well and is dark at night."""

from pathlib import Path

import jinja2

from brakeline_validate import __version__, plots, trials
from brakeline_validate.candidate import Candidate
from brakeline_validate.case import Case
from brakeline_validate.coverage import LEAST_SLICE_ROWS
from brakeline_validate.examine import Findings
from brakeline_validate.highway_code import BRAKING_M, MPS_PER_MPH, curve


def write(page: Path, findings: Findings, case: Case) -> None:
    """Write the page; the same findings give the same bytes."""
    model, holdout = case.model, case.holdout
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("brakeline_validate", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"figure": _figure, "setting": _setting, "spread": _spread}
    measured = findings.overall is not None
    html = environment.get_template("dossier.html.j2").render(
        findings=findings,
        model=model,
        holdout=holdout,
        attempts=case.attempts,
        rows=holdout.distance_m.size,
        least_rows=LEAST_SLICE_ROWS,
        version=__version__,
        rungs=trials.read(model.folder),
        highway=_highway(model) if measured else [],
        distances=plots.stopping_distances(model) if measured else "",
        missed=plots.missed_by_slice(findings.observable) if measured else "",
        errors=plots.error_by_truth(findings.by_truth) if measured else "",
    )
    page.write_text(html, encoding="utf-8")


def _figure(value: float) -> str:
    """Readable at any size: counts with separators, shares with four digits."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _setting(value: object) -> str:
    """A parameter of the fit; one that is no number as it is."""
    return _figure(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def _spread(share: float, sd: float | None) -> str:
    """A share in percent with its standard deviation, where there is one."""
    return f"{100 * share:+.1f}" + (f" ± {100 * sd:.1f}" if sd is not None else "")


def _highway(model: Candidate) -> list[dict[str, float]]:
    speeds = [mph * MPS_PER_MPH for mph in BRAKING_M]
    dry, wet = curve(model, "dry", speeds), curve(model, "wet", speeds)
    columns = zip(BRAKING_M.items(), dry.median_m, dry.upper_m, wet.median_m, wet.upper_m, strict=True)
    return [
        {"mph": mph, "code": code, "dry": a, "dry_upper": b, "wet": c, "wet_upper": d}
        for (mph, code), a, b, c, d in columns
    ]

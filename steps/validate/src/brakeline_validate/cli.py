"""`brakeline-validate`: hold a model to its gates, drive it in the closed loop, replay a verdict."""

from pathlib import Path
from typing import Annotated

from stepkit.app import Result, StepApp
from stepkit.signature import (
    input_artifact,
    output_artifact,
    output_lineage,
    output_parameter,
    text,
    whole_number,
)

from brakeline_validate import __version__

Model = Annotated[Path, input_artifact("Model of train", kind="Model")]
Holdout = Annotated[Path, input_artifact("Holdout of synthesize", kind="Dataset")]
Faulty = Annotated[Path, input_artifact("Faulty drives of synthesize", kind="Dataset")]
Floor = Annotated[Path, input_artifact("Noise floor of synthesize, for this holdout", kind="Dataset")]
Champion = Annotated[Path, input_artifact("Live model of register, if there is one", kind="Model")]
Runs = Annotated[int, whole_number("Runs of each scenario; few show little, and what is not shown fails", 1, 100_000)]

app = StepApp("brakeline-validate", __version__, "Hold a model to its gates.")


@app.question("--list-scenarios")
def list_scenarios(_: str) -> str:
    """Print the scenarios of the closed loop and end."""
    from brakeline_validate.loop.listing import listing

    return listing()


@app.question("--explain", about="GATE")
def explain(gate: str) -> str:
    """Say what a gate measures, why, and what to do when it fails; `all` names them."""
    from brakeline_validate.explain import explained

    return explained(gate)


@app.step("validate")
def validate(
    model: Model,
    holdout: Holdout,
    faulty: Faulty,
    floor: Floor,
    champion: Champion,
    verdict: Annotated[Path, output_artifact("Which gates passed, JSON; what register and deploy demand")],
    dossier: Annotated[Path, output_artifact("The evidence as one page for people", kind="HTML")],
    metrics: Annotated[Path, output_artifact("Figures for the pipeline's dashboard", kind="Metrics")],
    measurements: Annotated[Path, output_artifact("What a clock measured; no part of any verdict")],
    lineage: Annotated[Path, output_lineage("All that the verdict rests on: every call with its inputs, JSON")],
    passed: Annotated[Path | None, output_parameter("Whether every gate passed", bool)] = None,
    runs: Runs = 240,
) -> Result:
    """Examine the model and give a verdict. A failed verdict is a result, not an error: the exit status is 0."""
    from stepkit import artifacts

    from brakeline_validate import dossier as page
    from brakeline_validate import timing
    from brakeline_validate import verdict as told
    from brakeline_validate.case import Case

    case = Case.read(model, holdout, faulty, floor, champion, runs)
    findings = case.examine()
    artifacts.write_json(verdict, told.verdict(findings, case))
    page.write(dossier, findings, case)
    artifacts.write_json(metrics, figures := told.headline(findings))
    artifacts.write_json(measurements, timing.measure(case.model, case.holdout))
    failed = [judged.gate.name for judged in findings.judged if not judged.passed]
    return Result(
        metadata={"verdict": {"passed": findings.passed}, "metrics": figures},
        parameters={"passed": findings.passed},
        facts={"passed": findings.passed, "failed_gates": failed},
    )


@app.step("replay")
def replay(
    model: Model,
    holdout: Holdout,
    faulty: Faulty,
    floor: Floor,
    champion: Champion,
    verdict: Annotated[Path, input_artifact("Verdict that was given on these very artifacts")],
) -> Result:
    """Give the verdict again and compare: 65 where a byte differs, with the place."""
    from brakeline_validate import verdict as told
    from brakeline_validate.case import Case

    before = told.read(verdict)
    case = Case.read(model, holdout, faulty, floor, champion, told.runs_of(before))
    same = told.require_same(verdict, before, told.verdict(case.examine(), case))
    return Result(facts={"passed": before["passed"], "verdict_sha256": same})


@app.step("drive")
def drive(
    model: Model,
    only: Annotated[str, text("Scenarios whose name holds this; all if empty")] = "",
    seed: Annotated[int, whole_number("Seed of the runs; a verdict's own is in it")] = 0,
    runs: Runs = 240,
) -> Result:
    """Drive scenarios with a model and tell how they went, without a verdict."""
    from stepkit import diary

    from brakeline_validate.candidate import Candidate
    from brakeline_validate.loop import closed_loop

    chosen = closed_loop.chosen(only, runs)
    driven = closed_loop.drive_all(Candidate.load(model), seed, scenarios=chosen)
    for outcome in driven.outcomes:
        diary.note("driven", **outcome.in_short())
    return Result(facts=driven.facts())

"""`brakeline-validate`: hold a model to its gates and write verdict, dossier, metrics and measurements."""

from pathlib import Path
from typing import Annotated

from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, output_artifact, output_parameter

from brakeline_validate import __version__

app = StepApp("brakeline-validate", __version__, "Hold a model to its gates.")


@app.step("validate")
def validate(
    model: Annotated[Path, input_artifact("Model of train", kind="Model")],
    holdout: Annotated[Path, input_artifact("Holdout of synthesize", kind="Dataset")],
    faulty: Annotated[Path, input_artifact("Faulty drives of synthesize", kind="Dataset")],
    floor: Annotated[Path, input_artifact("Noise floor of synthesize, for this holdout", kind="Dataset")],
    champion: Annotated[Path, input_artifact("Live model of register, if there is one", kind="Model")],
    verdict: Annotated[Path, output_artifact("Which gates passed, JSON; what register and deploy demand")],
    dossier: Annotated[Path, output_artifact("The evidence as one page for people", kind="HTML")],
    metrics: Annotated[Path, output_artifact("Figures for the pipeline's dashboard", kind="Metrics")],
    measurements: Annotated[Path, output_artifact("What a clock measured; no part of any verdict")],
    passed: Annotated[Path | None, output_parameter("Whether every gate passed", bool)] = None,
) -> Result:
    """Examine the model and give a verdict. A failed verdict is a result, not an error: the exit status is 0."""
    from stepkit import artifacts

    from brakeline_validate import attempts, examine, timing
    from brakeline_validate import dossier as page
    from brakeline_validate.candidate import Candidate, load_champion

    candidate, rival = Candidate.load(model), load_champion(champion)
    rows = examine.Holdout.read(holdout)
    findings = examine.examine(candidate, rival, rows, floor, faulty)
    findings.attempts = attempts.read(champion, candidate)
    artifacts.write_json(verdict, examine.verdict(findings, candidate, rival, rows))
    page.write(dossier, findings, candidate, rows)
    artifacts.write_json(metrics, figures := examine.headline(findings))
    artifacts.write_json(measurements, timing.measure(candidate, rows))
    failed = [judged.gate.name for judged in findings.judged if not judged.passed]
    return Result(
        metadata={"verdict": {"passed": findings.passed}, "metrics": figures},
        parameters={"passed": findings.passed},
        facts={"passed": findings.passed, "failed_gates": failed},
    )

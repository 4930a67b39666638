"""A case before the gate: a model, what it is judged by, and the examination of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stepkit.errors import ContractViolation

from brakeline_validate import attempts
from brakeline_validate.attempts import Attempts
from brakeline_validate.candidate import Candidate, load_champion
from brakeline_validate.examine import Findings, Holdout, examine
from brakeline_validate.loop import closed_loop
from brakeline_validate.loop.scenario import Scenario


@dataclass(frozen=True)
class Case:
    """All that a verdict follows from: the same case gives the same bytes."""

    model: Candidate
    champion: Candidate | None
    holdout: Holdout
    floor: Path | None
    faulty: Path | None
    attempts: Attempts | None
    runs: int
    scenarios: Sequence[Scenario]

    @classmethod
    def read(cls, model: Path, holdout: Path, faulty: Path, floor: Path, champion: Path, runs: int) -> "Case":
        """Read the artifacts; `runs` is for each scenario. Raises UnreadableArtifact, ContractViolation.

        The dataset that the model was trained on is no holdout: rows seen before flatter every figure.
        """
        candidate, held_out = Candidate.load(model), Holdout.read(holdout)
        if candidate.training.get("dataset_sha256") == held_out.sha256:
            raise ContractViolation(holdout, "sha256", f"{held_out.sha256}, trained on", "rows held out")
        return cls(
            candidate,
            load_champion(champion),
            held_out,
            floor,
            faulty,
            attempts.read(champion, candidate),
            runs,
            closed_loop.chosen("", runs),
        )

    def examine(self) -> Findings:
        """Measure everything and judge it."""
        return examine(self.model, self.champion, self.holdout, self.floor, self.faulty, self.scenarios)

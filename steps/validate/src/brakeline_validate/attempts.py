"""Attempts before this one: how many other models were judged on the same dataset, as register counted them.

With enough seeds one model passes on this very holdout by luck, and the figures of the one that was kept flatter it.
"""

from dataclasses import dataclass
from pathlib import Path

from stepkit import artifacts
from stepkit.errors import UnreadableArtifact

from brakeline_validate.candidate import Candidate

# A guess: the fifth retraining on one dataset is no longer a repaired mistake, it is a search for a lucky seed.
MANY = 5


@dataclass(frozen=True)
class Attempts:
    """Other models judged on the model's dataset, and those of them that were refused at least once."""

    others: int
    refused: int

    @property
    def is_selection(self) -> bool:
        """Whether so many were tried that the one which passed was selected."""
        return self.others >= MANY

    def facts(self) -> dict[str, int]:
        """As JSON."""
        return {"others": self.others, "refused": self.refused}


def read(champion: Path, model: Candidate) -> Attempts | None:
    """What was tried before on the model's dataset; None where no list was handed over or the model tells no dataset.

    Raises UnreadableArtifact.
    """
    file = champion / "champion.json"
    dataset, content = model.training.get("dataset_sha256"), artifacts.read_json(file)
    try:
        if dataset is None or content.get("attempts") is None:
            return None
        tried = [one for one in content["attempts"] if one["dataset_sha256"] == dataset]
        others = {one["model_sha256"] for one in tried} - {model.sha256}
        # Fails closed: what does not say that it passed was refused.
        refused = {one["model_sha256"] for one in tried if one["passed"] is not True}
    except (AttributeError, KeyError, TypeError) as error:
        raise UnreadableArtifact(file, "list of attempts", f"{type(error).__name__}: {error}") from error
    return Attempts(len(others), len(others & refused))

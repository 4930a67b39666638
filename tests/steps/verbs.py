"""Every verb of every step as the contract tests call it: its inputs, outputs and settings for a tiny run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Verb:
    """A call that succeeds. `inputs` maps options to artifacts of the shared chain."""

    step: str
    verb: str
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    table: str = ""  # the input that is a table under the data contract, if there is one
    origin: str = ""  # the output that tells where the others come from, if there is one
    stranger: tuple[str, ...] = ()  # how the program of a step that is not ours is started

    @property
    def name(self) -> str:
        """How a person calls it."""
        return f"{self.step} {self.verb}"

    @property
    def program(self) -> tuple[str, ...]:
        """What starts the step."""
        return self.stranger or (f"brakeline-{self.step}",)

    def words(self, chain: Path, out: Path, **instead: Path) -> list[str]:
        """The command line, with other artifacts `instead` of the chain's."""
        words = [*self.program, self.verb]
        for option, artifact in self.inputs.items():
            words += [f"--{option.replace('_', '-')}", str(instead.get(option, chain / artifact))]
        for option in self.outputs:
            words += [f"--{option.replace('_', '-')}", str(out / option)]
        return words + [word.format(out=out, chain=chain) for word in self.settings]


VERBS = (
    Verb(
        "synthesize",
        "generate",
        {},
        ("part",),
        ("--rows", "2000", "--holdout-rows", "1000", "--faulty-rows", "1000", "--seed", "7"),
    ),
    Verb(
        "synthesize",
        "assemble",
        {"parts": "part", "recorded": "recorded.csv"},
        ("dataset", "holdout", "faulty", "rejects"),
    ),
    Verb("synthesize", "floor", {"holdout": "holdout"}, ("floor",), ("--rows", "100", "--draws", "400"), "holdout"),
    Verb("train", "search", {"dataset": "dataset"}, ("results",), ("--trials", "2"), "dataset"),
    Verb("train", "rank", {"scored": "scored"}, ("ranking",)),
    Verb("train", "refine", {"dataset": "dataset", "scored": "scored"}, ("results",), ("--finalists", "2"), "dataset"),
    Verb("train", "fit", {"dataset": "dataset", "results": "results"}, ("model",), (), "dataset"),
    Verb(
        "validate",
        "validate",
        {"model": "model", "holdout": "holdout", "faulty": "faulty", "floor": "floor", "champion": "champion"},
        ("verdict", "dossier", "metrics", "measurements", "lineage"),
        ("--passed", "{out}/passed", "--runs", "4"),
        "holdout",
    ),
    Verb("register", "champion", {}, ("live",), ("--registry", "sqlite:///{out}/registry.sqlite")),
    Verb(
        "register",
        "record",
        {"verdict": "verdict"},
        ("recorded",),
        ("--registry", "sqlite:///{out}/registry.sqlite"),
    ),
)
# Verbs that demand a passed verdict, and so a model that earned one.
GUARDED = (
    Verb(
        "register",
        "add",
        {"model": "model", "passed_verdict": "verdict", "lineage": "lineage"},
        ("registered",),
        ("--registry", "sqlite:///{out}/registry.sqlite"),
    ),
)

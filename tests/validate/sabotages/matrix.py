"""What the gate did to each sabotage, as the table of docs/gate.md."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import Chain
from tests.validate.sabotages.attempt import Sabotage, failed, judge

HEAD = "| sabotage | what was done | gate meant | found | allowed | gates that refuse it too |\n" + 6 * "|---" + "|\n"


@dataclass(frozen=True)
class Outcome:
    """One sabotage, what the gate meant for it found, and all gates that it failed."""

    sabotage: Sabotage
    found: float
    allowed: float
    failed: frozenset[str]

    @property
    def is_killed_as_meant(self) -> bool:
        """Whether the gate meant for it refused it."""
        return self.sabotage.gate in self.failed

    @property
    def row(self) -> str:
        """Its line of the table."""
        others = "; ".join(sorted(self.failed - {self.sabotage.gate})) or "none"
        gate = self.sabotage.gate if self.is_killed_as_meant else f"{self.sabotage.gate} (**passed**)"
        cells = (self.sabotage.name, self.sabotage.does, gate, f"{self.found:.3g}", f"{self.allowed:g}", others)
        return f"| {' | '.join(cells)} |"


def outcomes(chain: Chain, sabotages: Iterable[Sabotage]) -> Iterator[Outcome]:
    """Make and judge each sabotage of a chain."""
    for sabotage in sabotages:
        with tempfile.TemporaryDirectory() as name:
            findings = judge(chain, sabotage.make(chain, Path(name)), driven=sabotage.is_driven)
        (meant,) = (judged for judged in findings.judged if judged.gate.name == sabotage.gate)
        yield Outcome(sabotage, meant.value, meant.gate.limit, frozenset(failed(findings)))


def table(found: Iterable[Outcome]) -> str:
    """The table, a line for each."""
    return HEAD + "\n".join(outcome.row for outcome in found) + "\n"

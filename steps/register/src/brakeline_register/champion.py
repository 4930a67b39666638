"""The champion: the live version's graph, fetched and checked, or a note of none; and what was tried so far."""

from collections.abc import Iterable
from pathlib import Path

from stepkit import artifacts

from brakeline_register import keeping
from brakeline_register.attempts import Attempt, in_order
from brakeline_register.registry import Version


def fetch(live: Version | None, attempts: Iterable[Attempt], folder: Path) -> None:
    """Write the champion into `folder`, and all attempts so far. Raises NotKept, ArtifactAltered."""
    folder.mkdir(parents=True)
    if live is not None:
        keeping.bring_graph(live, folder)
    known = {"version": live.version, "sha256": live.sha256} if live else {"version": None, "sha256": None}
    tried = [attempt.describe() for attempt in in_order(attempts)]
    artifacts.write_json(folder / "champion.json", {**known, "attempts": tried})

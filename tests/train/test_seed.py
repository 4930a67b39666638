"""What calibrates is seen by no search: one seed divides the drives for both."""

from pathlib import Path

import pytest

from tests.conftest import Chain, command


@pytest.mark.parametrize(
    ("verb", "given", "made"), [("refine", "--scored", "--results"), ("fit", "--results", "--model")]
)
def test_trials_of_another_seed_are_refused(verb: str, given: str, made: str, tiny: Chain, tmp_path: Path) -> None:
    """Chosen on drives that this call holds back, they would flatter it: 65, and nothing is made."""
    earlier = tiny.scored if verb == "refine" else tiny.results
    words = ("--dataset", tiny.dataset, given, earlier, made, tmp_path / "made", "--seed", 1)
    done = command("brakeline-train", verb, *words)
    assert done.code == 65
    assert (done.error["field"], done.error["found"]) == ("seed", "0")
    assert done.error["allowed"] == "1, the --seed of this call"
    assert list(tmp_path.iterdir()) == []

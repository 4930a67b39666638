"""How a data contract may evolve: the step from 1 to 2 is an evolution, and each kind of break is named."""

from dataclasses import replace
from pathlib import Path

import pytest
from stepkit import contract
from stepkit.contract import Contract, Feature, Target, differences

DATA = Path(__file__).parents[1] / "data"
V1, V2 = (contract.parse((DATA / f"contract-v{version}.json").read_text()) for version in (1, 2))
FIRST, SECOND = V1.features[:2]
SPARE = Feature("spare", "spare", "1", 0.0, 1.0, True, "Anything")


def test_2_is_an_evolution_of_1() -> None:
    """All that is right under version 1 is right under 2, and means the same."""
    assert differences(V1, V2) == []


def test_1_is_no_evolution_of_2() -> None:
    """The way back removes a feature and a truth, narrows ranges, and lowers the version: each is named."""
    told = differences(V2, V1)
    assert "version 2 became 1" in told
    assert f"feature {V2.features[-1].name} was removed" in told
    assert "truth fault was removed" in told
    assert sum(line.startswith("range of") for line in told) == 3
    assert len(told) == 6


def test_a_contract_is_an_evolution_of_itself() -> None:
    """Nothing changed, nothing named; other words for the same thing are no change."""
    assert differences(V2, V2) == []
    reworded = tuple(replace(feature, description="other words") for feature in V2.features)
    assert differences(V2, replace(V2, features=reworded)) == []


def with_first(**changes: object) -> Contract:
    return replace(V1, features=(replace(FIRST, **changes), *V1.features[1:]))  # type: ignore[arg-type]


BREAKS: dict[str, tuple[Contract, str]] = {
    "removed": (replace(V1, features=V1.features[1:]), f"feature {FIRST.name} was removed"),
    "reordered": (replace(V1, features=(SECOND, FIRST, *V1.features[2:])), "features were put in another order"),
    "renamed": (with_first(name="speed"), f"feature {FIRST.name} was renamed speed"),
    "another unit": (with_first(unit="km/h"), f"unit of {FIRST.name}: m/s became km/h"),
    "another role": (with_first(role="other"), f"role of {FIRST.name}: speed became other"),
    "may be missing": (with_first(missing_allowed=True), f"missing_allowed of {FIRST.name}: False became True"),
    "narrowed from above": (with_first(high=60.0), f"range of {FIRST.name}: 0 to 70 became 0 to 60"),
    "narrowed from below": (with_first(low=1.0), f"range of {FIRST.name}: 0 to 70 became 1 to 70"),
    "another target": (replace(V1, target=Target("way_m", "m", "")), "target stopping_distance_m [m] became way_m [m]"),
    "target's unit": (
        replace(V1, target=replace(V1.target, unit="ft")),
        "target stopping_distance_m [m] became stopping_distance_m [ft]",
    ),
    "another group": (replace(V1, group="trip"), "group drive became trip"),
    "added before the end": (replace(V1, features=(SPARE, *V1.features)), "features spare were not added at the end"),
    "added and demanded": (
        replace(V1, features=(*V1.features, replace(SPARE, missing_allowed=False))),
        "added feature spare may not be missing",
    ),
    "truth removed": (replace(V1, truths=("surface",)), "truth source was removed"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_each_break_is_named(case: str) -> None:
    """One break, one line that says what was and what is."""
    new, told = BREAKS[case]
    assert differences(V1, new)[:1] == [told]


def test_what_evolves_may_evolve_further() -> None:
    """A wider range, an optional feature at the end and a truth more are no break, alone or together."""
    wider = replace(V2.features[0], low=-1.0, high=80.0)
    assert differences(V2, replace(V2, features=(wider, *V2.features[1:], SPARE), truths=(*V2.truths, "road"))) == []


def test_the_document_tells_what_changed() -> None:
    """`docs/contract.md` has a row for each feature that is new or has another range, and for each new truth."""
    table = (DATA.parents[1] / "docs" / "contract.md").read_text().partition("## From 1 to 2")[2].partition("##")[0]
    rows = {line.split("`")[1] for line in table.splitlines() if "`" in line}
    before = {feature.name: feature for feature in V1.features}
    changed = {feature.name for feature in V2.features if _range(before.get(feature.name)) != _range(feature)}
    assert rows == changed | (set(V2.truths) - set(V1.truths))


def _range(feature: Feature | None) -> tuple[float, float] | None:
    return (feature.low, feature.high) if feature else None

"""What every registry promises, whichever service keeps it: the same tests for each."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from brakeline_register.attempts import Attempt
from brakeline_register.registry import NoSuchVersion, Paper, Registry, State
from stepkit.errors import Refused

from tests.register.registries import NAME, entry, registry

__all__ = ["registry"]


def attempt(model: str, passed: bool = False, dataset: str | None = "d" * 64) -> Attempt:
    return Attempt(dataset, "f" * 64, model * 64, 2, passed, () if passed else ("parity", "nodes"))


def test_a_version_is_found_as_it_was_added(registry: Registry) -> None:
    """Every field, by its number, by its content, in the list, and among all models' versions."""
    added = registry.add(NAME, entry("a"))
    assert (added.model, added.version, added.state) == (NAME, "1", State.REGISTERED)
    assert added.created_at.endswith("+00:00")
    for name, value in vars(entry("a")).items():
        assert getattr(added, name) == value, name
    assert registry.find(NAME, "1") == added
    assert registry.by_content(NAME, "a" * 64) == added
    assert registry.list(NAME) == [added]
    assert registry.holders("a" * 64) == [added]


def test_the_same_content_is_one_version(registry: Registry) -> None:
    """Adding again changes nothing, whatever else is said of it; other content is the next version."""
    first = registry.add(NAME, entry("a"))
    assert registry.add(NAME, entry("a", uri="/elsewhere", facts={"overall": {"mae_m": 9.9}})) == first
    assert registry.add(NAME, entry("b")).version == "2"
    assert [version.version for version in registry.list(NAME)] == ["1", "2"]
    assert registry.find(NAME, "1") == first


def test_what_an_entry_does_not_tell_stays_untold(registry: Registry) -> None:
    """No run, no papers, no facts: empty comes back empty."""
    bare = entry("a", facts={}, folder_sha256="", format_version="", papers={}, source=type(entry("a").source)())
    added = registry.add(NAME, bare)
    assert (added.facts, added.papers, added.source, added.folder_sha256) == ({}, {}, bare.source, "")


def test_one_version_is_live(registry: Registry) -> None:
    """A new live version retires the old one; who, when and why is on record, oldest first."""
    for content in "ab":
        registry.add(NAME, entry(content))
    assert registry.live(NAME) is None
    assert registry.changes(NAME) == []
    assert registry.set_state(NAME, "1", State.LIVE, by="ann", why="the first").state is State.LIVE
    registry.set_state(NAME, "2", State.LIVE, by="bob")
    assert [version.state for version in registry.list(NAME)] == [State.REGISTERED, State.LIVE]
    live = registry.live(NAME)
    assert live is not None
    assert live == registry.find(NAME, "2")
    told = [(change.version, change.state, change.by, change.why) for change in registry.changes(NAME)]
    assert told == [("1", State.LIVE, "ann", "the first"), ("2", State.LIVE, "bob", "")]
    assert all(change.at.endswith("+00:00") for change in registry.changes(NAME))


def test_the_state_that_it_has_is_no_change(registry: Registry) -> None:
    """A repeated promotion records nothing: the first one's who and why stand."""
    registry.add(NAME, entry("a"))
    registry.set_state(NAME, "1", State.LIVE, by="ann", why="good")
    registry.set_state(NAME, "1", State.LIVE, by="bob", why="again")
    assert [(change.by, change.why) for change in registry.changes(NAME)] == [("ann", "good")]


def test_the_live_version_is_not_archived(registry: Registry) -> None:
    """Refused (65) with what to do; once another is live it goes, and it may come back."""
    for content in "ab":
        registry.add(NAME, entry(content))
    registry.set_state(NAME, "1", State.LIVE, by="ann")
    with pytest.raises(Refused, match="promote another version first"):
        registry.set_state(NAME, "1", State.ARCHIVED, by="ann")
    registry.set_state(NAME, "2", State.LIVE, by="ann")
    assert registry.set_state(NAME, "1", State.ARCHIVED, by="ann", why="old").state is State.ARCHIVED
    assert [version.state for version in registry.list(NAME)] == [State.ARCHIVED, State.LIVE]
    assert registry.set_state(NAME, "1", State.LIVE, by="bob", why="back").state is State.LIVE
    assert [version.state for version in registry.list(NAME)] == [State.LIVE, State.REGISTERED]
    assert [change.state for change in registry.changes(NAME)] == ["live", "live", "archived", "live"]


def test_names_do_not_mix(registry: Registry) -> None:
    """Versions, changes and attempts are by model name; content is found across names."""
    registry.add("one", entry("a"))
    assert registry.add("two", entry("a")).version == "1"
    registry.set_state("one", "1", State.LIVE, by="ann")
    registry.record("one", attempt("a"))
    assert registry.live("two") is None
    assert registry.changes("two") == []
    assert registry.attempts("two") == []
    assert {held.model for held in registry.holders("a" * 64)} == {"one", "two"}
    assert registry.list("three") == []


def test_an_unknown_version_is_named(registry: Registry) -> None:
    """Asking for what is not there ends with 65, to find it as to change it."""
    registry.add(NAME, entry("a"))
    for version in ("7", "latest", "-1", "", "1.0", "²", "١", "9" * 40):
        with pytest.raises(NoSuchVersion, match="no version") as missing:
            registry.find(NAME, version)
        assert missing.value.exit_code == 65
    with pytest.raises(NoSuchVersion):
        registry.set_state(NAME, "7", State.LIVE, by="ann")
    with pytest.raises(NoSuchVersion):
        registry.set_state("another", "1", State.LIVE, by="ann")


def test_an_attempt_counts_once(registry: Registry) -> None:
    """Of the same model, holdout and gate version the first stands, with its time; any other is another one."""
    first = attempt("a")
    registry.record(NAME, first)
    (before,) = registry.attempts(NAME)
    assert before == replace(first, recorded_at=before.recorded_at)
    assert before.recorded_at
    registry.record(NAME, replace(first, passed=True, failed=()))
    assert registry.attempts(NAME) == [before]
    others = [replace(first, holdout_sha256="0" * 64), replace(first, gate_version=3), attempt("b", dataset=None)]
    for other in others:
        registry.record(NAME, other)
    assert [replace(one, recorded_at="") for one in registry.attempts(NAME)] == [first, *others]


def later(content: str, by: str = "ann") -> Paper:
    return Paper(f"/models/signature-{content}", content * 64, by, "2026-11-26T12:00:00+00:00", "another key")


def test_a_paper_that_comes_later_stands_beside_the_others(registry: Registry) -> None:
    """By a name of its own, with who, when and why; none is replaced, and the same content again changes nothing."""
    first = registry.add(NAME, entry("a"))
    registry.add(NAME, entry("b"))
    signed = registry.add_paper(NAME, "1", "signature", later("4"))
    assert signed.papers == {**first.papers, "signature": later("4")}
    again = registry.add_paper(NAME, "1", "signature", later("5"))
    assert again.papers == {**signed.papers, "signature-2": later("5")}
    for content in "45":
        assert registry.add_paper(NAME, "1", "signature", later(content, by="bob")) == again
    assert registry.find(NAME, "1") == again == replace(first, papers=again.papers)
    assert registry.find(NAME, "2").papers == first.papers
    assert registry.changes(NAME) == []
    for model, version in ((NAME, "7"), ("another", "1"), (NAME, "latest")):
        with pytest.raises(NoSuchVersion):
            registry.add_paper(model, version, "signature", later("4"))


def test_papers_that_come_at_once_are_all_there(registry: Registry) -> None:
    """Eight writers of four signatures: each is there once, numbered without a gap."""
    before = registry.add(NAME, entry("a")).papers
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: registry.add_paper(NAME, "1", "signature", later(one)), "45674567"))
    papers = registry.find(NAME, "1").papers
    assert papers.keys() - before.keys() == {"signature", "signature-2", "signature-3", "signature-4"}
    assert len({paper.sha256 for paper in papers.values()}) == len(before) + 4


def test_writers_at_once_neither_lose_nor_double(registry: Registry) -> None:
    """Eight writers of four models: each is one version, numbered without a gap, and each attempt counts once."""
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda content: registry.add(NAME, entry(content)), "abcdabcd"))
        list(pool.map(lambda content: registry.record(NAME, attempt(content)), "abcdabcd"))
    assert [one.version for one in added[:4]] == [one.version for one in added[4:]]
    assert [version.version for version in registry.list(NAME)] == ["1", "2", "3", "4"]
    assert sorted(version.sha256[0] for version in registry.list(NAME)) == ["a", "b", "c", "d"]
    assert sorted(one.model_sha256[0] for one in registry.attempts(NAME)) == ["a", "b", "c", "d"]


def test_promotions_at_once_leave_one_live(registry: Registry) -> None:
    """Four people promote four versions: each is on record, and one version is live in the end."""
    for content in "abcd":
        registry.add(NAME, entry(content))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda version: registry.set_state(NAME, version, State.LIVE, by=version), "1234"))
    states = [version.state for version in registry.list(NAME)]
    assert sorted(states) == [State.LIVE, *[State.REGISTERED] * 3]
    live, changes = registry.live(NAME), registry.changes(NAME)
    assert sorted(change.version for change in changes) == ["1", "2", "3", "4"]
    assert live is not None
    assert live.version == changes[-1].version

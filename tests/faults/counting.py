"""Counts the faults of a test run: tried, survived, data lost, wrong answers; by kind, over all test processes.

A test counts by the fixture `tally`. One that `coverage.py` names and that has no use of the fixture counts as one
fault for each of its cases, survived where it passes.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults import coverage

FILE = ".faults.json"
_PROPERTY = "faults"


@dataclass
class Count:
    """What came of faults. `failed_requests` are those of clients meanwhile; where allowed, they are no loss."""

    tried: int = 0
    survived: int = 0
    lost: int = 0
    wrong: int = 0
    failed_requests: int = 0
    skipped_tests: int = 0

    def add(self, other: Mapping[str, int]) -> None:
        """Add another one's numbers."""
        for name, number in other.items():
            setattr(self, name, getattr(self, name) + number)


class Tally:
    """What one test counts."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def of(self, kind: str) -> None:
        """Say of which kind the faults of this case are, where the table has the test under several."""
        assert kind in self._told["kinds"], kind
        self._told["kind"] = kind

    def tried(self, faults: int = 1) -> None:
        """So many faults happen now."""
        self._count("tried", faults)

    def survived(self, faults: int = 1) -> None:
        """So many ended as they should."""
        self._count("survived", faults)

    def lost(self, things: int) -> None:
        """Data that was there and is not any more; the test fails where there is any."""
        self._count("lost", things)
        assert things == 0, f"{things} lost"

    def wrong(self, answers: int) -> None:
        """Answers that were not the right ones; the test fails where there is any."""
        self._count("wrong", answers)
        assert answers == 0, f"{answers} wrong"

    def failed_requests(self, requests: int) -> None:
        """Requests of clients that got no answer."""
        self._count("failed_requests", requests)

    def _count(self, name: str, number: int) -> None:
        self._told["count"][name] += number


def tally_of(item: pytest.Item) -> Tally:
    """The tally of a test, for the fixture; the test must be in the coverage."""
    kinds = coverage.kinds_of(item)
    assert kinds, f"{item.nodeid}: tests/faults/coverage.py names no such test"
    told = {"kind": kinds[0], "kinds": kinds, "count": asdict(Count())}
    # Filled in as the test goes on, and read when it has ended.
    item.user_properties = [*(pair for pair in item.user_properties if pair[0] != _PROPERTY), (_PROPERTY, told)]
    return Tally(told)


class Faults:
    """The plugin: marks tests in the processes that run them, and adds up where results come together."""

    def __init__(self, folder: Path, adds_up: bool) -> None:
        self._folder, self._adds_up = folder, adds_up
        self.counts: defaultdict[str, Count] = defaultdict(Count)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Let the tests that the coverage names be counted."""
        for item in items:
            if kinds := coverage.kinds_of(item):
                one = asdict(Count(tried=1, survived=1))
                item.user_properties.append((_PROPERTY, {"kind": kinds[0], "count": one}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add what a test counted."""
        for name, told in report.user_properties:
            if name != _PROPERTY or not isinstance(told, dict):
                continue
            count = self.counts[told["kind"]]
            if report.skipped:
                count.skipped_tests += 1
            elif report.when == "call":
                failed = {"survived": max(min(told["count"]["survived"], told["count"]["tried"] - 1), 0)}
                count.add(told["count"] | (failed if report.failed else {}))

    def table(self) -> dict[str, dict[str, int]]:
        """The counts by kind, and all of them together."""
        whole = Count()
        for count in self.counts.values():
            whole.add(asdict(count))
        return {kind: asdict(self.counts[kind]) for kind in sorted(self.counts)} | {"all": asdict(whole)}

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the table, and keep it."""
        if not self._adds_up or not self.counts:
            return
        table = self.table()
        (self._folder / FILE).write_text(json.dumps(table, indent=2) + "\n")
        names = list(asdict(Count()))
        terminalreporter.write_line("faults: " + ", ".join(name.replace("_", " ") for name in names))
        for kind, count in table.items():
            terminalreporter.write_line(f"  {kind:14}" + "".join(f"{count[name]:9}" for name in names))

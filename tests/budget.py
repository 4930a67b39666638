"""Minutes that each group of tests may take, so that the whole stays well under what CI allows."""

from collections import defaultdict
from pathlib import Path

import pytest

# Work by all test processes together [min]; a group is a folder of tests, or a file beside the folders.
MINUTES = {
    "compose": 24,
    "deploy": 14,
    "examples": 10,
    "faults": 20,
    "images": 12,
    # A real API server is built, once on a machine.
    "manifests": 20,
    # Four runs of the pipeline, most of it.
    "notebooks": 20,
    "orchestrator": 16,
    "scale": 12,
    "serving": 22,
    "steps": 12,
    "test_equality": 10,
    "train": 12,
    "validate": 30,
}
OTHERS_MIN = 8


class Budget:
    """Adds up what tests take and fails a run whose group takes more than it may."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count setup, test and teardown."""
        self._seconds[Path(report.nodeid.partition("::")[0]).parts[1].removesuffix(".py")] += report.duration

    def over(self) -> list[str]:
        """The groups that took more than their minutes, in words."""
        return [
            f"{group}: {seconds / 60:.1f} min, allowed {MINUTES.get(group, OTHERS_MIN)}"
            for group, seconds in sorted(self._seconds.items())
            if seconds > 60 * MINUTES.get(group, OTHERS_MIN)
        ]

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say which groups were over, and what the dearest took."""
        dearest = sorted(self._seconds.items(), key=lambda item: -item[1])[:4]
        told = ", ".join(f"{group} {seconds / 60:.1f}" for group, seconds in dearest)
        terminalreporter.write_line(f"minutes of work by group: {told}")
        for line in self.over():
            terminalreporter.write_line(f"over its budget: {line}", red=True)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Over its budget is a failure."""
        if self.over() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

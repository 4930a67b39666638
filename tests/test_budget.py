"""The budget of test groups fails what takes too long."""

import types
from typing import cast

import pytest

from tests.budget import MINUTES, OTHERS_MIN, Budget


def report(nodeid: str, seconds: float) -> pytest.TestReport:
    return cast(pytest.TestReport, types.SimpleNamespace(nodeid=nodeid, duration=seconds))


@pytest.mark.parametrize(("nodeid", "minutes"), [("tests/images/test_a.py::b", MINUTES["images"]),
                                                 ("tests/test_house.py::b", OTHERS_MIN)])  # fmt: skip
def test_a_group_over_its_minutes_fails_the_run(nodeid: str, minutes: float) -> None:
    """Within the budget all is well; a second more is a failure that names the group."""
    budget, session = Budget(), cast(pytest.Session, types.SimpleNamespace(exitstatus=pytest.ExitCode.OK))
    budget.pytest_runtest_logreport(report(nodeid, 60 * minutes))
    budget.pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.OK
    budget.pytest_runtest_logreport(report(nodeid, 1))
    budget.pytest_sessionfinish(session)
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
    assert budget.over()[0].startswith(nodeid.split("/")[1].partition(".py")[0])

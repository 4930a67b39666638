"""The table of faults: every test that it names is there, the page is up to date, and what is counted adds up."""

import ast
import types
from pathlib import Path
from typing import Any, cast

import pytest

from tests.conftest import HOUSE
from tests.faults import page
from tests.faults.counting import Count, Faults
from tests.faults.coverage import KINDS, ROWS


def test_every_test_that_the_table_names_is_there() -> None:
    """Once for each kind, and that is explained."""
    names = [name for row in ROWS for name in row.names]
    assert len({(row.kind, name) for row in ROWS for name in row.names}) == len(names)
    assert {row.kind for row in ROWS} == KINDS.keys()
    for name in names:
        file, _, function = name.partition("::")
        tree = ast.parse((HOUSE / "tests" / file).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_every_test_of_faults_is_in_the_table() -> None:
    """Each file of this room has its tests counted."""
    named = {name for row in ROWS for name in row.names}
    for file in (HOUSE / "tests" / "faults").glob("test_*.py"):
        text = file.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and "tally" in ast.dump(node.args):
                assert f"faults/{file.name}::{node.name}" in named


def test_the_page_is_up_to_date() -> None:
    """`python -m tests.faults.page` writes it."""
    assert page.PAGE.read_text(encoding="utf-8") == page.text()


def _report(outcome: str, **counted: int) -> pytest.TestReport:
    told: dict[str, Any] = {"kind": "killed", "count": vars(Count(**counted))}
    known = {"user_properties": [("faults", told)], "when": "call", "skipped": outcome == "skipped"}
    return cast(pytest.TestReport, types.SimpleNamespace(**known, failed=outcome == "failed"))


def test_what_is_counted_adds_up(tmp_path: Path) -> None:
    """Tried and survived by kind; a test that failed did not survive all; one that was skipped tried nothing."""
    faults = Faults(tmp_path, adds_up=True)
    faults.pytest_runtest_logreport(_report("passed", tried=3, survived=3))
    faults.pytest_runtest_logreport(_report("failed", tried=1, survived=1))
    faults.pytest_runtest_logreport(_report("failed", tried=4, survived=2, lost=1))
    faults.pytest_runtest_logreport(_report("skipped", tried=1, survived=1))
    wanted = {"tried": 8, "survived": 5, "lost": 1, "wrong": 0, "failed_requests": 0, "skipped_tests": 1}
    assert faults.table() == {"killed": wanted, "all": wanted}

"""Readings that are lost: every row gets an answer, and a flag only where it had one before."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from brakeline_validate import failsafe, readings
from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate
from brakeline_validate.examine import Holdout

from tests.conftest import Chain

Answers = dict[str, np.ndarray]
Change = Callable[[np.ndarray, Answers], Answers]


@pytest.fixture(scope="module")
def honest(good: Chain) -> Candidate:
    return Candidate.load(good.model)


@pytest.fixture(scope="module")
def doubtful(good: Chain, honest: Candidate) -> np.ndarray:
    """Rows of the holdout, one in twenty of them with readings that cannot all be true."""
    rows = Holdout.read(good.holdout).inputs[:4_000].copy()
    for role, (low, high) in failsafe.INCONSISTENT["grip in freezing rain"].items():
        rows[::20, honest.column(role)] = (low + high) / 2
    return rows


def unanswered(model: Candidate, rows: np.ndarray, change: Change = lambda _, answers: answers) -> float:
    """The gate's figure for a model whose answers to rows (N, F) are changed."""

    class Changed(Candidate):
        def ask(
            self, inputs: np.ndarray, names: Sequence[str] = (MEDIAN, UPPER, FLAG), at_once: int = 1_000
        ) -> Answers:
            return change(inputs, super().ask(inputs, names, at_once))

    share, _, _ = readings.missing(Changed(**vars(model)), rows, np.random.default_rng(3))
    return share


def test_a_row_that_was_flagged_before_may_stay_so(honest: Candidate, doubtful: np.ndarray) -> None:
    """Grip in freezing rain is still impossible when the tread depth is lost too."""
    assert honest.ask(doubtful)[FLAG].mean() == pytest.approx(0.05)
    assert unanswered(honest, doubtful) == 0.0


def test_one_lost_reading_is_no_reason_for_a_flag(honest: Candidate, doubtful: np.ndarray) -> None:
    """Who flags what lacks the air's temperature gives up on rows that were fit: more than one in twenty asked."""

    def gives_up(inputs: np.ndarray, answers: Answers) -> Answers:
        lost = np.isnan(inputs[:, honest.column("air_temperature")])
        return answers | {FLAG: np.where(lost, 1.0, answers[FLAG])}

    assert unanswered(honest, doubtful, gives_up) > 0.05


@pytest.mark.parametrize("no_number", [MEDIAN, UPPER, FLAG])
def test_a_flag_before_excuses_no_answer_that_is_none(honest: Candidate, doubtful: np.ndarray, no_number: str) -> None:
    """Rows that were flagged, and have no number once a reading is lost, are unanswered."""

    def breaks_off(inputs: np.ndarray, answers: Answers) -> Answers:
        silent = (answers[FLAG] == 1.0) & np.isnan(inputs[:, honest.column("disc_temperature")])
        return answers | {no_number: np.where(silent, np.nan, answers[no_number])}

    assert unanswered(honest, doubtful, breaks_off) > 0.0


def test_a_flag_that_is_no_number_excuses_nothing(honest: Candidate, doubtful: np.ndarray) -> None:
    """Neither 0 nor 1 before a reading is lost is no flag."""
    never = unanswered(honest, doubtful, lambda _, answers: answers | {FLAG: np.full_like(answers[FLAG], np.nan)})
    assert never == 1.0

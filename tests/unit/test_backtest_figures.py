from __future__ import annotations

import pytest

from keeper_grpc.backtest.figures import BINS, IN_A_BIN, TOP, Answer, figures
from keeper_grpc.domain.metrics.uplift import Arm


def told(success: bool, expected: float) -> Answer:
    """A row of which something was expected, and in which what was advised was done."""
    return Answer(success, expected, "Call the guest", expected, followed=True)


def test_parts_hold_what_was_expected_against_what_happened() -> None:
    """Twenty rows of 20% and twenty of 80%: two parts, and the best is 1.6 times the average."""
    rows = [told(number < 4, 0.2) for number in range(20)]
    rows += [told(number < 16, 0.8) for number in range(20)]
    found = figures(rows)
    assert [(round(each.expected, 6), each.happened) for each in found.bins] == [
        (0.2, Arm(20, 4)),
        (0.8, Arm(20, 16)),
    ]
    assert found.lift == pytest.approx(1.6)
    assert found.brier == pytest.approx(0.16)
    assert found.brier_of_average == pytest.approx(0.25)


def test_parts_are_never_of_few_rows() -> None:
    """Nineteen rows have none, and there are ten parts at most."""
    assert figures([told(True, 0.5)] * (IN_A_BIN - 1)).bins == []
    many = figures([told(True, 0.5)] * (IN_A_BIN * 50)).bins
    assert (len(many), sum(each.happened.trials for each in many)) == (BINS, IN_A_BIN * 50)


def test_one_part_has_no_lift() -> None:
    """The average has nothing to be compared with."""
    assert figures([told(True, 0.5)] * IN_A_BIN).lift is None


def test_advice_is_listed_by_how_often_it_would_have_been_given() -> None:
    """With the outcomes of the rows in which it was done anyway; what is not listed is counted."""
    rows = [Answer(True, None, "Call", 0.7, followed=True)] * 2
    rows += [Answer(False, None, "Call", 0.8)]
    rows += [Answer(True, None, f"Advice {number}", 0.9) for number in range(TOP)]
    found = figures(rows)
    first = found.advice[0]
    assert (first.action, first.times, first.done) == ("Call", 3, Arm(2, 2))
    assert first.expected == pytest.approx(2.2 / 3)
    assert (len(found.advice), found.others) == (TOP, 1)
    assert (found.agreement.advised, found.agreement.held_out) == (Arm(2, 2), Arm(11, 10))


def test_an_authors_word_is_no_proven_advice() -> None:
    """It is counted apart, with the reason why nothing proven was advised."""
    found = figures([Answer(True, None, "Call", authored=True, reason="NOT_FOUND"), Answer(False)])
    assert (found.asked, found.proven, found.authored) == (2, 0, 1)
    assert found.reasons == [("NOT_FOUND", 1)]
    assert not found.advice


def test_nothing_asked_has_figures_without_numbers() -> None:
    """No division by nothing."""
    found = figures([])
    assert (found.asked, found.brier, found.lift, found.bins) == (0, None, None, [])

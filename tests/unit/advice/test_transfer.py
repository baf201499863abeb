from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper_grpc.domain.advice.transfer import UNTRIED, TransferRecord


@st.composite
def records(draw: st.DrawFn) -> TransferRecord:
    """What was expected of some trials, and how many succeeded."""
    expected = draw(st.lists(st.floats(0.01, 1), max_size=50))
    return TransferRecord(sum(expected), draw(st.integers(0, len(expected))))


def test_untried_it_is_seven_tenths() -> None:
    """Before anybody reported anything."""
    assert TransferRecord().discount == pytest.approx(0.7) == UNTRIED


@given(records())
def test_the_discount_is_above_nothing_and_at_most_one(record: TransferRecord) -> None:
    """Whatever was reported."""
    assert 0 < record.discount <= 1


@given(records())
def test_a_success_raises_and_a_failure_lowers_it(record: TransferRecord) -> None:
    """One more report of something that was expected to work."""
    failed = TransferRecord(record.expected + 0.8, record.successes)
    worked = TransferRecord(record.expected + 0.8, record.successes + 1)
    assert failed.discount <= record.discount
    assert worked.discount > failed.discount or failed.discount == 1
    if record.discount < 1:
        assert failed.discount < record.discount
        assert worked.discount > record.discount


def test_what_works_here_as_there_comes_to_count_in_full() -> None:
    """As many successes as were expected approach 1; twice as many do not exceed it."""
    assert TransferRecord(1000, 1000).discount == pytest.approx(1, abs=0.01)
    assert TransferRecord(1000, 2000).discount == 1


def test_what_never_works_here_comes_to_count_for_nothing() -> None:
    """A hundred failures."""
    assert TransferRecord(80, 0).discount < 0.05

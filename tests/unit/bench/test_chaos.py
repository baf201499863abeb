from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.chaos.agreement import same
from bench.chaos.followers import Follower
from bench.chaos.history import Event
from bench.chaos.servers import Server

HISTORY = [
    Event(1, "one", "late_arrival", "new", 3, 3),
    Event(2, "one", "late_arrival", "updated", 4, 4),
    Event(3, "one", "late_arrival", "updated", 5, 5),
    Event(4, "two", "gift_cards", "new", 3, 3),
]


def differences(events: Sequence[Event], snapshots: int = 1) -> str:
    """What is said of a follower that was told these."""
    follower = Follower([Server("server-1", 0, Path(), {})], 0)
    follower.events, follower.snapshots = list(events), snapshots
    return " ".join(follower.differences(HISTORY))


@pytest.mark.parametrize(
    "events",
    [HISTORY, HISTORY[:2], [HISTORY[0], *HISTORY[2:]]],
    ids=["all", "not yet all", "without an update that a later one replaced"],
)
def test_a_whole_history_passes(events: Sequence[Event]) -> None:
    """What is documented to be left out may be."""
    assert differences(events) == ""


@pytest.mark.parametrize(
    ("events", "complaint"),
    [
        (HISTORY[1:], "missed"),
        ([*HISTORY[:2], HISTORY[3]], "missed"),
        ([HISTORY[0], *HISTORY], "told twice"),
        ([HISTORY[1], HISTORY[0], *HISTORY[2:]], "out of order"),
        ([*HISTORY, replace(HISTORY[3], sequence=5)], "made up"),
        ([*HISTORY[:3], replace(HISTORY[3], account_count=4)], "account_count=4"),
    ],
    ids=["the first", "the last update", "twice", "order", "made up", "changed"],
)
def test_a_history_with_a_fault_does_not(events: Sequence[Event], complaint: str) -> None:
    """Each fault has its complaint."""
    assert complaint in differences(events)


def test_a_second_snapshot_is_a_complaint() -> None:
    """It means that a token was not good."""
    assert "2 snapshots" in differences(HISTORY, snapshots=2)


def test_answers_differ_in_more_than_last_digits() -> None:
    """Sums of vectors depend on their order; counts, words and ids do not."""
    answer = 'similarity: 0.60524553 id: "ebbf3242-1234-46f0-be51-5c4bb211a706" count: 3 "a word"'
    assert same(answer, answer.replace("4553", "4547"))
    for old, new in (
        ("0.605", "0.606"),
        ("-1234-", "-1235-"),
        ("count: 3", "count: 4"),
        ("a w", "b w"),
    ):
        assert not same(answer, answer.replace(old, new))
    assert not same(answer, "")

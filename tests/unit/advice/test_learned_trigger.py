from __future__ import annotations

from uuid import UUID

import pytest

from keeper_grpc.domain.advice.learned_trigger import (
    Condition,
    LearnedTrigger,
    TriggerFigures,
    band_of,
    conditions_met,
    meets,
)
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey

FIGURES = TriggerFigures(0.8, 0.7, 0.88, 1.6, 50, 8)


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ("31-60", (31, 60)),
        ("181+", (181, None)),
        (2.0, (2, 2)),
        ("0", (0, 0)),
        ("off-peak", None),
        (True, None),
        (["a"], None),
    ],
)
def test_bands_have_ends(value: JsonValue, ends: tuple[float, float | None] | None) -> None:
    """As they are stored; whatever is no band is compared as it is."""
    assert band_of(value) == ends


def test_a_threshold_holds_of_whole_bands() -> None:
    """Half of a band is not enough, and what is not stated meets nothing."""
    late = Condition("days_since_visit", ">=", 61.0)
    assert [meets({"days_since_visit": band}, late) for band in ("31-60", "61-90", "181+")] == [
        False,
        True,
        True,
    ]
    early = Condition("days_since_visit", "<=", 30.0)
    assert [meets({"days_since_visit": band}, early) for band in ("8-14", "15-60", "181+")] == [
        True,
        False,
        False,
    ]
    assert not meets({}, late)
    assert not meets({"days_since_visit": "often"}, late)


def test_a_situation_meets_its_own_conditions() -> None:
    """Whatever it states."""
    situation: dict[str, JsonValue] = {
        "days_since_visit": "61-90",
        "membership_tier": "premium",
        "first": False,
        "tags": ["a"],
    }
    met = conditions_met(situation)
    assert {condition.key for condition in met} == {"days_since_visit", "membership_tier", "first"}
    assert all(meets(situation, condition) for condition in met)


def test_a_trigger_reads_as_cel() -> None:
    """Over the facts of authored triggers where it is one of them."""
    trigger = LearnedTrigger(
        PatternKey(1, UUID(int=1)),
        (
            Condition("days_since_visit", ">=", 61.0),
            Condition("season", "==", "mother's day"),
            Condition("first", "==", False),
        ),
        FIGURES,
    )
    assert trigger.text == (
        "customer.days_since_visit >= 61 && season == 'mother\\'s day' && visit.first == false"
    )
    assert trigger.holds({"days_since_visit": "181+", "season": "mother's day", "first": False})
    assert not trigger.holds({"days_since_visit": "181+", "season": "mother's day"})
    assert "80% succeed (70% to 88%, 50 cases of 8 accounts), 1.6 times" in trigger.sentence()

from __future__ import annotations

from datetime import timedelta
from random import Random
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper_grpc.domain.advice.learned_trigger import Condition, LearnedTrigger
from keeper_grpc.domain.advice.trigger_mining import (
    Case,
    Cells,
    choose,
    finds,
    mantel_haenszel,
    mine,
)
from keeper_grpc.domain.evidence.publication import PublicationRule
from keeper_grpc.domain.insight import JsonValue
from keeper_grpc.domain.patterns.pattern import PatternKey

RULE = PublicationRule(3)
KEY = PatternKey(1, UUID(int=1))
DAYS = ("0-7", "8-14", "15-30", "31-60", "61-90", "91-180", "181+")
TIERS = ("standard", "premium", "none")
LONG_AGO = Condition("days_since_visit", ">=", 61.0)
OWNERS = tuple(f"owner-{number}" for number in range(16))


def cases(
    seed: int,
    *,
    planted: float,
    each: int = 40,
    owners: tuple[str, ...] = OWNERS,
    confounded: bool = False,
) -> list[Case]:
    """Outcomes at 45%, and so much more often from 61 days on. `confounded`: some owners are better at everything and
    act late.
    """
    luck = Random(seed)  # noqa: S311 - a history, not a secret
    found = []
    for owner in owners:
        good = confounded and luck.random() < 0.5
        for _ in range(each):
            days = luck.choice(DAYS[4:] if good and luck.random() < 0.8 else DAYS)
            rate = 0.45 + 0.35 * good + planted * (days in DAYS[4:])
            situation: dict[str, JsonValue] = {
                "days_since_visit": days,
                "membership_tier": luck.choice(TIERS),
                "first": luck.random() < 0.3,
            }
            found.append(
                Case(owner, situation, luck.random() < rate, timedelta(days=luck.randrange(4, 9)))
            )
    return found


def mined(found: list[Case]) -> list[LearnedTrigger]:
    """The triggers that are learned from one pattern."""
    return list(choose([mine(KEY, found, RULE)]))


@settings(max_examples=8)
@given(st.integers(0, 10_000))
def test_a_planted_trigger_is_found(seed: int) -> None:
    """With its threshold or a neighbouring band's, and with figures that hold the truth or are close to it."""
    (first, *_) = mined(cases(seed, planted=0.45))
    keys = {condition.key for condition in first.conditions}
    assert "days_since_visit" in keys
    assert first.figures.low <= first.figures.precision <= first.figures.high
    assert first.figures.precision == pytest.approx(0.9, abs=0.12)
    assert first.figures.lift > 1.3
    assert first.figures.owners > RULE.k
    assert first.figures.lead_time is not None
    assert timedelta(days=4) <= first.figures.lead_time <= timedelta(days=9)


@pytest.mark.parametrize("confounded", [False, True])
def test_noise_yields_no_triggers(confounded: bool) -> None:
    """Of patterns of nothing but chance hardly one has a trigger: also where good owners act late."""
    false = [
        trigger
        for seed in range(4)
        for trigger in choose(
            [
                mine(
                    PatternKey(1, UUID(int=number)),
                    cases(
                        100 * seed + number,
                        planted=0.0,
                        each=25,
                        confounded=confounded,
                    ),
                    RULE,
                )
                for number in range(6)
            ]
        )
    ]
    assert len(false) <= 1


def test_intervals_hold_the_truth() -> None:
    """The precision of planted triggers, which was not looked at in the choice, lies in nine of ten intervals."""
    held = [
        trigger.figures.low <= 0.75 <= trigger.figures.high
        for seed in range(16)
        for trigger in mined(cases(seed, planted=0.3))
        if trigger.conditions == (LONG_AGO,)
    ]
    assert len(held) >= 5
    assert sum(held) / len(held) >= 0.75


def test_a_trigger_needs_more_than_k_owners_of_each_half() -> None:
    """However many outcomes they have, and however plain it is: without any one of them it is still k."""
    search = tuple(owner for owner in OWNERS if finds(owner))
    verify = tuple(owner for owner in OWNERS if not finds(owner))
    for few, many in ((search[:3], verify), (search, verify[:3])):
        assert not mined(cases(1, planted=0.5, each=80, owners=few + many))
    assert mined(cases(1, planted=0.5, each=80, owners=search[:4] + verify[:4]))


def test_one_owner_makes_no_trigger() -> None:
    """Whatever it reports, and however much: it weighs no more than the others do."""
    plain = cases(2, planted=0.0)
    loud = [
        Case(OWNERS[0], {"days_since_visit": day, "membership_tier": "none"}, day == "181+")
        for day in DAYS
        for _ in range(300)
    ]
    assert not mined(plain + loud)


def test_a_known_trigger_stays_while_it_holds() -> None:
    """It need not be found anew, and goes when the other half's outcomes no longer bear it."""
    known = {(KEY, (LONG_AGO,))}
    weak = cases(5, planted=0.12)
    outcome = mine(KEY, weak, RULE)
    verified = {each.trigger.conditions: each.verified for each in outcome.candidates}
    stays = (LONG_AGO,) in [trigger.conditions for trigger in choose([outcome], known)]
    assert stays == (verified.get((LONG_AGO,), 1.0) <= 0.05)
    turned = choose([mine(KEY, cases(6, planted=-0.3), RULE)], known)
    assert (LONG_AGO,) not in [trigger.conditions for trigger in turned]


def test_owners_are_compared_with_themselves() -> None:
    """One that succeeds always, and only acts where the trigger holds, says nothing."""
    alone = [(50, 50, 0, 0)] * 4
    assert mantel_haenszel(cells(*alone), RULE.k) == 1.0
    assert mantel_haenszel(cells(*alone, *[(10, 5, 10, 5)] * 4), RULE.k) == pytest.approx(0.5)
    assert mantel_haenszel(cells(*alone, *[(10, 8, 10, 3)] * 4), RULE.k) < 0.001


def cells(*owners: tuple[int, int, int, int]) -> Cells:
    """Outcomes and successes of owners, where a trigger holds and where it does not."""
    inside, inside_good, outside, outside_good = np.array(owners, np.float64).T
    return Cells(inside, inside_good, outside, outside_good, np.arange(0))

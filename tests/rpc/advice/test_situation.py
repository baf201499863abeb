"""The situation of a question decides whether a pattern is applied, and what is said of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    EnhanceInsightsRequest,
    GenerateTaskRequest,
    Task,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import (
    EXPECTATION_BASIS_ADJUSTED,
    EXPECTATION_BASIS_PATTERN,
    EXPECTATION_BASIS_SITUATION,
)
from tests.rpc.feedback import ask, report, teach
from tests.rpc.geometry import Geometry
from tests.rpc.requests import new_account, question
from tests.rpc.service import Service

MONDAY: Mapping[str, Any] = {"day_of_week": "monday", "service": "massage"}
SUNDAY: Mapping[str, Any] = {"day_of_week": "sunday", "service": "facial"}
TUESDAY: Mapping[str, Any] = {"day_of_week": "tuesday", "service": "pedicure"}
SCRIPT = "Hi {name}, a warm towel is waiting for you"

TOO_LOW = EnhanceInsightResponse.NO_MATCH_REASON_SUCCESS_RATE_TOO_LOW


@pytest.fixture
def pattern(topic: str, geometry: Geometry) -> str:
    """A topic whose texts are alike in every situation, so that its captures are one pattern."""
    geometry.together(topic.replace("_", " "))
    return topic


def outcomes(successes: int, trials: int, accounts: int) -> list[str]:
    """So many outcomes, dealt out to accounts one after the other."""
    dealt = ["+"] * successes + ["-"] * (trials - successes)
    return ["".join(dealt[number::accounts]) for number in range(accounts)]


async def known(
    service: Service, topic: str, situation: Mapping[str, Any], successes: int, trials: int
) -> str:
    """Four accounts report from one situation."""
    return await teach(
        service, topic, outcomes(successes, trials, 4), conditions=situation, script=SCRIPT
    )


async def task_of(service: Service, account: str, given: EnhanceInsightResponse) -> Task:
    """The task that the advice asks for."""
    request = GenerateTaskRequest(account_id=account, enhancement_id=given.enhancement_id)
    return (await service.network.GenerateTask(request)).task


def agrees(answer: EnhanceInsightResponse) -> None:
    """Sentence, rate, boost and counts of an enhanced insight are of one expectation."""
    got = answer.enhanced_insight
    assert got.network_enhanced
    said = re.match(
        r"This approach worked (\d+)% of the time across (\d+) similar cases", got.network_context
    )
    assert said
    assert said[1] == f"{got.expected_success_rate:.0%}".rstrip("%")
    assert int(said[2]) == got.evidence.occurrence_count
    assert got.confidence == pytest.approx(
        min(got.base_confidence * (1 + 0.3 * got.expected_success_rate), 0.99)
    )
    assert f"{got.expected_success_rate:.0%} are expected" in got.explanation
    assert got.explanation.startswith(
        f"{got.evidence.success_count} of {got.evidence.occurrence_count} similar cases"
    )
    assert got.evidence.lower_bound <= got.evidence.success_rate


@pytest.mark.parametrize(
    ("successes", "trials"), [(0, 4), (0, 8), (0, 16), (1, 16), (2, 20), (5, 16), (3, 12)]
)
async def test_what_fails_in_this_situation_is_not_applied(
    service: Service, pattern: str, successes: int, trials: int
) -> None:
    """However well the pattern works in others, and whatever its own rate is."""
    await known(service, pattern, MONDAY, successes, trials)
    await known(service, pattern, SUNDAY, 32, 32)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY)
    assert answer.no_match_reason == TOO_LOW
    assert answer.enhanced_insight.confidence == answer.enhanced_insight.base_confidence
    assert answer.closest_miss.expected_success_rate < 0.6
    if trials >= 8:
        assert answer.closest_miss.occurrence_count == trials
        assert answer.closest_miss.success_rate == pytest.approx(successes / trials)
        assert answer.closest_miss.basis == EXPECTATION_BASIS_SITUATION
    agrees(await ask(service, pattern, new_account(), conditions=SUNDAY))


@pytest.mark.parametrize(
    ("successes", "trials", "elsewhere"), [(32, 32, 32), (32, 32, 100), (16, 16, 40), (14, 16, 40)]
)
async def test_what_works_in_this_situation_is_applied(
    service: Service, pattern: str, successes: int, trials: int, elsewhere: int
) -> None:
    """Though it fails in all others, and its own rate is below what is asked for."""
    pattern_id = await known(service, pattern, MONDAY, successes, trials)
    await known(service, pattern, SUNDAY, 0, elsewhere)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY)
    agrees(answer)
    got = answer.enhanced_insight
    assert got.pattern_id == pattern_id
    assert got.basis == EXPECTATION_BASIS_SITUATION
    assert (got.evidence.success_count, got.evidence.occurrence_count) == (successes, trials)
    assert got.network_context.endswith(f"{trials} similar cases")
    elsewhere_asked = await ask(service, pattern, new_account(), conditions=SUNDAY)
    assert elsewhere_asked.no_match_reason == TOO_LOW


async def test_the_task_says_what_the_enhancement_said(service: Service, pattern: str) -> None:
    """Its probability and the note of its script are the expected rate, in the situation."""
    await known(service, pattern, MONDAY, 16, 16)
    await known(service, pattern, SUNDAY, 10, 40)
    account = new_account()
    given = await ask(service, pattern, account, conditions=MONDAY)
    agrees(given)
    expected = given.enhanced_insight.expected_success_rate
    task = await task_of(service, account, given)
    assert task.success_probability == expected
    assert task.script == SCRIPT
    assert task.script_note == f"This script works {expected:.0%} of the time"


async def test_where_nothing_is_known_of_the_situation_the_patterns_rate_stands_in(
    service: Service, pattern: str
) -> None:
    """And the answer says that it does, in a field and in words."""
    await known(service, pattern, MONDAY, 20, 24)
    await known(service, pattern, SUNDAY, 20, 24)
    account = new_account()
    answer = await ask(service, pattern, account, conditions=TUESDAY)
    agrees(answer)
    got = answer.enhanced_insight
    assert got.basis == EXPECTATION_BASIS_PATTERN
    task = await task_of(service, account, answer)
    assert task.script_note.endswith("of the time, in all situations together")
    assert (got.evidence.success_count, got.evidence.occurrence_count) == (40, 48)
    assert got.expected_success_rate == pytest.approx((40 + 1) / (48 + 2), abs=0.03)
    assert got.network_context.endswith("48 similar cases of all situations together")
    assert "too little is known of this one" in got.explanation


@pytest.mark.parametrize("seen", [["--------"] * 2, ["----------------"]])
async def test_too_few_owners_decide_no_situation(
    service: Service, pattern: str, seen: Sequence[str]
) -> None:
    """What two know of it is no more than nothing: the answer is the pattern's, and says so."""
    await known(service, pattern, SUNDAY, 40, 40)
    await teach(service, pattern, seen, conditions=MONDAY)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY)
    agrees(answer)
    assert answer.enhanced_insight.basis == EXPECTATION_BASIS_PATTERN


async def test_one_owner_does_not_decide_a_situation(service: Service, pattern: str) -> None:
    """Forty failures of one weigh as much as what the others in it made."""
    await known(service, pattern, MONDAY, 16, 16)
    await known(service, pattern, SUNDAY, 16, 16)
    await teach(service, pattern, ["-" * 40], conditions=MONDAY)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY)
    agrees(answer)
    assert answer.enhanced_insight.evidence.occurrence_count <= 21


@pytest.mark.parametrize(
    ("asked", "enhanced"),
    [
        ({"service": "massage"}, False),
        ({"service": "massage", "day_of_week": "friday"}, False),
        ({"service": "facial"}, True),
        ({"service": "facial", "day_of_week": "friday"}, True),
    ],
)
async def test_a_single_fact_decides_where_the_whole_was_never_seen(
    service: Service, pattern: str, asked: Mapping[str, Any], enhanced: bool
) -> None:
    """Massages failed on Mondays and on Sundays, so they are not expected to work on Fridays."""
    for day in ("monday", "sunday"):
        await known(service, pattern, {"service": "massage", "day_of_week": day}, 0, 8)
        await known(service, pattern, {"service": "facial", "day_of_week": day}, 16, 16)
    account = new_account()
    answer = await ask(service, pattern, account, conditions=asked)
    if not enhanced:
        assert answer.no_match_reason == TOO_LOW
        assert answer.closest_miss.basis == EXPECTATION_BASIS_ADJUSTED
        assert answer.closest_miss.occurrence_count == 48
        return
    agrees(answer)
    got = answer.enhanced_insight
    assert got.basis == EXPECTATION_BASIS_ADJUSTED
    assert got.evidence.occurrence_count == 48
    assert got.network_context.endswith("48 similar cases, adjusted to this situation")
    task = await task_of(service, account, answer)
    assert task.script_note.endswith("of the time, adjusted to this situation")


async def test_facts_that_disagree_meet_in_between(service: Service, pattern: str) -> None:
    """A good day for a bad service is worth less than a good day and more than a bad service."""

    async def expected(conditions: Mapping[str, Any]) -> float:
        answer = await ask(
            service, pattern, new_account(), conditions=conditions, min_success_rate=0.0
        )
        agrees(answer)
        return answer.enhanced_insight.expected_success_rate

    for day, service_, successes in (
        ("monday", "massage", 4),
        ("sunday", "massage", 10),
        ("monday", "facial", 10),
        ("sunday", "facial", 16),
    ):
        conditions = {"day_of_week": day, "service": service_, "churn_risk": "high"}
        await known(service, pattern, conditions, successes, 16)
    bad = await expected({"service": "massage"})
    mixed = await expected({"service": "massage", "day_of_week": "sunday"})
    good = await expected({"day_of_week": "sunday"})
    assert bad < mixed < good


async def test_the_whole_situation_outweighs_its_facts(service: Service, pattern: str) -> None:
    """Massages work and Mondays work, but massages on Mondays do not."""
    await known(service, pattern, MONDAY, 0, 16)
    await known(service, pattern, {**MONDAY, "service": "facial"}, 24, 24)
    await known(service, pattern, {**MONDAY, "day_of_week": "friday"}, 24, 24)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY)
    assert answer.no_match_reason == TOO_LOW
    assert answer.closest_miss.occurrence_count == 16


async def test_own_outcomes_are_no_evidence_of_the_situation(
    service: Service, pattern: str
) -> None:
    """An account that failed in it is told what it would be told had it never acted."""
    await known(service, pattern, MONDAY, 16, 16)
    await known(service, pattern, SUNDAY, 4, 16)
    stranger, own = new_account(), new_account()
    before = await ask(service, pattern, stranger, conditions=MONDAY)
    for _ in range(5):
        given = await ask(service, pattern, own, conditions=MONDAY)
        await service.network.ReportOutcome(report(own, given.enhancement_id, success=False))
    mine = await ask(service, pattern, own, conditions=MONDAY)
    theirs = await ask(service, pattern, stranger, conditions=MONDAY)
    assert mine.enhanced_insight.expected_success_rate == pytest.approx(
        before.enhanced_insight.expected_success_rate, abs=1e-6
    )
    assert mine.enhanced_insight.evidence.occurrence_count == 16
    assert theirs.enhanced_insight.evidence.occurrence_count > 16
    assert (
        theirs.enhanced_insight.expected_success_rate < mine.enhanced_insight.expected_success_rate
    )


async def test_another_categorys_situation_decides_at_its_discount(
    service: Service, pattern: str
) -> None:
    """A gym is told what spas know of its situation, times transfer, or why not."""
    await known(service, pattern, MONDAY, 40, 40)
    await known(service, pattern, SUNDAY, 0, 40)
    gym: dict[str, Any] = {"category": "gym", "min_success_rate": 0.5}
    good = await ask(service, pattern, new_account(), conditions=MONDAY, **gym)
    agrees(good)
    assert good.enhanced_insight.factors.transfer == pytest.approx(0.7)
    home = await ask(service, pattern, new_account(), conditions=MONDAY)
    assert good.enhanced_insight.expected_success_rate == pytest.approx(
        0.7 * home.enhanced_insight.expected_success_rate, abs=1e-6
    )
    assert good.enhanced_insight.evidence.occurrence_count == 40
    bad = await ask(service, pattern, new_account(), conditions=SUNDAY, **gym)
    assert not bad.enhanced_insight.network_enhanced


async def test_a_discount_may_take_a_pattern_below_what_is_asked_for(
    service: Service, pattern: str
) -> None:
    """What is judged is what the gym would be told, not what a spa is told."""
    await known(service, pattern, MONDAY, 13, 16)
    assert (
        await ask(service, pattern, new_account(), conditions=MONDAY)
    ).enhanced_insight.network_enhanced
    gym = await ask(service, pattern, new_account(), conditions=MONDAY, category="gym")
    assert not gym.enhanced_insight.network_enhanced
    modest = await ask(
        service, pattern, new_account(), conditions=MONDAY, category="gym", min_success_rate=0.5
    )
    agrees(modest)


async def test_of_two_patterns_the_one_that_works_in_the_situation_is_applied(
    service: Service, topic: str, geometry: Geometry
) -> None:
    """Each works on one day: the day decides which, though one has the better rate of all."""
    words = topic.replace("_", " ")
    calls, writes = f"Offer a {words} drink", f"Stop offering a {words} drink"
    geometry.together(words, calls, writes)
    for action, good in ((calls, MONDAY), (writes, SUNDAY)):
        bad = SUNDAY if good is MONDAY else MONDAY
        more = 32 if action == calls else 16
        await teach(service, topic, outcomes(more, more, 4), action=action, conditions=good)
        await teach(service, topic, outcomes(0, 12, 4), action=action, conditions=bad)
    for conditions, action in ((MONDAY, calls), (SUNDAY, writes)):
        answer = await ask(service, topic, new_account(), conditions=conditions)
        agrees(answer)
        assert answer.enhanced_insight.suggested_approach == action


async def test_the_count_that_is_asked_for_is_the_count_that_is_shown(
    service: Service, pattern: str
) -> None:
    """Sixteen cases of the situation are not enough for who wants twenty of them."""
    await known(service, pattern, MONDAY, 16, 16)
    await known(service, pattern, SUNDAY, 32, 32)
    enough = await ask(service, pattern, new_account(), conditions=MONDAY, min_occurrences=16)
    agrees(enough)
    answer = await ask(service, pattern, new_account(), conditions=MONDAY, min_occurrences=17)
    assert answer.no_match_reason == EnhanceInsightResponse.NO_MATCH_REASON_TOO_FEW_OCCURRENCES


async def test_the_stream_decides_as_the_call_does(service: Service, pattern: str) -> None:
    """One situation applies, the other does not, side by side."""
    await known(service, pattern, MONDAY, 0, 16)
    await known(service, pattern, SUNDAY, 32, 32)
    asked = [
        EnhanceInsightsRequest(
            correlation_id=name, request=question(pattern, conditions=dict(conditions))
        )
        for name, conditions in (("monday", MONDAY), ("sunday", SUNDAY))
    ]
    answers = {
        answer.correlation_id: answer.response
        async for answer in service.network.EnhanceInsights(iter(asked))
    }
    assert answers["monday"].no_match_reason == TOO_LOW
    agrees(answers["sunday"])

"""What an observer reads of one account: of a pattern of which it knows all the rest, and by looking twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import TOWEL, ask, react, report
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service, openai, running

MORNING = datetime(2026, 11, 2, 3, 4, 5, 678901, UTC)


@pytest.fixture(scope="module")
async def stepwise(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service that counts as it does by default: outcomes in steps of five."""
    async with running(database_url, **openai(embeddings.base_url, counting_step=5)) as started:
        yield started


async def observe(
    service: Service,
    topic: str,
    outcomes: str,
    revenue: float,
    occurred: datetime,
    *,
    account: str = "",
) -> str:
    """Captures of an account, a new one unless given; the pattern's id."""
    account = account or new_account()
    for outcome in outcomes:
        request = capture(topic, TOWEL, account=account, success=outcome == "+")
        request.outcome.revenue_impact = revenue
        request.occurred_time.FromDatetime(occurred)
        stored = await service.capture(request)
    return stored.pattern_id


async def read(service: Service, outcomes: str, revenue: float, occurred: datetime) -> Pattern:
    """The pattern that a victim joins beside six of the observer's, chosen so that the median is the victim's."""
    topic = new_topic()
    for number in range(6):
        await observe(service, topic, "+++++", 1000.0 * (number % 2), MORNING - timedelta(days=30))
    pattern_id = await observe(service, topic, outcomes, revenue, occurred)
    found = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
    return found.pattern


async def test_an_observer_reads_neither_volume_nor_cent_nor_hour(service: Service) -> None:
    """Thirty captures in the morning and six in the evening, of one rate and about one revenue, look the same."""
    heavy = await read(service, "++-" * 10, 123.45, MORNING)
    light = await read(service, "++-" * 2, 118.20, MORNING + timedelta(hours=15))
    assert heavy.evidence.mean_revenue_impact == 120.0
    assert heavy.evidence.occurrence_count == 35
    assert light.evidence == heavy.evidence
    assert light.last_validated_time == heavy.last_validated_time
    assert light.first_discovered_time == heavy.first_discovered_time


async def everything_told(service: Service, topic: str, pattern_id: str) -> list[object]:
    """All that readers are told of a pattern: by its id, in a list, and in answer to a question."""
    one = await service.network.GetPattern(
        GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )
    page = await service.network.ListPatterns(ListPatternsRequest(pattern_type=topic))
    asked = await ask(service, topic, new_account(), min_success_rate=0)
    given = asked.enhanced_insight
    # Evidence ages between any two questions, by less than this.
    given.evidence.lower_bound = round(given.evidence.lower_bound, 4)
    given.factors.lower_bound = round(given.factors.lower_bound, 4)
    given.factors.score = round(given.factors.score, 4)
    given.expected_success_rate = round(given.expected_success_rate, 4)
    return [
        one,
        page,
        given.evidence,
        given.expected_success_rate,
        given.factors,
        given.explanation,
    ]


@pytest.mark.parametrize("made", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("more", ["+", "-"])
async def test_looking_before_and_after_one_capture_tells_nothing(
    stepwise: Service, topic: str, made: int, more: str
) -> None:
    """Not its success, revenue or time, whatever the account had captured before and whoever else is there."""
    for _ in range(2):
        await observe(stepwise, topic, "+++++", 100.0, MORNING - timedelta(days=30))
    victim = new_account()
    await observe(stepwise, topic, "+" * made, 100.0, MORNING, account=victim)
    pattern_id = await observe(stepwise, topic, "+++", 100.0, MORNING)
    before = await everything_told(stepwise, topic, pattern_id)
    await observe(stepwise, topic, more, 7_654.32, MORNING + timedelta(days=9), account=victim)
    assert await everything_told(stepwise, topic, pattern_id) == before


async def test_looking_before_and_after_one_report_tells_nothing(
    stepwise: Service, topic: str
) -> None:
    """What came of advice counts in the same steps as what was captured."""
    for _ in range(3):
        pattern_id = await observe(stepwise, topic, "+++++", 100.0, MORNING)
    victim = new_account()
    first = await ask(stepwise, topic, victim)
    await stepwise.network.ReportOutcome(report(victim, first.enhancement_id))
    second = await ask(stepwise, topic, victim)
    before = await everything_told(stepwise, topic, pattern_id)
    await stepwise.network.ReportOutcome(
        report(victim, second.enhancement_id, success=False, revenue_impact=-99.0)
    )
    assert await everything_told(stepwise, topic, pattern_id) == before


@pytest.mark.parametrize("others", [2, 6])
@pytest.mark.parametrize(
    ("fewer", "more"), [("+", "+-"), ("++-", "++--"), ("++-++", "++-++----"), ("-", "-+")]
)
async def test_two_histories_of_one_step_look_the_same(
    stepwise: Service, others: int, fewer: str, more: str
) -> None:
    """An observer that owns all other accounts cannot tell them apart, however many captures it adds."""
    told: list[list[tuple[int, int, float]]] = []
    for history in (fewer, more):
        topic = new_topic()
        accounts = [new_account() for _ in range(others)]
        for account in accounts:
            await observe(stepwise, topic, "+", 50.0, MORNING, account=account)
        pattern_id = await observe(stepwise, topic, history, 100.0, MORNING)
        seen = []
        for _ in range(5):
            found = await stepwise.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
            evidence = found.pattern.evidence
            seen.append(
                (evidence.occurrence_count, evidence.success_count, evidence.mean_revenue_impact)
            )
            for account in accounts:
                await observe(stepwise, topic, "-+", 50.0, MORNING, account=account)
        told.append(seen)
    assert told[0] == told[1]
    assert any(one != other for one, other in pairwise(told[0])), "the observer's own are seen"


async def test_moving_the_others_around_it_reads_no_more_of_ones_revenue(
    service: Service,
) -> None:
    """The median of two is moved over a rounding by the other's amount, and tells two digits all the same."""
    read_of: list[list[float]] = []
    for revenue in (118.2, 123.45):
        seen = []
        for amount in range(100, 112):
            topic = new_topic()
            for known in (0.0, float(amount), 1e6):
                await observe(service, topic, "+", known, MORNING)
            pattern_id = await observe(service, topic, "+", revenue, MORNING)
            found = await service.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
            seen.append(found.pattern.evidence.mean_revenue_impact)
        read_of.append(seen)
    assert read_of[0] == read_of[1]


async def test_looking_before_and_after_a_final_outcome_tells_nothing(
    stepwise: Service, topic: str
) -> None:
    """What takes the place of an interim outcome counts in a step too, and the interim one never did."""
    for _ in range(3):
        pattern_id = await observe(stepwise, topic, "+++++", 100.0, MORNING)
    victim = new_account()
    first, second = [await ask(stepwise, topic, victim) for _ in range(2)]
    await stepwise.network.ReportOutcome(report(victim, first.enhancement_id))
    before = await everything_told(stepwise, topic, pattern_id)
    await stepwise.network.ReportOutcome(report(victim, second.enhancement_id, final=False))
    assert await everything_told(stepwise, topic, pattern_id) == before
    await stepwise.network.ReportOutcome(
        report(victim, second.enhancement_id, success=False, revenue_impact=-99.0)
    )
    assert await everything_told(stepwise, topic, pattern_id) == before
    # With the third, both of them count.
    third = await ask(stepwise, topic, victim)
    await stepwise.network.ReportOutcome(report(victim, third.enhancement_id, success=False))
    found = await stepwise.network.GetPattern(GetPatternRequest(pattern_id=pattern_id))
    assert (found.pattern.evidence.occurrence_count, found.pattern.evidence.success_count) == (
        18,
        16,
    )


@pytest.mark.parametrize("made", [0, 1, 3, 5])
@pytest.mark.parametrize("more", ["SHOWN", "ACCEPTED", "DISMISSED"])
async def test_looking_before_and_after_one_reaction_tells_nothing(
    stepwise: Service, topic: str, made: int, more: str
) -> None:
    """Neither that advice was shown nor what became of it, whatever the account reacted to before."""
    for _ in range(3):
        pattern_id = await observe(stepwise, topic, "+++++", 100.0, MORNING)
    for _ in range(3):
        account = new_account()
        for _ in range(3):
            given = await ask(stepwise, topic, account)
            await stepwise.network.ReportReaction(react(account, given.enhancement_id, "ACCEPTED"))
    victim = new_account()
    for _ in range(made):
        given = await ask(stepwise, topic, victim)
        await stepwise.network.ReportReaction(react(victim, given.enhancement_id, "ACCEPTED"))
    last = await ask(stepwise, topic, victim)
    request = GetPatternRequest(pattern_id=pattern_id)
    before = await stepwise.network.GetPattern(request)
    assert before.adoption.shown_count == 9 + {0: 0, 1: 0, 3: 3, 5: 3}[made]
    await stepwise.network.ReportReaction(react(victim, last.enhancement_id, more))
    assert await stepwise.network.GetPattern(request) == before


async def test_a_change_of_mind_waits_for_a_step(stepwise: Service, topic: str) -> None:
    """A piece of advice that counts as accepted is dismissed, and counts so with the next step."""
    for _ in range(3):
        pattern_id = await observe(stepwise, topic, "+++++", 100.0, MORNING)
    accounts: list[tuple[str, list[str]]] = []
    for _ in range(3):
        account = new_account()
        given = [(await ask(stepwise, topic, account)).enhancement_id for _ in range(3)]
        for one in given:
            await stepwise.network.ReportReaction(react(account, one, "ACCEPTED"))
        accounts.append((account, given))
    victim, advice = accounts[0]
    request = GetPatternRequest(pattern_id=pattern_id)
    before = (await stepwise.network.GetPattern(request)).adoption
    assert (before.shown_count, before.accepted_count) == (9, 9)
    await stepwise.network.ReportReaction(react(victim, advice[0], "DISMISSED"))
    assert (await stepwise.network.GetPattern(request)).adoption == before
    await stepwise.network.ReportReaction(react(victim, advice[1], "DISMISSED"))
    after = (await stepwise.network.GetPattern(request)).adoption
    assert (after.shown_count, after.accepted_count, after.dismissed_count) == (9, 7, 2)
    assert await stepwise.value("SELECT rebuild_reactions()") == 0

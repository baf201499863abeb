"""What accounts that collude can do to a pattern of six honest ones, through the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keeper_grpc.domain.evidence.evidence import lower_bound
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetPatternRequest,
    GetPatternResponse,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Prior
from tests.rpc.feedback import TOWEL, ask, teach
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service

WORKS = ["++++-"] * 6
"""24 of 30."""
FAILS = ["++---", *["+----"] * 5]
"""7 of 30."""


async def shown(service: Service, pattern_id: str) -> GetPatternResponse:
    """All that anyone is shown of a pattern."""
    return await service.network.GetPattern(
        GetPatternRequest(pattern_id=pattern_id, include_history=True)
    )


async def applied(service: Service, topic: str) -> bool:
    """Whether the pattern is applied to a newcomer's insight."""
    return (await ask(service, topic, new_account())).enhanced_insight.network_enhanced


@pytest.mark.parametrize("outcome", ["+", "-"])
async def test_no_account_takes_a_pattern_away(service: Service, topic: str, outcome: str) -> None:
    """After 31 captures of one account it is shown, listed and applied as before."""
    pattern_id = await teach(service, topic, WORKS)
    await teach(service, topic, [outcome * 31])
    assert (await shown(service, pattern_id)).pattern.evidence.account_count == 7
    listed = await service.network.ListPatterns(ListPatternsRequest(pattern_type=topic))
    assert [pattern.pattern_id for pattern in listed.patterns] == [pattern_id]
    assert await applied(service, topic)


async def test_one_account_neither_buries_nor_lifts(service: Service, topic: str) -> None:
    """29 failures weigh as the five outcomes of each honest account do, and so do 29 successes."""
    good = await teach(service, topic, WORKS)
    await teach(service, topic, ["-" * 29])
    evidence = (await shown(service, good)).pattern.evidence
    assert (evidence.success_count, evidence.occurrence_count) == (24, 35)
    assert await applied(service, topic)

    other = f"{topic}_locker"
    bad = await teach(service, other, FAILS)
    await teach(service, other, ["+" * 29])
    evidence = (await shown(service, bad)).pattern.evidence
    assert (evidence.success_count, evidence.occurrence_count) == (12, 35)
    assert not await applied(service, other)


@pytest.mark.parametrize("attackers", [1, 2, 3, 5])
async def test_attackers_weigh_by_their_number(
    service: Service, topic: str, attackers: int
) -> None:
    """Each as one honest account, whatever it reports."""
    pattern_id = await teach(service, topic, WORKS)
    await teach(service, topic, ["-" * 20] * attackers)
    evidence = (await shown(service, pattern_id)).pattern.evidence
    assert (evidence.success_count, evidence.occurrence_count) == (24, 30 + 5 * attackers)


async def test_what_is_shown_is_what_is_judged(service: Service, topic: str) -> None:
    """Counts, rate and bound of the enhancement are those of the pattern, and the rate is theirs."""
    pattern_id = await teach(service, topic, [*WORKS, "-" * 40])
    answer = await ask(service, topic, new_account())
    told = answer.enhanced_insight.evidence
    known = (await shown(service, pattern_id)).pattern.evidence
    assert told.occurrence_count == known.occurrence_count
    assert told.success_count == known.success_count
    assert told.success_rate == known.success_rate == told.success_count / told.occurrence_count
    assert answer.enhanced_insight.factors.lower_bound == told.lower_bound
    assert f"{told.success_count} of {told.occurrence_count}" in answer.enhanced_insight.explanation


async def test_invented_revenue_does_not_move_the_typical_one(service: Service, topic: str) -> None:
    """Nine captures of one account with a billion each, beside three honest accounts."""
    for captures, revenue in ((1, 100.0), (1, 100.0), (1, 100.0), (9, 1e9)):
        account = new_account()
        for _ in range(captures):
            request = capture(topic, TOWEL, account=account)
            request.outcome.revenue_impact = revenue
            pattern_id = (await service.capture(request)).pattern_id
    evidence = (await shown(service, pattern_id)).pattern.evidence
    assert evidence.mean_revenue_impact == 100.0


async def test_no_ones_moment_and_no_ones_cent_is_shown(service: Service, topic: str) -> None:
    """Times are days and revenue has two digits: each is one account's, to the microsecond and the cent."""
    for day in (1, 2, 3):
        request = capture(topic, TOWEL)
        request.occurred_time.FromDatetime(datetime(2026, 11, day, 3, 4, 5, 678901, UTC))
        request.outcome.revenue_impact = 123.45 + day
        pattern_id = (await service.capture(request)).pattern_id
    pattern = (await shown(service, pattern_id)).pattern
    assert pattern.first_discovered_time.ToDatetime(UTC) == datetime(2026, 11, 1, tzinfo=UTC)
    assert pattern.last_validated_time.ToDatetime(UTC) == datetime(2026, 11, 3, tzinfo=UTC)
    assert pattern.evidence.mean_revenue_impact == 130.0
    advised = (await ask(service, topic, new_account())).enhanced_insight
    assert advised.evidence.mean_revenue_impact == 130.0
    assert advised.factors.age.ToTimedelta() % timedelta(days=1) == timedelta(0)


async def test_one_account_does_not_choose_the_words(service: Service, topic: str) -> None:
    """Its successes with a script are too few accounts', and with two others' no more than theirs."""
    honest, theirs = "Hi {name}, a warm towel is waiting", "Come in for a towel, {name}"
    pattern_id = await teach(service, topic, ["+++++"] * 6, script=honest)
    await teach(service, topic, ["+" * 30], script=theirs)
    assert (await shown(service, pattern_id)).pattern.proven_script == honest
    await teach(service, topic, ["+"] * 2, script=theirs)
    answer = await shown(service, pattern_id)
    assert answer.pattern.proven_script == honest
    assert {script.template: script.evidence.occurrence_count for script in answer.scripts} == {
        honest: 30,
        theirs: 3,
    }


async def test_one_account_does_not_bend_a_situation(service: Service, topic: str) -> None:
    """What it reports under the conditions of a question weighs there as everywhere."""
    conditions = {"churn_risk": "high"}
    await teach(service, topic, WORKS, conditions=conditions)
    before = await ask(service, topic, new_account(), conditions=conditions)
    liar = new_account()
    for _ in range(30):
        await service.network.CapturePattern(
            capture(topic, TOWEL, account=liar, success=False, conditions=conditions)
        )
    after = await ask(service, topic, new_account(), conditions=conditions)
    fallen = (
        before.enhanced_insight.expected_success_rate - after.enhanced_insight.expected_success_rate
    )
    assert 0 < fallen < 0.8 / 7 + 0.01


async def test_a_pattern_shows_what_was_believed_of_it(service: Service, topic: str) -> None:
    """Of a new type nothing is known: what is expected comes from all types, and little is certain."""
    pattern_id = await teach(service, topic, WORKS)
    pattern = (await shown(service, pattern_id)).pattern
    assert pattern.prior.source in {Prior.SOURCE_DEFAULT, Prior.SOURCE_NETWORK}
    assert (pattern.cautious_prior.successes, pattern.cautious_prior.failures) == (2.8, 13.2)
    evidence = pattern.evidence
    assert evidence.lower_bound == lower_bound(evidence.occurrence_count, evidence.success_count)

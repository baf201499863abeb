"""What polling the network's metrics tells of one account, under the settings that hold by default."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import RegisterAccountRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    GetNetworkMetricsRequest,
    GetNetworkMetricsResponse,
)
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.feedback import ask, react, report
from tests.rpc.requests import capture, new_account
from tests.rpc.service import Service, openai, running

STEP = 5
CATEGORY = "bakery"


@pytest.fixture(scope="module")
async def stepwise(database_url: str, embeddings: OpenAIStandIn) -> AsyncIterator[Service]:
    """A service whose accounts count once they are registered, and whose outcomes count in steps of five."""
    settings: dict[str, Any] = openai(embeddings.base_url, counting_step=STEP)
    settings |= {
        "account_min_age": timedelta(0),
        "account_min_active_days": 0,
        "open_accounts": False,
    }
    async with running(database_url, **settings) as started:
        yield started


async def polled(service: Service) -> list[GetNetworkMetricsResponse]:
    """All that metrics tell, without the times of the answers: of the line of business and of the whole."""
    told = [
        await service.network.GetNetworkMetrics(GetNetworkMetricsRequest(business_category=name))
        for name in (CATEGORY, "")
    ]
    for each in told:
        each.ClearField("as_of_time")
    return told


async def registered(service: Service) -> str:
    """A new account that counts."""
    account = new_account()
    await service.admin.RegisterAccount(
        RegisterAccountRequest(account_id=account, business_category=CATEGORY)
    )
    return account


async def questions(service: Service, topic: str, account: str, times: int = STEP) -> list[str]:
    """Ids of advice that the account got."""
    given = [await ask(service, topic, account, category=CATEGORY) for _ in range(times)]
    assert all(one.enhanced_insight.network_enhanced for one in given)
    return [one.enhancement_id for one in given]


async def network(service: Service, topic: str) -> None:
    """Three accounts that have taught a pattern, were advised and reported five outcomes each."""
    for _ in range(3):
        account = await registered(service)
        for _ in range(STEP):
            await service.capture(capture(topic, account=account, category=CATEGORY))
    for _ in range(3):
        account = await registered(service)
        for given in await questions(service, topic, account):
            await service.network.ReportOutcome(report(account, given, revenue_impact=10.0))


async def test_polling_before_and_after_one_outcome_tells_nothing(
    stepwise: Service, topic: str
) -> None:
    """Neither that it came nor its success or revenue; with the fifth, all come at once, each in two digits."""
    await network(stepwise, topic)
    victim = await registered(stepwise)
    given = await questions(stepwise, topic, victim)
    before = await polled(stepwise)
    assert before[0].metrics.total_success_applications.sample_size == 15
    for number, one in enumerate(given[:-1]):
        await stepwise.network.ReportOutcome(
            report(victim, one, success=number > 0, revenue_impact=123.45)
        )
        polls = await polled(stepwise)
        for was, told in zip(before, polls, strict=True):
            assert told == was
    await stepwise.network.ReportOutcome(report(victim, given[-1], revenue_impact=123.45))
    after = await polled(stepwise)
    for was, told in zip(before, after, strict=True):
        revenue = told.metrics.revenue_generated_network.value
        assert revenue - was.metrics.revenue_generated_network.value == STEP * 120.0
        successes = told.metrics.total_success_applications
        assert successes.value - was.metrics.total_success_applications.value == STEP - 1
    assert await stepwise.database.fetchval("SELECT rebuild_measures()") == 0
    assert (await polled(stepwise))[0].metrics == after[0].metrics


async def test_one_capture_shows_in_no_day(stepwise: Service, topic: str) -> None:
    """Captures of an account that is there already count in steps as well."""
    await network(stepwise, topic)
    victim = await registered(stepwise)
    for number in range(1, 2 * STEP):
        before = await polled(stepwise)
        await stepwise.capture(capture(topic, account=victim, category=CATEGORY))
        after = await polled(stepwise)
        moved = [
            sum(day.observation_count for day in told.days)
            - sum(day.observation_count for day in was.days)
            for was, told in zip(before, after, strict=True)
        ]
        assert moved == ([STEP, STEP] if number == STEP else [0, 0])


async def test_what_accounts_did_that_do_not_count_is_in_no_sum(
    stepwise: Service, topic: str
) -> None:
    """A thousand in revenue that an invented account reports is nowhere, until it is registered."""
    await network(stepwise, topic)
    before = await polled(stepwise)
    invented = new_account()
    for given in await questions(stepwise, topic, invented):
        await stepwise.network.ReportOutcome(report(invented, given, revenue_impact=1000.0))
    assert await polled(stepwise) == before
    await stepwise.admin.RegisterAccount(
        RegisterAccountRequest(account_id=invented, business_category=CATEGORY)
    )
    after = await polled(stepwise)
    revenue = after[0].metrics.revenue_generated_network.value
    assert revenue - before[0].metrics.revenue_generated_network.value == STEP * 1000.0
    questions_of = after[0].metrics.enhanced_rate.sample_size
    assert questions_of - before[0].metrics.enhanced_rate.sample_size == STEP
    assert await stepwise.database.fetchval("SELECT rebuild_measures()") == 0


async def test_polling_before_and_after_one_reaction_tells_nothing(
    stepwise: Service, topic: str
) -> None:
    """Of two owners no funnel is shown; a fourth one joins it with half a step of reactions at once."""
    await network(stepwise, topic)
    shown = 0
    for _ in range(3):
        assert not any(told.HasField("adoption") for told in await polled(stepwise))
        account = await registered(stepwise)
        for given in await questions(stepwise, topic, account):
            await stepwise.network.ReportReaction(react(account, given, "ACCEPTED"))
            shown += 1
    victim = await registered(stepwise)
    advice = await questions(stepwise, topic, victim)
    before = await polled(stepwise)
    assert before[0].adoption.shown_count == before[0].adoption.accepted_count == shown
    assert before[0].adoption.account_count == 3
    for one, reaction in zip(advice, ("DISMISSED", "DONE"), strict=False):
        await stepwise.network.ReportReaction(react(victim, one, reaction))
        assert await polled(stepwise) == before
    await stepwise.network.ReportReaction(react(victim, advice[2], "DONE"))
    funnel = (await polled(stepwise))[0].adoption
    assert funnel.shown_count - shown == 3
    assert (funnel.dismissed_count, funnel.done_count, funnel.account_count) == (1, 2, 4)

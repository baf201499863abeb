from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from keeper_grpc.app import application
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    GetPatternRequest,
    ListPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.pattern_pb2 import Pattern
from keeper_grpc.settings import Settings
from tests.rpc.requests import capture, new_account, question
from tests.rpc.service import PSEUDONYM_KEYS, Service, client

START = datetime.fromisoformat("2026-03-02T09:00:00Z")
FADING = EnhanceInsightResponse.NO_MATCH_REASON_PATTERN_FADING


class Days:
    """The service's clock: it stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@asynccontextmanager
async def at_its_own_time(database_url: str) -> AsyncIterator[tuple[Service, Days]]:
    """A service whose days the test counts."""
    days = Days()
    settings = Settings(
        host="127.0.0.1",
        port=0,
        database_url=database_url,
        pseudonym_keys=PSEUDONYM_KEYS,
        embedder="local",
        openai_api_key=None,
        seed_catalog=False,
        open_accounts=True,
    )
    async with application(settings, days) as app, client(app, database_url) as service:
        yield service, days


async def pass_days(
    service: Service, days: Days, topic: str, accounts: Sequence[str], outcomes: str
) -> None:
    """A day for each of these outcomes, which every account has: "+" for a success."""
    for outcome in outcomes:
        days.now += timedelta(days=1)
        for account in accounts:
            await service.network.CapturePattern(
                capture(topic, account=account, success=outcome == "+")
            )


async def answer(service: Service, topic: str) -> EnhanceInsightResponse:
    """What a newcomer is told."""
    return await service.network.EnhanceInsight(question(topic, account=new_account()))


async def only(service: Service, topic: str) -> Pattern:
    """The one published pattern of the type."""
    (pattern,) = (
        await service.network.ListPatterns(ListPatternsRequest(pattern_type=topic))
    ).patterns
    return pattern


async def test_a_pattern_that_stops_working_is_not_advised_until_it_works_again(
    database_url: str, topic: str
) -> None:
    """Within three weeks, while its average still passes; and it is shown as fading everywhere."""
    async with at_its_own_time(database_url) as (service, days):
        accounts = [new_account() for _ in range(4)]
        await pass_days(service, days, topic, accounts, "+++++++-++" * 5)
        assert (await only(service, topic)).state == Pattern.STATE_ACTIVE
        assert (await answer(service, topic)).enhanced_insight.network_enhanced

        await pass_days(service, days, topic, accounts, "-" * 10)
        fading = await only(service, topic)
        assert fading.state == Pattern.STATE_FADING
        assert fading.evidence.success_rate > 0.6
        told = await answer(service, topic)
        assert not told.enhanced_insight.network_enhanced
        assert told.no_match_reason == FADING
        one = await service.network.GetPattern(GetPatternRequest(pattern_id=fading.pattern_id))
        assert one.pattern.state == Pattern.STATE_FADING

        await pass_days(service, days, topic, accounts, "+" * 21)
        assert (await only(service, topic)).state == Pattern.STATE_ACTIVE
        assert (await answer(service, topic)).enhanced_insight.network_enhanced


@pytest.mark.parametrize("start", ["2026-03-02T09:00:00Z", "2007-03-02T09:00:00Z"])
async def test_a_pattern_that_never_worked_is_not_said_to_fade(
    database_url: str, topic: str, start: str
) -> None:
    """However many fail at its beginning, and however long ago: its rate says so."""
    async with at_its_own_time(database_url) as (service, days):
        days.now = datetime.fromisoformat(start)
        await pass_days(service, days, topic, [new_account() for _ in range(5)], "-" * 10)
        assert (await only(service, topic)).state == Pattern.STATE_ACTIVE
        asked = question(topic, account=new_account(), min_success_rate=0)
        assert (await service.network.EnhanceInsight(asked)).enhanced_insight.network_enhanced


@pytest.mark.parametrize("failures", [1, 8])
async def test_one_owner_that_fails_does_not_make_a_pattern_fade(
    database_url: str, topic: str, failures: int
) -> None:
    """However often a day, while the other accounts go on succeeding."""
    async with at_its_own_time(database_url) as (service, days):
        accounts = [new_account() for _ in range(4)]
        attacker = new_account()
        await pass_days(service, days, topic, accounts, "+" * 30)
        for _ in range(8):
            await pass_days(service, days, topic, accounts, "+")
            for _ in range(failures):
                await service.network.CapturePattern(
                    capture(topic, account=attacker, success=False)
                )
        assert (await only(service, topic)).state == Pattern.STATE_ACTIVE
        assert (await answer(service, topic)).no_match_reason != FADING


async def test_what_arrives_late_counts_for_the_day_on_which_it_happened(
    database_url: str, topic: str
) -> None:
    """An import of old failures, after newer successes, is no sign that a pattern has stopped working."""
    async with at_its_own_time(database_url) as (service, days):
        accounts = [new_account() for _ in range(4)]
        days.now += timedelta(days=60)
        await pass_days(service, days, topic, accounts, "+" * 20)
        for account in accounts:
            for day in range(8):
                request = capture(topic, account=account, success=False)
                request.occurred_time.FromDatetime(START + timedelta(days=day))
                await service.network.CapturePattern(request)
        assert (await only(service, topic)).state == Pattern.STATE_ACTIVE


async def test_old_outcomes_of_a_situation_count_less_than_new_ones(
    database_url: str, topic: str
) -> None:
    """What failed in this situation half a year ago and works today is expected to work."""
    async with at_its_own_time(database_url) as (service, days):
        accounts = [new_account() for _ in range(4)]
        rainy = {"weather": "rain"}
        for success, since in ((False, 0), (True, 180)):
            days.now = START + timedelta(days=since)
            for account in accounts:
                for _ in range(3):
                    await service.network.CapturePattern(
                        capture(topic, account=account, success=success, conditions=rainy)
                    )
        told = await service.network.EnhanceInsight(
            question(topic, account=new_account(), conditions=rainy, min_success_rate=0)
        )
        assert told.enhanced_insight.expected_success_rate > 0.65

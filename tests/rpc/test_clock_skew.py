"""Servers whose clocks disagree with each other and with their database's, by minutes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightResponse,
    GenerateTaskRequest,
    StreamEmergingPatternsRequest,
)
from keeper_grpc.usecases.ports import Clock
from tests.e2e.waiting import SOON
from tests.rpc.feedback import TOWEL, ask, react, report
from tests.rpc.refusal import refusal
from tests.rpc.requests import capture, new_account, new_topic
from tests.rpc.service import Service, running

SKEW = timedelta(minutes=10)
"""Of each clock from the database's, to either side."""


class Pair(NamedTuple):
    """Two servers of one database, one ahead of it and one behind."""

    ahead: Service
    behind: Service


def off_by(difference: timedelta) -> Clock:
    """A clock that goes wrong by so much."""
    return lambda: datetime.now(UTC) + difference


@pytest.fixture(scope="module")
async def pair(database_url: str) -> AsyncIterator[Pair]:
    """The servers; what is older than a day is deleted as often as can be."""
    settings: dict[str, Any] = {
        "event_retention": timedelta(days=1),
        "maintenance_interval": timedelta(milliseconds=200),
    }
    async with AsyncExitStack() as stack:
        yield Pair(
            *[
                await stack.enter_async_context(
                    running(database_url, clock=off_by(each), **settings)
                )
                for each in (SKEW, -SKEW)
            ]
        )


async def advised(service: Service, topic: str) -> tuple[str, EnhanceInsightResponse]:
    """Ask until the network advises: the account and its answer."""
    account = new_account()
    async with asyncio.timeout(SOON):
        while True:
            answer = await ask(service, topic, account)
            if answer.enhanced_insight.network_enhanced:
                return account, answer


async def test_what_one_server_advises_is_reported_to_the_other(pair: Pair) -> None:
    """In both directions: a caller who names no time is not told that its report comes too early."""
    topic = new_topic()
    for number in range(6):
        for _ in range(2):
            await pair[number % 2].network.CapturePattern(
                capture(topic, TOWEL, account=f"skewed-{topic}-{number}")
            )
    for one, other in (pair, pair[::-1]):
        account, answer = await advised(one, topic)
        await other.network.GenerateTask(
            GenerateTaskRequest(account_id=account, enhancement_id=answer.enhancement_id)
        )
        await other.network.ReportReaction(react(account, answer.enhancement_id, "SHOWN"))
        await other.network.ReportOutcome(report(account, answer.enhancement_id))
        rate = answer.enhanced_insight.expected_success_rate
        assert 0.6 <= rate <= 1
    times = await pair.ahead.database.fetch(
        """
        SELECT e.created_at, o.occurred_time FROM enhancements e
          JOIN observations o ON o.scope_id = e.scope_id AND o.enhancement_id = e.id WHERE e.pattern_type = $1
        """,
        topic,
    )
    assert len(times) == 2
    assert all(row["occurred_time"] >= row["created_at"] for row in times)


async def test_a_time_that_the_caller_names_is_held_against_the_servers_clock(pair: Pair) -> None:
    """The true time passes at a server that is ahead, and is in the future of one that is behind by more than five minutes."""
    topic, now = new_topic(), datetime.now(UTC)
    late, early = capture(topic), capture(topic)
    late.occurred_time.FromDatetime(now)
    early.occurred_time.FromDatetime(now)
    await pair.ahead.network.CapturePattern(late)
    refused = await refusal(pair.behind.network.CapturePattern(early))
    assert refused.reason == "INVALID_REQUEST"
    assert "occurred_time" in str(refused)


async def test_a_stream_is_resumed_on_the_other_server(pair: Pair) -> None:
    """A resume token holds a place in the history and no time, and retention deletes nothing too early by more than the skew."""
    topic = new_topic()
    for account in range(3):
        await ask(pair.ahead, topic, f"seen-{topic}-{account}")
    request = StreamEmergingPatternsRequest(pattern_type=topic)
    async with asyncio.timeout(SOON):
        stream = pair.behind.network.StreamEmergingPatterns(request)
        async for message in stream:
            if message.HasField("emerging_pattern"):
                break
        stream.cancel()
        resumed = pair.ahead.network.StreamEmergingPatterns(
            StreamEmergingPatternsRequest(pattern_type=topic, resume_token=message.resume_token)
        )
        seen = [message]
        async for later in resumed:
            seen.append(later)
            if later.HasField("heartbeat"):
                break
        resumed.cancel()
    assert not any(each.HasField("snapshot_complete") for each in seen[1:])
    assert await pair.ahead.value("SELECT count(*) FROM emerging_events") > 0

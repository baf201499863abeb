from __future__ import annotations

import asyncio
from contextlib import aclosing

import grpc
import pytest

from keeper_grpc.client import (
    Alive,
    Changed,
    EmergingEvent,
    Interrupted,
    InvalidRequest,
    KeeperClient,
    SnapshotComplete,
)
from keeper_grpc.gen.keeper.network.v1.emerging_pb2 import EmergingPattern
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamEmergingPatternsResponse
from tests.e2e.waiting import SOON, until
from tests.integration.openai_stand_in import OpenAIStandIn
from tests.rpc.clients.scripted import UNAVAILABLE, client, retry_after, rich, script
from tests.rpc.requests import insight, new_account, new_topic
from tests.rpc.service import Service, openai, running
from tests.stand_in_server import serving


def emerging(
    name: str, change: EmergingPattern.Change.ValueType, token: str, accounts: int = 3
) -> StreamEmergingPatternsResponse:
    """One message of the emerging stream."""
    return StreamEmergingPatternsResponse(
        emerging_pattern=EmergingPattern(
            emerging_pattern_id=name,
            change=change,
            account_count=accounts,
        ),
        resume_token=token,
    )


def complete(count: int, token: str, *, expired: bool = False) -> StreamEmergingPatternsResponse:
    """The end of a snapshot."""
    return StreamEmergingPatternsResponse(
        snapshot_complete=StreamEmergingPatternsResponse.SnapshotComplete(
            count=count, resume_token_expired=expired
        ),
        resume_token=token,
    )


NEW = EmergingPattern.CHANGE_NEW

UPDATED = EmergingPattern.CHANGE_UPDATED

FADED = EmergingPattern.CHANGE_FADED


async def test_a_watch_tells_everything_once() -> None:
    """Across a broken snapshot and an expired token: no repetition, and what is gone has faded."""
    scripted = script()
    scripted.streams = [
        [emerging("a", NEW, "in-snapshot")],
        [emerging("a", NEW, "in-snapshot"), emerging("b", NEW, "in-snapshot"), complete(2, "1")],
        [emerging("a", UPDATED, "2", accounts=4)],
        [
            emerging("a", NEW, "in-snapshot", accounts=5),
            emerging("c", NEW, "in-snapshot"),
            complete(2, "9", expired=True),
        ],
    ]
    slow = rich(grpc.StatusCode.RESOURCE_EXHAUSTED)
    scripted.failures = [rich(UNAVAILABLE), slow, rich(UNAVAILABLE, retry_after(0.1))]
    scripted.failures.append(rich(grpc.StatusCode.INVALID_ARGUMENT))
    async with serving(scripted) as port, client(port) as keeper:
        events = keeper.watch_emerging()
        seen = [brief(await anext(events)) for _ in range(8)]
        with pytest.raises(InvalidRequest):
            await anext(events)
    assert seen == [
        ("a", NEW, 3),
        ("b", NEW, 3),
        2,
        ("a", UPDATED, 4),
        ("a", UPDATED, 5),
        ("c", NEW, 3),
        ("b", FADED, 3),
        Alive(),  # the second snapshot is complete
    ]
    assert scripted.tokens == ["", "in-snapshot", "1", "2"]


def brief(event: EmergingEvent) -> object:
    """An event in short."""
    match event:
        case Changed(pattern):
            return (pattern.emerging_pattern_id, pattern.change, pattern.account_count)
        case SnapshotComplete(count):
            return count
        case Interrupted(error):
            return error.code
        case Alive():
            return event


async def test_a_watch_of_what_emerges_says_when_it_is_interrupted() -> None:
    """The first failure may be a stream's greatest age; a heartbeat ends the second."""
    scripted = script()
    beat = StreamEmergingPatternsResponse(
        heartbeat=StreamEmergingPatternsResponse.Heartbeat(), resume_token="1"
    )
    scripted.streams = [[complete(0, "1")], [], [beat]]
    scripted.failures = [rich(UNAVAILABLE), rich(UNAVAILABLE), rich(UNAVAILABLE)]
    async with serving(scripted) as port, client(port) as keeper:
        events = keeper.watch_emerging()
        seen = [brief(await anext(events)) for _ in range(3)]
        await events.aclose()
    assert seen == [0, UNAVAILABLE, Alive()]


async def test_a_watch_survives_a_restart(database_url: str, embeddings: OpenAIStandIn) -> None:
    """The server goes away and comes back on its port; the watch misses and repeats nothing."""
    seen: list[Changed] = []
    settings = openai(embeddings.base_url)

    async def follow(keeper: KeeperClient, topic: str) -> None:
        nonlocal seen
        async with aclosing(keeper.watch_emerging(pattern_type=topic)) as events:
            async for event in events:
                seen += [event] if isinstance(event, Changed) else []

    async def sight(service: Service, topic: str, action: str) -> None:
        async with client(service.app.port) as asking:
            for _ in range(3):
                await asking.enhance(new_account(), insight(topic, action))

    topic = new_topic()
    async with running(database_url, **settings) as first:
        port = first.app.port
        keeper = client(port)
        following = asyncio.create_task(follow(keeper, topic))
        await sight(first, topic, "Offer a warm towel")
        await until(lambda: len(seen) >= 1, within=SOON, what="the first has emerged")
    assert not following.done()
    async with running(database_url, port=port, **settings) as second:
        await sight(second, topic, "Wash the car")
        await until(
            lambda: len({event.pattern.emerging_pattern_id for event in seen}) == 2,
            within=SOON,
            what="the second has emerged",
        )
        following.cancel()
        await asyncio.wait([following])
        await keeper.aclose()
    news = [event for event in seen if event.pattern.change == NEW]
    assert len(news) == 2
    states = [event.pattern.SerializeToString() for event in seen]
    assert len(states) == len(set(states))

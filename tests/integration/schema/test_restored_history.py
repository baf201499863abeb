from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeper_grpc.domain.emerging.model import Change, EmergingPattern
from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.usecases.stream_lifetime import Heartbeat
from tests.e2e.waiting import SOON
from tests.integration.emerging.emerging_events import tell
from tests.integration.emerging.feed import Feed, Reader, emerged, following
from tests.integration.schema.backup import back_up, restore

BRIEFLY, NEVER = timedelta(milliseconds=50), timedelta(hours=1)


def known(reader: Reader) -> set[EmergingPattern]:
    """What a subscriber without a window knows after its snapshot."""
    return {made for _, made in reader.changes}


async def snapshot_for(feed: Feed, token: str, **wanted: Any) -> Reader:
    """What a token brings that brings a snapshot."""
    async with feed.subscribed(token, **wanted) as (reader, _):
        await reader.until_snapshot()
    return reader


@pytest.mark.parametrize("beyond", [0, 1, 50])
async def test_a_token_of_what_a_restore_undid_brings_a_flagged_snapshot(
    database_url: str, beyond: int
) -> None:
    """However far the restored history has come since: to the token's number, or beyond it."""
    topic = f"undone_{beyond}"
    kept, undone = emerged(topic, 3), emerged(topic, 5)
    others = emerged(topic, len(undone) + beyond)
    async with following(database_url) as feed:
        async with feed.subscribed(pattern_type=topic) as (reader, _):
            await tell(feed.database, *kept)
            await reader.has(1 + len(kept))
            await back_up(feed.database)
            last = await tell(feed.database, *undone)
            await reader.has(1 + len(kept) + len(undone))
        assert await restore(feed.database, *others) == last + beyond
    tokens = [token for _, token in reader.sent]
    async with following(database_url) as feed:
        for token in tokens[1 + len(kept) :]:
            again = await snapshot_for(feed, token, pattern_type=topic)
            assert again.expired
            assert known(again) == {made for _, made in kept + others}
        async with feed.subscribed(tokens[len(kept)], pattern_type=topic) as (resumed, _):
            await resumed.has(len(others))
        assert resumed.changes == others


async def test_a_restore_under_a_running_process_ends_its_streams(database_url: str) -> None:
    """Though the event that it stands at has its number again: the number is another event's."""
    topic = "under_a_process"
    undone, others = emerged(topic, 2), emerged(topic, 2)
    async with following(database_url, poll=BRIEFLY) as feed:
        await back_up(feed.database)
        async with feed.subscribed(pattern_type=topic) as (reader, stream):
            await tell(feed.database, *undone)
            await reader.has(3)
            await restore(feed.database, *others)
            async with asyncio.timeout(SOON):
                await asyncio.wait([stream])
            assert isinstance(stream.exception(), StorageUnavailable)
        again = await snapshot_for(feed, reader.sent[-1][1], pattern_type=topic)
        assert again.expired
        assert known(again) == {made for _, made in others}


async def test_a_token_of_a_heartbeat_names_an_event_too(database_url: str) -> None:
    """Of an event that the subscriber did not get: the restore may have undone one that it did get."""
    undone, others = emerged("not_for_it", 2), emerged("for_it", 2)
    async with following(database_url, heartbeat=BRIEFLY) as feed:
        await back_up(feed.database)
        async with feed.subscribed(pattern_type="for_it") as (reader, _):
            last = await tell(feed.database, *undone)
            while not _is_after(reader, last):
                await reader.has(len(reader.sent) + 1)
        await restore(feed.database, *others)
    async with following(database_url) as feed:
        again = await snapshot_for(feed, reader.sent[-1][1], pattern_type="for_it")
    assert again.expired
    assert known(again) == {made for _, made in others}


def _is_after(reader: Reader, sequence: int) -> bool:
    message, token = reader.sent[-1]
    return isinstance(message, Heartbeat) and token.split(".")[3] == str(sequence)


async def test_a_token_of_a_window_names_an_event_too(database_url: str) -> None:
    """Besides the moment at which the window was judged, which says nothing of events."""
    wanted: dict[str, Any] = {"pattern_type": "in_a_window", "window": timedelta(days=1)}
    kept, undone, other = (
        (Change.NEW, replace(made, last_seen_time=datetime.now(UTC)))
        for _, made in emerged("in_a_window", 3)
    )
    async with following(database_url) as feed:
        async with feed.subscribed(**wanted) as (reader, _):
            await tell(feed.database, kept)
            await reader.has(2)
            await back_up(feed.database)
            await tell(feed.database, undone)
            await reader.has(3)
        await restore(feed.database, other)
    good, void = (token for _, token in reader.sent[-2:])
    async with following(database_url) as feed:
        again = await snapshot_for(feed, void, **wanted)
        assert again.expired
        assert known(again) == {kept[1], other[1]}
        async with feed.subscribed(good, **wanted) as (resumed, _):
            await resumed.has(1)
        assert resumed.changes == [other]


async def test_a_token_from_before_the_first_event_is_good_after_a_restore(
    database_url: str,
) -> None:
    """And one of the same place in another database is not: it has another beginning."""
    async with following(database_url) as feed:
        await feed.database.execute("TRUNCATE emerging_events RESTART IDENTITY")
        await feed.database.execute("UPDATE emerging_history SET trimmed_sequence = 0")
    async with following(database_url) as feed:
        await back_up(feed.database)
        beginning = (await snapshot_for(feed, "")).sent[-1][1]
        await tell(feed.database, *emerged("undone", 1))
        others = emerged("first", 2)
        await restore(feed.database, *others)
    async with following(database_url) as feed:
        async with feed.subscribed(beginning) as (resumed, _):
            await resumed.has(2)
        assert resumed.changes == others
        await feed.database.execute("UPDATE emerging_history SET trimmed_tag = gen_random_uuid()")
    async with following(database_url) as feed:
        assert (await snapshot_for(feed, beginning)).expired

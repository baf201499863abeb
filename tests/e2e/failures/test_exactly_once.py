from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Self

import asyncpg
import grpc

from bench.chaos.history import Event
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from tests.conftest import EmbeddedPostgresFactory
from tests.e2e.calls import capture, network, retry_delay
from tests.e2e.conftest import StartServer
from tests.e2e.following import Follower, written
from tests.e2e.server_process import ServerProcess
from tests.e2e.waiting import POLL, SOON, until

TOPICS = {
    "late_arrival": "Text late guests on the way",
    "gift_cards": "Offer gift cards at the desk",
    "opening_hours": "Open at six on workdays",
    "review_response": "Answer every review within a day",
}
"""One cluster each. All captures failed, so that none is ever proven."""

PROVEN = "churn_prevention"
"""All captures succeeded: it is promoted sooner or later, or proven before it emerges."""

SENDERS = 3
ENOUGH = 20
"""Events before the harm is done, and again after it."""
RESUMED = 3
"""Streams that each follower has had to take up with a token, at least."""


class Captures:
    """Captures that go on, each of an account of its own, until they are stopped.

    Each is sent to the servers in turn, under one request_id, until one acknowledges it.
    """

    def __init__(self, servers: Sequence[ServerProcess]) -> None:
        self._channels = [server.channel() for server in servers]
        self._numbers = iter(range(100_000))
        self._going_on = True
        self.acknowledged: Counter[str] = Counter()
        self.retried = 0
        self._senders = [asyncio.create_task(self._send()) for _ in range(SENDERS)]

    async def _send(self) -> None:
        kinds = [*TOPICS, PROVEN]
        while self._going_on:
            number = next(self._numbers)
            kind = kinds[number % len(kinds)]
            request = capture(
                f"account-{number}",
                TOPICS.get(kind, "Send a personal reminder"),
                insight_type=kind,
                success=kind == PROVEN,
            )
            await self._acknowledge(request, number)
            self.acknowledged[kind] += 1

    async def _acknowledge(self, request: CapturePatternRequest, attempt: int) -> None:
        while True:
            channel = self._channels[attempt % len(self._channels)]
            try:
                await network(channel).CapturePattern(request)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                self.retried += 1
                attempt += 1
                await asyncio.sleep(retry_delay(error))
            else:
                return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Begin no more, and wait for those that were begun. Raises what one failed with."""
        self._going_on = False
        await asyncio.gather(*self._senders)
        for channel in self._channels:
            await channel.close()


async def settled(dsn: str) -> list[Event]:
    """Wait until the detector has looked at every sighting: all events that came of them."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(SOON):
            while await connection.fetchval("SELECT count(*) FROM sightings WHERE pending"):  # noqa: ASYNC110 - the table alone tells
                await asyncio.sleep(POLL)
    finally:
        await connection.close()
    return await written(dsn)


@asynccontextmanager
async def history(servers: Sequence[ServerProcess], dsn: str) -> AsyncIterator[Captures]:
    """Captures go on and a follower of each server reads, while the block does harm.

    After it: each follower has seen every row of the table once, in order, and the table counts
    every acknowledged capture once.
    """
    async with Follower(servers) as one, Follower(servers[::-1]) as other:
        followers = (one, other)

        async def reached(place: int, what: str) -> None:
            await until(
                lambda: all(each.place >= place for each in followers), within=SOON, what=what
            )

        await until(lambda: one.snapshots and other.snapshots, within=SOON, what="snapshots")
        async with Captures(servers) as captures:
            await reached(ENOUGH, "events before the harm")
            yield captures
            await until(
                lambda: all(each.streams > RESUMED for each in followers),
                within=SOON,
                what="streams that were resumed",
            )
            await reached(max(one.place, other.place) + ENOUGH, "events after the harm")
        rows = await settled(dsn)
        await reached(rows[-1].sequence, "the last event")
    for each in followers:
        check_each_row_once(each, rows)
    check_each_capture_once(captures, rows)


def check_each_row_once(follower: Follower, rows: Sequence[Event]) -> None:
    """What came is the table, row by row.

    The one exception is documented: of two updates of one pattern that both waited for a reader that
    lags, the older one is not sent. The reader is prompt, so that hardly happens here.
    """
    seen = {event.sequence: event for event in follower.events}
    assert list(seen) == sorted(seen), "out of order"
    assert len(seen) == len(follower.events), "told twice"
    assert follower.snapshots == 1, "a token was not good"
    for position, row in enumerate(rows):
        if row.sequence in seen:
            assert seen[row.sequence] == row
            continue
        later = (
            other.change
            for other in rows[position + 1 :]
            if other.emerging_pattern_id == row.emerging_pattern_id
        )
        assert (row.change, next(later, None)) == ("updated", "updated"), f"missed {row}"


def check_each_capture_once(captures: Captures, rows: Sequence[Event]) -> None:
    """No change was lost or made up before it was written either: it emerged once, counts add up."""
    for topic in TOPICS:
        changes = [row for row in rows if row.pattern_type == topic]
        assert [row.change for row in changes] == ["new", *["updated"] * (len(changes) - 1)]
        counts = (changes[-1].account_count, changes[-1].sighting_count)
        assert counts == (captures.acknowledged[topic],) * 2


def leads(server: ServerProcess) -> bool:
    """Whether it ever became the leader."""
    return bool(server.events("emerging_detector_leads"))


async def two_servers(start: StartServer, dsn: str) -> list[ServerProcess]:
    """Two servers on one database, the leader first. Their streams have to resume all the time."""
    servers = await asyncio.gather(
        start(database_url=dsn, KEEPER_STREAM_MAX_AGE="0.3"),
        start(database_url=dsn, KEEPER_STREAM_MAX_AGE="0.3"),
    )
    await until(lambda: any(map(leads, servers)), within=SOON, what="one leads")
    return sorted(servers, key=leads, reverse=True)


async def test_every_event_arrives_once_though_the_leader_is_killed(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """After kill -9 of the leader during captures, a token of either server resumes at the other."""
    leader, survivor = await two_servers(start_server, database_of_its_own)
    async with history([leader, survivor], database_of_its_own) as captures:
        await leader.kill()
        await until(lambda: leads(survivor), within=SOON, what="the survivor leads")
    assert captures.retried


async def test_every_event_arrives_once_though_postgresql_restarts(
    start_server: StartServer, embedded_postgres_factory: EmbeddedPostgresFactory
) -> None:
    """PostgreSQL shuts down immediately, recovers and starts during captures of two servers."""
    postgres = await embedded_postgres_factory(durable=True)
    servers = await two_servers(start_server, postgres.dsn)
    before = postgres.pid
    assert before is not None
    async with history(servers, postgres.dsn) as captures:
        os.kill(before, signal.SIGQUIT)
        await until(lambda: postgres.pid != before, within=SOON, what="PostgreSQL is back")
        await until(
            lambda: sum(len(s.events("emerging_detector_leads")) for s in servers) > 1,
            within=SOON,
            what="one leads again",
        )
    assert captures.retried
    assert all(server.process.poll() is None for server in servers)

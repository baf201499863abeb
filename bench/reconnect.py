"""How long it takes until all subscribers have what they missed, when all come back at once.

    python -m bench.reconnect                       1,000 subscribers, 200,000 events
    python -m bench.reconnect --subscribers 200     other sizes
    python -m bench.reconnect --events 20000

The event table holds the lives of 2,000 clusters. Subscribers of four filters are subscribed at one
server process and drop out in twenty groups, between which clusters emerge; so they hold tokens of as many
places. Then all resume at once, at the same process and at one that has just started. Each must be
told exactly what it missed.

    seconds     from before the first stream is opened until the last subscriber has its last change
    database    seconds that PostgreSQL worked meanwhile, whatever for (active_time of pg_stat_database)
    the old way what one read of the past cost when it looked at every event, times the subscribers
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

# Before grpc is imported: its fork handlers complain about every program that is started.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import structlog

from bench.fanout import CONNECTIONS, SUBSCRIBE, TYPE, Told, cluster, database, serving
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    StreamEmergingPatternsRequest,
    StreamEmergingPatternsResponse,
)
from keeper_grpc.storage.emerging.rows import to_json

CLUSTERS = 2_000
GROUPS = 20
BETWEEN = 3
"""Clusters that emerge between two groups' leaving."""
FILTERS = 4
PATIENCE = 120
"""Seconds after which what is waited for is taken not to come."""

OLD_WAY = """
    SELECT state FROM (
        SELECT DISTINCT ON (emerging_pattern_id) change, state FROM emerging_events
         WHERE sequence <= $1 ORDER BY emerging_pattern_id, sequence DESC) last
     WHERE change IN ('new', 'updated')
"""


@dataclass
class Subscriber:
    """One subscriber: what it wants, its last token, and what it is to be told when it resumes."""

    wanted: StreamEmergingPatternsRequest
    missed: Sequence[str] = ()

    async def begin(self, channel: Any) -> None:
        """Subscribe, and leave after the snapshot."""
        call = channel.unary_stream(SUBSCRIBE)(self.wanted.SerializeToString())
        message = StreamEmergingPatternsResponse()
        while not message.HasField("snapshot_complete"):
            message = StreamEmergingPatternsResponse.FromString(await call.read())
        self.wanted.resume_token = message.resume_token
        call.cancel()

    async def resume(self, channel: Any) -> None:
        """Come back, and read what was missed. Raises when anything else is told."""
        call = channel.unary_stream(SUBSCRIBE)(self.wanted.SerializeToString())
        for expected in self.missed:
            message = StreamEmergingPatternsResponse.FromString(await call.read())
            if message.emerging_pattern.emerging_pattern_id != expected:
                raise RuntimeError(f"{expected} was missed, {message} was told")
        call.cancel()


async def fill(connection: Any, events: int) -> None:
    """Lives of clusters of another type, told of again and again."""
    await connection.execute(
        """
        INSERT INTO emerging_events (emerging_pattern_id, change, state, created_at)
        SELECT id, CASE WHEN number <= $2 THEN 'new' ELSE 'updated' END,
               $1::jsonb || jsonb_build_object('id', id, 'sighting_count', number), now()
          FROM (SELECT number, md5((number % $2)::text)::uuid AS id
                  FROM generate_series(1, $3) AS number ORDER BY number) lives
        """,
        json.dumps(to_json(cluster("kept", "When it rains, Offer a warm towel"))),
        CLUSTERS,
        events,
        timeout=PATIENCE,
    )
    await connection.execute("VACUUM ANALYZE emerging_events", timeout=PATIENCE)


@asynccontextmanager
async def channels(port: int) -> AsyncIterator[list[Any]]:
    """Connections to a server."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(
                    f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
                )
            )
            for _ in range(CONNECTIONS)
        ]


async def leave(port: int, connection: Any, subscribers: Sequence[Subscriber]) -> None:
    """Let them subscribe and drop out, group by group, and clusters emerge between."""
    told = Told(connection)
    left: list[tuple[Sequence[Subscriber], int]] = []
    async with channels(port) as opened:
        for group in range(GROUPS):
            leaving = subscribers[group::GROUPS]
            await asyncio.gather(
                *(each.begin(opened[n % CONNECTIONS]) for n, each in enumerate(leaving))
            )
            left.append((leaving, len(told.ids)))
            await told(BETWEEN)
    for leaving, known in left:
        for each in leaving:
            each.missed = [str(each_id) for each_id in told.ids[known:]]


async def storm(name: str, port: int, connection: Any, subscribers: Sequence[Subscriber]) -> None:
    """Let all resume at once, and print a row."""
    async with channels(port) as opened:
        await asyncio.gather(*(channel.channel_ready() for channel in opened))
        worked = await active_seconds(connection)
        start = time.perf_counter()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(
                *(each.resume(opened[n % CONNECTIONS]) for n, each in enumerate(subscribers))
            )
        seconds = time.perf_counter() - start
        worked = await active_seconds(connection) - worked
    print(f"{name:<28} {seconds:>9.2f} {worked:>9.2f}", flush=True)


async def active_seconds(connection: Any) -> float:
    """Seconds for which the database has worked."""
    # What a session did is counted when it is idle, a second later at most.
    await asyncio.sleep(1.5)
    milliseconds: float = await connection.fetchval(
        "SELECT active_time FROM pg_stat_database WHERE datname = current_database()"
    )
    return milliseconds / 1000


async def old_way(connection: Any) -> float:
    """Seconds of one read of the past that looks at every event."""
    last = await connection.fetchval("SELECT max(sequence) FROM emerging_events")
    times = []
    for _ in range(3):
        start = time.perf_counter()
        await connection.fetch(OLD_WAY, last)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


async def main(count: int, events: int) -> None:
    """Fill the table, subscribe, drop out, and come back."""
    subscribers = [
        Subscriber(
            StreamEmergingPatternsRequest(
                pattern_type=TYPE, min_accounts=number // GROUPS % FILTERS
            )
        )
        for number in range(count)
    ]
    async with database() as (directory, dsn, connection):
        await fill(connection, events)
        print(f"{count:,} subscribers, {events:,} events")
        print(f"{'':<28} {'seconds':>9} {'database':>9}")
        async with serving(dsn, directory) as port:
            await leave(port, connection, subscribers)
            await storm("at the same process", port, connection, subscribers)
        async with serving(dsn, directory) as port:
            await storm("at one that has just started", port, connection, subscribers)
        once = await old_way(connection)
        print(f"{'the old way':<28} {'':>9} {count * once:>9.2f}   ({once:.2f} each)")
    missed = sum(len(each.missed) for each in subscribers)
    print(f"every subscriber was told what it missed, {missed:,} changes in all, each time")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--events", type=int, default=200_000)
    arguments = parser.parse_args()
    # The table alone: migrations log what they do.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(main(arguments.subscribers, arguments.events))

"""A service that reads from a streaming standby, and what it promises of its reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from structlog.testing import capture_logs

from keeper_grpc.gen.keeper.network.v1 import admin_service_pb2 as admin
from keeper_grpc.gen.keeper.network.v1 import network_service_pb2 as network
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import TcpPostgres, streaming_pair
from tests.rpc.requests import capture
from tests.rpc.service import Service, running

FOR_EVER = timedelta(days=1)


@asynccontextmanager
async def with_replica(
    make_directory: Callable[[], Path], max_lag: timedelta
) -> AsyncIterator[tuple[Service, TcpPostgres]]:
    """A service whose reads go to a standby, and the standby."""
    async with streaming_pair(make_directory) as (primary, standby):
        with capture_logs() as lines:
            async with running(
                primary.url(),
                replica_database_url=standby.url(options="?application_name=reader"),
                replica_max_lag=max_lag,
            ) as service:
                await until(
                    lambda: any(line["event"] == "replica_joined" for line in lines),
                    within=SOON,
                    what="the standby is read from",
                )
                yield service, standby


async def listed(service: Service, topic: str) -> list[str]:
    """The ids of the published patterns."""
    answer = await service.network.ListPatterns(network.ListPatternsRequest(pattern_type=topic))
    return [pattern.pattern_id for pattern in answer.patterns]


async def publish(service: Service, topic: str) -> str:
    """A pattern of three accounts: its id."""
    for account in ("a", "b", "c"):
        stored = await service.capture(capture(topic, account=account))
    return stored.pattern_id


async def readable(service: Service, pattern_id: str) -> bool:
    """Whether GetPattern shows it."""
    with suppress(grpc.aio.AioRpcError):
        await service.network.GetPattern(network.GetPatternRequest(pattern_id=pattern_id))
        return True
    return False


async def test_reads_go_to_the_standby_but_what_an_operator_withdrew_is_gone_at_once(
    make_directory: Callable[[], Path], topic: str
) -> None:
    """With replay paused and any lag allowed, readers see the past; after RetirePattern they see the present."""
    async with with_replica(make_directory, FOR_EVER) as (service, standby):
        old = await publish(service, topic)
        await asyncio.wait_for(_until_listed(service, topic, [old]), SOON)
        await standby.execute("SELECT pg_wal_replay_pause()")
        new = await publish(service, f"{topic}_later")
        assert not await listed(service, f"{topic}_later")
        assert not await readable(service, new)
        assert await readable(service, old)
        metrics = await service.network.GetNetworkMetrics(network.GetNetworkMetricsRequest())
        assert metrics.HasField("metrics")

        await service.admin.RetirePattern(
            admin.RetirePatternRequest(pattern_id=old, reason=admin.WITHDRAWAL_REASON_HARMFUL)
        )

        assert not await readable(service, old)
        assert not await listed(service, topic)
        assert await readable(service, new)
        await standby.execute("SELECT pg_wal_replay_resume()")


async def _until_listed(service: Service, topic: str, wanted: list[str]) -> None:
    while await listed(service, topic) != wanted:  # noqa: ASYNC110 - others' commits set no event
        await asyncio.sleep(0.02)


async def test_a_standby_that_lags_or_stops_is_left_for_the_primary(
    make_directory: Callable[[], Path], topic: str
) -> None:
    """Readers see within the allowed lag what was captured, whatever the standby does, and no call fails."""
    async with with_replica(make_directory, timedelta(seconds=1)) as (service, standby):
        await standby.execute("SELECT pg_wal_replay_pause()")
        first = await publish(service, topic)
        await asyncio.wait_for(_until_listed(service, topic, [first]), SOON)

        await standby.stop()
        second = await publish(service, f"{topic}_later")
        await asyncio.wait_for(_until_listed(service, f"{topic}_later", [second]), SOON)
        stream: Any = service.network.StreamEmergingPatterns(
            network.StreamEmergingPatternsRequest()
        )
        while not (await stream.read()).HasField("snapshot_complete"):
            pass
        stream.cancel()

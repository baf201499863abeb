from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import StreamNetworkMetricsRequest
from tests.conftest import EmbeddedPostgresFactory
from tests.e2e.calls import (
    NOT_SERVING,
    SERVING,
    HealthWatch,
    Subscription,
    capture,
    emerge,
    network,
    reason_of,
    retry_delay,
)
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import postgres_of
from tests.e2e.waiting import SOON, until

T = TypeVar("T")

ACTION = "Offer a package of three massages"


async def exhaust(stream: Any) -> None:
    """Read until there is no more."""
    while await stream.read() is not grpc.aio.EOF:
        pass


async def test_an_outage_of_the_database_is_reported_and_survived(
    start_server: StartServer, embedded_postgres_factory: EmbeddedPostgresFactory
) -> None:
    """Without PostgreSQL calls say when to retry, and so do metrics; what emerges is streamed on.

    With it back, the same process goes on.
    """
    postgres = await embedded_postgres_factory()
    server = await start_server(database_url=postgres.dsn, KEEPER_STREAM_HEARTBEAT="0.2")
    async with server.channel() as channel:
        client = network(channel)
        before = capture("a", ACTION)
        first = await client.CapturePattern(before)
        watch, stream = HealthWatch(channel), Subscription(channel)
        await until(lambda: watch.status == SERVING and stream.complete, within=SOON, what="ready")

        metrics: Any = client.StreamNetworkMetrics(StreamNetworkMetricsRequest())
        await metrics.read()

        await postgres.stop()

        async with asyncio.timeout(SOON):
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                await exhaust(metrics)
        assert reason_of(ended.value) == "STORAGE_UNAVAILABLE"
        for call in (client.CapturePattern(capture("a", ACTION)), client.CapturePattern(before)):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert reason_of(refused.value) == "STORAGE_UNAVAILABLE"
            assert retry_delay(refused.value) > 0
        await until(lambda: watch.status == NOT_SERVING, within=SOON, what="not ready")
        beats = stream.heartbeats
        await until(lambda: stream.heartbeats > beats + 2, within=SOON, what="the stream lives")

        await postgres.start()

        await until(lambda: watch.status == SERVING, within=SOON, what="ready again")
        retried = await client.CapturePattern(before)
        assert (retried.replayed, retried.disposition) == (True, first.disposition)
        await emerge(channel, "Text late guests on the way", insight_type="late_arrival")
        await until(
            lambda: stream.changes("late_arrival"), within=SOON, what="the detector is back"
        )
        assert stream.error is None
        await stream.close()
        await watch.close()
    assert server.process.poll() is None
    assert not server.events("background_task_died")
    assert "traceback" not in server.log.read_text()


async def persistently(call: Callable[[], Awaitable[T]]) -> T:
    """Call again for as long as the answer is UNAVAILABLE, after as long as it asks for."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(retry_delay(error))


async def test_a_killed_bundled_postgres_is_brought_back(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """The server starts its PostgreSQL again, with everything that was acknowledged."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_STREAM_HEARTBEAT="0.2")
    async with server.channel() as channel:
        before = capture("a", ACTION)
        first = await network(channel).CapturePattern(before)
        watch, stream = HealthWatch(channel), Subscription(channel)
        await until(lambda: watch.status == SERVING and stream.complete, within=SOON, what="ready")
        postmaster = int((data_dir / "postgresql/postmaster.pid").read_text().split()[0])

        os.kill(postmaster, signal.SIGKILL)

        await until(
            lambda: set(postgres_of(data_dir)) - {postmaster}, within=SOON, what="a new PostgreSQL"
        )
        retried = await persistently(lambda: network(channel).CapturePattern(before))
        assert (retried.replayed, retried.disposition) == (True, first.disposition)
        # Another connection of the pool may still be the dead one's.
        await persistently(
            lambda: emerge(channel, "Text late guests on the way", insight_type="late_arrival")
        )
        await until(
            lambda: stream.changes("late_arrival"), within=SOON, what="the detector is back"
        )
        await stream.close()
        await watch.close()

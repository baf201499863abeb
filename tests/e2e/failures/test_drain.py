from __future__ import annotations

import asyncio
import signal

import asyncpg
import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternResponse
from tests.conftest import EmbeddedPostgresFactory
from tests.e2e.calls import (
    NOT_SERVING,
    SERVING,
    HealthWatch,
    Subscription,
    capture,
    network,
    reason_of,
    retry_delay,
)
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import bundled_dsn, postgres_of
from tests.e2e.waiting import POLL, SOON, until

LONG = "600"
"""KEEPER_DRAIN_GRACE or _DELAY, in seconds: so long that what ends in time has not waited for its end."""


async def test_sigterm_drains(start_server: StartServer, make_directory: MakeDirectory) -> None:
    """Health and streams say so while a call is in flight, which ends well; nothing is left."""
    data_dir = make_directory() / "data"
    server = await start_server(data_dir=data_dir, KEEPER_DRAIN_GRACE=LONG)
    async with server.channel() as channel:
        client = network(channel)
        await client.CapturePattern(capture("a", "Offer a package of three massages"))
        watch, stream = HealthWatch(channel), Subscription(channel)
        await until(lambda: watch.status == SERVING and stream.complete, within=SOON, what="ready")

        connection = await asyncpg.connect(bundled_dsn(data_dir))
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("LOCK TABLE observations IN ACCESS EXCLUSIVE MODE")
        in_flight = client.CapturePattern(capture("a", "Offer a package of five massages"))
        await until_waiting_for_a_lock(bundled_dsn(data_dir))

        server.send(signal.SIGTERM)
        await until(
            lambda: watch.status == NOT_SERVING and stream.error is not None,
            within=SOON,
            what="health and stream tell of the drain",
        )
        assert stream.error is not None
        assert stream.error.code() is grpc.StatusCode.UNAVAILABLE
        assert reason_of(stream.error) == "SHUTTING_DOWN"
        assert retry_delay(stream.error) > 0
        assert not in_flight.done()

        await transaction.rollback()
        await connection.close()
        assert (await in_flight).disposition == CapturePatternResponse.DISPOSITION_RECORDED
        # The health watch that is still open does not hold the drain up.
        assert await server.ended() == 0
        await watch.close()
        await stream.close()
    assert not postgres_of(data_dir)
    assert server.events("stopped")


async def test_calls_are_taken_until_the_delay_is_over(start_server: StartServer) -> None:
    """A balancer that has not asked for health since sends calls and streams, on new connections too; none is refused."""
    server = await start_server(KEEPER_DRAIN_DELAY=LONG)
    async with server.channel() as channel:
        watch, stream = HealthWatch(channel), Subscription(channel)
        await until(lambda: watch.status == SERVING and stream.complete, within=SOON, what="ready")
        server.send(signal.SIGTERM)
        await until(lambda: watch.status == NOT_SERVING, within=SOON, what="health tells of it")
        async with server.channel() as another:
            answer = await network(another).CapturePattern(capture("a", "Offer three massages"))
            assert answer.disposition == CapturePatternResponse.DISPOSITION_RECORDED
            late = Subscription(another)
            await until(lambda: late.complete, within=SOON, what="a new stream is served")
            await late.close()
        assert stream.error is None
        await watch.close()
        await stream.close()
    await server.kill()


async def until_waiting_for_a_lock(dsn: str) -> None:
    """Return when a capture waits for the lock that the test holds."""
    connection = await asyncpg.connect(dsn)
    try:
        async with asyncio.timeout(SOON):
            while not await connection.fetchval(  # noqa: ASYNC110 - the database tells nobody
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'relation'"
            ):
                await asyncio.sleep(POLL)
    finally:
        await connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_start_that_waits_for_its_database_can_be_stopped(
    start_server: StartServer, number: signal.Signals
) -> None:
    """A signal before the server serves ends it at once, without a traceback."""
    server = await start_server(
        database_url="postgresql://keeper@127.0.0.1:1/keeper", serving=False
    )
    await until(lambda: server.events("waiting_for_database"), within=SOON, what="it waits")

    server.send(number)

    assert await server.ended(within=SOON) == 0
    assert "Traceback" not in server.log.read_text()


async def test_a_server_whose_database_just_died_can_be_stopped(
    start_server: StartServer, embedded_postgres_factory: EmbeddedPostgresFactory
) -> None:
    """Clean-up that fails on the dead database must not swallow the stop."""
    postgres = await embedded_postgres_factory()
    server = await start_server(database_url=postgres.dsn, KEEPER_DRAIN_GRACE=LONG)
    await until(lambda: server.events("emerging_detector_leads"), within=SOON, what="it leads")

    await postgres.stop()
    server.send(signal.SIGTERM)

    assert await server.ended() == 0

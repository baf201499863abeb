"""A primary that fails, a standby that takes over, and the old primary back as a standby, under load."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from tests.e2e.calls import (
    NOT_SERVING,
    SERVING,
    HealthWatch,
    capture,
    network,
    reason_of,
    retry_delay,
)
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.redirect import redirect
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import HOST, TcpPostgres, streaming_pair

CALLERS = 4


class Load:
    """Callers that capture without a pause, and retry each call until it is answered, as they should."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._client = network(channel)
        self.acknowledged: list[CapturePatternRequest] = []
        self.refused: list[grpc.aio.AioRpcError] = []
        self._stopped = False
        self._callers = [asyncio.create_task(self._call(f"account-{n}")) for n in range(CALLERS)]

    async def _call(self, account: str) -> None:
        while not self._stopped:
            request = capture(
                account, "Offer a package of three massages", request_id=str(uuid.uuid4())
            )
            await self._persist(request)
            self.acknowledged.append(request)

    async def _persist(self, request: CapturePatternRequest) -> None:
        while True:
            try:
                await self._client.CapturePattern(request, timeout=20)
            except grpc.aio.AioRpcError as error:
                self.refused.append(error)
                await asyncio.sleep(retry_delay(error) or 0.1)
            else:
                return

    async def more(self, calls: int = 2 * CALLERS) -> None:
        """Return when so many more calls were acknowledged."""
        wanted = len(self.acknowledged) + calls
        await until(
            lambda: self._failed() or len(self.acknowledged) >= wanted,
            within=2 * SOON,
            what="captures",
        )

    def _failed(self) -> bool:
        for caller in self._callers:
            if caller.done():
                caller.result()
        return False

    async def stop(self) -> None:
        """Let every call come to its end."""
        self._stopped = True
        async with asyncio.timeout(2 * SOON):
            await asyncio.gather(*self._callers)


@asynccontextmanager
async def replicated(
    make_directory: MakeDirectory,
) -> AsyncIterator[tuple[TcpPostgres, TcpPostgres]]:
    """A pair whose commits wait for the standby: what was acknowledged is on both."""
    async with streaming_pair(make_directory) as (primary, standby):
        await primary.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        await primary.execute("SELECT pg_reload_conf()")
        yield primary, standby


async def fail_over(primary: TcpPostgres, standby: TcpPostgres) -> None:
    """The primary is gone, the standby takes writes alone."""
    await primary.stop()
    await standby.execute("ALTER SYSTEM RESET synchronous_standby_names")
    await standby.fetchval("SELECT pg_promote(true, 60)")
    await standby.execute("SELECT pg_reload_conf()")


async def check_ledger(load: Load, primary: TcpPostgres) -> None:
    """Every call that was acknowledged is in the ledger, once, and nothing else is."""
    stored = await primary.fetchval("SELECT count(*) FROM observations")
    distinct = await primary.fetchval("SELECT count(DISTINCT request_id) FROM outcome_requests")
    assert stored == distinct == len(load.acknowledged)
    for refused in load.refused:
        assert refused.code() is grpc.StatusCode.UNAVAILABLE, refused
        assert reason_of(refused) == "STORAGE_UNAVAILABLE"
        assert retry_delay(refused) > 0


@pytest.mark.timeout(600)
async def test_an_address_that_leads_to_a_standby_is_left_as_soon_as_it_leads_elsewhere(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """After a failover the old primary is back at its address, as a standby; then the address is pointed at the new one.

    Until then calls say when to retry and health says so; nothing is lost or doubled, and no connection stays behind.
    """
    async with replicated(make_directory) as (old, new), redirect(old.port) as address:
        url = f"postgresql://keeper@{HOST}:{address.port}/keeper"
        server = await start_server(database_url=url)
        async with server.channel() as channel:
            watch, load = HealthWatch(channel), Load(channel)
            await load.more()

            await fail_over(old, new)
            await old.stand_by(new)
            refused = len(load.refused)
            await until(lambda: len(load.refused) > refused + CALLERS, within=SOON, what="refusals")
            await until(lambda: watch.status == NOT_SERVING, within=SOON, what="not ready")
            address.target = new.port

            await until(lambda: watch.status == SERVING, within=SOON, what="ready again")
            await load.more()
            await load.stop()
            await check_ledger(load, new)
            assert await old.fetchval(OURS) == 0
            await watch.close()
        assert server.events("database_not_ready")
        assert not server.events("background_task_died")
        assert "Traceback" not in server.log.read_text()


OURS = """
    SELECT count(*) FROM pg_stat_activity WHERE application_name = 'keeper' AND backend_type = 'client backend'
"""


@pytest.mark.timeout(600)
async def test_of_several_hosts_the_one_that_takes_writes_is_used(
    start_server: StartServer, make_directory: MakeDirectory
) -> None:
    """Without any redirect: the hosts of the DSN are tried in turn, and a standby among them is passed over."""
    async with replicated(make_directory) as (old, new):
        url = f"postgresql://keeper@{HOST}:{old.port},{HOST}:{new.port}/keeper?target_session_attrs=read-write"
        server = await start_server(database_url=url)
        async with server.channel() as channel:
            load = Load(channel)
            await load.more()

            await fail_over(old, new)
            await load.more()
            # Back, and first in the list: what is new must not go there.
            await old.stand_by(new)
            await new.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'keeper'"
            )
            await load.more()
            await load.stop()
            await check_ledger(load, new)
            assert await old.fetchval(OURS) == 0
        assert not server.events("background_task_died")
        assert "Traceback" not in server.log.read_text()

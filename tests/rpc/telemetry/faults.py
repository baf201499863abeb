"""Faults, each injected for real into a running service, and what it exports before and during them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import grpc

from keeper_grpc.gen.keeper.network.v1.admin_service_pb2 import ListAuditEventsRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    EnhanceInsightsRequest,
    StreamEmergingPatternsRequest,
)
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.privacy.anonymizer import Anonymizer
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.locks import AdvisoryLock
from tests.e2e.waiting import POLL, SOON
from tests.integration.emerging.emerging_events import cluster, tell
from tests.integration.emerging.feed import emerged
from tests.integration.openai_stand_in import OpenAIStandIn, Status
from tests.rpc.requests import capture, new_account, new_topic, question
from tests.rpc.service import Service
from tests.rpc.telemetry.exported import Exported
from tests.rpc.telemetry.promtool import Faulted
from tests.rpc.telemetry.scraped import scrape

SLOW = 0.4
"""Seconds that a slow part takes: beyond what the alerts allow, and the fault itself rather than a wait for something."""

OPENING = 6
"""Failed requests to the embeddings API that open the circuit: one more than a failing model has."""

STUCK_CHANNEL = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65_535)]
"""About 64 KB is all that such a client keeps unread."""


@dataclass
class Faults:
    """A service, what it stands on, and the cases that were made of it."""

    service: Service
    postgres: EmbeddedPostgres
    embeddings: OpenAIStandIn
    anonymizer: Anonymizer
    cases: list[Faulted]

    async def case(
        self,
        name: str,
        alerts: Collection[str],
        fault: Callable[[], AbstractAsyncContextManager[Exported | None]],
    ) -> None:
        """Export, inject a fault and what it does to callers, and export again while it lasts.

        A fault that has to last before it shows gives what was exported when it began.
        """
        before = await scrape(self.service)
        async with fault() as begun:
            during = await scrape(self.service)
        self.cases.append(Faulted(name, begun or before, during, alerts))

    async def exports(self, holds: Callable[[Exported], bool]) -> None:
        """Wait until what is exported meets a condition."""
        async with asyncio.timeout(SOON):
            while not holds(await scrape(self.service)):  # noqa: ASYNC110 - a service sets no event for its metrics
                await asyncio.sleep(POLL)

    async def ask(self, *codes: grpc.StatusCode, times: int = 3) -> None:
        """Ask about new texts, by calls; they end with one of these codes, or well without any."""
        asked = (
            self._refused(
                self.service.network.EnhanceInsight(
                    question(new_topic(), f"Offer {n} towels", account=new_account())
                )
            )
            for n in range(times)
        )
        assert set(await asyncio.gather(*asked)) <= set(codes or (grpc.StatusCode.OK,))

    async def _refused(self, call: Awaitable[Any]) -> grpc.StatusCode:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK

    @asynccontextmanager
    async def nothing(self) -> AsyncIterator[None]:
        """A quiet quarter of an hour."""
        steps = (await scrape(self.service)).value("keeper_detector_steps_total")
        await self.ask()
        await self.exports(lambda now: now.value("keeper_detector_steps_total") > steps)
        yield

    @asynccontextmanager
    async def defect(self) -> AsyncIterator[None]:
        """A table is not what the program takes it for."""
        async with self._renamed("audit_events"):
            listing = self.service.admin.ListAuditEvents(ListAuditEventsRequest())
            assert await self._refused(listing) is grpc.StatusCode.INTERNAL
            yield

    @asynccontextmanager
    async def slow_model(self) -> AsyncIterator[None]:
        """The embeddings API takes its time."""
        self.embeddings.hold()
        asking = asyncio.create_task(self.ask(times=5))
        await asyncio.sleep(SLOW)
        self.embeddings.release()
        await asking
        yield

    @asynccontextmanager
    async def too_many_questions(self) -> AsyncIterator[None]:
        """More come than end, and some of them are refused."""
        refused = grpc.StatusCode.RESOURCE_EXHAUSTED
        self.embeddings.hold()
        asked: list[asyncio.Task[None]] = []
        before = (await scrape(self.service)).value("keeper_admission_shed_total", kind="question")
        async with asyncio.timeout(SOON):
            while True:
                asked.append(asyncio.create_task(self.ask(grpc.StatusCode.OK, refused, times=10)))
                await asyncio.sleep(POLL)
                now = await scrape(self.service)
                if now.value("keeper_admission_shed_total", kind="question") >= before + len(asked):
                    break
        self.embeddings.release()
        await asyncio.gather(*asked)
        yield

    @asynccontextmanager
    async def waiting_writes(self) -> AsyncIterator[None]:
        """A writer does not get on, and captures of its scope wait behind it."""
        topic = new_topic()
        await self.service.network.CapturePattern(capture(topic))
        async with self._connected() as other:
            async with other.transaction():
                await other.execute("LOCK TABLE observations IN EXCLUSIVE MODE")
                calls = [
                    asyncio.ensure_future(self.service.network.CapturePattern(capture(topic)))
                    for _ in range(30)
                ]
                await self.exports(
                    lambda now: now.value("keeper_writer_waiting", writer="scopes") > 0
                )
                await asyncio.sleep(4 * SLOW)
            await asyncio.gather(*calls)
        yield

    @asynccontextmanager
    async def few_connections(self) -> AsyncIterator[None]:
        """Calls hold every connection, and others wait for one."""
        async with self._connected() as other:
            async with other.transaction():
                await other.execute("LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE")
                calls = [
                    asyncio.ensure_future(
                        self.service.admin.ListAuditEvents(ListAuditEventsRequest())
                    )
                    for _ in range(40)
                ]
                await self.exports(
                    lambda now: (
                        now.value("keeper_rpc_in_flight") >= len(calls)
                        and now.value("keeper_database_connections", state="idle") == 0
                    )
                )
                await asyncio.sleep(SLOW)
            await asyncio.gather(*calls)
        yield

    @asynccontextmanager
    async def failing_model(self) -> AsyncIterator[None]:
        """The embeddings API answers with errors."""
        for _ in range(5):  # one after the other: texts that wait share a request
            self.embeddings.then(Status(500))
            await self.ask(grpc.StatusCode.UNAVAILABLE, times=1)
        yield

    @asynccontextmanager
    async def open_circuit(self) -> AsyncIterator[None]:
        """The embeddings API has failed so often that it is left alone, until a request finds it back."""
        for _ in range(OPENING):
            self.embeddings.then(Status(500))
            await self.ask(grpc.StatusCode.UNAVAILABLE, times=1)
        yield
        await self.ask(grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, times=1)
        await self.exports(lambda now: now.value("keeper_embedding_circuit_open") == 0)

    @asynccontextmanager
    async def refused_key(self) -> AsyncIterator[None]:
        """The embeddings API turns the key away."""
        self.embeddings.then(Status(401))
        await self.ask(grpc.StatusCode.UNAVAILABLE, times=1)
        yield

    @asynccontextmanager
    async def locked_vectors(self) -> AsyncIterator[None]:
        """The vectors that the database keeps cannot be read in time."""
        failures = (await scrape(self.service)).value("keeper_embedding_store_failures_total")
        async with self._connected() as other, other.transaction():
            await other.execute("LOCK TABLE embedding_cache IN ACCESS EXCLUSIVE MODE")
            await self.ask(times=1)
            await self.exports(
                lambda now: now.value("keeper_embedding_store_failures_total") > failures
            )
            yield

    @asynccontextmanager
    async def broken_layer(self) -> AsyncIterator[None]:
        """A layer of the anonymizer raises."""
        layer = self.anonymizer.layers["health"]

        def broken(_: object) -> None:
            raise RuntimeError

        self.anonymizer.layers["health"] = broken
        try:
            await self.ask(times=1)
            yield
        finally:
            self.anonymizer.layers["health"] = layer

    @asynccontextmanager
    async def stuck_readers(self) -> AsyncIterator[None]:
        """Twenty dashboards take no message."""
        topic, address = new_topic(), f"127.0.0.1:{self.service.app.port}"
        bulk = [
            (change, cluster(made.emerging_pattern_id.int, pattern_type=topic, common_pattern="x" * 4_000))
            for change, made in emerged(topic, 200)
        ]  # fmt: skip
        async with grpc.aio.insecure_channel(address, options=STUCK_CHANNEL) as channel:
            stub: Any = NetworkLearningServiceStub(channel)
            streams = [
                stub.StreamEmergingPatterns(StreamEmergingPatternsRequest(pattern_type=topic))
                for _ in range(20)
            ]
            await asyncio.gather(*(stream.read() for stream in streams))
            await tell(self.service.database, *bulk)
            await self.exports(lambda now: now.value("keeper_feed_cut_offs_total") >= len(streams))
            yield

    @asynccontextmanager
    async def stuck_step(self) -> AsyncIterator[Exported]:
        """Another session holds what every step of the detector needs."""
        await self.exports(lambda now: now.value("keeper_detector_leader") == 1)
        async with self._connected() as other, other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock($1)", int(AdvisoryLock.STEP))
            # The step that was under way has ended when the lock is ours: its counting may be a turn of the loop away.
            begun = await scrape(self.service)
            for _ in range(3):
                await asyncio.sleep(POLL)
                begun = await scrape(self.service)
            yield begun

    @asynccontextmanager
    async def failing_steps(self) -> AsyncIterator[None]:
        """A table is not what the detector takes it for."""
        errors = (await scrape(self.service)).value("keeper_detector_errors_total")
        async with self._renamed("sightings"):
            await self.exports(lambda now: now.value("keeper_detector_errors_total") >= errors + 3)
            yield

    @asynccontextmanager
    async def stolen_lead(self) -> AsyncIterator[None]:
        """A session that is no server's takes the detector's lock when its leader loses the connection."""
        key = int(AdvisoryLock.LEADER)
        async with self._connected() as other, self._connected() as killer:
            waiting = asyncio.create_task(other.execute("SELECT pg_advisory_lock($1)", key))
            async with asyncio.timeout(SOON):
                while not waiting.done():
                    # The server's session, wherever it leads; once it does not, the lock is ours.
                    await killer.execute(
                        """
                        SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
                         WHERE locktype = 'advisory' AND granted AND classid = $1 AND objid = $2
                           AND application_name = 'keeper'
                        """,
                        key >> 32,
                        key & 0xFFFFFFFF,
                    )
                    await asyncio.sleep(POLL)
            await waiting
            await self.exports(lambda now: now.value("keeper_detector_leader") == 0)
            yield

    @asynccontextmanager
    async def read_only(self) -> AsyncIterator[None]:
        """The database takes no writes, as after a switch to its standby."""
        await self._read_only("on")
        try:
            await self.exports(lambda now: now.value("keeper_ready") == 0)
            yield
        finally:
            await self._read_only("off")
            await self.exports(lambda now: now.value("keeper_ready") == 1)

    @asynccontextmanager
    async def no_database(self) -> AsyncIterator[None]:
        """The database is gone."""
        await self.postgres.stop()
        await self.exports(lambda now: now.value("keeper_ready") == 0)
        await self.ask(grpc.StatusCode.UNAVAILABLE)
        asked = EnhanceInsightsRequest(
            correlation_id="1", request=question(new_topic(), account=new_account())
        )
        async for answer in self.service.network.EnhanceInsights(iter([asked])):
            assert answer.error.code == grpc.StatusCode.UNAVAILABLE.value[0]
        yield

    async def _read_only(self, value: str) -> None:
        async with self._connected() as other:
            await other.execute("SET default_transaction_read_only = off")
            await other.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
            await other.execute("SELECT pg_reload_conf()")

    @asynccontextmanager
    async def _renamed(self, table: str) -> AsyncIterator[None]:
        async with self._connected() as other:
            await other.execute(f"ALTER TABLE {table} RENAME TO {table}_elsewhere")
            try:
                yield
            finally:
                await other.execute(f"ALTER TABLE {table}_elsewhere RENAME TO {table}")

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        connection = await asyncpg.connect(self.postgres.dsn)
        try:
            yield connection
        finally:
            await connection.close()

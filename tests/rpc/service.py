"""A running service and the two ends of it: a client's stubs, and its database."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg
import grpc

from keeper_grpc.app import App, application
from keeper_grpc.composition.shared import utc_now
from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceStub
from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import CapturePatternRequest
from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import NetworkLearningServiceStub
from keeper_grpc.settings import Settings
from keeper_grpc.usecases.ports import Clock
from tests.e2e.waiting import SOON

if TYPE_CHECKING:
    # The generator types stubs of aio channels so; they exist in the .pyi files only.
    from keeper_grpc.gen.keeper.network.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from keeper_grpc.gen.keeper.network.v1.network_service_pb2_grpc import (
        NetworkLearningServiceAsyncStub,
    )

PSEUDONYM_KEYS = f"test:{base64.b64encode(bytes(range(32))).decode()}"
OPENAI_KEY = "sk-of-a-test"
PATIENT = timedelta(seconds=SOON)


class Stored(NamedTuple):
    """What the ledger says became of one request, which answers tell of published patterns only."""

    pattern_id: str
    disposition: str


@dataclass(frozen=True)
class Service:
    """An application in this process, a real channel to it, and a look at its tables."""

    app: App
    channel: grpc.aio.Channel
    network: NetworkLearningServiceAsyncStub
    admin: AdminServiceAsyncStub
    database: asyncpg.Pool[asyncpg.Record]

    async def value(self, sql: str, *arguments: object) -> Any:
        """The first column of the first row."""
        return await self.database.fetchval(sql, *arguments)

    async def stored(self, request_id: str) -> Stored:
        """What became of a capture or a report. The pattern's id is empty where it has none."""
        (row,) = await self.database.fetch(
            """
            SELECT coalesce(o.pattern_id::text, '') AS pattern_id, o.disposition
              FROM outcome_requests r
              JOIN observations o ON o.scope_id = r.scope_id AND o.id = r.observation_id
             WHERE r.request_id = $1::text::uuid
            """,
            request_id,
        )
        return Stored(*row)

    async def capture(self, request: CapturePatternRequest) -> Stored:
        """Capture, and look up what became of it."""
        await self.network.CapturePattern(request)
        return await self.stored(request.request_id)


@asynccontextmanager
async def running(
    database_url: str, *, clock: Clock = utc_now, **settings: Any
) -> AsyncIterator[Service]:
    """Start a service on a free port; these settings differ from the defaults of the tests."""
    chosen: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "database_url": database_url,
        "pseudonym_keys": PSEUDONYM_KEYS,
        "embedder": "local",
        "local_model_dir": None,
        "openai_api_key": None,
        "seed_catalog": False,
        # Accounts of the tests count from their first call.
        "open_accounts": True,
        # And so do their outcomes.
        "counting_step": 1,
        # The best known is handed out, except where a test is about exploring.
        "script_exploration": 0.0,
        "pattern_exploration": 0.0,
        # What is expected of a test's patterns follows from them alone, however long its module takes.
        "prior_interval": timedelta(hours=1),
        "pool_size": 8,
        # A busy machine is no outage.
        "acquire_timeout": PATIENT,
        "statement_timeout": PATIENT,
        "max_call_duration": PATIENT,
        "question_deadline": PATIENT,
        "read_deadline": PATIENT,
        "drain_grace": timedelta(seconds=5),
        "stream_heartbeat": timedelta(milliseconds=300),
    } | settings
    async with application(Settings(**chosen), clock) as app, client(app, database_url) as service:
        yield service


@asynccontextmanager
async def client(app: App, database_url: str, port: int | None = None) -> AsyncIterator[Service]:
    """A channel of its own to a running application, by another port than the first one."""
    async with (
        grpc.aio.insecure_channel(f"127.0.0.1:{port or app.port}") as channel,
        asyncpg.create_pool(database_url, min_size=1, max_size=2) as database,
    ):
        yield Service(
            app, channel, NetworkLearningServiceStub(channel), AdminServiceStub(channel), database
        )


def openai(base_url: str, **settings: Any) -> dict[str, Any]:
    """Settings for the OpenAI client against a stand-in. Its merge threshold is 0.95."""
    return {
        "embedder": "openai",
        "openai_api_key": OPENAI_KEY,
        "openai_base_url": base_url,
        "openai_attempt_timeout": PATIENT,
        "openai_max_retries": 0,
    } | settings

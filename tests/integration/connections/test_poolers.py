"""pgbouncer in front of the database, as the operations page says it may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from tests.integration.connections.pgbouncer import installed, pgbouncer
from tests.integration.connections.starting import refusal, started
from tests.postgres_over_tcp import TcpPostgres

pytestmark = installed


async def test_a_pooler_of_sessions_works(
    postgres: TcpPostgres, database: str, make_directory: Callable[[], Path]
) -> None:
    """Settings, prepared statements, notifications and locks of a session are its own; nothing is to be configured."""
    async with (
        pgbouncer(postgres, make_directory(), "session") as url,
        started(url.format(database=database)) as pool,
        pool.connection() as one,
        pool.connection() as other,
    ):
        assert await one.fetchval("SHOW jit") == "off"
        heard = asyncio.Event()

        def hear(*_: object) -> None:
            heard.set()

        await one.add_listener("channel", hear)
        await other.execute("NOTIFY channel")
        async with asyncio.timeout(60):
            await heard.wait()
        await one.remove_listener("channel", hear)
        await one.fetchval("SELECT pg_advisory_lock(1)")
        assert not await other.fetchval("SELECT pg_try_advisory_lock(1)")


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
async def test_a_pooler_of_transactions_is_refused(
    postgres: TcpPostgres, empty_database: str, make_directory: Callable[[], Path], pool_mode: str
) -> None:
    """Before anything is migrated, with what to set."""
    async with pgbouncer(postgres, make_directory(), pool_mode) as url:
        assert "set pool_mode = session" in await refusal(url.format(database=empty_database))
    connection = await asyncpg.connect(postgres.url(empty_database))
    assert await connection.fetchval("SELECT to_regclass('schema_migrations')") is None
    await connection.close()

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.domain.errors import StorageUnavailable
from keeper_grpc.storage import database as module
from keeper_grpc.storage.database import Database
from keeper_grpc.storage.embedded import supervisor
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from keeper_grpc.storage.readiness import Readiness
from keeper_grpc.storage.schema.migrate import migrate
from tests.conftest import EmbeddedPostgresFactory
from tests.e2e.waiting import SOON
from tests.integration.observations import opened


async def test_an_exhausted_pool_is_unavailable_after_the_acquire_timeout(
    database_url: str,
) -> None:
    """A caller that gets no connection in time gets a retryable error, and the pool still works."""
    async with opened(database_url, pool_size=1, acquire_timeout=0.5) as database:
        async with database.connection():
            with pytest.raises(StorageUnavailable):
                async with database.connection():
                    pytest.fail("there is one connection only")
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_statement_that_takes_too_long_is_unavailable(database_url: str) -> None:
    """The server or the driver ends it at the statement timeout, and the connection is not spoilt."""
    database = await Database.open(
        database_url, pool_size=1, acquire_timeout=SOON, statement_timeout=1
    )
    try:
        with pytest.raises(StorageUnavailable):
            async with database.connection() as connection:
                await connection.execute("SELECT pg_sleep(600)")
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT 1") == 1
    finally:
        await database.close()


async def test_a_lost_connection_costs_one_call(database_url: str) -> None:
    """Terminating a backend during a transaction rolls it back; the next call gets a new connection."""
    async with opened(database_url, pool_size=1) as database:
        with pytest.raises(StorageUnavailable):  # noqa: PT012 - the transaction fails as a whole
            async with database.transaction() as connection:
                await connection.execute("CREATE TABLE half_done ()")
                await terminate(database_url, connection.get_server_pid())
                await connection.execute("SELECT 1")
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT to_regclass('half_done')") is None


async def terminate(dsn: str, backend: int) -> None:
    """Terminate a backend, as an administrator or a failover would."""
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT pg_terminate_backend($1::integer)", backend)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("the connection broke while it was set up"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_another_attempt_may_not_meet_is_unavailable(
    database_url: str, error: Exception
) -> None:
    """The driver's errors that say nothing against the statement become ours."""
    async with opened(database_url) as database:
        with pytest.raises(StorageUnavailable):
            async with database.connection():
                raise error


async def test_a_wrong_statement_is_a_defect(database_url: str) -> None:
    """An error of ours must not look like an outage: callers would retry it for ever."""
    async with opened(database_url) as database:
        with pytest.raises(asyncpg.UndefinedTableError):
            async with database.connection() as connection:
                await connection.execute("SELECT * FROM no_such_table")


async def test_a_read_only_transaction_sees_one_snapshot(database_url: str) -> None:
    """What others commit meanwhile is not seen, and nothing can be written."""
    async with (
        opened(database_url, pool_size=2) as database,
        database.transaction(read_only=True) as reader,
    ):
        before = await reader.fetchval("SELECT count(*) FROM accounts")
        async with database.connection() as writer:
            await writer.execute(
                "INSERT INTO accounts (account_key, business_category, joined_time) "
                "VALUES ('snapshot', 'spa', now())"
            )
        assert await reader.fetchval("SELECT count(*) FROM accounts") == before
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.execute("DELETE FROM accounts")


async def test_readiness_follows_the_server_and_the_schema(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """False without the schema or the server, true again as soon as both are there."""
    server = await embedded_postgres_factory()
    await migrate(server.dsn)
    async with opened(server.dsn) as database:
        ready = Readiness(database)
        assert await ready()
        async with database.connection() as connection:
            await connection.execute("ALTER TABLE schema_migrations RENAME TO elsewhere")
            assert not await ready()
            await connection.execute("ALTER TABLE elsewhere RENAME TO schema_migrations")
        await server.stop()
        assert not await ready()
        await server.start()
        assert await ready()


class OverTcp(EmbeddedPostgres):
    """The bundled server, reachable over TCP as an external one is."""

    def _command(self, socket: Path) -> list[str]:
        return [*super()._command(socket), "-c", "listen_addresses=127.0.0.1"]


async def test_the_server_drops_a_process_whose_host_is_gone_after_six_seconds(
    make_directory: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the connection is idle, or an answer is on its way, when no keepalive is sent."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(supervisor, "_PORT", port)
    async with OverTcp(make_directory() / "data", durable=False) as server:
        admission = server.layout.pgdata / "pg_hba.conf"
        admission.write_text(f"host all all 127.0.0.1/32 trust\n{admission.read_text()}")
        administrator = await asyncpg.connect(server.dsn)
        await administrator.execute("CREATE EXTENSION vector")
        await administrator.execute("SELECT pg_reload_conf()")
        await administrator.close()
        dsn = f"postgresql://keeper@127.0.0.1:{port}/keeper"
        async with opened(dsn) as database, database.connection() as connection:
            # Shown as the connection has them: over a unix socket all are 0.
            idle, interval, count, unacknowledged = [
                await connection.fetchval(f"SHOW {name}")
                for name in (
                    "tcp_keepalives_idle",
                    "tcp_keepalives_interval",
                    "tcp_keepalives_count",
                    "tcp_user_timeout",
                )
            ]
    assert int(idle) + int(interval) * int(count) == 6
    assert int(unacknowledged) == 6_000


async def test_closing_does_not_wait_for_ever(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that never comes back is given up after the close timeout."""
    monkeypatch.setattr(module, "CLOSE_TIMEOUT", 0.2)
    async with opened(database_url) as database:
        held = asyncio.Event()

        async def hold() -> None:
            async with database.connection():
                held.set()
                await asyncio.Event().wait()

        holder = asyncio.create_task(hold())
        await held.wait()
        async with asyncio.timeout(SOON):
            await database.close()
        holder.cancel()
        await asyncio.wait([holder])

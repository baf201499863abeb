from __future__ import annotations

import os
import signal
from pathlib import Path

from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.embedded.servers import (
    MakeDirectory,
    alive,
    connected,
    ended,
    keep_row,
    kept,
    mode,
    on_linux,
    owner_process,
)


async def test_first_start_serves_a_utf8_database_with_pgvector(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """An empty directory becomes a UTF-8 database on which pgvector can be created."""
    server = await embedded_postgres_factory()
    async with connected(server) as conn:
        assert await conn.fetchval("SHOW server_encoding") == "UTF8"
        assert await conn.fetchval("SELECT current_database()") == "keeper"
        await conn.execute("CREATE EXTENSION vector")


async def test_no_tcp_port_is_open_and_the_socket_is_private(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The server listens on one unix socket, in a directory that only its own user may enter."""
    data_dir = make_directory()
    server = await embedded_postgres_factory(data_dir)
    async with connected(server) as conn:
        assert await conn.fetchval("SHOW listen_addresses") == ""
        sockets = Path(await conn.fetchval("SHOW unix_socket_directories"))
    assert mode(sockets) == 0o700
    assert mode(data_dir / "postgresql") == 0o700


async def test_restart_keeps_the_data_and_the_dsn(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """What was committed before stop is there after start, under the same DSN."""
    server = await embedded_postgres_factory()
    await keep_row(server)
    dsn = server.dsn
    await server.stop()
    assert server.pid is None
    assert await server.start() == dsn
    assert await kept(server) == [1]


async def test_stop_twice_and_before_start_does_nothing(make_directory: MakeDirectory) -> None:
    """Whoever cleans up need not know how far the start came."""
    server = EmbeddedPostgres(make_directory() / "data", durable=False)
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()


async def test_durability_is_on_unless_given_up(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The default survives a crash of the machine; the tests' mode says that it does not."""
    for durable, expected in ((False, "off"), (True, "on")):
        server = await embedded_postgres_factory(make_directory(), durable=durable)
        async with connected(server) as conn:
            assert await conn.fetchval("SHOW fsync") == expected
            assert await conn.fetchval("SHOW full_page_writes") == expected


async def test_killed_server_comes_back_with_its_rows(
    embedded_postgres_factory: EmbeddedPostgresFactory,
) -> None:
    """After kill -9 of the server, the same DSN answers again with what was committed."""
    server = await embedded_postgres_factory(durable=True)
    await keep_row(server)
    killed = server.pid
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    await ended(killed)
    assert await kept(server) == [1]
    assert server.pid not in (None, killed)


@on_linux
async def test_server_dies_with_its_killed_owner(make_directory: MakeDirectory) -> None:
    """A keeper that is killed with SIGKILL leaves no server running behind it."""
    with owner_process(make_directory() / "data") as (process, server_pid):
        assert alive(server_pid)
        process.kill()
        await ended(server_pid)


async def test_killed_owner_loses_no_acknowledged_row(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """SIGKILL of keeper and server in the middle of commits loses nothing acknowledged."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (process, server_pid):
        assert process.stdout is not None
        for _ in range(20):
            acknowledged = int(process.stdout.readline())
        process.kill()
        os.kill(server_pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().splitlines())])
    server = await embedded_postgres_factory(data_dir, durable=True)
    rows = await kept(server)
    assert len(rows) >= acknowledged
    assert rows == list(range(1, len(rows) + 1))

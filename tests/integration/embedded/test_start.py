from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from keeper_grpc.storage.embedded.errors import DataDirectoryVersion, StartFailed
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.embedded.servers import (
    MakeDirectory,
    alive,
    connected,
    mode,
    on_linux,
    proc,
    serves,
)


async def test_directory_of_another_major_version_is_refused(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The error names both versions and the way over, and touches nothing."""
    data_dir = make_directory() / "data"
    await (await embedded_postgres_factory(data_dir)).stop()
    (data_dir / "postgresql" / "PG_VERSION").write_text("16\n")
    with pytest.raises(DataDirectoryVersion, match=r"PostgreSQL 16.*PostgreSQL 18.*pg_upgrade"):
        await EmbeddedPostgres(data_dir).start()


async def test_failed_start_shows_the_servers_words_and_frees_the_directory(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A server that ends at once is reported with its log; mended, the directory starts."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await server.stop()
    config = data_dir / "postgresql" / "postgresql.auto.conf"
    config.write_text("no_such_setting = on\n")
    with pytest.raises(StartFailed, match="no_such_setting"):
        await server.start()
    config.write_text("")
    await server.start()


async def test_start_that_takes_too_long_leaves_nothing(make_directory: MakeDirectory) -> None:
    """A start that meets its timeout says so, ends the server and frees the directory."""
    data_dir = make_directory() / "data"
    hasty = EmbeddedPostgres(data_dir, durable=False, start_timeout=0.0)
    with pytest.raises(StartFailed, match="no connection within 0 s"):
        await hasty.start()
    async with EmbeddedPostgres(data_dir, durable=False):
        pass


async def test_cancelled_start_leaves_nothing(make_directory: MakeDirectory) -> None:
    """A start that is cancelled half-way ends the server and frees the directory."""
    data_dir = make_directory() / "data"
    server = EmbeddedPostgres(data_dir, durable=False)
    starting = asyncio.create_task(server.start())
    while server.pid is None:  # noqa: ASYNC110  (the start offers no event to interrupt it at)
        await asyncio.sleep(0)
    pid = server.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not alive(pid)
    async with EmbeddedPostgres(data_dir, durable=False):
        pass


@pytest.mark.parametrize("name", ["deep" * 40, "a,b c'd%20"])
async def test_path_that_no_socket_can_have_gets_a_private_socket_elsewhere(
    make_directory: MakeDirectory, name: str
) -> None:
    """A path too long, or with characters that DSNs split at, works; its socket goes at stop."""
    server = EmbeddedPostgres(make_directory() / name, durable=False)
    await server.start()
    async with connected(server) as conn:
        sockets = Path(await conn.fetchval("SHOW unix_socket_directories"))
    assert mode(sockets) == 0o700
    await server.stop()
    with pytest.raises(FileNotFoundError):
        mode(sockets)


@on_linux
async def test_environment_neither_reaches_nor_misleads_the_server(
    embedded_postgres_factory: EmbeddedPostgresFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of ours stay ours, and PG* variables change neither server nor DSN."""
    for name in ("PGPORT", "PGDATA", "PGHOST", "PGDATABASE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret-key")
    server = await embedded_postgres_factory()
    assert await serves(server)
    assert b"a-secret-key" not in proc(server, "environ")


async def test_initialization_that_was_killed_is_begun_again(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Remains of a killed initdb are not taken for a database."""
    data_dir = make_directory()
    partial = data_dir / "postgresql.partial"
    partial.mkdir()
    (partial / "PG_VERSION").write_text("18\n")
    assert await serves(await embedded_postgres_factory(data_dir))
    assert not partial.exists()

from __future__ import annotations

import os
import socket

import asyncpg
import pytest

from keeper_grpc.storage.embedded.cluster import DirectoryLock
from keeper_grpc.storage.embedded.errors import DataDirectoryInUse
from keeper_grpc.storage.embedded.running import running_dsn, shared_postgres
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.embedded.servers import (
    MakeDirectory,
    alive,
    on_linux,
    owner_process,
)


@on_linux
async def test_a_command_shares_the_server_of_the_keeper_that_has_the_directory(
    make_directory: MakeDirectory,
) -> None:
    """It reads what that keeper committed, and leaves its server running."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (owner, postmaster):
        async with shared_postgres(data_dir, patience=30) as dsn:
            conn = await asyncpg.connect(dsn)
            assert await conn.fetchval("SELECT count(*) > 0 FROM kept")
            await conn.close()
        assert owner.poll() is None
        assert alive(postmaster)


@on_linux
async def test_a_command_starts_a_server_where_no_keeper_has_one(
    make_directory: MakeDirectory,
) -> None:
    """And stops it at the end."""
    data_dir = make_directory() / "data"
    async with shared_postgres(data_dir, patience=30) as dsn:
        conn = await asyncpg.connect(dsn)
        pid = await conn.fetchval("SELECT pg_backend_pid()")
        await conn.close()
    assert not alive(pid)
    assert not (data_dir / "socket").exists()


@on_linux
async def test_a_keeper_that_never_gets_a_server_up_is_waited_for_no_longer_than_said(
    make_directory: MakeDirectory,
) -> None:
    """Whoever holds the lock without a server keeps the directory."""
    data_dir = make_directory()
    lock = DirectoryLock.acquire(data_dir)
    try:
        with pytest.raises(DataDirectoryInUse):
            async with shared_postgres(data_dir, patience=0.2):
                pass
    finally:
        lock.release()


@on_linux
async def test_only_the_directorys_own_server_is_believed(
    make_directory: MakeDirectory, embedded_postgres_factory: EmbeddedPostgresFactory
) -> None:
    """A pid file names another process, or a socket belongs to one: neither is connected to."""
    server = await embedded_postgres_factory(make_directory() / "data")
    layout = server.layout
    assert running_dsn(layout) == server.dsn
    pid_file = layout.pgdata / "postmaster.pid"
    lines = pid_file.read_text().splitlines()

    elsewhere = make_directory()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(str(elsewhere / ".s.PGSQL.5432"))
        other.listen()
        for changed in (
            {0: str(os.getpid())},
            {0: str(os.getpid()), 4: str(elsewhere)},
            {4: str(elsewhere)},
            {4: "/nowhere"},
            {7: "starting"},
            {0: "no number"},
        ):
            told = [changed.get(number, line) for number, line in enumerate(lines)]
            pid_file.write_text("\n".join(told) + "\n")
            assert running_dsn(layout) is None
    pid_file.write_text(lines[0] + "\n")
    assert running_dsn(layout) is None
    pid_file.write_text("\n".join(lines) + "\n")
    assert running_dsn(layout) == server.dsn

    linked = elsewhere / "postmaster.pid"
    pid_file.rename(linked)
    pid_file.symlink_to(linked)
    assert running_dsn(layout) is None
    pid_file.unlink()
    linked.rename(pid_file)

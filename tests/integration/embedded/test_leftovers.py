from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from keeper_grpc.storage.embedded.account import RunAs
from keeper_grpc.storage.embedded.errors import DataDirectoryInUse
from keeper_grpc.storage.embedded.orphans import clear_orphans
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres
from tests.conftest import EmbeddedPostgresFactory
from tests.integration.embedded.servers import (
    MakeDirectory,
    alive,
    connected,
    ended,
    keep_row,
    kept,
    on_linux,
    owner_process,
    serves,
)


def start_by_hand(command: list[str], log: Path, run_as: RunAs) -> subprocess.Popen[bytes]:
    """Start a program that no keeper watches over."""
    with log.open("wb") as stderr:
        return subprocess.Popen(command, stderr=stderr, cwd="/", **run_as)


async def logged(log: Path, process: subprocess.Popen[bytes]) -> None:
    """Return when a server started by hand accepts connections."""
    while b"ready to accept" not in log.read_bytes():  # noqa: ASYNC240  (a short local file)
        assert process.poll() is None
        await asyncio.sleep(0.01)


@on_linux
async def test_leftover_server_is_shut_down_cleanly_and_replaced(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A server that an earlier keeper left running is stopped with a fast shutdown."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await keep_row(server)
    command = server._command(data_dir / "socket")
    run_as = server._account.run_as
    await server.stop()
    (data_dir / "socket").mkdir(mode=0o700)
    server._account.own(data_dir / "socket")
    orphan = start_by_hand(command, data_dir / "orphan.log", run_as)
    try:
        await logged(data_dir / "orphan.log", orphan)
        await server.start()
        assert orphan.wait() == 0
        assert await kept(server) == [1]
    finally:
        orphan.kill()
        orphan.wait()


@on_linux
async def test_backends_of_a_killed_postmaster_are_ended(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Children that outlive their postmaster hold no memory of the cluster at the next start."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    async with connected(server) as conn:
        backend = await conn.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)  # a backend that notices nothing
        try:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.wait_for(ended(backend), 30)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
    assert await asyncio.wait_for(serves(server), 30)


async def test_second_server_on_a_directory_names_the_first(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """A directory in use is refused with the owner's process id, and the owner goes on."""
    data_dir = make_directory() / "data"
    first = await embedded_postgres_factory(data_dir)
    await keep_row(first)
    with pytest.raises(DataDirectoryInUse, match=f"in use by process {os.getpid()}"):
        await EmbeddedPostgres(data_dir).start()
    assert await kept(first) == [1]


async def test_directory_of_another_process_is_refused(make_directory: MakeDirectory) -> None:
    """The lock holds between processes, not only inside one."""
    data_dir = make_directory() / "data"
    with owner_process(data_dir) as (process, server_pid):
        with pytest.raises(DataDirectoryInUse) as refused:
            await EmbeddedPostgres(data_dir).start()
        assert refused.value.pid == process.pid
        assert alive(server_pid)


@on_linux
async def test_server_started_by_hand_is_not_taken_over(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Somebody's own postgres on the directory is left alone and named."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await server.stop()
    pgdata = data_dir / "postgresql"
    command = [server._binaries.program("postgres"), "-D", str(pgdata), "-k", str(pgdata), "-h", ""]
    by_hand = start_by_hand(command, data_dir / "by-hand.log", server._account.run_as)
    try:
        await logged(data_dir / "by-hand.log", by_hand)
        with pytest.raises(DataDirectoryInUse) as refused:
            await server.start()
        assert refused.value.pid == by_hand.pid
        assert by_hand.poll() is None
    finally:
        by_hand.terminate()
        by_hand.wait()


@on_linux
async def test_stale_pid_file_that_names_a_live_stranger_is_no_obstacle(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """The recorded number belongs to another program of the same user by now."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    pid_file = data_dir / "postmaster.saved"
    pid_file.write_bytes((data_dir / "postgresql" / "postmaster.pid").read_bytes())
    await server.stop()
    stranger = start_by_hand(["sleep", "600"], data_dir / "stranger.log", server._account.run_as)
    try:
        lines = pid_file.read_text().splitlines()
        stale = data_dir / "postgresql" / "postmaster.pid"
        stale.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        server._account.own(stale)
        await server.start()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@on_linux
async def test_servers_of_a_copied_directory_are_distinguished(
    embedded_postgres_factory: EmbeddedPostgresFactory, make_directory: MakeDirectory
) -> None:
    """Clearing up on a copy, pid file and all, leaves the original's server alone."""
    data_dir = make_directory() / "data"
    server = await embedded_postgres_factory(data_dir)
    await keep_row(server)
    copy = make_directory() / "copy"
    shutil.copytree(data_dir / "postgresql", copy)
    await clear_orphans(copy, server._account.uid)
    assert not (copy / "postmaster.pid").exists()
    assert await kept(server) == [1]

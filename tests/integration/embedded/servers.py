"""Bundled servers, their owners in other processes, and what can be seen of them."""

from __future__ import annotations

import asyncio
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import asyncpg
import pytest

from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

MakeDirectory = Callable[[], Path]

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's process interfaces")

OWNER = """
import asyncio, os, sys
from pathlib import Path
import asyncpg
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

async def main():
    server = EmbeddedPostgres(Path(sys.argv[1]))
    conn = await asyncpg.connect(await server.start())
    await conn.execute("CREATE TABLE IF NOT EXISTS kept (n int PRIMARY KEY)")
    n = 1 + await conn.fetchval("SELECT coalesce(max(n), 0) FROM kept")
    print("serving", os.getpid(), server.pid, flush=True)
    while True:
        await conn.execute("INSERT INTO kept VALUES ($1)", n)
        print(n, flush=True)
        n += 1

asyncio.run(main())
"""
"""A keeper that commits rows and acknowledges each on its output until it is killed."""


@contextmanager
def owner_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that owns a server on `data_dir`, and the server's pid."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, data_dir], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline().split()[2])
        finally:
            process.kill()


@asynccontextmanager
async def connected(server: EmbeddedPostgres) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that waits for the server to be there."""
    while True:
        try:
            conn = await asyncpg.connect(server.dsn)
            break
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.01)
    try:
        yield conn
    finally:
        await conn.close()


async def keep_row(server: EmbeddedPostgres) -> None:
    """Commit a row that must outlive what comes."""
    async with connected(server) as conn:
        await conn.execute("CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)")


async def kept(server: EmbeddedPostgres) -> list[int]:
    """The committed rows."""
    async with connected(server) as conn:
        return [row["n"] for row in await conn.fetch("SELECT n FROM kept ORDER BY n")]


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def ended(pid: int) -> None:
    """Return when the process is gone."""
    while alive(pid):  # noqa: ASYNC110  (no event tells of others' processes)
        await asyncio.sleep(0.01)


def proc(server: EmbeddedPostgres, name: str) -> bytes:
    """What the kernel says about the server's process."""
    return Path(f"/proc/{server.pid}/{name}").read_bytes()


def mode(path: Path) -> int:
    """The permission bits."""
    return stat.S_IMODE(path.stat().st_mode)


async def serves(server: EmbeddedPostgres) -> bool:
    """Whether it answers a query."""
    async with connected(server) as conn:
        return bool(await conn.fetchval("SELECT true"))

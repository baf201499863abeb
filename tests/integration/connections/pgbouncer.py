"""A pgbouncer of a test, where the machine has one."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keeper_grpc.storage.embedded.account import ServerAccount
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import HOST, TcpPostgres, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

installed = pytest.mark.skipif(
    PROGRAM is None, reason="pgbouncer is not installed (apt-get install pgbouncer)"
)


@asynccontextmanager
async def pgbouncer(postgres: TcpPostgres, directory: Path, pool_mode: str) -> AsyncIterator[str]:
    """The DSN of the server's database by way of a pooler, for the block. `{database}` stands for the name."""
    assert PROGRAM is not None
    port = free_port()
    account = ServerAccount.for_cluster(postgres.layout.pgdata)
    settings = directory / "pgbouncer.ini"
    settings.write_text(
        f"""
        [databases]
        * = host={HOST} port={postgres.port} user=keeper
        [pgbouncer]
        listen_addr = {HOST}
        listen_port = {port}
        unix_socket_dir =
        auth_type = any
        pool_mode = {pool_mode}
        """.replace("        ", "")
    )
    log = directory / "pgbouncer.log"
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [PROGRAM, settings], stdout=output, stderr=output, cwd="/", **account.run_as
        )
    try:
        await until(
            lambda: process.poll() is not None or f"listening on {HOST}" in log.read_text(),
            within=SOON,
            what="pgbouncer listens",
        )
        assert process.poll() is None, log.read_text()
        yield f"postgresql://keeper@{HOST}:{port}/{{database}}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)

"""Bundled servers as external ones are: over TCP, with passwords and TLS, and as a streaming pair."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import find_binaries
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

HOST = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])


class TcpPostgres(EmbeddedPostgres):
    """A bundled server that also listens on a port. Its superuser logs in over the socket, by `dsn`."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(data_dir, durable=False)
        self.port = free_port()
        self._settings = settings or {}

    def _command(self, socket: Path) -> list[str]:
        settings = {"listen_addresses": HOST, "port": str(self.port), **self._settings}
        return [
            *super()._command(socket),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ]

    def _dsn(self, database: str) -> str:
        return f"postgresql://keeper@/{database}?host={self._socket}&port={self.port}"

    def url(self, database: str = "keeper", user: str = "keeper", options: str = "") -> str:
        """A DSN over TCP, for a role without a password."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}{options}"

    async def execute(self, sql: str) -> None:
        """Run statements as the superuser."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def fetchval(self, sql: str) -> object:
        """The first value that a query gives the superuser."""
        connection = await asyncpg.connect(self.dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    async def admit(self, *lines: str) -> None:
        """Put lines in front of pg_hba.conf and let them count."""
        admission = self.layout.pgdata / "pg_hba.conf"
        admission.write_text("\n".join([*lines, admission.read_text()]))
        await self.execute("SELECT pg_reload_conf()")

    async def stand_by(self, primary: TcpPostgres) -> None:
        """Come back as a standby of `primary`, which was promoted since; this server is stopped."""
        account = ServerAccount.for_cluster(self.layout.pgdata)
        await run_program(
            find_binaries(account).program("pg_rewind"),
            f"--target-pgdata={self.layout.pgdata}",
            f"--source-server={primary.conninfo} dbname=postgres",
            "--no-sync",
            account=account,
        )
        (self.layout.pgdata / "standby.signal").touch()
        with (self.layout.pgdata / "postgresql.auto.conf").open("a") as settings:
            settings.write(f"\nprimary_conninfo = '{primary.conninfo}'\n")
        await self.start()

    @property
    def conninfo(self) -> str:
        """Where a standby streams from."""
        return f"host={HOST} port={self.port} user=keeper application_name=standby"


async def run_program(*command: str, account: ServerAccount) -> None:
    """Run a program of PostgreSQL as its server runs. Fails with what it said."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **account.run_as,
        )

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr


REPLICATED = {"wal_log_hints": "on", "full_page_writes": "on", "synchronous_commit": "on"}
"""What pg_rewind needs, and what synchronous replication does."""


@asynccontextmanager
async def streaming_pair(
    make_directory: Callable[[], Path],
) -> AsyncIterator[tuple[TcpPostgres, TcpPostgres]]:
    """A primary, and a standby that streams from it, for the block."""
    primary = TcpPostgres(make_directory() / "data", REPLICATED)
    await primary.start()
    standby = TcpPostgres(make_directory() / "data", REPLICATED)
    try:
        await primary.admit(
            "host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"
        )
        account = ServerAccount.for_cluster(primary.layout.pgdata)
        binaries = find_binaries(account)
        standby.layout.root.mkdir(mode=0o700)
        account.own(standby.layout.root)
        await run_program(
            binaries.program("pg_basebackup"),
            f"--pgdata={standby.layout.pgdata}",
            f"--dbname={primary.conninfo}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--checkpoint=fast",
            "--no-sync",
            account=account,
        )
        await standby.start()
        yield primary, standby
    finally:
        await standby.stop()
        await primary.stop()

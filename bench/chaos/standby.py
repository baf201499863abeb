"""A streaming standby of the database that one server reads from."""

from __future__ import annotations

import asyncio
import subprocess
import time
from dataclasses import dataclass

import asyncpg

from keeper_grpc.storage.embedded.account import ENVIRONMENT, ServerAccount
from keeper_grpc.storage.embedded.binaries import find_binaries
from keeper_grpc.storage.embedded.cluster import SUPERUSER
from keeper_grpc.storage.embedded.supervisor import EmbeddedPostgres

NAME = "standby"
"""As the primary knows it, and of its slot, which keeps what it has yet to get."""


class Standby(EmbeddedPostgres):
    """A copy of a primary of this machine that follows it, over its socket."""

    async def copy(self, primary: EmbeddedPostgres) -> None:
        """Make the copy, in an empty place. `start` follows."""
        account = ServerAccount.for_cluster(primary.layout.pgdata)
        root = self.layout.root
        root.mkdir(mode=0o700)
        account.own(root)
        source = f"host={primary.layout.socket} user={SUPERUSER} application_name={NAME}"
        command = [
            find_binaries(account).program("pg_basebackup"),
            f"--pgdata={self.layout.pgdata}",
            f"--dbname={source}",
            "--write-recovery-conf",
            "--wal-method=stream",
            "--create-slot",
            f"--slot={NAME}",
            "--checkpoint=fast",
            "--no-sync",
        ]

        def run() -> None:
            subprocess.run(
                command,
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                check=True,
                **account.run_as,
            )

        await asyncio.to_thread(run)

    async def lag(self, seconds: float) -> None:
        """Show the past for so long. One that is killed meanwhile has caught up sooner."""
        await self._replay("pause")
        await asyncio.sleep(seconds)
        await self._replay("resume")

    async def _replay(self, what: str) -> None:
        try:
            connection = await asyncpg.connect(self.dsn)
        except (OSError, asyncpg.PostgresError):  # it recovers
            return
        try:
            await connection.execute(f"SELECT pg_wal_replay_{what}()")
        finally:
            await connection.close()

    async def caught_up(self, primary: EmbeddedPostgres, within: float) -> bool:
        """Wait until it shows what is committed by now: whether it does within so many seconds."""
        there = await asyncpg.connect(primary.dsn)
        try:
            written = await there.fetchval("SELECT pg_current_wal_lsn()::text")
        finally:
            await there.close()
        end = time.monotonic() + within
        here = await asyncpg.connect(self.dsn)
        try:
            while time.monotonic() < end:
                if await here.fetchval(
                    "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", written
                ):
                    return True
                await asyncio.sleep(0.1)
        finally:
            await here.close()
        return False


@dataclass(frozen=True, slots=True)
class Databases:
    """What the servers work on."""

    primary: EmbeddedPostgres
    standby: Standby

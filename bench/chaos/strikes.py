"""Doing what the plan says, to victims that chance chooses."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from random import Random

import asyncpg

from bench.chaos.faults import Fault, Kind
from bench.chaos.servers import Server
from bench.chaos.standby import Databases

_OURS = "FROM pg_stat_activity WHERE application_name LIKE 'keeper%' AND backend_type = 'client backend'"


class Strikes:
    """Hits servers that serve, their database, and its standby."""

    def __init__(
        self,
        databases: Databases,
        servers: Sequence[Server],
        random: Random,
    ) -> None:
        self._postgres = databases.primary
        self._standby = databases.standby
        self._standby_recovers = asyncio.Lock()
        self._servers = servers
        self._random = random

    async def strike(self, fault: Fault, recoveries: asyncio.TaskGroup) -> None:
        """Do it; what was hit recovers in the background."""
        serving = [server for server in self._servers if server.serves]
        self._random.shuffle(serving)
        match fault.kind:
            case Kind.KILL | Kind.KILL_TWO:
                for server in serving[: 1 if fault.kind is Kind.KILL else 2]:
                    await server.kill()
                    recoveries.create_task(_again(server, fault.away))
            case Kind.FREEZE:
                for server in serving[:1]:
                    server.serves = False
                    recoveries.create_task(_thaw(server, fault.away))
            case Kind.DRAIN:
                for server in serving[:1]:
                    server.serves = False
                    recoveries.create_task(_restart(server))
            case Kind.STOP_STANDBY:
                recoveries.create_task(self._stop_standby(fault.away))
            case Kind.LAG_STANDBY:
                recoveries.create_task(self._lag_standby(fault.away))
            case _:
                await self._harm(fault.kind)

    async def _harm(self, kind: Kind) -> None:
        """Harm the database or its standby, which come back by themselves."""
        match kind:
            case Kind.KILL_DATABASE:
                self._signal(self._postgres.pid, signal.SIGKILL)
            case Kind.STOP_DATABASE:
                self._signal(self._postgres.pid, signal.SIGQUIT)
            case Kind.KILL_STANDBY:
                self._signal(self._standby.pid, signal.SIGKILL)
            case Kind.KILL_BACKEND:
                self._signal(await self._backend(), signal.SIGKILL)
            case Kind.CUT:
                await self._execute(f"SELECT pg_terminate_backend(pid) {_OURS}")

    async def _stop_standby(self, away: float) -> None:
        async with self._standby_recovers:
            await self._standby.stop()
            await asyncio.sleep(away)
            await self._standby.start()

    async def _lag_standby(self, away: float) -> None:
        async with self._standby_recovers:
            await self._standby.lag(away)

    def _signal(self, pid: int | None, number: signal.Signals) -> None:
        if pid is not None:
            with suppress(ProcessLookupError):  # it ended
                os.kill(pid, number)

    async def _backend(self) -> int | None:
        rows = await self._execute(f"SELECT pid {_OURS} ORDER BY pid")
        return self._random.choice(rows)["pid"] if rows else None

    async def _execute(self, sql: str) -> Sequence[asyncpg.Record]:
        try:
            connection = await asyncpg.connect(self._postgres.dsn)
        except (OSError, asyncpg.PostgresError):  # it recovers from what was done to it before
            return []
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()


async def _again(server: Server, away: float) -> None:
    await asyncio.sleep(away)
    await server.start()


async def _restart(server: Server) -> None:
    await server.drain()
    await server.start()


async def _thaw(server: Server, away: float) -> None:
    await server.freeze(away)
    server.serves = True

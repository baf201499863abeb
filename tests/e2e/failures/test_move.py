"""`keeper move` beside a server under load: killed in the middle, run again, and back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    ListPatternsRequest,
    ListPatternsResponse,
)
from tests.e2e.calls import SERVING, HealthWatch, Subscription, emerge, network
from tests.e2e.commands.running import keeper
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.failures.test_failover import Load, check_ledger
from tests.e2e.server_process import PSEUDONYM_KEYS, environment
from tests.e2e.waiting import SOON, until
from tests.postgres_over_tcp import HOST, TcpPostgres

LONG = 10 * SOON
"""Seconds for a program that starts, copies and ends."""


@asynccontextmanager
async def two_servers(
    make_directory: MakeDirectory,
) -> AsyncIterator[tuple[TcpPostgres, TcpPostgres]]:
    """Two servers of PostgreSQL that have nothing to do with each other."""
    one, other = (TcpPostgres(make_directory() / "data") for _ in range(2))
    async with one, other:
        for server in (one, other):
            await server.admit("host all all 127.0.0.1/32 trust")
        yield one, other


class Moving:
    """The command as a process, with what it says in a file."""

    def __init__(
        self, log: Path, source: TcpPostgres, target: TcpPostgres, *arguments: str
    ) -> None:
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "keeper_grpc.cli", "move", "--to", target.url(), *arguments],
                env=environment(
                    KEEPER_DATABASE_URL=source.url(), KEEPER_PSEUDONYM_KEYS=PSEUDONYM_KEYS
                ),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        """Its lines so far."""
        return self._log.read_text()

    async def says(self, words: str) -> None:
        """Wait for a line with these words."""

        def heard() -> bool:
            assert self.process.poll() is None, self.said
            return words in self.said

        await until(heard, within=LONG, what=words)

    async def done(self) -> None:
        """Wait for its end, which must be a good one."""
        await until(lambda: self.process.poll() is not None, within=LONG, what="the move")
        assert self.process.returncode == 0, self.said


async def listed(channel: object) -> ListPatternsResponse:
    """What the server lists."""
    return await network(channel).ListPatterns(ListPatternsRequest(page_size=50))  # type: ignore[arg-type]


@pytest.mark.timeout(1800)
async def test_a_network_moves_under_load_and_back(
    start_server: StartServer, make_directory: MakeDirectory, tmp_path: Path
) -> None:
    """No call is lost or counted twice, though the first run is killed; servers that name both databases go over by themselves.

    A stream goes on by its token, what is listed is the same after the way back, and a server of the old database alone
    does not start.
    """
    async with two_servers(make_directory) as (old, new):
        both = f"postgresql://keeper@{HOST}:{old.port},{HOST}:{new.port}/keeper"
        server = await start_server(database_url=both)
        migrated = await asyncio.to_thread(keeper, "migrate", KEEPER_DATABASE_URL=new.url())
        assert migrated.returncode == 0, migrated.stderr
        async with server.channel() as channel:
            watch, load = HealthWatch(channel), Load(channel)
            await emerge(channel, "Open at seven in the morning", insight_type="early_hours")
            stream = Subscription(channel)
            await until(lambda: stream.complete, within=SOON, what="the snapshot")
            await load.more()

            killed = Moving(tmp_path / "killed.log", old, new)
            await killed.says("rows of embedding_cache")
            killed.process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(killed.process.wait)
            await load.more()
            assert await new.fetchval("SELECT phase FROM keeper_move.mark") == "arriving"

            pair = Moving(tmp_path / "pair.log", old, new, "--check")
            await pair.done()
            assert pair.said == "the move can begin or go on\n"
            again = Moving(tmp_path / "again.log", old, new)
            await again.done()
            assert "rows of accounts" not in again.said
            await until(lambda: watch.status == SERVING, within=SOON, what="serving again")
            await load.more()
            await load.stop()
            await check_ledger(load, new)
            left_behind = await old.fetchval("SELECT count(*) FROM observations")
            assert isinstance(left_behind, int)
            assert left_behind < len(load.acknowledged)

            resumed = Subscription(channel, stream.resume_token)
            await emerge(channel, "Open on Sundays too", insight_type="sundays")
            await until(lambda: resumed.changes("sundays"), within=SOON, what="the stream goes on")
            assert not resumed.changes("early_hours")
            await resumed.close()
            await stream.close()

            before = await listed(channel)
            await Moving(tmp_path / "back.log", new, old, "--overwrite").done()
            await until(lambda: watch.status == SERVING, within=SOON, what="serving from the first")
            assert await listed(channel) == before
            await check_ledger(load, old)
            counted = await asyncio.to_thread(
                keeper,
                "rebuild",
                "--check",
                KEEPER_DATABASE_URL=old.url(),
                KEEPER_PSEUDONYM_KEYS=PSEUDONYM_KEYS,
            )
            assert counted.stdout.endswith("the evidence is what the ledger says\n"), counted
            await watch.close()
        assert not server.events("background_task_died")
        assert "Traceback" not in server.log.read_text()

        late = await start_server(database_url=new.url(), serving=False)
        assert await late.ended() == 1
        assert "the network was moved away from this database" in late.log.read_text()

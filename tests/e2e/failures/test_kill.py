from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import grpc
import pytest

from keeper_grpc.gen.keeper.network.v1.network_service_pb2 import (
    CapturePatternRequest,
    CapturePatternResponse,
)
from tests.e2e.calls import capture, network
from tests.e2e.conftest import MakeDirectory, StartServer
from tests.e2e.server_process import ServerProcess, bundled_dsn, postgres_of
from tests.e2e.waiting import SOON, until

CAPTURES = 300
IN_FLIGHT = 32
ACKNOWLEDGED = 80
"""Captures that are answered before the kill: enough to be in the middle of writing."""

ACTIONS = (
    "Send a personal reminder with 20% off the next massage",
    "Call and offer an appointment with the usual therapist",
    "Invite to a free upgrade to hot stones",
    "Offer a package of three massages",
)


def captures() -> list[CapturePatternRequest]:
    """Captures of twelve accounts over four actions, each with its own request_id."""
    return [
        capture(f"account-{n % 12}", ACTIONS[n % len(ACTIONS)], success=n % 5 > 0)
        for n in range(CAPTURES)
    ]


async def send_all(
    server: ServerProcess,
    requests: Sequence[CapturePatternRequest],
    answers: dict[str, CapturePatternResponse],
) -> None:
    """Send every request, many at once, and note the answers. A call that fails is not repeated."""
    waiting = iter(requests)
    async with server.channel() as channel:
        client = network(channel)

        async def send() -> None:
            for request in waiting:
                try:
                    answers[request.request_id] = await client.CapturePattern(request)
                except grpc.aio.AioRpcError:
                    return

        await asyncio.gather(*(send() for _ in range(IN_FLIGHT)))


async def kill_in_the_middle(
    server: ServerProcess, requests: Sequence[CapturePatternRequest], also: Path | None
) -> dict[str, CapturePatternResponse]:
    """Kill the server (and the PostgreSQL of the data directory `also`): what was acknowledged."""
    answers: dict[str, CapturePatternResponse] = {}
    sending = asyncio.create_task(send_all(server, requests, answers))
    await until(lambda: len(answers) >= ACKNOWLEDGED, within=SOON, what="captures are acknowledged")
    processes = postgres_of(also) if also else []
    server.send(signal.SIGKILL)
    for process in processes:
        with contextlib.suppress(ProcessLookupError):  # it followed its postmaster already
            os.kill(process, signal.SIGKILL)
    await sending
    await server.kill()
    assert ACKNOWLEDGED <= len(answers) < len(requests), "the kill was not in the middle"
    return answers


async def check_each_is_there_once(
    server: ServerProcess,
    requests: Sequence[CapturePatternRequest],
    acknowledged: dict[str, CapturePatternResponse],
    dsn: str,
) -> None:
    """Retry everything; then ledger and totals count every request once."""
    again: dict[str, CapturePatternResponse] = {}
    await send_all(server, requests, again)
    assert again.keys() == {request.request_id for request in requests}
    for request_id, first in acknowledged.items():
        retried = again[request_id]
        assert retried.replayed
        if first.pattern_id:  # else it may be published only since
            assert (retried.pattern_id, retried.disposition) == (
                first.pattern_id,
                first.disposition,
            )
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM observations") == CAPTURES
        totals = await connection.fetchrow(
            "SELECT sum(occurrence_count), sum(success_count) FROM network_patterns"
        )
    finally:
        await connection.close()
    assert totals is not None
    assert tuple(totals) == (CAPTURES, sum(request.outcome.success for request in requests))


@pytest.mark.parametrize("postgres_too", [False, True], ids=["server", "server-and-postgres"])
async def test_a_killed_server_has_every_acknowledged_capture_once(
    start_server: StartServer, make_directory: MakeDirectory, postgres_too: bool
) -> None:
    """Kill -9 during captures and a restart on the same data directory lose and duplicate nothing."""
    data_dir, requests = make_directory() / "data", captures()
    server = await start_server(data_dir=data_dir)
    acknowledged = await kill_in_the_middle(server, requests, data_dir if postgres_too else None)

    successor = await start_server(data_dir=data_dir)

    await check_each_is_there_once(successor, requests, acknowledged, bundled_dsn(data_dir))


async def test_a_killed_server_leaves_an_external_database_consistent(
    start_server: StartServer, database_of_its_own: str
) -> None:
    """Kill -9 during captures loses and duplicates nothing with an external PostgreSQL either."""
    requests = captures()
    server = await start_server(database_url=database_of_its_own)
    acknowledged = await kill_in_the_middle(server, requests, None)

    successor = await start_server(database_url=database_of_its_own)

    await check_each_is_there_once(successor, requests, acknowledged, database_of_its_own)
